"""Attributions of models whose true attributions have a closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attribution_cases import (
    ABLATION,
    DEEP_LIFT,
    IG,
    SHAP,
    Additive,
    Fused,
    Linear,
    Product,
    above_rivals,
    attributed,
    baseline_of,
    drawn,
    pair,
    shares,
    torch_model,
)
from mmaudit import ArrayData, Task
from mmaudit.attribution.explained import explained, explained_weights, in_words, target_scale
from mmaudit.data.dataset import values
from mmaudit.types import Array, Batch
from model_cases import one_thread  # noqa: F401  (a fixture)

DATA = pair()
EVERY = np.arange(len(DATA))


def column(name: str, data: ArrayData = DATA) -> Array:
    return values(data, name, np.arange(len(data))).astype(np.float64)


@pytest.mark.parametrize("look", [True, False])
@pytest.mark.parametrize("method", [IG, DEEP_LIFT, ABLATION])
def test_linear_model_attributes_weight_times_distance_from_the_baseline(look: bool, method: str) -> None:
    module = drawn(Linear)
    found = attributed(torch_model(module), DATA, look=look)
    part = found.methods[method]
    expected = {}
    for name, weight in module.weights().items():
        each = weight * (column(name) - baseline_of(DATA, name))
        expected[name] = each.sum(1)
        np.testing.assert_allclose(part.total[name], expected[name], atol=1e-5)
        if not look and method == IG:  # the model's own inputs, one by one
            np.testing.assert_allclose(part.magnitude[name], np.abs(each).sum(1), atol=1e-5)
    assert np.abs(part.delta).max() < 1e-5
    assert shares(part, part.total) == pytest.approx(shares(part, expected), abs=1e-6)
    assert found.about["where"] == dict.fromkeys("ab", "features" if look else "inputs")
    assert np.array_equal(part.positions, EVERY)


class OnlyA(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        self.two = nn.Linear(2, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.one(a) + 0.0 * self.two(b)


@pytest.mark.parametrize("look", [True, False])
def test_all_of_a_model_of_one_modality_is_attributed_to_it(look: bool) -> None:
    found = attributed(torch_model(drawn(OnlyA)), DATA, look=look)
    assert {IG, DEEP_LIFT, SHAP, ABLATION} == set(found.methods)
    for part in found.methods.values():
        assert not part.magnitude["b"].any()
        assert shares(part, part.magnitude) == {"a": 1.0, "b": 0.0}
        assert np.abs(part.total["a"]).min() > 0


@pytest.mark.parametrize("look", [True, False])
def test_product_is_shared_at_the_mean_of_the_other_factor(look: bool) -> None:
    """∫ of (A − A₀)(B₀ + t(B − B₀)) dt from 0 to 1 is (A − A₀)(B + B₀)/2."""
    module = drawn(Product)
    found = attributed(torch_model(module), DATA, look=look)
    side = {}
    for name, encoder in (("a", module.one), ("b", module.two)):
        weight = encoder.weight.detach().double().numpy()[0]
        side[name] = (column(name) @ weight, float(baseline_of(DATA, name) @ weight))
    (a, a0), (b, b0) = side["a"], side["b"]
    part = found.methods[IG]
    np.testing.assert_allclose(part.total["a"], (a - a0) * (b + b0) / 2, atol=1e-4)
    np.testing.assert_allclose(part.total["b"], (b - b0) * (a + a0) / 2, atol=1e-4)
    np.testing.assert_allclose(part.output, a * b, atol=1e-5)
    np.testing.assert_allclose(part.baseline, a0 * b0, atol=1e-5)
    # One at a time, each takes the whole interaction; what is counted twice is the error.
    alone = found.methods[ABLATION]
    np.testing.assert_allclose(alone.total["a"], (a - a0) * b, atol=1e-5)
    np.testing.assert_allclose(alone.delta, (a - a0) * (b - b0), atol=1e-4)
    assert "product of features" in found.declined[DEEP_LIFT]


def test_with_and_without_a_boundary_an_additive_model_has_the_same_attributions() -> None:
    """f = g(a) + h(b): whatever the path inside each part, its modality gets g(a) − g(a₀)."""
    model = torch_model(drawn(Additive))
    with_boundary, without = (attributed(model, DATA, look=look) for look in (True, False))
    assert set(with_boundary.about["where"].values()) == {"features"}
    assert set(without.about["where"].values()) == {"inputs"}
    difference = np.abs(with_boundary.methods[IG].output - with_boundary.methods[IG].baseline).mean()
    for name in "ab":
        exact = with_boundary.methods[ABLATION].total[name]
        for found in (with_boundary, without):
            np.testing.assert_allclose(found.methods[IG].total[name], exact, rtol=0.02, atol=0.02 * difference)
            np.testing.assert_allclose(found.methods[DEEP_LIFT].total[name], exact, atol=1e-5)


def test_ablation_is_the_difference_of_the_models_own_answers() -> None:
    data = pair(task=Task.classification(3))
    model = torch_model(drawn(Fused, nn.Tanh(), 3), outputs="logits")
    part = attributed(model, data).methods[ABLATION]
    batch = data.rows(EVERY)

    clean = torch.from_numpy(model.predict(batch)).double()

    def explained_of(batch: Batch) -> Array:
        return np.asarray(above_rivals(torch.from_numpy(model.predict(batch)).double(), clean))

    stand_in = {name: np.tile(baseline_of(data, name).astype(np.float32), (len(data), 1)) for name in "ab"}
    for name in "ab":
        without = explained_of(batch.replace({name: stand_in[name]}))
        np.testing.assert_allclose(part.total[name], explained_of(batch) - without, atol=1e-5)
    np.testing.assert_allclose(part.output, explained_of(batch), atol=1e-6)
    np.testing.assert_allclose(part.baseline, explained_of(batch.replace(stand_in)), atol=1e-6)


def test_deep_lift_gives_each_hidden_unit_its_slope_between_baseline_and_sample() -> None:
    """The rescale rule: unit k passes (relu(z) − relu(z₀)) / (z − z₀) of what reaches it."""
    module = drawn(Fused, nn.ReLU())
    part = attributed(torch_model(module), DATA).methods[DEEP_LIFT]
    hidden = {}
    for name, encoder in (("a", module.one), ("b", module.two)):
        weight, bias = (p.detach().double().numpy() for p in encoder.parameters())
        hidden[name] = (column(name) @ weight.T + bias, baseline_of(DATA, name) @ weight.T + bias)
    z, z0 = (hidden["a"][i] + hidden["b"][i] for i in (0, 1))
    slope = (np.maximum(z, 0) - np.maximum(z0, 0)) / (z - z0)
    head = module.head.weight.detach().double().numpy()[0]
    for name, (x, x0) in hidden.items():
        np.testing.assert_allclose(part.total[name], ((x - x0) * slope) @ head, atol=1e-5)
    assert np.abs(part.delta).max() < 1e-5


def test_gradient_shap_of_a_linear_model_starts_from_the_samples_drawn() -> None:
    module = drawn(Linear)
    part = attributed(torch_model(module), DATA, seed=3).methods[SHAP]
    assert np.abs(part.delta).max() < 1e-5
    np.testing.assert_allclose(part.total["a"] + part.total["b"], part.output - part.baseline, atol=1e-5)
    # Each sample draws its own baselines; on average they are the data's mean, where linear baselines are.
    mean = sum(float(w @ column(name).mean(0)) for name, w in module.weights().items())
    constant = float(module.head(module.one.bias + module.two.bias).detach())
    spread = part.baseline.std()
    assert spread > 0
    assert abs(part.baseline.mean() - (mean + constant)) < 4 * spread / np.sqrt(len(DATA))


def test_steps_are_doubled_until_the_attributions_add_up() -> None:
    class Steep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(3, 1), nn.Linear(2, 1)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.sigmoid(25 * (self.one(a) + self.two(b)))

    found = attributed(torch_model(drawn(Steep)), DATA)
    part = found.methods[IG]
    size = np.abs(part.output - part.baseline)
    assert found.about["steps"]["fewest"] == 16 < found.about["steps"]["most"] <= 256
    assert (np.abs(part.delta) <= 0.0101 * np.maximum(size, size.mean())).all()
    assert found.about["error"][IG] == pytest.approx(np.abs(part.delta).mean() / size.mean(), rel=1e-4)


# Which output is explained


@pytest.mark.parametrize(
    ("task", "logits", "weights"),
    [
        (Task.classification(3), [[0.0, 2.0, np.log(3)], [3.0, 0.0, 0.0]], [[-0.25, 1, -0.75], [1, -0.5, -0.5]]),
        (Task.classification(2), [[5.0, 2.0]], [[1, -1]]),
        (Task.multilabel(3), [[1.0, -2.0, 0.5], [-3.0, -1.0, -2.0]], [[1, 0, 1], [0, 1, 0]]),
        (Task.regression(2), [[1.0, -2.0]], [[2, 0.25]]),
    ],
)
def test_explained_output_follows_the_clean_answer(task: Task, logits: Any, weights: Any) -> None:
    found = explained_weights(task, np.asarray(logits), target_scale(task, np.array([[0.0, 0.0], [1.0, 8.0]])))
    np.testing.assert_allclose(found, weights, rtol=1e-6)
    assert np.array_equal(explained(np.asarray(logits), found), (np.asarray(logits) * weights).sum(1))


def test_explained_output_in_words() -> None:
    assert in_words(Task.classification(2), "logits") == (
        "the logit of the class predicted on the clean sample, above those of the others by how likely each is"
    )
    assert "log probability of the class" in in_words(Task.classification(2), "probabilities")
    assert in_words(Task.multilabel(2), "logits").startswith("the sum of the logits of the labels predicted")
    assert in_words(Task.multilabel(2), "probabilities").startswith("the sum of the log odds of the labels")
    assert in_words(Task.regression(1), "values") == "the value"
    assert in_words(Task.regression(2), "values") == (
        "the sum of the 2 targets' values, each in standard deviations of its target"
    )


@pytest.mark.parametrize("look", [True, False])
def test_probabilities_are_explained_as_log_probabilities(look: bool) -> None:
    data = pair(task=Task.classification(3))
    plain = drawn(Fused, nn.Tanh(), 3)
    part = attributed(_softmax(plain), data, look=look)
    logits = plain(*(torch.from_numpy(column(name, data).astype(np.float32)) for name in "ab")).detach().double()
    expected = above_rivals(logits, logits).numpy()
    np.testing.assert_allclose(part.methods[IG].output, expected, atol=1e-5)
    assert part.about["error"][IG] < 0.01


class Lifted(nn.Module):
    """The same probabilities: b moves all logits alike."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.inner(a, b) + 6 * b.abs().sum(1, keepdim=True)


