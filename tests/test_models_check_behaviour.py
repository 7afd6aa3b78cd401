"""The doctor, on how a model behaves: each clause is kept by a good model and broken by a real bad one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers.architectures import CLASSES
from helpers.doctor_cases import NAMES, TASK, Bare, batch_with, broken, check_of, function, logits
from mmaudit.models import FunctionModel, TorchModel, check_model
from mmaudit.types import Batch
from model_cases import (
    batch_of,
    module_of,
    one_thread,  # noqa: F401  (a fixture)
    questions,
)


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
    from helpers.architectures import Leaky

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


def test_dropout_left_on_by_hand_is_found() -> None:
    class Always(nn.Module):
        def forward(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(text[:, :CLASSES], 0.5, training=True) + image.flatten(1)[:, :CLASSES]

    model = TorchModel(Always().eval(), NAMES, outputs="logits", device="cpu")
    torch.manual_seed(0)
    assert broken(model)[0] == "determinism"
