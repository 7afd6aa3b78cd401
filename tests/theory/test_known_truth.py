"""The closed forms themselves: against samples, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mmaudit.probes import probes
from mmaudit.types import CLEAN, Condition
from theory.known_fusion import Xor
from theory.known_tasks import Classes, Labels, Regression
from theory.known_truth import Gaussian, gaussian
from theory.rates import audit
from theory.scenarios import SCENARIOS

N = 4000


def absent(*names: str, baseline: str = "native") -> Condition:
    return probes.get("missing").condition(names, options=(("baseline", baseline),))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, (kind, _) in SCENARIOS.items() if kind != "fault" or "lock" in n])
def test_measured_is_true_within_four_standard_errors(name: str) -> None:
    """Accuracy (R²) and mean confidence of the audit against the closed form, under every condition that has one."""
    rng = np.random.default_rng([11, *name.encode()])
    case = SCENARIOS[name][1](rng)
    data = case.world.data(N, rng)
    evidence, _ = audit(case, data)
    world = case.world.given(data)
    compared = 0
    for condition in evidence.conditions:
        truth = world.truth(condition)
        if truth is None:
            continue
        compared += 1
        if isinstance(world, Regression):
            measured = evidence.score(condition, "r2")
            error = (measured.high - measured.low) / 3.92
            assert measured.value == pytest.approx(truth.accuracy, abs=4 * error + 1e-6), condition.label
            continue
        score = evidence.score(condition, "average_precision" if isinstance(world, Labels) else "accuracy")
        expected = truth.judged
        error = (score.high - score.low) / 3.92 if isinstance(world, Labels) else (expected * (1 - expected) / N) ** 0.5
        assert score.value == pytest.approx(expected, abs=4 * error + 1e-6), condition.label
        sure = evidence.score(condition, "mean_confidence")
        if np.isfinite(truth.confidence):
            # Four standard errors, and a little for rare doubts that the samples of a very sure model may lack.
            error = (sure.high - sure.low) / 3.92
            assert sure.value == pytest.approx(truth.confidence, abs=4 * error + 1e-4), condition.label
    assert compared >= 3


@pytest.mark.parametrize("means", [[1.0, 1.0], [2.0, 0.5], [0.7, 0.9, 1.1]])
def test_bayes_accuracy_on_every_subset(means: list[float]) -> None:
    """Independent Gaussian evidence: Φ of the root of the sum of squared strengths."""
    world = gaussian(means)
    for present in world.models:
        gone = tuple(n for n in world.names if n not in present)
        truth = world.truth(absent(*gone) if gone else CLEAN)
        assert truth is not None
        strength = sum(m**2 for n, m in zip(world.names, means, strict=True) if n in present) ** 0.5
        assert truth.accuracy == pytest.approx(scipy.stats.norm.cdf(strength), abs=1e-9)


@pytest.mark.parametrize(
    "world",
    [
        gaussian([1.0, 1.4]),
        gaussian([1.0, 1.0], cov=np.array([[1.2, 0.9], [0.9, 1.5]]), prior=0.3),
        Labels({"a": 1.0, "b": 0.8}),
    ],
    ids=["independent", "correlated", "labels"],
)
def test_a_bayes_posterior_is_calibrated_on_every_subset(world: Gaussian | Labels) -> None:
    for condition in (CLEAN, absent("a"), absent("b"), absent("a", "b")):
        truth = world.truth(condition)
        assert truth is not None
        assert truth.confidence == pytest.approx(truth.accuracy, abs=2e-4)


def test_swaps_within_and_across_classes_make_up_a_random_one() -> None:
    world = gaussian([1.0, 1.3])
    pools = {
        p: probes.get("mismatch").condition(("a",), options=(("pool", p),))
        for p in ("random", "within_class", "across_class")
    }
    truths = {p: world.truth(c) for p, c in pools.items()}
    assert all(truths.values())
    half = (truths["within_class"].accuracy + truths["across_class"].accuracy) / 2  # type: ignore[union-attr]
    assert truths["random"].accuracy == pytest.approx(half, abs=1e-12)  # type: ignore[union-attr]
    assert world.truth(absent("a", baseline="marginal")) == truths["random"]


def test_flips_by_simulation() -> None:
    world = gaussian([1.0, 1.3], cov=np.array([[1.0, 0.4], [0.4, 1.0]]))
    swap = probes.get("mismatch").condition(("b",), options=(("pool", "random"),))
    rng = np.random.default_rng(3)
    y, donor = rng.integers(0, 2, (2, 200_000))
    noise, other = rng.multivariate_normal([0, 0], world.cov, (2, 200_000))
    x = (2 * y - 1)[:, None] * world.mean + noise
    swapped = np.stack([x[:, 0], (2 * donor - 1) * world.mean[1] + other[:, 1]], axis=1)
    w = world.models["a", "b"].weights
    assert world.flips(swap) == pytest.approx(np.mean((x @ w > 0) != (swapped @ w > 0)), abs=0.004)


def test_xor_needs_both() -> None:
    p = scipy.stats.norm.cdf(2.0)
    truth = Xor(2.0).truth(CLEAN)
    assert truth is not None
    assert truth.accuracy == pytest.approx(p**2 + (1 - p) ** 2)
    assert truth.confidence == pytest.approx(truth.accuracy, abs=1e-3)  # a posterior is calibrated
    for condition in (absent("a"), absent("b"), absent("a", "b")):
        assert Xor(2.0).truth(condition).accuracy == 0.5  # type: ignore[union-attr]


def test_two_classes_of_the_many_class_form_are_the_two_class_form() -> None:
    # Two unit-variance logits d apart: the difference has spread √2.
    truth = Classes({"a": 1.2, "b": 0.9}, classes=2).truth(CLEAN)
    assert truth is not None
    assert truth.accuracy == pytest.approx(scipy.stats.norm.cdf(1.5 / 2**0.5), abs=1e-6)