def test_what_no_probability_shows_is_not_counted() -> None:
    data = pair(task=Task.classification(3))
    plain = drawn(Fused, nn.Tanh(), 3)
    one, other = (attributed(torch_model(m, outputs="logits"), data).methods[IG] for m in (plain, Lifted(plain)))
    for name in "ab":
        np.testing.assert_allclose(one.total[name], other.total[name], atol=1e-3)


def test_targets_in_other_units_have_the_same_shares() -> None:
    data = pair(task=Task.regression(2))
    plain = drawn(Additive, 2)
    shares = []
    for factor in (1.0, 1000.0):
        scale = np.array([1.0, factor])
        scaled = Scaled(plain, torch.tensor(scale, dtype=torch.float32))
        changed = ArrayData({m.name: column(m.name, data) for m in data.modalities}, data.target * scale, data.task)
        part = attributed(torch_model(scaled, outputs="values"), changed).methods[IG]
        shares.append([part.total[name] for name in "ab"])
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-3, atol=1e-4)


class Scaled(nn.Module):
    def __init__(self, inner: nn.Module, scale: Tensor) -> None:
        super().__init__()
        self.inner, self.scale = inner, scale

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.inner(a, b) * self.scale


def test_labels_predicted_are_explained_together() -> None:
    data = pair(task=Task.multilabel(4))
    model = torch_model(drawn(Additive, 4), outputs="logits")
    part = attributed(model, data).methods[IG]
    logits = model.predict(data.rows(EVERY)).astype(np.float64)
    predicted = logits > 0
    predicted[~predicted.any(1), logits.argmax(1)[~predicted.any(1)]] = True
    np.testing.assert_allclose(part.output, (logits * predicted).sum(1), atol=1e-5)


class Softmaxed(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.inner(a, b).softmax(1)


def _softmax(inner: nn.Module) -> Any:
    return torch_model(Softmaxed(inner), outputs="probabilities")
