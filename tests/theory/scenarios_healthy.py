"""Known worlds whose models are healthy: the right findings, and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from theory.known_fusion import Quality, Xor
from theory.known_tasks import Classes, Labels, Regression
from theory.known_truth import Linear, gaussian, with_model
from theory.scenario_case import CONFLICT, NOISE, Case, Rng, correlated, native_only, scenario


@scenario("healthy")
def only_a(rng: Rng) -> Case:
    return Case(gaussian([rng.uniform(1.2, 2.5), 0.0], native=bool(rng.integers(2))))


@scenario("healthy")
def only_b(rng: Rng) -> Case:
    return Case(gaussian([0.0, rng.uniform(1.2, 2.5)], native=bool(rng.integers(2))))


@scenario("healthy")
def redundant(rng: Rng) -> Case:
    """Averages two noisy copies, and one of them if that is all there is."""
    strength, spread = rng.uniform(1.2, 2.2), rng.uniform(0.1, 0.4)
    return Case(gaussian([strength, strength], cov=correlated(spread)))


@scenario("healthy")
def redundant_independent(rng: Rng) -> Case:
    strength = rng.uniform(1.5, 2.5)
    return Case(gaussian([strength, strength], native=bool(rng.integers(2))))


@scenario("healthy")
def additive(rng: Rng) -> Case:
    world = gaussian(rng.uniform(0.7, 1.3, 2).tolist(), native=bool(rng.integers(2)))
    return Case(replace(world, groups={"site": [1.0] * 8, "machine": [0.4, 0.3, 0.2, 0.1]}))


@scenario("healthy")
def additive_under_noise(rng: Rng) -> Case:
    return Case(gaussian(rng.uniform(0.8, 1.5, 2).tolist()), NOISE)


@scenario("healthy")
def balanced_conflict(rng: Rng) -> Case:
    """Neither modality wins most conflicts."""
    strength = rng.uniform(1.2, 2.0)
    return Case(gaussian([strength, strength], native=bool(rng.integers(2))), CONFLICT)


@scenario("healthy")
def unequal_conflict(rng: Rng) -> Case:
    """a is far better evidence than b, so a wins."""
    return Case(gaussian([rng.uniform(1.8, 2.4), rng.uniform(0.4, 0.7)], native=bool(rng.integers(2))), CONFLICT)


@scenario("healthy")
def three_in_conflict(rng: Rng) -> Case:
    """a against b and c together: it wins where it is better than both."""
    return Case(gaussian([rng.uniform(0.5, 3.0), *rng.uniform(0.4, 1.2, 2)]), CONFLICT)


@scenario("healthy")
def xor(rng: Rng) -> Case:
    return Case(Xor(rng.uniform(1.2, 3.0), native=bool(rng.integers(2))))


@scenario("healthy")
def additive_unbalanced(rng: Rng) -> Case:
    return Case(gaussian(rng.uniform(1.0, 1.6, 2).tolist(), prior=float(rng.choice([0.2, 0.3, 0.7]))))


@scenario("healthy")
def three_additive(rng: Rng) -> Case:
    return Case(gaussian(rng.uniform(0.6, 1.2, 3).tolist()))


@scenario("healthy")
def two_copies_and_noise(rng: Rng) -> Case:
    cov = np.eye(3)
    cov[:2, :2] = correlated(rng.uniform(0.2, 0.5))
    return Case(gaussian([2.0, 2.0, 0.0], cov=cov))


@scenario("healthy")
def weak(rng: Rng) -> Case:
    """Little above chance, so every share of it is uncertain."""
    return Case(gaussian([rng.uniform(0.2, 0.4), rng.uniform(0.2, 0.4)]))


@scenario("healthy")
def fallback(rng: Rng) -> Case:
    """Reads a, and b only where a is missing: b is not ignored."""
    world = gaussian([rng.uniform(1.5, 2.0), rng.uniform(1.2, 1.5)])
    return Case(with_model(world, ("a", "b"), Linear(np.array([2 * world.mean[0], 0.0]))))


@scenario("healthy")
def quality(rng: Rng) -> Case:
    """b says how much a can be trusted: no answer depends on it, every confidence does."""
    return Case(Quality(rng.uniform(0.2, 0.4), rng.uniform(2.5, 3.5)))


@scenario("healthy")
def classes(rng: Rng) -> Case:
    return Case(
        Classes({"a": rng.uniform(1.5, 2.5), "b": rng.uniform(1.5, 2.5)}, int(rng.integers(3, 8))), native_only()
    )


@scenario("healthy")
def labels(rng: Rng) -> Case:
    return Case(Labels({"a": rng.uniform(0.8, 1.4), "b": rng.uniform(0.8, 1.4)}))


@scenario("healthy")
def regression(rng: Rng) -> Case:
    slopes = {"a": rng.uniform(0.5, 1.0), "b": rng.uniform(0.5, 1.0), "c": 0.0}
    return Case(Regression(slopes, noise=rng.uniform(0.2, 0.6), native=bool(rng.integers(2))))
