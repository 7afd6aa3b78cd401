"""Attributions against Captum itself, called as its own documentation says, and against its convergence deltas."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import DeepLift, FeatureAblation, GradientShap, IntegratedGradients, LayerIntegratedGradients
from torch import Tensor, nn

from attribution_cases import (
    ABLATION,
    DEEP_LIFT,
    IG,
    SHAP,
    Fused,
    above_rivals,
    attributed,
    baseline_of,
    drawn,
    pair,
    torch_model,
)
from mmaudit import Task
from mmaudit.attributions_file import MethodAttributions
from mmaudit.data.dataset import values
from mmaudit.types import Array
from model_cases import one_thread  # noqa: F401  (a fixture)

DATA = pair(n=30, task=Task.classification(3))
NAMES = ("a", "b")


class Deep(Fused):
    """Two hidden layers after the modalities meet."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__(activation, 3)
        self.more = nn.Linear(8, 8)
        self.last = nn.ReLU() if isinstance(activation, nn.ReLU) else nn.Tanh()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(self.last(self.more(self.activation(self.one(a) + self.two(b)))))


class Rivalled(nn.Module):
    """The predicted logit above its rivals', which is what is explained, in the predicted class's column."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        with torch.no_grad():
            self.clean = inner(*tensors()[0])

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        logits = self.inner(a, b)
        clean = self.clean.repeat(len(logits) // len(self.clean), 1)
        return logits + (above_rivals(logits, clean) - logits.gather(1, clean.argmax(1)[:, None])[:, 0])[:, None]


def tensors() -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Inputs and baselines as Captum takes them."""
    x = tuple(torch.from_numpy(np.array(values(DATA, name, np.arange(len(DATA))))) for name in NAMES)
    b = tuple(torch.from_numpy(baseline_of(DATA, name).astype(np.float32))[None] for name in NAMES)
    return x, tuple(one.expand_as(t).contiguous() for one, t in zip(b, x, strict=True))


