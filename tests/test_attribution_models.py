"""Attributions of models of many kinds: what cannot move gradually, what has no gradient, and what is left behind."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from attribution_cases import (
    ABLATION,
    DEEP_LIFT,
    IG,
    SHAP,
    Fused,
    Linear,
    attributed,
    baseline_of,
    drawn,
    pair,
    torch_model,
)
from helpers.architectures import Tokens, TokensBranching
from mmaudit import ArrayData, Task
from mmaudit.data.dataset import values
from mmaudit.models import TorchModel
from model_cases import (
    CASES,
    module_of,
    one_thread,  # noqa: F401  (a fixture)
    questions,
    seeded,
    tokenize,
)

N = 12
GRADIENTS = (IG, DEEP_LIFT, SHAP)


def mixed(n: int = N) -> ArrayData:
    """The inputs of `model_cases`: image, text (numbers), token ids."""
    rng = np.random.default_rng(0)
    inputs = {
        "image": rng.normal(size=(n, 3, 8, 8)).astype(np.float32),
        "text": rng.normal(size=(n, 5)).astype(np.float32),
        "tokens": rng.integers(1, 20, (n, 6)),
    }
    kinds = {"image": "embedding", "text": "embedding", "tokens": "tabular"}
    return ArrayData(inputs, rng.integers(0, 4, n), Task.classification(4), kinds=kinds)


def wrapped(name: str) -> TorchModel:
    case = CASES[name]
    return TorchModel(module_of(name), case.modalities, outputs="logits", device="cpu", **case.options)


def traces(module: nn.Module) -> dict[str, Any]:
    """All that an attribution might leave on a module."""
    return {
        name: (
            m.training,
            sorted(m.__dict__),
            [len(hooks) for key, hooks in m.__dict__.items() if key.endswith("_hooks")],
            [(p.requires_grad, p.grad) for p in m.parameters(recurse=False)],
            {key: tensor.clone() for key, tensor in m.state_dict().items()},
        )
        for name, m in module.named_modules()
    }


# A row's answer depends on other rows, or on chance: no attribution of it can add up.
_BROKEN = {"batch coupled", "noisy"}


@pytest.mark.parametrize("look", [True, False], ids=["boundary", "whole"])
@pytest.mark.parametrize("name", CASES)
def test_attributions_add_up_and_leave_the_module_as_it_was(name: str, look: bool) -> None:
    model, data = wrapped(name), mixed()
    model.predict(data.rows(np.arange(N)))  # some modules remember their last answer
    before = copy.deepcopy(traces(model.module))
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    found = attributed(model, data, look=look)
    if name != "noisy":
        assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    after = traces(model.module)
    assert str(after) == str(before)

    boundary = look and CASES[name].found
    assert set(found.about["where"].values()) <= {"features"} if boundary else {"inputs", "embeddings"}
    assert set(found.methods) | set(found.declined) == {*GRADIENTS, ABLATION}
    if name in _BROKEN:
        assert set(found.methods) == {ABLATION}
        return
    assert {IG, ABLATION} <= set(found.methods)
    low_precision = name in ("half", "autocast")
    assert found.about["error"][IG] < (0.2 if low_precision else 0.02)
    for part in found.methods.values():
        assert len(part) == N
        for m in found.modalities:
            assert (np.abs(part.total[m]) <= part.magnitude[m] * 1.0001 + 1e-6).all()


# Text, token ids, and what jumps


def asked() -> ArrayData:
    rng = np.random.default_rng(1)
    inputs = {"image": rng.normal(size=(N, 3, 8, 8)).astype(np.float32), "text": questions(N)}
    return ArrayData(inputs, rng.integers(0, 4, N), Task.classification(4), kinds={"image": "embedding"})


@pytest.mark.parametrize("module", [Tokens, TokensBranching])
@pytest.mark.parametrize("look", [True, False], ids=["boundary", "whole"])
def test_texts_of_different_lengths_are_attributed_through_their_embeddings(module: Any, look: bool) -> None:
    model = TorchModel(seeded(module), ["image", "text"], outputs="logits", prepare={"text": tokenize}, device="cpu")
    found = attributed(model, asked(), look=look)
    assert found.about["where"] == (
        {"image": "features", "text": "features"} if look else {"image": "inputs", "text": "embeddings"}
    )
    assert found.about["baseline"]["text"] == "the empty text"
    assert found.about["error"][IG] < 0.02
    # Where it is not part of an encoder, the padding mask is a part of the text that cannot move gradually.
    gradual = look and module is Tokens
    assert found.about["jumps"] == ([] if gradual else ["text"])
    assert (SHAP in found.methods) is gradual
    if not gradual:
        assert "cannot move gradually" in found.declined[SHAP]


class Looked(nn.Module):
    """f = (w·a) t[c] + s[c]: the ids c are looked up by one-hot products, not by an embedding layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(3, 1, bias=False)
        self.register_buffer("table", torch.linspace(-1.0, 2.0, 5)[:, None] ** 3)
        self.register_buffer("shift", torch.linspace(1.0, -3.0, 5)[:, None])

    def forward(self, a: Tensor, c: Tensor) -> Tensor:
        hot = functional.one_hot(c[:, 0], 5).float()
        return self.one(a) * (hot @ self.table) + hot @ self.shift


