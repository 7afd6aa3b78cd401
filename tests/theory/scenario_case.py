"""What a scenario is: a known world to audit, made with random parameters, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mmaudit import FunctionModel, Suite
from mmaudit.types import Array
from theory.expectations import Claim
from theory.known_tasks import World

Rng = np.random.Generator

SUBSETS = Suite("theory", ("missing", "mismatch"))
NOISE = Suite("theory", ("missing", "mismatch", "*gaussian_noise_additive"))
CONFLICT = Suite("theory", ("missing", "mismatch", "conflict"))


def native_only() -> Suite:
    return replace(SUBSETS, baselines=("native", "zero"))


@dataclass(frozen=True)
class Case:
    """A world to audit, and what no closed form decides about it.

    Attributes:
        world: the world.
        suite: what to run.
        model: in place of the world's own, for faults that are not of its kind.
        faults: findings that must appear whatever the truth of the world says.
        tolerated: rules that are not judged.
    """

    world: World
    suite: Suite = SUBSETS
    model: Callable[[World], FunctionModel] | None = None
    faults: frozenset[Claim] = frozenset()
    tolerated: frozenset[str] = frozenset()


SCENARIOS: dict[str, tuple[str, Callable[[Rng], Case]]] = {}


def scenario(kind: str) -> Callable[[Callable[[Rng], Case]], Callable[[Rng], Case]]:
    def register(make: Callable[[Rng], Case]) -> Callable[[Rng], Case]:
        SCENARIOS[make.__name__] = (kind, make)
        return make

    return register


def correlated(spread: float, views: int = 2) -> Array:
    """Covariance of noisy copies of one latent: unit noise in common, `spread` of each copy's own."""
    return np.ones((views, views)) + spread**2 * np.eye(views)
