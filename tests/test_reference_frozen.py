"""What references read of an audited model's frozen encoders, fitted on training rows, each row by itself."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mmaudit import ArrayData, Modality, Task
from mmaudit.errors import BadInput, StaleRun
from mmaudit.models import TorchModel, TwoStage
from mmaudit.reference.inputs import Inputs
from mmaudit.types import Batch
from model_cases import CASES, module_of, random_batch, tokenize
from model_cases import questions as random_texts


def dataset(batch: Batch, names: tuple[str, ...], present: dict[str, Any] | None = None) -> ArrayData:
    kinds: dict[str, Any] = {"image": "image,layout=CHW,low=-9,high=9", "text": "embedding", "tokens": "tabular"}
    target = np.arange(len(batch)) % 2
    inputs = {m: batch.inputs[m] for m in names}
    described = [Modality("image", "image", layout="CHW", range=(-9, 9))] if "image" in names else []
    return ArrayData(
        inputs, target, Task.classification(2), modalities=described, present=present,
        kinds={m: kinds[m] for m in names if m != "image"},
    )  # fmt: skip


def staged(name: str) -> TwoStage:
    case = CASES[name]
    model = TorchModel(module_of(name), case.modalities, outputs="logits", device="cpu", **case.options)
    view, reason = model.stage(random_batch(12))
    assert view is not None, reason
    return view


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.found and name != "batch coupled"])
def test_frozen_features_of_every_architecture(name: str) -> None:
    stage, names = staged(name), CASES[name].modalities
    data = dataset(random_batch(30), names)
    inputs = Inputs.fit(data, np.arange(20), stage=stage)
    assert inputs.modalities == tuple(m.name for m in data.modalities)
    assert inputs.source["image"] == "frozen encoder of the audited model"
    assert np.prod(inputs.sizes["image"]) <= 96, "the encoder's output, not the image's 192 numbers"
    tensors, _ = inputs.read(data, np.arange(20))
    batch = data.rows(np.arange(20))
    close = 0.05 if name in ("half", "autocast") else 1e-3
    for m in names:
        assert not tensors[m].requires_grad
        assert not tensors[m].is_inference()
        assert torch.allclose(inputs.one(m, batch, stage.encode(m, batch)), tensors[m], atol=close)
        assert torch.allclose(inputs.one(m, batch.take(np.array([3, 1]))), tensors[m][[3, 1]], atol=close)


def test_frozen_features_are_the_encoders_up_to_centre_and_scale() -> None:
    stage = staged("product")
    data = dataset(random_batch(30), ("image", "text"))
    inputs = Inputs.fit(data, np.arange(30), stage=stage)
    for name, x in inputs.read(data, np.arange(30))[0].items():
        (features,) = stage.encode(name, data.rows(np.arange(30)))
        given = features.numpy().astype(np.float64)
        moving = given.std(axis=0) > 1e-6
        expected = (given - given.mean(axis=0))[:, moving] / given.std(axis=0)[moving]
        assert np.allclose(x.numpy()[:, moving], expected, atol=1e-4)
        assert not x.numpy()[:, ~moving].any()


@pytest.mark.parametrize("name", ["none", "mask early"])
def test_absent_rows_of_frozen_features_are_zero(name: str) -> None:
    stage = staged(name)
    absent = np.arange(30) % 3 == 0
    data = dataset(random_batch(30), ("image", "text"), {"text": ~absent})
    inputs = Inputs.fit(data, np.arange(30), stage=stage)
    x, present = inputs.read(data, np.arange(30))
    assert not x["text"][absent].any()
    assert np.array_equal(present["text"].numpy(), ~absent)
    assert abs(float(x["text"][~absent].mean())) < 1e-5
    nobody = data.rows(np.flatnonzero(absent))
    assert not inputs.one("text", nobody).any()


class Stage:
    """A two-stage model of somebody's own."""

    def __init__(self, encode: Any, fingerprint: str = "a") -> None:
        self._encode, self.fingerprint = encode, fingerprint

    def encode(self, modality: str, batch: Batch) -> Any:
        return self._encode(modality, batch)

    def fuse(self, features: Any, batch: Batch) -> Any:
        raise AssertionError("references never ask for the model's own fusion")


