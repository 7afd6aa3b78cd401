"""Data, arguments and folders that cannot be used are refused by one sentence, before the model is asked anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.one_sentence import require_one_sentence
from helpers.run_cases import WORDS, Rowwise, contents, dataset
from mmaudit import ArrayData, FunctionModel, Modality, Task, audit, read_npz
from mmaudit.errors import BadInput, MMAuditError, StaleRun, UnknownName
from mmaudit.types import Array

N = 60
THREE = Task.classification(WORDS)


def table(n: int = N) -> Array:
    return np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)


def notes(n: int = N) -> list[str]:
    return [WORDS[i % 3] for i in range(n)]


def with_value(value: float) -> Array:
    x = table()
    x[7, 1] = value
    return x


def labels(**changes: int) -> Array:
    y = np.arange(N) % 3
    for row, label in changes.items():
        y[int(row[1:])] = label
    return y


def arrays(inputs: dict[str, Any] | None = None, target: Any = None, task: Any = THREE, **more: Any) -> ArrayData:
    given = {"table": table(), "note": notes()} if inputs is None else inputs
    return ArrayData(given, labels() if target is None else target, task, **more)


def pickled(folder: Path) -> Any:
    np.savez(folder / "data.npz", table=table(), note=np.array(notes(), dtype=object), label=labels())
    return read_npz(folder / "data.npz", "classification")


def truncated(folder: Path) -> Any:
    np.savez(folder / "data.npz", table=table(), label=labels())
    whole = (folder / "data.npz").read_bytes()
    (folder / "data.npz").write_bytes(whole[: len(whole) // 2])
    return read_npz(folder / "data.npz", "classification")


DATA: dict[str, tuple[Callable[[Path], Any], str]] = {
    "different lengths": (lambda _: arrays({"table": table(50), "note": notes()}), r"'table' 50, input 'note' 60"),
    "target of another length": (lambda _: arrays(target=labels()[:-1]), "target 59"),
    "duplicate ids": (lambda _: arrays(ids=[*range(N - 1), 3]), r"duplicate sample ids: 3 is at rows 3 and 59"),
    "a label outside the classes": (lambda _: arrays(target=labels(r5=3)), r"label 3 is outside the 3 classes"),
    "a negative label": (lambda _: arrays(target=labels(r5=-1)), r"label -1 is outside the 3 classes"),
    "an unknown class name": (lambda _: arrays(target=["red", "green", "bleu"] * 20), "label 'bleu' is not one of"),
    "one class only": (lambda _: arrays(target=np.ones(N, int)), "all 60 samples are of one class, 'green'"),
    "NaN in an input": (lambda _: arrays({"table": with_value(np.nan), "note": notes()}), r"'table' is NaN in part"),
    "infinity in an input": (lambda _: arrays({"table": with_value(np.inf), "note": notes()}), "'table' is infinite"),
    "NaN in the target": (
        lambda _: arrays(target=np.where(np.arange(N) == 4, np.nan, 1.0 * np.arange(N)), task="regression"),
        "target is NaN or infinite for sample id 4",
    ),
    "numbers that single precision blurs": (
        lambda _: arrays(target=1.7e9 + 100.0 * np.arange(N), task="regression"),
        "varies by 1.73e.03 around .* has steps of 128; subtract a constant",
    ),
    "no samples": (lambda _: arrays({"table": table(0)}, target=labels()[:0]), "0 samples"),
    "no modalities": (lambda _: arrays({}), "at least one modality"),
    "a pickled npz": (pickled, "note"),
    "half an npz": (truncated, r"data\.npz"),
    "no file": (lambda folder: read_npz(folder / "none.npz", "classification"), r"none\.npz"),
    "a retrieval of nothing": (lambda _: arrays(task="retrieval"), "what is to be found given what"),
    "a retrieval of what is not there": (lambda _: arrays(task="retrieval:table->sound"), "the data has no 'sound'"),
    "a retrieval asked of a classifier": (lambda _: arrays(task="retrieval:table->note"), "does not score candidates"),
    "a misspelt task": (lambda _: arrays(task="clasification"), "did you mean 'classification'"),
    "not a data set": (lambda _: {"table": table()}, "dict is not a data set: it has no modalities"),
}


@pytest.mark.parametrize("case", list(DATA))
def test_data_that_cannot_be_audited(tmp_path: Path, case: str) -> None:
    make, says = DATA[case]
    model = Rowwise()
    with pytest.raises(MMAuditError, match=says) as caught:
        audit(model, make(tmp_path), out=tmp_path / "run")
    require_one_sentence(caught.value)
    assert not model.calls
    assert not (tmp_path / "run").exists()


class Own:
    """A data set of the user's own making, changed in one place."""

    def __init__(self, **changes: Any) -> None:
        self.base = dataset("classification", N)
        for name in ("modalities", "task", "ids", "target", "groups", "cluster", "fingerprint"):
            setattr(self, name, changes.get(name, getattr(self.base, name)))
        self.rows = changes.get("rows", self.base.rows)
        self.presence = changes.get("presence", self.base.presence)

    def __len__(self) -> int:
        return N


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ids": np.zeros(N, np.int64)}, "duplicate sample ids"),
        ({"target": np.zeros(N, np.int64)}, "one class"),
        ({"target": np.arange(N) % 3 * 1.0}, "target is float64"),
        ({"modalities": ()}, "no modalities"),
        ({"modalities": dataset().modalities[:1] * 2}, "not unique"),
        ({"presence": lambda name: np.zeros(N, bool)}, "absent from all 60 samples"),
        ({"cluster": np.zeros(3)}, "cluster 3"),
    ],
)
def test_a_data_set_of_ones_own_is_checked_too(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    model = Rowwise()
    with pytest.raises(BadInput, match=says):
        audit(model, Own(**changes), out=tmp_path / "run")  # type: ignore[arg-type]
    assert not model.calls


def test_a_data_set_of_ones_own_works(tmp_path: Path) -> None:
    report = audit(Rowwise(), Own(), out=tmp_path / "run", suite=["control"], resamples=20)  # type: ignore[arg-type]
    assert report.conditions[0].n == N


# ---- arguments


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"suite": "standrad"}, "did you mean 'standard'"),
        ({"suite": ["image.gausian_blur"]}, "did you mean 'image.gaussian_blur'"),
        ({"suite": ["gaussian-noise"]}, "did you mean .*gaussian_noise"),
        ({"suite": {"basis": "quick"}}, "did you mean 'base'|suite field 'basis'"),
        ({"resamples": 0}, "resamples=0 is not usable; give a whole number of at least 1"),
        ({"resamples": 10.5}, "resamples=10.5"),
        ({"seed": -1}, "seed=-1"),
        ({"batch_rows": 0}, "batch_rows=0"),
        ({"batch_rows": "many"}, "batch_rows='many'"),
    ],
)
def test_arguments_out_of_range_are_named(tmp_path: Path, arguments: dict[str, Any], says: str) -> None:
    model = Rowwise()
    with pytest.raises((BadInput, UnknownName), match=says):
        audit(model, dataset(), out=tmp_path / "run", **arguments)
    assert not model.calls
    assert not (tmp_path / "run").exists()


