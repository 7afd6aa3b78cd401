"""Known worlds of any kind: models a little wrong in every way, so that truths lie on both sides of every threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from theory.known_tasks import Regression
from theory.known_truth import Gaussian, Linear, gaussian
from theory.scenario_case import NOISE, SUBSETS, Case, Rng, native_only, scenario


@scenario("random")
def any_two(rng: Rng) -> Case:
    return Case(_anything(rng, 2), NOISE)


@scenario("random")
def any_three(rng: Rng) -> Case:
    return Case(_anything(rng, 3), native_only())


@scenario("random")
def any_regression(rng: Rng) -> Case:
    slopes = {m: float(rng.uniform(-1, 1)) for m in "abc"}
    used = {m: s + rng.normal(0, 0.3) * rng.integers(2) for m, s in slopes.items()}
    offset = {m: rng.normal(0, 1) for m in "abc"}
    return Case(Regression(slopes, rng.uniform(0.2, 1.0), offset, used, native=bool(rng.integers(2))), SUBSETS)


def _anything(rng: Rng, count: int) -> Gaussian:
    """Modalities of any strength and dependence; weights, bias and temperature of every subset off by something."""
    mean = rng.uniform(0, 2, count) * rng.integers(0, 2, count) + rng.uniform(0, 0.3, count)
    root = rng.normal(0, 0.4, (count, count)) + np.eye(count)
    offset = rng.normal(0, 0.5, count) * rng.integers(2)
    native = bool(rng.integers(2))
    world = gaussian(
        mean.tolist(), cov=root @ root.T, offset=offset.tolist(), prior=rng.uniform(0.3, 0.7), native=native
    )
    models = {
        s: Linear(m.weights * rng.uniform(0.6, 1.4, count), m.bias + rng.normal(0, 0.3)).scaled(
            np.exp(rng.normal(0, 0.5))
        )
        for s, m in world.models.items()
    }
    return replace(world, models=models)