def padded(modality: str, batch: Batch) -> Any:
    """Tokens filled up to the longest text of the batch with rubbish, and which are real."""
    ids, mask = tokenize(batch.inputs["text"]).values()
    place = torch.arange(ids.shape[1], dtype=torch.float32)[None, :, None]
    return {"states": torch.stack([ids.float(), 1 + place[:, :, 0].expand(ids.shape)], 2), "mask": mask.int()}


def test_tokens_are_averaged_as_their_mask_says() -> None:
    texts = random_texts(24)
    data = ArrayData({"text": list(texts)}, np.arange(24) % 2, Task.classification(2))
    inputs = Inputs.fit(data, np.arange(24), stage=Stage(padded))
    assert inputs.sizes == {"text": (2,)}
    assert "mean over tokens" in inputs.said["text"]
    whole = inputs.one("text", data.rows(np.arange(24)))
    for row in range(24):
        assert torch.allclose(inputs.one("text", data.rows(np.array([row])))[0], whole[row], atol=1e-6)
    assert torch.unique(whole[:, 1]).numel() > 2


@pytest.mark.parametrize(
    ("shape", "width"),
    [((5,), 5), ((), 1), ((4, 8, 8), 256), ((64, 16, 16), 4096), ((5000, 3, 3), 5000), ((300, 20), 20)],
)
def test_maps_are_flattened_or_averaged_over_places(shape: tuple[int, ...], width: int) -> None:
    numbers = torch.randn(9, *shape, generator=torch.Generator().manual_seed(0))
    data = dataset(random_batch(9), ("image",))
    inputs = Inputs.fit(data, np.arange(9), stage=Stage(lambda m, b: [numbers.numpy()[b.positions], None, "said"]))
    assert inputs.sizes == {"image": (width,)}
    x = inputs.read(data, np.arange(9))[0]["image"]
    if shape == (300, 20):
        expected = numbers.mean(1)
        assert torch.allclose(x, (expected - expected.mean(0)) / expected.std(0, correction=0), atol=1e-4)


def test_saved_frozen_features_need_the_same_model() -> None:
    data = dataset(random_batch(12), ("text",))
    first, other = Stage(lambda m, b: b.inputs[m] * 2), Stage(lambda m, b: b.inputs[m], "b")
    inputs = Inputs.fit(data, np.arange(12), stage=first)
    spec, state = json.loads(json.dumps(inputs.spec())), inputs.state()
    batch = data.rows(np.arange(12))
    assert torch.equal(Inputs.load(spec, state, stage=first).one("text", batch), inputs.one("text", batch))
    with pytest.raises(BadInput, match="give its two-stage view"):
        Inputs.load(spec, state)
    with pytest.raises(StaleRun, match="another model"):
        Inputs.load(spec, state, stage=other)


def test_an_encoder_without_numbers_falls_back_and_says_so() -> None:
    data = dataset(random_batch(12), ("text", "tokens"))
    stage = Stage(lambda m, b: b.inputs[m] if m == "text" else b.inputs[m].astype(np.int64))
    inputs = Inputs.fit(data, np.arange(12), stage=stage)
    assert inputs.source == {"text": "frozen encoder of the audited model", "tokens": "values"}
    assert "returns no numbers" in inputs.said["tokens"]


def boom(modality: str, batch: Batch) -> Tensor:
    raise KeyError("ids")


def nan_later(modality: str, batch: Batch) -> Any:
    x = batch.inputs[modality].copy()
    x[batch.positions == 11] = np.nan
    return x


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (boom, "encoder of 'text' raises KeyError: 'ids'; .*default encoders"),
        (nan_later, "modality 'text': the features of sample id 11 are NaN or infinite"),
        (lambda m, b: b.inputs[m].T, r"returns an array of \[5, 8\] for 8 rows"),
        (
            lambda m, b: b.inputs[m][:, : 4 + (len(b) > 8)],
            r"returns arrays of \[5\] for some rows and of \[4\]",
        ),
    ],
)
def test_encoders_that_cannot_be_used(stage: Any, message: str) -> None:
    data = dataset(random_batch(20), ("text",))
    with pytest.raises(BadInput, match=message):
        Inputs.fit(data, np.arange(20), stage=Stage(stage))
