"""Populations of known truth for `budget_coverage.py`: 20,000 rows answered under every condition.

A sample is drawn from a population with replacement, so what a metric is on the population is its exact truth. Every
world has an image and a text, three severities of noise on each, and every subset of them missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.types import CLEAN, Array, Condition, FloatArray, Task

ROWS = 20_000
NAMES = ("image", "text")
POSITIONS = (1, 3, 5)
Rng = np.random.Generator
Inputs = Mapping[str, FloatArray]


def _noise(name: str, position: int) -> Condition:
    return Condition(f"{name}.made", "corruption", 1, (name,), position / 5, position, unit="σ")


def _missing(*names: str) -> Condition:
    return Condition("missing", "missing", 1, names, options=(("baseline", "zero"),))


CONDITIONS = (CLEAN, *(_noise(m, p) for m in NAMES for p in POSITIONS), *map(_missing, NAMES), _missing(*NAMES))


@dataclass(frozen=True, eq=False)
class Population:
    """Rows with their answers.

    Attributes:
        task: what the answers mean.
        target: truth of each row.
        outputs: by condition key, `float32[rows, k]`.
        metrics: what is looked at.
        cluster: `int64[rows]`, 0 to clusters − 1, where rows come in clusters.
    """

    task: Task
    target: Array
    outputs: Mapping[str, Array]
    metrics: tuple[str, ...]
    cluster: Array | None = None

    def truth(self, condition: Condition, metric: str) -> float:
        """What a metric is on all rows."""
        clean = Predictions(self.task, self.outputs[CLEAN.key], self.target)
        p = Predictions(self.task, self.outputs[condition.key], self.target, None if condition == CLEAN else clean)
        return float(metrics.get(metric)(p, Resamples.ones(len(self.target)))[0])

    @cached_property
    def _members(self) -> list[Array]:
        assert self.cluster is not None
        order = np.argsort(self.cluster, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(self.cluster[order])) + 1)

    def sample(self, units: int, rng: Rng) -> tuple[Array, Array | None]:
        """Rows of so many units (rows, or whole clusters) drawn with replacement, and which draw each came with."""
        if self.cluster is None:
            return rng.integers(0, len(self.target), units), None
        drawn = [self._members[i] for i in rng.integers(0, len(self._members), units)]
        return np.concatenate(drawn), np.repeat(np.arange(units), [len(rows) for rows in drawn])


WORLDS: dict[str, Callable[[Rng], Population]] = {}


def world(make: Callable[[Rng], Population]) -> Callable[[Rng], Population]:
    WORLDS[make.__name__] = make
    return make


def _answered(
    clean: Inputs, answer: Callable[[Inputs], FloatArray], damage: Callable[[str, int], FloatArray]
) -> dict[str, Array]:
    """The answers under every condition; `damage` returns what a severity makes of a modality, zeros are missing."""
    out = {}
    for c in CONDITIONS:
        of = dict(clean)
        for name in c.modalities:
            of[name] = np.zeros_like(clean[name]) if c.position is None else damage(name, c.position)
        out[c.key] = answer(of).astype(np.float32)
    return out


def _graded(clean: Inputs, rng: Rng, scale: float = 2.5) -> Callable[[str, int], FloatArray]:
    """Noise on every row, its size growing with the severity."""
    drawn = {m: rng.normal(size=x.shape) for m, x in clean.items()}
    return lambda name, position: clean[name] + scale * position / 5 * drawn[name]


def _seldom(clean: Inputs, rng: Rng) -> Callable[[str, int], FloatArray]:
    """Other values at 0.3, 1 and 3 % of the rows, and none at the rest: the severity is how many."""
    drawn = {m: 4 * rng.normal(size=x.shape) for m, x in clean.items()}
    chance = {m: rng.random(ROWS) for m in clean}
    share = {1: 0.003, 3: 0.01, 5: 0.03}

    def damage(name: str, position: int) -> FloatArray:
        hit = chance[name] < share[position]
        return np.where(hit.reshape(-1, *[1] * (clean[name].ndim - 1)), drawn[name], clean[name])

    return damage


DECISION = ("accuracy", "nll", "brier", "ece", "flip_rate")
ERROR = ("rmse", "mae")


def _classes(rng: Rng, prior: tuple[float, ...], cluster: Array | None = None, seldom: bool = False) -> Population:
    """Evidence for the class from image and text, added up with too much trust in both."""
    k = len(prior)
    target = rng.choice(k, ROWS, p=prior)
    strength = {"image": 1.6, "text": 1.0}

    def noise() -> FloatArray:
        own = rng.normal(size=(ROWS, k))
        if cluster is None:
            return own
        return np.asarray(np.sqrt(0.5) * (own + rng.normal(size=(int(cluster.max()) + 1, k))[cluster]))

    clean = {m: s * np.eye(k)[target] + noise() for m, s in strength.items()}

    def answer(x: Inputs) -> FloatArray:
        return np.asarray(np.log(prior) + sum(1.5 * strength[m] * x[m] for m in NAMES))

    damage = (_seldom if seldom else _graded)(clean, rng)
    more = ("balanced_accuracy",) if min(prior) < 0.1 else ()
    return Population(Task.classification(k), target, _answered(clean, answer, damage), DECISION + more, cluster)


@world
def classes(rng: Rng) -> Population:
    """Three classes."""
    return _classes(rng, (0.5, 0.3, 0.2))


@world
def rare_class(rng: Rng) -> Population:
    """One class is 2 % of the rows."""
    return _classes(rng, (0.6, 0.38, 0.02))


@world
def seldom_changed(rng: Rng) -> Population:
    """Corruptions that touch 0.3 to 3 % of the rows."""
    return _classes(rng, (0.5, 0.3, 0.2), seldom=True)


@world
def clusters(rng: Rng) -> Population:
    """1 to 5 rows of a patient, half of whose noise they share."""
    sizes = rng.integers(1, 6, ROWS)
    return _classes(rng, (0.5, 0.3, 0.2), np.repeat(np.arange(ROWS), sizes)[:ROWS])


@world
def labels(rng: Rng) -> Population:
    """Four labels, the rarest of them at 5 % of the rows."""
    prior = np.array([0.5, 0.3, 0.15, 0.05])
    target = (rng.random((ROWS, 4)) < prior).astype(np.int64)
    clean = {m: s * target + rng.normal(size=(ROWS, 4)) for m, s in (("image", 1.6), ("text", 1.0))}

    def answer(x: Inputs) -> FloatArray:
        return np.asarray(1.6 * x["image"] + x["text"] - 1.5 + np.log(prior))

    found = _answered(clean, answer, _graded(clean, rng))
    return Population(Task.multilabel(4), target, found, ("average_precision", "nll", "brier", "flip_rate"))


def _regression(rng: Rng, seldom: bool = False) -> Population:
    clean = {m: rng.normal(size=ROWS) for m in NAMES}
    target = (clean["image"] + 0.6 * clean["text"] + 0.5 * rng.normal(size=ROWS))[:, None]

    def answer(x: Inputs) -> FloatArray:
        return np.asarray((1.1 * x["image"] + 0.5 * x["text"])[:, None])

    found = _answered(clean, answer, (_seldom if seldom else _graded)(clean, rng))
    return Population(Task.regression(1), target, found, ERROR)


@world
def regression(rng: Rng) -> Population:
    """A sum of both, with errors."""
    return _regression(rng)


@world
def regression_seldom(rng: Rng) -> Population:
    """The same with corruptions that touch 0.3 to 3 % of the rows."""
    return _regression(rng, seldom=True)