def floats(**more: Any) -> ArrayData:
    images = np.random.default_rng(0).random((N, 4, 4, 3)).astype(np.float32)
    described = Modality("photo", "image", layout="HWC", range=more.pop("range", (0.0, 1.0)))
    return ArrayData({"photo": images[:, : more.pop("height", 4)]}, labels(), THREE, modalities=[described])


@pytest.mark.parametrize(
    ("train", "says"),
    [
        (lambda: dataset(modalities=("table",)), "train has no modality 'photo'; it has 'table'"),
        (lambda: floats(range=(-1.0, 1.0)), r"'photo': range is \(0\.0, 1\.0\) in data, but \(-1\.0, 1\.0\) in train"),
        (lambda: floats(height=3), r"'photo': samples have shape \(4, 4, 3\) in data, but \(3, 4, 3\) in train"),
        (lambda: [1, 2, 3], "list is not a data set"),
    ],
)
def test_training_data_must_be_like_the_audited_data(tmp_path: Path, train: Any, says: str) -> None:
    asked = []

    def model(photo: Array) -> Array:
        asked.append(len(photo))
        return np.zeros((len(photo), 3), np.float32)

    with pytest.raises(BadInput, match=says):
        audit(FunctionModel(model, ["photo"], outputs="logits"), floats(), out=tmp_path / "run", train=train())
    assert not asked


# ---- the run folder


def test_a_folder_that_cannot_be_used_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("mine")
    for out in ("file", "file/run", "thesis"):
        model = Rowwise()
        with pytest.raises(BadInput, match=r"file|chapter1\.tex"):
            audit(model, dataset(), out=tmp_path / out)
        assert not model.calls
    assert contents(tmp_path) == {"file": b"mine", "thesis/chapter1.tex": b"mine"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    model = Rowwise()
    with pytest.raises(BadInput, match="no permission"):
        audit(model, dataset(), out=tmp_path / "locked" / "run")
    assert not model.calls


def test_a_half_written_folder_is_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "predictions").mkdir(parents=True)
    (folder / "samples.parquet").write_bytes(b"PAR1")
    (folder / "run.json.99.partial").write_text("{")
    report = audit(Rowwise("regression"), dataset("regression"), out=folder, suite=["control"], resamples=20)
    assert report.conditions[0].n == 300
    assert not list(folder.rglob("*.partial"))


def test_an_unreadable_header_is_refused_first_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema": ')
    model = Rowwise()
    with pytest.raises(MMAuditError, match=r"run\.json is not readable"):
        audit(model, dataset(), out=tmp_path)
    assert not model.calls
    assert contents(tmp_path) == {"run.json": b'{"schema": '}


def test_a_run_of_another_model_is_refused_first(tmp_path: Path) -> None:
    audit(Rowwise("regression"), dataset("regression"), out=tmp_path / "run", suite=["control"], resamples=20)
    other = Rowwise("regression", native=True)
    with pytest.raises(StaleRun, match=r"another model: its fingerprint is .*delete the folder"):
        audit(other, dataset("regression"), out=tmp_path / "run")
    assert not other.calls