def test_what_cannot_move_gradually_jumps_before_and_after_the_rest_does() -> None:
    """Two players, both orders: each gets the mean of what it adds first and what it adds last (Shapley)."""
    rng = np.random.default_rng(2)
    code = rng.integers(1, 5, (N, 1))
    a = rng.normal(size=(N, 3)).astype(np.float32)
    data = ArrayData({"a": a, "c": code}, rng.normal(size=(N, 1)), Task.regression(1), kinds={"a": "embedding"})
    module = Looked().eval()
    found = attributed(torch_model(module, ("a", "c")), data, look=False)
    part = found.methods[IG]
    assert found.about["where"] == {"a": "inputs", "c": "ablation"}
    assert found.about["jumps"] == ["c"]
    w = module.one.weight.detach().double().numpy()[0]
    table, shift = (x.double().numpy()[:, 0] for x in (module.table, module.shift))
    side, side0 = a @ w, baseline_of(data, "a") @ w
    t, t0 = table[code[:, 0]], table[0]
    np.testing.assert_allclose(part.total["a"], (side - side0) * (t + t0) / 2, atol=1e-5)
    expected = (t - t0) * (side + side0) / 2 + shift[code[:, 0]] - shift[0]
    np.testing.assert_allclose(part.total["c"], expected, atol=1e-5)
    np.testing.assert_allclose(part.magnitude["c"], np.abs(expected), atol=1e-5)
    assert np.abs(part.delta).max() < 1e-5


class Pixels(nn.Module):
    """f = w·(image / 255) + v·b, from whole-numbered pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(16, 1), nn.Linear(2, 1)

    def forward(self, image: Tensor, b: Tensor) -> Tensor:
        return self.one(image.flatten(1).float() / 255) + self.two(b)


def test_whole_numbered_pixels_are_attributed_as_the_numbers_they_stand_for() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (N, 4, 4)).astype(np.uint8)
    b = rng.normal(size=(N, 2)).astype(np.float32)
    data = ArrayData({"image": image, "b": b}, rng.normal(size=(N, 1)), Task.regression(1), kinds={"b": "embedding"})
    module = drawn(Pixels)
    found = attributed(torch_model(module, ("image", "b")), data, look=False)
    assert found.about["where"] == {"image": "inputs", "b": "inputs"}
    assert found.about["jumps"] == []
    weight = module.one.weight.detach().double().numpy()[0]
    mean = np.rint(baseline_of(data, "image"))  # the baseline is an image, of whole numbers too
    each = (image.reshape(N, -1) - mean.reshape(-1)) / 255 * weight
    np.testing.assert_allclose(found.methods[IG].total["image"], each.sum(1), atol=1e-5)
    np.testing.assert_allclose(found.methods[IG].magnitude["image"], np.abs(each).sum(1), atol=1e-5)


class Reshaping(nn.Module):
    """The fusion reads the number of rows from one modality."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(4, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        rows = a.shape[0]
        return self.head((self.one(a).tanh() * self.two(b)).view(rows, 2, 2).reshape(rows, -1))


def test_sizes_that_cross_the_boundary_follow_the_number_of_rows() -> None:
    model = torch_model(drawn(Reshaping))
    one, other = (attributed(model, pair(), look=look) for look in (True, False))
    assert set(one.about["where"].values()) == {"features"}
    assert one.about["error"][IG] < 0.01
    np.testing.assert_allclose(one.methods[ABLATION].total["a"], other.methods[ABLATION].total["a"], atol=1e-5)


# Models on which a method does not work