def features_of(module: nn.Module) -> LayerIntegratedGradients:
    """Captum's own way to attribute to what the two encoders return."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the layers must not depend on each other
        return LayerIntegratedGradients(Rivalled(module), [module.one, module.two])


def asked(module: nn.Module) -> Tensor:
    with torch.no_grad():
        return module(*tensors()[0]).argmax(1)


def summed(attributions: Any) -> dict[str, Array]:
    return {name: a.detach().double().sum(1).numpy() for name, a in zip(NAMES, attributions, strict=True)}


def absolute(attributions: Any) -> dict[str, Array]:
    return {name: a.detach().double().abs().sum(1).numpy() for name, a in zip(NAMES, attributions, strict=True)}


def same(part: MethodAttributions, theirs: Any, atol: float = 1e-5) -> None:
    for name in NAMES:
        np.testing.assert_allclose(part.total[name], summed(theirs)[name], atol=atol)
        np.testing.assert_allclose(part.magnitude[name], absolute(theirs)[name], atol=atol)


def test_integrated_gradients_of_inputs_and_their_convergence_delta() -> None:
    module = drawn(Deep, nn.Tanh())
    found = attributed(torch_model(module, outputs="logits"), DATA, look=False)
    assert found.about["steps"] == {"fewest": 16, "most": 16}
    x, b = tensors()
    theirs, delta = IntegratedGradients(Rivalled(module)).attribute(
        x, b, target=asked(module), n_steps=16, return_convergence_delta=True
    )
    same(found.methods[IG], theirs)
    np.testing.assert_allclose(found.methods[IG].delta, delta.detach(), atol=1e-5)


def test_integrated_gradients_with_doubled_steps_have_a_smaller_convergence_delta() -> None:
    module = drawn(Deep, nn.ReLU())
    found = attributed(torch_model(module, outputs="logits"), DATA)
    part, most = found.methods[IG], found.about["steps"]["most"]
    assert most > 16
    x, b = tensors()
    method = features_of(module)
    deltas = {}
    for steps in (16, most):
        _, deltas[steps] = method.attribute(x, b, target=asked(module), n_steps=steps, return_convergence_delta=True)
    # Every row is as Captum has it at one of the numbers of steps; those that needed the most are as it has them there.
    assert np.abs(part.delta).mean() < float(deltas[16].abs().mean())
    moved = np.abs(part.delta - deltas[16].detach().numpy()) > 1e-5
    assert moved.any()
    assert not moved.all()
    allowed = 0.0101 * np.maximum(np.abs(part.output - part.baseline), np.abs(part.output - part.baseline).mean())
    assert (np.abs(part.delta) <= np.maximum(allowed, deltas[most].detach().abs().numpy() + 1e-5)).all()


def test_integrated_gradients_of_features_are_those_of_two_layers() -> None:
    module = drawn(Deep, nn.Tanh())
    found = attributed(torch_model(module, outputs="logits"), DATA)
    assert found.about["where"] == {"a": "features", "b": "features"}
    x, b = tensors()
    theirs = features_of(module).attribute(x, b, target=asked(module), n_steps=16)
    same(found.methods[IG], theirs)


@pytest.mark.parametrize("look", [True, False])
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Tanh(), nn.GELU()])
def test_deep_lift_and_its_convergence_delta(look: bool, activation: nn.Module) -> None:
    module = drawn(Deep, activation)
    found = attributed(torch_model(module, outputs="logits"), DATA, look=look)
    x, b = tensors()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it sets hooks
        theirs, delta = DeepLift(Rivalled(module)).attribute(x, b, target=asked(module), return_convergence_delta=True)
    difference = found.methods[IG].output - found.methods[IG].baseline
    error = float(delta.detach().abs().mean()) / np.abs(difference).mean()
    if error > 0.01:  # a layer that it does not know
        assert isinstance(activation, nn.GELU)
        assert f"by {100 * error:.2g} %" in found.declined[DEEP_LIFT]
        return
    part = found.methods[DEEP_LIFT]
    np.testing.assert_allclose(part.delta, delta.detach(), atol=1e-5)
    for name in NAMES:
        np.testing.assert_allclose(part.total[name], summed(theirs)[name], atol=1e-4)
    assert np.abs(part.delta).max() < 1e-4


def test_ablation_is_captums_feature_ablation_of_whole_modalities() -> None:
    module = drawn(Deep, nn.Tanh())
    part = attributed(torch_model(module, outputs="logits"), DATA).methods[ABLATION]
    x, b = tensors()
    groups = (torch.zeros(1, 3, dtype=torch.int64), torch.ones(1, 2, dtype=torch.int64))
    theirs = FeatureAblation(Rivalled(module)).attribute(x, b, target=asked(module), feature_mask=groups)
    for name, a in zip(NAMES, theirs, strict=True):
        np.testing.assert_allclose(part.total[name], a[:, 0].detach(), atol=1e-5)


def test_gradient_shap_agrees_with_captum_within_the_noise_of_drawing() -> None:
    module = drawn(Deep, nn.Tanh())
    part = attributed(torch_model(module, outputs="logits"), DATA, look=False).methods[SHAP]
    x, _ = tensors()
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(1)  # noqa: NPY002
        with torch.random.fork_rng():
            theirs, delta = GradientShap(Rivalled(module)).attribute(
                x, x, n_samples=400, target=asked(module), return_convergence_delta=True
            )
    finally:
        np.random.set_state(state)  # noqa: NPY002
    for name in NAMES:
        difference = part.total[name] - summed(theirs)[name]
        assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))
        assert np.corrcoef(part.total[name], summed(theirs)[name])[0, 1] > 0.8
    noise = delta.detach().double().view(len(DATA), 400).numpy().std(axis=1) / np.sqrt(16)
    assert (np.abs(part.delta) < 6 * noise).all()
