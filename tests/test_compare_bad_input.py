"""Runs that cannot be compared, or not everywhere: one clear error, or the reason beside each number."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.compare_cases import PLAN, logits, of_task, write
from mmaudit import MMAuditError, Run, compare
from mmaudit.errors import BadInput, DamagedRun, StaleRun, UnknownName
from mmaudit.types import Array, Condition, Task

TARGET = np.random.default_rng(0).integers(0, 3, 90)


def answers(conditions: tuple[Condition, ...] = PLAN, seed: int = 1) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {c.key: logits(TARGET, 0.8, rng) for c in conditions}


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write(tmp_path / "first", TARGET, answers())


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return write(tmp_path / "second", TARGET, answers(seed=2))


def test_one_run_is_no_comparison(first: Path) -> None:
    with pytest.raises(BadInput, match="needs at least two runs, got 1"):
        compare(first)


def test_the_same_run_twice_is_refused(first: Path, second: Path) -> None:
    link = first.parent / "link"
    link.symlink_to(first)
    for again in (first, first / ".." / "first", Run.open(first), link):
        with pytest.raises(BadInput, match="is given twice"):
            compare(first, second, again)


def test_a_folder_without_a_run_is_refused(first: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is not a run folder: it has no run\.json"):
        compare(first, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Task.classification(4), "one has 3 classes, the other 4"),
        (Task.classification(("0", "2", "1")), "their classes are in another order"),
        (Task.classification(("0", "1", "x" * 500)), "their classes differ"),
        (Task.multilabel(3), "one is classification, the other multilabel"),
    ],
)
def test_other_tasks_are_refused(first: Path, tmp_path: Path, task: Task, said: str) -> None:
    outputs = {c.key: np.zeros((90, task.width)) for c in PLAN}
    other = write(tmp_path / "other", TARGET, outputs, task=task)
    with pytest.raises(BadInput, match=said) as error:
        compare(first, other)
    assert "first" in str(error.value)
    assert len(str(error.value)) < 700


def test_units_and_banks_must_agree(tmp_path: Path) -> None:
    task, target, outputs = of_task("regression", 40, 0)
    folders = [
        write(tmp_path / unit, target, outputs, task=Task.regression(1, unit=unit)) for unit in (task.unit, "cm")
    ]
    with pytest.raises(BadInput, match="their targets are in 'mm' and 'cm'"):
        compare(*folders)
    task, target, outputs = of_task("retrieval", 40, 0)
    folders = [
        write(tmp_path / str(bank), target, outputs, task=Task.retrieval("image", "text", bank)) for bank in (0, 8)
    ]
    with pytest.raises(BadInput, match="their banks hold all and 8 candidates"):
        compare(*folders)


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"metrics": ["acuracy"]}, UnknownName, "did you mean 'accuracy'"),
        ({"metrics": "accuracy"}, BadInput, "give a list of names"),
        ({"metrics": ["rmse"]}, BadInput, "is for regression; the runs are of classification"),
        ({"metrics": ["follows_kept"]}, BadInput, "about conflicts within one run"),
        ({"margin": -0.1}, BadInput, "margin -0.1"),
        ({"margin": float("nan")}, BadInput, "margin nan"),
        ({"margin": float("inf")}, BadInput, "margin inf"),
        ({"margin": "0.1"}, BadInput, "margin '0.1'"),
        ({"margin": {"ece": 0.1}}, BadInput, "margin for 'ece', which is not compared"),
        ({"resamples": 1}, BadInput, "resamples ≥ 2"),
        ({"seed": -1}, BadInput, "seed in"),
    ],
)
def test_arguments_out_of_range(
    first: Path, second: Path, asked: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        compare(first, second, **asked)


def _header(edit: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "run.json"
        header = json.loads(file.read_text())
        edit(header)
        file.write_text(json.dumps(header))

    return change


def _cut(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = next(folder.glob(name))
        file.write_bytes(file.read_bytes()[:-20])

    return change


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "unfinished": (lambda f: next((f / "predictions").iterdir()).unlink(), "is not finished: 1 of 1 prediction files"),
    "no predictions": (lambda f: shutil.rmtree(f / "predictions"), "is not finished"),
    "cut predictions": (_cut("predictions/*.parquet"), "cannot be read"),
    "cut samples": (_cut("samples.parquet"), "samples.parquet cannot be read"),
    "no samples": (lambda f: (f / "samples.parquet").unlink(), "samples.parquet cannot be read"),
    "foreign samples": (lambda f: (f / "samples.parquet").write_bytes(b"PK\x03\x04"), "samples.parquet cannot be read"),
    "text": (lambda f: (f / "run.json").write_text("{"), "is not readable"),
    "other rows": (
        _header(lambda h: h["data"].update(n=10**12)),
        "data.n is 1000000000000, expected a whole number",
    ),
    "more rows": (_header(lambda h: h["data"].update(n=91)), "90 samples with targets of int64, run.json says 91"),
    "negative rows": (_header(lambda h: h["data"].update(n=-1)), "data.n is -1, expected a whole number"),
    "no shards": (_header(lambda h: h.update(shard_rows=0)), "shard_rows is 0, expected a whole number"),
    "endless shards": (_header(lambda h: h.update(shard_rows=1)), "is not finished: 89 of 90"),
    "a list": (_header(lambda h: h.update(model=[])), "model is .*, expected a table"),
    "a foreign task": (_header(lambda h: h["task"].update(kind="magic")), "task.kind is 'magic'"),
    "no task": (_header(lambda h: h.update(task=None)), "task is None, expected a table"),
    "numbers for names": (
        _header(lambda h: h["task"].update(names=[1, 2, 3])),
        "task.names is not a list of different texts",
    ),
    "a modality without kind": (
        _header(lambda h: h["modalities"][0].update(kind="smell")),
        "kind 'smell' is not one of",
    ),
    "other conditions": (_header(lambda h: h["increments"][0].pop()), "is not finished"),
    "no conditions": (_header(lambda h: h.update(increments=[])), "increments is not a list of lists of conditions"),
    "a condition of nothing": (_header(lambda h: h["increments"].append([{}])), "'key' is missing"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(first: Path, second: Path, name: str) -> None:
    damage, said = DAMAGE[name]
    damage(second)
    for runs in ((first, second), (second, first)):
        with pytest.raises(DamagedRun, match=said) as error:
            compare(*runs)
        assert str(second) in str(error.value)


def test_classes_that_the_answers_do_not_have_are_damage(tmp_path: Path) -> None:
    folders = []
    for name in ("a", "b"):
        folders.append(write(tmp_path / name, TARGET, answers()))
        _header(lambda h: h["task"].update(names=["x", "y"]))(folders[-1])
    with pytest.raises(DamagedRun, match=r"outputs of \(90, 3\), expected \(90, 2\)"):
        compare(*folders)


def test_targets_out_of_range_are_damage(tmp_path: Path, first: Path) -> None:
    other = write(tmp_path / "other", TARGET + 5, answers())
    with pytest.raises(DamagedRun, match=r"does not hold what its run\.json says: target [567] is not legal"):
        compare(first, other)


def test_ids_that_come_twice_are_damage(tmp_path: Path, first: Path) -> None:
    other = write(tmp_path / "other", TARGET, answers(), ids=np.arange(90) // 2)
    with pytest.raises(DamagedRun, match="holds 45 sample ids twice"):
        compare(first, other)


def test_a_newer_run_is_stale(first: Path, second: Path) -> None:
    _header(lambda h: h.update(schema="mmaudit.run/99"))(second)
    with pytest.raises(StaleRun, match="update mmaudit"):
        compare(first, second)


def test_a_model_that_answered_nothing_is_refused(tmp_path: Path, first: Path) -> None:
    outputs = {key: np.full((90, 3), np.nan) for key in answers()}
    other = write(tmp_path / "other", TARGET, outputs)
    with pytest.raises(BadInput, match="answered none of the compared samples on clean data"):
        compare(first, other)


def test_models_that_answered_different_samples_have_nothing_to_compare(tmp_path: Path) -> None:
    folders = []
    for i, rows in enumerate((slice(0, 45), slice(45, 90))):
        outputs = answers(seed=i)
        for value in outputs.values():
            value[rows] = np.nan
        folders.append(write(tmp_path / str(i), TARGET, outputs))
    found = compare(*folders, resamples=50)
    assert found.counts() == {"worse": 0, "better": 0, "undecided": 4}
    assert {r.reason for r in found.rows} == {"no sample has an answer here and on clean data"}
    found.to_html(tmp_path / "page.html")
    assert "no sample has an answer" in found.to_markdown()


def test_every_error_is_one_of_ours(first: Path, second: Path) -> None:
    # Bytes of every file overwritten in many places: never another error than ours.
    rng = np.random.default_rng(0)
    files = [f for f in second.rglob("*") if f.is_file()]
    for file in files:
        whole = file.read_bytes()
        for _ in range(25):
            data = bytearray(whole)
            for at in rng.integers(0, len(data), 3):
                data[at] = rng.integers(0, 256)
            file.write_bytes(bytes(data))
            with contextlib.suppress(MMAuditError):
                compare(first, second, resamples=2, groups=False)
        file.write_bytes(whole)
    compare(first, second, resamples=2)