def test_deep_lift_is_dropped_where_a_layer_is_a_function() -> None:
    as_module, as_function = (
        attributed(torch_model(drawn(Fused, activation)), pair()) for activation in (nn.ReLU(), torch.relu)
    )
    assert "its attributions miss the difference" in as_function.declined[DEEP_LIFT]
    assert "a function instead of a module" in as_function.declined[DEEP_LIFT]
    assert DEEP_LIFT in as_module.methods
    # The others do not look at layers.
    for method in (IG, SHAP, ABLATION):
        assert np.array_equal(as_module.methods[method].total["a"], as_function.methods[method].total["a"])


class Twice(Fused):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(self.activation(self.activation(self.one(a) + self.two(b)) - 0.5))


def test_deep_lift_is_dropped_where_a_module_is_used_twice() -> None:
    model = torch_model(drawn(Twice, nn.ReLU()))
    before = traces(model.module)
    found = attributed(model, pair())
    assert "more than once" in found.declined[DEEP_LIFT] or "used twice" in found.declined[DEEP_LIFT]
    assert {IG, SHAP} <= set(found.methods)
    assert str(traces(model.module)) == str(before)


class Silent(Linear):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(a, b)


class Deciding(Linear):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (super().forward(a, b) > 0).float()


class Stepping(Linear):
    """A gradient flows, but not through what moves the output."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        x = super().forward(a, b)
        return 3 * x.round() + 1e-3 * x


class Edgy(Linear):
    """√ has no finite gradient at 0, where many of the samples are."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        x = super().forward(a, b)
        return (x * (x > 0)).sqrt()


# Traced, a forward pass without gradients is one with them, so with a boundary `Silent` has attributions.
@pytest.mark.parametrize(
    ("module", "reason", "look"),
    [
        (Silent, "its output carries no gradient", False),
        (Deciding, "its output carries no gradient", True),
        (Deciding, "its output carries no gradient", False),
        (Stepping, "the model jumps", True),
        (Stepping, "the model jumps", False),
        (Edgy, "the gradient is not finite on", True),
        (Edgy, "the gradient is not finite on", False),
    ],
)
def test_a_model_without_usable_gradients_is_ablated_with_the_reason(module: Any, reason: str, look: bool) -> None:
    data = pair()
    model = torch_model(drawn(module))
    found = attributed(model, data, look=look)
    assert set(found.methods) == {ABLATION}
    assert set(found.declined) == set(GRADIENTS)
    for method in (IG, SHAP):
        assert reason in found.declined[method]
    batch = data.rows(np.arange(len(data)))
    other = np.tile(baseline_of(data, "a").astype(np.float32), (len(data), 1))
    lost = model.predict(batch) - model.predict(batch.replace({"a": other}))
    np.testing.assert_allclose(found.methods[ABLATION].total["a"], lost[:, 0], atol=1e-5)


class Partly(nn.Module):
    """One side is turned into a decision before the modalities meet."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 1), nn.Linear(2, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.one(a) * (1 + 2 * (self.two(b) > 0).float())


@pytest.mark.parametrize("look", [True, False], ids=["boundary", "whole"])
def test_a_modality_without_gradient_jumps_and_the_rest_still_adds_up(look: bool) -> None:
    found = attributed(torch_model(drawn(Partly)), pair(), look=look)
    assert np.abs(found.methods[IG].delta).max() < 1e-5
    assert np.abs(found.methods[IG].total["b"]).max() > 0
    if not look:
        assert found.about["where"] == {"a": "inputs", "b": "ablation"}


class Raising(Linear):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            raise RuntimeError("compiled for inference")
        return super().forward(a, b)


def test_a_model_that_raises_under_gradients_is_ablated_by_its_answers() -> None:
    found = attributed(torch_model(drawn(Raising)), pair(), look=False)
    assert set(found.methods) == {ABLATION}
    assert "compiled for inference" in found.declined[IG]


def test_rows_without_a_finite_answer_are_left_out() -> None:
    class Hole(Linear):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return super().forward(a, b) + torch.where(a[:, :1] > 2, torch.nan, 0.0)

    data = pair()
    hit = values(data, "a", np.arange(len(data)))[:, 0] > 2
    assert 0 < hit.sum() < len(data) / 2
    found = attributed(torch_model(drawn(Hole)), data, look=False)
    assert found.about["left_out"] == hit.sum()
    assert np.array_equal(found.methods[IG].positions, np.flatnonzero(~hit))
    assert np.isfinite(found.methods[IG].delta).all()
