"""Ways to score the target, each with what it says of training rows that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmaudit.crossfit.directions import Directions
from mmaudit.crossfit.folds import grouped_folds
from mmaudit.crossfit.heads import Head
from mmaudit.crossfit.network import BOLD, CAUTIOUS, Networks
from mmaudit.crossfit.ridge import Ridge
from mmaudit.crossfit.spaces import Gaussian, Space, linear, quadratic
from mmaudit.kernels.positions import spread
from mmaudit.types import FloatArray, IntArray

INNER = 4  # inner folds of a committee that looks for directions
PANEL = 3  # inner folds of a committee of neural networks
FEW = 96  # landmarks along few directions
NARROW = 2  # a modality of no more numbers has no directions to be found


@dataclass(frozen=True, eq=False)
class Fit:
    """A ridge regression in a feature space; calling it scores new rows, `[rows, t]`."""

    space: Space
    mean: FloatArray
    coefficients: FloatArray
    offset: FloatArray | float = 0.0

    def __call__(self, parts: Sequence[FloatArray]) -> FloatArray:
        """Score rows, `[rows, t]`."""
        return np.asarray((self.space(parts) - self.mean) @ self.coefficients + self.offset)


@dataclass(frozen=True, eq=False)
class Member:
    """A fit along the directions that its own rows suggest."""

    directions: Directions
    fit: Fit | None
    offset: FloatArray

    def __call__(self, parts: Sequence[FloatArray]) -> FloatArray:
        """Score rows, `[rows, t]`."""
        if self.fit is None:
            return np.tile(self.offset, (len(parts[0]), 1))
        return self.fit(self.directions(parts))


@dataclass(frozen=True, eq=False)
class Part:
    """The mean of the outputs of some of a stack's networks."""

    networks: Networks
    chosen: slice

    def __call__(self, parts: Sequence[FloatArray]) -> FloatArray:
        """Score rows, `[rows, t]`."""
        return np.asarray(np.mean(self.networks(linear(parts))[self.chosen], axis=0))


@dataclass(frozen=True, eq=False)
class Committee:
    """The mean of the members' scores."""

    members: tuple[Member, ...]

    def __call__(self, parts: Sequence[FloatArray]) -> FloatArray:
        """Score rows, `[rows, t]`."""
        return np.asarray(np.mean([member(parts) for member in self.members], axis=0))


def in_space(
    space: Space, parts: Sequence[FloatArray], unit: IntArray, targets: Sequence[FloatArray]
) -> list[tuple[FloatArray, Fit]]:
    """Fit one ridge regression per target; they share the decomposition. Left-out scores and the fit of each."""
    features = space(parts)
    ridge = Ridge(features, unit)
    return [(scores, Fit(space, ridge.mean, found)) for scores, found in ridge.fit(targets)]


def along_directions(
    parts: Sequence[FloatArray], unit: IntArray, y: FloatArray, seed: int
) -> list[tuple[FloatArray, Committee]]:
    """Score along the few directions that speak about the target: quadratically, and by a Gaussian kernel.

    The directions are chosen by the target, so what is left out must be left out of the choice: each of `INNER` members
    is fitted without one inner fold and answers for it. New rows are answered by the mean of the members. Empty where
    no member finds a direction, or no modality has numbers to choose from.
    """
    if all(p.shape[1] <= NARROW for p in parts) or len(np.unique(unit)) < 2 * INNER:
        return []
    inner = grouped_folds(unit, np.zeros(len(unit), np.int64), INNER, seed)
    left_out = [np.zeros_like(y), np.zeros_like(y)]
    members: list[list[Member]] = [[], []]
    found = 0
    for j in range(INNER):
        mine, held = np.flatnonzero(inner != j), np.flatnonzero(inner == j)
        offset = y[mine].mean(axis=0)
        here = [p[mine] for p in parts]
        directions = Directions(here, y[mine] - offset)
        found += directions.count
        there = directions(here)
        chosen = spread(np.arange(len(mine)), FEW)
        for k in range(2):
            fit = None
            if directions.count:
                space: Space = quadratic if k == 0 else Gaussian([c[chosen] for c in there])
                ridge = Ridge(space(there), unit[mine])
                fit = Fit(space, ridge.mean, ridge.fit([y[mine] - offset])[0][1], offset)
            member = Member(directions, fit, offset)
            left_out[k][held] = member([p[held] for p in parts])
            members[k].append(member)
    return [(s, Committee(tuple(m))) for s, m in zip(left_out, members, strict=True)] if found else []


def by_networks(parts: Sequence[FloatArray], unit: IntArray, head: Head, seed: int) -> list[tuple[FloatArray, Part]]:
    """Outputs of neural networks, cautious ones and bold ones, each of a committee as in `along_directions`."""
    if len(np.unique(unit)) < 2 * PANEL:
        return []
    inner = grouped_folds(unit, np.zeros(len(unit), np.int64), PANEL, seed)
    rows = [np.flatnonzero(inner != j) for j in range(PANEL)] * 2
    habits = [CAUTIOUS] * PANEL + [BOLD] * PANEL
    x = linear(parts)
    networks = Networks(x, head.wanted, head.start, head.activated, rows, habits, seed)
    outputs = networks(x)
    found = []
    for chosen in (slice(0, PANEL), slice(PANEL, 2 * PANEL)):
        each = np.stack(outputs[chosen])
        found.append((each[inner, np.arange(len(x))], Part(networks, chosen)))
    return found
