"""The doctor: each clause is kept by a good model and broken by a real bad one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mmaudit.errors import ContractBroken
from mmaudit.models import Check, FunctionModel, Model, TorchModel, check_model, require
from mmaudit.models.check import CLAUSES
from mmaudit.types import Batch, Task
from model_cases import (
    CLASSES,
    batch_of,
    module_of,
    one_thread,  # noqa: F401  (a fixture)
    questions,
    random_batch,
)

NAMES = ("image", "text")
TASK = Task.classification(CLASSES)


def batch_with(n: int = 20) -> Batch:
    given = random_batch(n)
    return batch_of({name: given.inputs[name] for name in NAMES})


def logits(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    return image.reshape(len(image), -1)[:, :CLASSES] * 3 + text[:, :CLASSES]


def function(f: Any = logits, **options: Any) -> FunctionModel:
    return FunctionModel(f, **{"modalities": NAMES, "outputs": "logits", **options})


def check_of(model: Model, clause: str, batch: Batch | None = None, task: Task = TASK) -> Check:
    checks = check_model(model, batch if batch is not None else batch_with(), task)
    return next((c for c in checks if c.clause == clause and c.ok is False), None) or next(
        c for c in checks if c.clause == clause
    )


def broken(model: Model, batch: Batch | None = None, task: Task = TASK) -> list[str]:
    checks = check_model(model, batch if batch is not None else batch_with(), task)
    return [c.clause for c in checks if c.ok is False]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


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
    assert check.message == "predict raised ZeroDivisionError"


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


class Bare:
    """A model without an adapter."""

    name = "bare"
    modalities = NAMES
    outputs = "logits"
    native_absence = False
    fingerprint = "0"

    def predict(self, batch: Batch) -> Any:
        return logits(batch.inputs["image"], batch.inputs["text"]).astype(np.float32)


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


def test_inputs_changed_in_place() -> None:
    def careless(image: np.ndarray, text: np.ndarray) -> np.ndarray:
        text[text < 0] = 0
        return logits(image, text)

    batch = batch_with()
    before = batch.inputs["text"].copy()
    check = check_of(function(careless), "inputs not mutated", batch)
    assert check.ok is False
    first = batch.ids[(before < 0).any(1)][0]
    assert f"predict changed 'text' in place (first for sample {first})" in check.message
    assert np.array_equal(batch.inputs["text"], before), "the doctor works on a copy"


def test_texts_and_masks_changed_in_place() -> None:
    def careless(image: np.ndarray, text: np.ndarray) -> np.ndarray:
        text[3] = text[3].upper()
        return image.reshape(len(image), -1)[:, :CLASSES]

    texts = batch_with().replace({"text": questions(20)})
    assert check_of(function(careless), "inputs not mutated", texts).rows == (103,)

    def marking(batch: Batch) -> Any:
        batch.present["text"][:] = False
        return logits(**batch.inputs)

    assert "present[text]" in check_of(function(marking, call="batch"), "inputs not mutated").message


def test_not_deterministic() -> None:
    rng = np.random.default_rng(0)

    def sampling(image: np.ndarray, text: np.ndarray) -> np.ndarray:
        return logits(image, text) + rng.normal(size=(len(text), 1))

    check = check_of(function(sampling), "determinism")
    assert check.ok is False
    assert "the same batch twice differs by up to" in check.message
    assert len(check.rows) >= 1
    tiny = check_of(function(lambda image, text: logits(image, text) * (1 + rng.random() * 1e-5)), "determinism")
    assert tiny.ok is True
    assert "within rounding" in tiny.message


def test_dependent_on_the_batch() -> None:
    def standardised(image: np.ndarray, text: np.ndarray) -> np.ndarray:
        return logits(image, (text - text.mean(0)) / (text.std(0) + 1e-3))

    check = check_of(function(standardised), "independence of the batch")
    assert check.ok is False
    assert "with the rest of its batch" in check.message

    def ordered(image: np.ndarray, text: np.ndarray) -> np.ndarray:
        return logits(image, text) + np.arange(len(text))[:, None]

    assert check_of(function(ordered), "independence of the batch").ok is False
    assert check_of(function(), "independence of the batch").message == (
        "rows alone and in reverse order give the same bits"
    )
    assert check_of(function(), "independence of the batch", batch_with(1)).ok is None


def test_rounding_is_no_dependence() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(197, CLASSES)).astype(np.float32)

    def product(image: np.ndarray, text: np.ndarray) -> np.ndarray:
        x = np.hstack([image.reshape(len(image), -1), text]).astype(np.float32)
        return x @ weight * (1 + 1e-6 * len(x))

    check = check_of(function(product), "independence of the batch")
    assert check.ok is True
    assert "within rounding" in check.message


def test_ignored_inputs_are_a_warning() -> None:
    check = check_of(function(lambda image, text: text[:, :CLASSES]), "reads its inputs")
    assert check.ok is None
    assert "another row's 'image'" in check.message
    same = batch_with().replace({"image": np.ones((20, 3, 8, 8), np.float32)})
    assert check_of(function(), "reads its inputs", same).ok is True, "equal rows are exchanged for other values"


@pytest.mark.parametrize("name", ["mask", "mask early", "none", "none heads"])
def test_native_absence_of_good_models(name: str) -> None:
    absence = name.split()[0]
    model = TorchModel(module_of(name), NAMES, outputs="logits", absence=absence, device="cpu")
    checks = [c for c in check_model(model, batch_with(), TASK) if c.clause == "absence"]
    assert [(c.ok, c.message) for c in checks] == [
        (True, f"with '{modality}' absent, its values change nothing") for modality in NAMES
    ]


def test_absent_values_that_leak() -> None:
    from model_cases import Leaky

    torch.manual_seed(0)
    model = TorchModel(Leaky().eval(), NAMES, outputs="logits", absence="mask", device="cpu")
    check = check_of(model, "absence")
    assert check.ok is False
    assert "with 'image' absent, its values still change the output of sample" in check.message
    assert broken(model) == ["absence"]


def test_absence_the_model_cannot_take() -> None:
    model = TorchModel(module_of("none needs image"), NAMES, outputs="logits", absence="none", device="cpu")
    check = check_of(model, "absence")
    assert check.ok is False
    assert check.message.startswith("with 'image' absent, predict raised TypeError")


def test_absence_of_other_rows_must_not_matter() -> None:
    def f(image: np.ndarray, text: np.ndarray, present: Mapping[str, np.ndarray]) -> np.ndarray:
        there = present["image"][:, None]
        return np.where(there, logits(image, text), text[:, :CLASSES]) + present["image"].mean()

    check = check_of(function(f, absence="mask"), "absence")
    assert check.ok is False
    assert "when other rows have it" in check.message


def test_absence_that_gives_no_answer() -> None:
    def f(image: np.ndarray, text: np.ndarray, present: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.where(present["image"][:, None], logits(image, text), np.nan)

    assert "outputs of sample 100 are not finite" in check_of(function(f, absence="mask"), "absence").message

    def g(image: Any, text: Any) -> np.ndarray:
        return logits(image, text) if image is not None and text is not None else np.zeros((len(text), 2))

    check = check_of(function(g, absence="none"), "absence")
    assert "returned 2 columns where only 'text' is present, 4 otherwise" in check.message

    def h(image: Any, text: Any, present: Mapping[str, np.ndarray]) -> np.ndarray:
        return logits(image, text) if any(present["image"]) else np.zeros((len(text), 2))

    assert "returned shape [20, 2]" in check_of(function(h, absence="mask"), "absence").message


def test_absence_is_a_note_where_it_does_not_apply() -> None:
    assert "missing baselines stand in" in check_of(function(), "absence").message
    alone = FunctionModel(lambda text: text[:, :CLASSES], ["text"], outputs="logits", absence="mask")
    alone_batch = batch_of({"text": batch_with().inputs["text"]})
    absent = FunctionModel(
        lambda text, present: np.where(present["text"][:, None], text[:, :CLASSES], 0.0),
        ["text"],
        outputs="logits",
        absence="mask",
    )
    assert broken(alone, alone_batch) == ["raises nothing"], "the keyword `present` is not taken"
    assert check_of(absent, "absence", alone_batch).ok is None


class Staged(Bare):
    def encode(self, modality: str, batch: Batch) -> Any:
        values = batch.inputs[modality]
        return values.reshape(len(values), -1)[:, :CLASSES] * (3 if modality == "image" else 1)

    def fuse(self, features: Mapping[str, Any], batch: Batch) -> Any:
        return (features["image"] + features["text"]).astype(np.float32)


def test_two_stages_of_ones_own() -> None:
    check = check_of(Staged(), "two stages")
    assert check.ok is True
    assert "bit for bit" in check.message
    assert "every condition costs a whole pass" in check_of(Bare(), "two stages").message


def test_two_stages_that_differ_from_predict() -> None:
    class Other(Staged):
        def fuse(self, features: Mapping[str, Any], batch: Batch) -> Any:
            return super().fuse(features, batch) * 2

    class Near(Staged):
        def fuse(self, features: Mapping[str, Any], batch: Batch) -> Any:
            return super().fuse(features, batch) * np.float32(1 + 1e-6)

    check = check_of(Other(), "two stages")
    assert check.ok is False
    assert "on the batch, fuse(encode(x)) differs from predict(x)" in check.message
    assert "within rounding" in check_of(Near(), "two stages").message


def test_an_encoder_that_looks_at_the_other_modality() -> None:
    class Peeking(Staged):
        def predict(self, batch: Batch) -> Any:
            return super().predict(batch) + batch.inputs["image"][:, 0, 0, :1]

        def encode(self, modality: str, batch: Batch) -> Any:
            extra = batch.inputs["image"][:, 0, 0, :1] if modality == "text" else 0
            return super().encode(modality, batch) + extra

    check = check_of(Peeking(), "two stages")
    assert check.ok is False
    assert "on a mixture with other rows' 'image'" in check.message


def test_a_fusion_that_spoils_its_features() -> None:
    class Spoiling(Staged):
        def fuse(self, features: Mapping[str, Any], batch: Batch) -> Any:
            image = features["image"]
            image += features["text"]
            return image.astype(np.float32)

    assert check_of(Spoiling(), "two stages").ok is False


def test_a_boundary_found_or_not_is_told() -> None:
    found = TorchModel(module_of("product"), NAMES, outputs="logits", device="cpu")
    assert "bit-identical to the plain forward pass" in check_of(found, "two stages").message
    none = TorchModel(module_of("early attention"), NAMES, outputs="logits", device="cpu")
    check = check_of(none, "two stages")
    assert check.ok is None
    assert "run whole" in check.message


def test_a_model_that_raises_late_breaks_the_clause_it_was_tested_for() -> None:
    def rows(image: np.ndarray, text: np.ndarray) -> np.ndarray:
        if len(text) == 1:
            raise ValueError("expected more than 1 value per channel")
        return logits(image, text)

    checks = check_model(function(rows), batch_with(), TASK)
    assert [c.clause for c in checks if c.ok is False] == ["independence of the batch"]
    assert (
        "raised ValueError: expected more than 1 value" in check_of(function(rows), "independence of the batch").message
    )
    assert checks[-1].clause == "two stages"


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


def test_dropout_left_on_by_hand_is_found() -> None:
    class Always(nn.Module):
        def forward(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(text[:, :CLASSES], 0.5, training=True) + image.flatten(1)[:, :CLASSES]

    model = TorchModel(Always().eval(), NAMES, outputs="logits", device="cpu")
    torch.manual_seed(0)
    assert broken(model)[0] == "determinism"
