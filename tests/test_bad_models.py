"""Models that cannot be audited are refused by one sentence that names the culprit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.one_sentence import require_one_sentence
from helpers.run_cases import Rowwise, dataset
from mmaudit import audit
from mmaudit.auditing import prepare
from mmaudit.errors import BadInput, ContractBroken, MMAuditError
from mmaudit.models import load_model
from mmaudit.types import Array, Batch


class Fault:
    """Outputs as given, and a count of the rows that the model was asked for."""

    def __init__(self, change: Callable[[Array], Array]) -> None:
        self.change = change
        self.rows = 0

    def __call__(self, batch: Batch, rows: Array) -> Array:
        self.rows += len(rows)
        return self.change(rows)


def nan_somewhere(rows: Array) -> Array:
    return np.where(np.arange(len(rows))[:, None] == 2, np.nan, rows).astype(np.float32)


CALLS = itertools.count()


def restless(rows: Array) -> Array:
    return rows + np.float32(next(CALLS))


@pytest.mark.parametrize(
    ("change", "clause", "says"),
    [
        (nan_somewhere, "finite", r"not finite \(nan for sample"),
        (lambda rows: rows * np.float32(np.inf), "finite", "not finite"),
        (lambda rows: rows[:, :2], "shape", r"expected \[32, 3\]; the task has 3 classes: red, green, blue"),
        (lambda rows: rows[:-1], "shape", "expected"),
        (lambda rows: rows[0], "shape", "expected"),
        (lambda rows: rows.astype(np.float64), "shape", "float32"),
        (lambda rows: rows.tolist(), "shape", "list"),
        (restless, "determinism", "same batch twice"),
        (lambda rows: rows - rows.mean(axis=0), "independence of the batch", "with the rest of its batch"),
    ],
)
def test_a_model_that_breaks_its_contract_is_stopped_by_the_doctor(
    tmp_path: Path, change: Any, clause: str, says: str
) -> None:
    fault = Fault(change)
    with pytest.raises(ContractBroken, match=says) as caught:
        audit(Rowwise(fault=fault), dataset(n=2000), out=tmp_path / "run")
    assert caught.value.clause == clause
    assert fault.rows < 1000  # some passes over the doctor's 32 rows, none over the data set
    assert not (tmp_path / "run").exists()


def test_a_model_that_raises_on_clean_data_is_stopped_by_the_doctor(tmp_path: Path) -> None:
    def raises(batch: Batch, rows: Array) -> Array:
        raise RuntimeError("weights not loaded")

    with pytest.raises(ContractBroken, match="RuntimeError: weights not loaded"):
        audit(Rowwise(fault=raises), dataset(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (object(), "object of type 'object' is not a model: it has no name, modalities"),
        (Rowwise, "Rowwise.*is not a model"),
        (lambda image, text: image, "mmaudit does not guess; wrap it"),
        (None, "is not a model"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, model: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        audit(model, dataset(), out=tmp_path / "run")


def test_names_that_do_not_match_are_refused(tmp_path: Path) -> None:
    model = Rowwise(modalities=("table", "caption"))
    with pytest.raises(ContractBroken, match="'caption' missing") as caught:
        audit(model, dataset(), out=tmp_path / "run")
    assert caught.value.clause == "modalities"
    assert not model.calls


def test_a_scale_that_does_not_fit_the_task_is_refused(tmp_path: Path) -> None:
    model = Rowwise(outputs="values")
    with pytest.raises(ContractBroken, match="outputs='values' declared, but classification needs"):
        audit(model, dataset(), out=tmp_path / "run")
    assert not model.calls


def test_a_model_in_training_mode_is_refused() -> None:
    torch = pytest.importorskip("torch")
    from mmaudit import TorchModel

    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.5))
    with pytest.raises(ContractBroken, match=r"training mode.*model\.eval\(\)"):
        TorchModel(net.train(), ["table"], outputs="logits")
    wrapped = TorchModel(net.eval(), ["table"], outputs="logits")
    net.train()
    with pytest.raises(ContractBroken, match="training mode") as caught:
        prepare(wrapped, dataset(modalities=("table",)), suite="quick")
    assert caught.value.clause == "evaluation mode"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nopackage.nomodule:factory", "there is no module 'nopackage'"),
        ("mmaudit.types:nothing_there", "has no attribute 'nothing_there'"),
        ("mmaudit.types", "package.module:factory"),
        ("this_raises:factory", "importing this_raises raised ZeroDivisionError"),
        ("this_raises.py:factory", "this_raises"),
        ("weights.safetensors", "weights only"),
        ("model.pt", "trust"),
    ],
)
def test_a_factory_that_cannot_be_had_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, says: str
) -> None:
    (tmp_path / "this_raises.py").write_text("1 / 0")
    (tmp_path / "model.pt").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MMAuditError, match=says) as caught:
        load_model(spec, modalities=["table"], outputs="logits")
    require_one_sentence(caught.value)
