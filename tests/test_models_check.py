"""The doctor, on what a model returns: each clause is kept by a good model and broken by a real bad one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.architectures import CLASSES
from helpers.doctor_cases import NAMES, TASK, Bare, batch_with, broken, check_of, function, logits, softmax
from mmaudit.errors import ContractBroken
from mmaudit.models import FunctionModel, TorchModel, check_model, require
from mmaudit.models.check import CLAUSES
from mmaudit.types import Batch, Task
from model_cases import (
    module_of,
    one_thread,  # noqa: F401  (a fixture)
    random_batch,
)


def test_a_good_model_keeps_every_clause() -> None:
    model = TorchModel(module_of("product"), NAMES, outputs="logits", device="cpu")
    checks = check_model(model, batch_with(), TASK)
    assert [c.clause for c in checks] == list(CLAUSES)
    assert {c.clause: c.ok for c in checks} == dict.fromkeys(CLAUSES, True) | {"probabilities": None, "absence": None}
    require(checks)


def test_names_that_do_not_match() -> None:
    check = check_of(function(modalities=("image", "txt")), "modalities")
    assert check.ok is False
    assert "'txt' missing" in check.message
    more = check_of(function(), "modalities", random_batch(5))
    assert more.ok is None
    assert "does not read 'tokens'" in more.message


def test_nothing_runs_after_a_clause_that_all_others_need() -> None:
    checks = check_model(function(modalities=("image", "txt")), batch_with(), TASK)
    assert [c.clause for c in checks] == list(CLAUSES)
    assert all(c.ok is None and "'modalities' is broken" in c.message for c in checks[1:])


def test_training_mode() -> None:
    model = TorchModel(module_of("product"), NAMES, outputs="logits", device="cpu")
    model.module.text.train()
    check = check_of(model, "evaluation mode")
    assert check.ok is False
    assert check.message.startswith("text, text.0, text.1 and 2 more in training mode; call model.eval() first")


@pytest.mark.parametrize(
    ("task", "outputs", "needed"),
    [
        (Task.regression(4), "logits", "regression needs 'values'"),
        (TASK, "values", "classification needs 'logits' or 'probabilities'"),
        (Task.multilabel(4), "values", "multilabel needs 'logits' or 'probabilities'"),
    ],
)
def test_outputs_that_do_not_fit_the_task(task: Task, outputs: Any, needed: str) -> None:
    check = check_of(function(outputs=outputs), "outputs", task=task)
    assert check.ok is False
    assert needed in check.message


def test_raising() -> None:
    def picky(image: np.ndarray, text: np.ndarray) -> np.ndarray:
        if (text[:, 0] > 1.0).any():
            raise RuntimeError("too large\nand more")
        return logits(image, text)

    batch = batch_with()
    check = check_of(function(picky), "raises nothing", batch)
    first = batch.ids[batch.inputs["text"][:, 0] > 1.0][0]
    assert check.ok is False
    assert check.message == f"predict raised RuntimeError: too large (first for sample {first})"
    assert check.rows[0] == first


def test_raising_always_accuses_no_row() -> None:
    def never(image: Any, text: Any) -> Any:
        raise ZeroDivisionError

    check = check_of(function(never), "raises nothing")
    assert check.message.startswith("predict raised ZeroDivisionError; it was given 'image': float32 [")


def test_wrong_width() -> None:
    check = check_of(function(), "shape", task=Task.classification(["cat", "dog", "bird"]))
    assert check.ok is False
    assert "shape [20, 4], expected [20, 3]; the task has 3 classes: cat, dog, bird" in check.message
    two = check_of(function(lambda image, text: text[:, 0]), "shape", task=Task.classification(2))
    assert "return both columns, for logits as [0, z]" in two.message


def test_lost_rows_are_a_matter_of_shape() -> None:
    check = check_of(function(lambda image, text: logits(image, text)[:3]), "shape")
    assert check.ok is False
    assert "shape (3, 4) for 20 rows" in check.message


def test_wrong_types() -> None:
    class Double(Bare):
        def predict(self, batch: Batch) -> Any:
            return super().predict(batch).astype(np.float64)

    class Nested(Bare):
        def predict(self, batch: Batch) -> Any:
            return super().predict(batch).tolist()

    assert broken(Bare()) == []
    assert "dtype float64, expected a float32 array" in check_of(Double(), "shape").message
    assert "predict returned list" in check_of(Nested(), "shape").message


def test_not_finite() -> None:
    batch = batch_with()
    check = check_of(function(lambda image, text: np.log(np.maximum(logits(image, text), 0.0) + 0)), "finite", batch)
    assert check.ok is False
    bad = (logits(**batch.inputs) <= 0).any(1)
    assert check.rows[0] == batch.ids[bad][0]
    assert f"{bad.sum()} of 20 rows" in check.message
    assert "-inf" in check.message


@pytest.fixture(autouse=True)
def _logarithms_may_be_infinite() -> Any:
    with np.errstate(divide="ignore"):
        yield


def test_probabilities() -> None:
    good = function(lambda image, text: softmax(logits(image, text)), outputs="probabilities")
    assert check_of(good, "probabilities").ok is True
    scores = check_of(function(outputs="probabilities"), "probabilities")
    assert scores.ok is False
    assert "lie outside [0, 1]; if these are scores" in scores.message
    sums = check_of(
        function(lambda image, text: softmax(logits(image, text)) / 2, outputs="probabilities"), "probabilities"
    )
    assert "probabilities of sample 100 sum to 0.5, not 1" in sums.message
    labels = function(lambda image, text: 1 / (1 + np.exp(-logits(image, text))), outputs="probabilities")
    assert check_of(labels, "probabilities", task=Task.multilabel(CLASSES)).ok is True
    assert check_of(labels, "probabilities").ok is False


def test_logits_that_look_like_probabilities_are_a_warning() -> None:
    check = check_of(function(lambda image, text: softmax(logits(image, text))), "probabilities")
    assert check.ok is None
    assert "declare outputs='probabilities'" in check.message
    assert "not applicable" in check_of(function(), "probabilities").message


def test_require_raises_the_first_broken_clause() -> None:
    checks = check_model(function(outputs="probabilities"), batch_with(), TASK)
    with pytest.raises(
        ContractBroken, match=r"model 'x': probabilities of sample .* \[clause: probabilities\]"
    ) as error:
        require(checks, "model 'x'")
    assert error.value.clause == "probabilities"


def test_regression_and_large_batches() -> None:
    model = FunctionModel(lambda image, text: text[:, 0], NAMES, outputs="values")
    asked: list[int] = []

    def counted(image: np.ndarray, text: np.ndarray) -> np.ndarray:
        asked.append(len(text))
        return text[:, 0]

    assert broken(model, task=Task.regression(1)) == []
    assert broken(FunctionModel(counted, NAMES, outputs="values"), batch_with(200), Task.regression(1)) == []
    assert max(asked) == 64
