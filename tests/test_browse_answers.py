"""What a run's folder says about each sample is what the metrics' own definitions say, for every task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.browse_cases import BOTH, FIRST, PLAN, SECOND, N, blur, browse_run, random_outputs, typos
from mmaudit.browse.answers import NO_ANSWER, Answers
from mmaudit.errors import BadInput, DamagedRun, Undefined
from mmaudit.metrics import Predictions
from mmaudit.metrics.retrieval import expected_reciprocal
from mmaudit.outputs import opened
from mmaudit.store import Run
from mmaudit.types import CLEAN, Array, Task

COLOURS = Task.classification(["red", "green", "blue", "long " * 40])
LABELS = Task.multilabel(["cat", "dog", "owl"])
LENGTH = Task.regression(1, unit="mm")
POINT = Task.regression(["x", "y"], unit="cm")
FIND = Task.retrieval("photo.left", "note")


def targets(task: Task, n: int = N) -> Array:
    rng = np.random.default_rng(1)
    if task.kind == "classification":
        return rng.integers(0, task.width, n)
    if task.kind == "multilabel":
        return rng.integers(0, 2, (n, task.width)).astype(np.int8)
    if task.kind == "regression":
        return rng.normal(size=(n, task.width))
    return np.stack([np.arange(n), np.full(n, n), rng.integers(1, 3, n)], axis=1)


def made(folder: Path, task: Task) -> tuple[Answers, dict[str, Array], Array]:
    outputs = ranked() if task.kind == "retrieval" else random_outputs(task.width)
    target = targets(task)
    browse_run(folder, task, target, outputs)
    return Answers(Run.open(folder)), outputs, target


def ranked() -> dict[str, Array]:
    """Answer rows of a retrieval among N candidates."""
    rng = np.random.default_rng(2)
    out = random_outputs(6)
    for rows in out.values():
        lost = np.isnan(rows).any(axis=1)
        higher = rng.integers(0, 4, N)
        tied, right = rng.integers(0, 3, N), rng.integers(1, 3, N)
        log_right = -rng.random(N)
        rows[:] = np.stack([higher, tied, right, rng.integers(0, N, N), log_right, -rng.random(N)], axis=1)
        rows[lost] = np.nan
    return out


def both_answer(outputs: dict[str, Array], key: str) -> Array:
    return np.isfinite(outputs[CLEAN.key]).all(axis=1) & np.isfinite(outputs[key]).all(axis=1)


@pytest.mark.parametrize("task", [COLOURS, LABELS], ids=["classification", "multilabel"])
@pytest.mark.parametrize("condition", [CLEAN, BOTH, blur(3), typos(4)], ids=lambda c: c.label)
def test_tables_agree_with_the_metrics(tmp_path: Path, task: Task, condition: object) -> None:
    answers, outputs, target = made(tmp_path / "run", task)
    table = answers.table(condition)  # type: ignore[arg-type]
    key = condition.key  # type: ignore[attr-defined]
    rows = both_answer(outputs, key)
    now = Predictions(task, outputs[key][rows], target[rows])
    clean = Predictions(task, outputs[CLEAN.key][rows], target[rows])

    def worth(p: Predictions) -> Array:
        return np.where(p.onehot, p.probability, 0 if task.kind == "classification" else 1 - p.probability).sum(axis=1)

    width = 1 if task.kind == "classification" else task.width
    np.testing.assert_allclose(table["damage"][rows], (worth(clean) - worth(now)) / width, atol=1e-12)
    np.testing.assert_allclose(table["confidence"][rows], now.confidence, rtol=1e-12)
    np.testing.assert_allclose(table["clean_confidence"][rows], clean.confidence, rtol=1e-12)
    assert table["flipped"][rows].tolist() == (clean.hit & ~now.hit).tolist()
    assert table["flipped"][rows].any() == (key != CLEAN.key)
    assert table.loc[~rows, ["damage", "flipped"]].isna().all(axis=None)
    lost = ~np.isfinite(outputs[key]).all(axis=1)
    assert table["answer"].eq(NO_ANSWER).tolist() == lost.tolist()
    assert table["confidence"].isna().tolist() == lost.tolist()


def test_a_table_names_every_sample(tmp_path: Path) -> None:
    answers, outputs, target = made(tmp_path / "run", COLOURS)
    table = answers.table(blur(3))
    assert list(table) == [
        *("position", "sample", "target", "group.site", "clean", "clean_confidence"),
        *("answer", "confidence", "damage", "flipped", "changed", "moved"),
    ]
    assert table["position"].tolist() == list(range(N))
    assert table["sample"].tolist() == [f"s{i:02d}" for i in range(N)]
    assert table["group.site"].tolist() == (["a", "b"] * N)[:N]
    shown = ["red", "green", "blue"]
    for name, code in zip(table["target"], target, strict=True):
        assert name == shown[code] if code < 3 else (len(name) == 60 and "…" in name)
    said = np.argmax(outputs[blur(3).key], axis=1)
    assert [a for a, code in zip(table["answer"], said, strict=True) if code < 3] == [shown[c] for c in said if c < 3]
    assert table["changed"].tolist() == [i % 2 == 1 for i in range(N)]
    np.testing.assert_allclose(table["moved"], np.where(np.arange(N) % 2, 0.25, 0.0))
    assert answers.damage_unit == "share"
    assert "right class" in answers.damage_summary
    assert answers.table(CLEAN)["damage"].drop(index=7).eq(0).all()


def test_distances_of_different_units_are_not_averaged(tmp_path: Path) -> None:
    answers, _, _ = made(tmp_path / "run", COLOURS)
    assert answers.table(BOTH)["moved"].isna().all()
    assert [answers.moved_unit(c) for c in (CLEAN, BOTH, blur(1), typos(2))] == ["", "", "σ", "share of characters"]
    sample = answers.sample(1).set_index("label")
    assert pd.isna(sample.loc[BOTH.label, "moved"])
    assert sample.loc[typos(2).label, ["moved", "moved_unit"]].tolist() == [0.25, "share of characters"]
    assert sample.loc["clean", "moved"] == 0


def test_multilabel_answers_in_words(tmp_path: Path) -> None:
    answers, outputs, target = made(tmp_path / "run", LABELS)
    table = answers.table(blur(1))
    names = np.array(LABELS.names)
    said = [", ".join(names[row > 0]) or "none" for row in outputs[blur(1).key]]
    assert table["answer"].tolist() == said
    assert table["target"].tolist() == [", ".join(names[row == 1]) or "none" for row in target]
    assert "none" in said


def test_many_labels_are_cut(tmp_path: Path) -> None:
    task = Task.multilabel(40)
    outputs = {c.key: np.ones((N, 40), np.float32) for c in PLAN}
    browse_run(tmp_path / "run", task, np.ones((N, 40), np.int8), outputs)
    table = Answers(Run.open(tmp_path / "run")).table(BOTH)
    assert table["answer"][0] == ", ".join(str(i) for i in range(12)) + ", 28 more"


@pytest.mark.parametrize("task", [LENGTH, POINT], ids=["one", "two"])
def test_regression_damage_is_growth_of_the_error(tmp_path: Path, task: Task) -> None:
    answers, outputs, target = made(tmp_path / "run", task)
    table = answers.table(BOTH)
    rows = both_answer(outputs, BOTH.key)
    growth = np.abs(outputs[BOTH.key] - target).mean(axis=1) - np.abs(outputs[CLEAN.key] - target).mean(axis=1)
    np.testing.assert_allclose(table["damage"][rows], growth[rows], rtol=1e-6)
    assert table["damage"].isna().tolist() == (~rows).tolist()
    assert table[["confidence", "clean_confidence", "flipped"]].isna().all(axis=None)
    assert "not right or wrong" in answers.flip_reason
    assert answers.damage_unit == task.unit
    value = f"{outputs[BOTH.key][0, 0]:.4g}".replace("-", "−")
    assert table["answer"][0].startswith(value if task.width == 1 else f"x {value}, y ")
    assert table["answer"][0].endswith(f" {task.unit}")
    assert table["answer"][4] == NO_ANSWER
    with pytest.raises(Undefined, match="no probability per class"):
        answers.distribution(0, BOTH)


def test_retrieval_damage_is_the_fall_of_the_reciprocal_rank(tmp_path: Path) -> None:
    answers, outputs, target = made(tmp_path / "run", FIND)
    table = answers.table(blur(3))
    rows = both_answer(outputs, blur(3).key)
    now, clean = outputs[blur(3).key][rows], outputs[CLEAN.key][rows]
    fall = expected_reciprocal(*clean[:, :3].T) - expected_reciprocal(*now[:, :3].T)
    np.testing.assert_allclose(table["damage"][rows], fall, atol=1e-12)
    right = [(x[:, 0] == 0) & (x[:, 1] == 0) for x in (clean, now)]
    assert table["flipped"][rows].tolist() == (right[0] & ~right[1]).tolist()
    np.testing.assert_allclose(table["confidence"][rows], np.exp(now[:, 5]), rtol=1e-6)
    first = int(outputs[blur(3).key][0, 3])
    assert table["answer"][0].startswith(f"s{first:02d} (right one at rank ")
    assert table["target"].tolist() == [f"s{i:02d}" + (" and 1 more" if target[i, 2] == 2 else "") for i in range(N)]


@pytest.mark.parametrize(("column", "value"), [(3, N), (3, -1), (0, N + 1), (1, -1), (2, 0)])
def test_ranks_that_cannot_be_are_damage(tmp_path: Path, column: int, value: int) -> None:
    outputs = ranked()
    outputs[blur(3).key][2, column] = value
    browse_run(tmp_path / "run", FIND, targets(FIND), outputs)
    answers = Answers(Run.open(tmp_path / "run"))
    answers.table(blur(1))
    with pytest.raises(DamagedRun, match="not among the 23 samples"):
        answers.table(blur(3))


@pytest.mark.parametrize("task", [COLOURS, LABELS, LENGTH, FIND], ids=lambda t: t.kind)
def test_one_sample_says_what_the_tables_say(tmp_path: Path, task: Task) -> None:
    answers, _, _ = made(tmp_path / "run", task)
    tables = {c.key: answers.table(c) for c in PLAN}
    for position in (0, 4, 7, 15, N - 1):
        sample = answers.sample(position)
        assert sample["key"].tolist() == [c.key for c in PLAN]
        assert sample["label"].tolist() == [c.label for c in PLAN]
        for name in ("answer", "confidence", "damage", "flipped", "changed", "moved"):
            wanted = [tables[c.key][name][position] for c in PLAN]
            pd.testing.assert_series_equal(
                sample[name], pd.Series(wanted, name=name, dtype=sample[name].dtype), rtol=1e-12
            )
    severities = sample.set_index("label")["severity_position"]
    assert severities[blur(3).label] == 3
    assert pd.isna(severities["clean"])


@pytest.mark.parametrize("task", [COLOURS, LABELS], ids=lambda t: t.kind)
def test_distributions_are_the_probabilities(tmp_path: Path, task: Task) -> None:
    answers, outputs, target = made(tmp_path / "run", task)
    shown = answers.distribution(4, blur(5))
    expected = Predictions(task, outputs[blur(5).key][[4]], target[[4]])
    np.testing.assert_allclose(shown["perturbed"], expected.probability[0], rtol=1e-12)
    assert shown["right"].tolist() == expected.onehot[0].tolist()
    assert answers.distribution(4, BOTH)["perturbed"].isna().all()
    assert answers.distribution(4, BOTH)["clean"].notna().all()
    same = answers.distribution(4, CLEAN)
    assert same["clean"].tolist() == same["perturbed"].tolist()


def test_a_table_reads_two_row_groups_of_each_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, _, _ = made(tmp_path / "run", COLOURS)
    read: list[tuple[str, int, tuple[str, ...]]] = []

    def watched(path: Path) -> object:
        file = opened(path)
        original = file.read_row_group

        def read_row_group(group: int, columns: list[str], **more: object) -> object:
            read.append((path.name[:5], group, tuple(columns)))
            return original(group, columns=columns, **more)

        file.read_row_group = read_row_group
        return file

    monkeypatch.setattr("mmaudit.browse.shards.opened", watched)
    answers.table(typos(4))
    touched = ("output", "changed.note", "moved.note")
    clean = [(f"{s:05d}", 0, ("output",)) for s in range(3)]
    assert read == clean + [(f"{s:05d}", 1, touched) for s in range(3)]
    read.clear()
    answers.table(typos(2))
    assert [group for _, group, _ in read] == [0, 0, 0]
    read.clear()
    answers.sample(12)
    assert {shard for shard, _, _ in read} == {"00001"}
    assert len(read) == len(PLAN)


def test_tables_can_be_changed_without_changing_the_answers(tmp_path: Path) -> None:
    answers, _, _ = made(tmp_path / "run", COLOURS)
    before = answers.table(blur(1))
    spoiled = answers.table(blur(1))
    for name in spoiled:
        spoiled[name] = None
    spoiled = answers.table(blur(1))
    spoiled.loc[:, ["damage", "clean_confidence"]] = -1.0
    spoiled.loc[:, ["sample", "clean"]] = "x"
    pd.testing.assert_frame_equal(answers.table(blur(1)), before)


def test_what_does_not_exist_is_bad_input(tmp_path: Path) -> None:
    answers, _, _ = made(tmp_path / "run", COLOURS)
    for position in (-1, N, 10**12, 1.5, True, "3"):
        with pytest.raises(BadInput, match="there is no sample at position"):
            answers.sample(position)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="not part of the run"):
        answers.table(blur(2))
    with pytest.raises(BadInput, match="not part of the run"):
        answers.distribution(0, blur(2))


def test_an_unfinished_run_is_named(tmp_path: Path) -> None:
    answers, _, _ = made(tmp_path / "run", COLOURS)
    gone = answers.run.file(2, 1)
    gone.unlink()
    answers.table(FIRST[2])
    answers.sample(19)
    for ask in (lambda: answers.table(SECOND[0]), lambda: answers.sample(20)):
        with pytest.raises(DamagedRun, match=rf"{gone.name} is missing: the audit has not finished"):
            ask()


def test_numbers_as_ids_become_text(tmp_path: Path) -> None:
    outputs = random_outputs(4)
    browse_run(tmp_path / "run", COLOURS, targets(COLOURS), outputs, ids=np.arange(N) * 7)
    assert Answers(Run.open(tmp_path / "run")).table(CLEAN)["sample"].tolist() == [str(7 * i) for i in range(N)]
