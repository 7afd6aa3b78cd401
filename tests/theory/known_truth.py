"""Data and models whose accuracy and confidence under every condition are known in closed form.

A world draws samples, hands out a model (exactly specified, nothing is trained), and says what is true of that model
under a condition: `truth(condition)`, from the densities alone, never from samples or from the audit. Here are Gaussian
worlds of two classes; `known_fusion` has two classes of other forms, `known_tasks` more classes and other tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any

import numpy as np
import scipy.special
import scipy.stats

from mmaudit import ArrayData, FunctionModel
from mmaudit.types import Array, Batch, Condition, Task

# Nodes and weights for the expectation over a standard normal. Evenly spaced: a model far too sure has a confidence
# that leaves 1 only in a narrow notch, which Gauss-Hermite nodes miss.
NODES = np.linspace(-8.5, 8.5, 4001)
WEIGHTS = scipy.stats.norm.pdf(NODES) / scipy.stats.norm.pdf(NODES).sum()


@dataclass(frozen=True)
class Truth:
    """What is true of a model under a condition.

    Attributes:
        accuracy: expected share of right answers (regression: R²).
        confidence: expected mean confidence; NaN where it is not known.
        balanced: expected balanced accuracy (labels: AUROC; regression: R²).
        precision: expected average precision, for labels.
    """

    accuracy: float
    confidence: float = float("nan")
    balanced: float = float("nan")
    precision: float | None = None

    @property
    def judged(self) -> float:
        """What losses are taken of."""
        return self.accuracy if self.precision is None else self.precision


@dataclass(frozen=True)
class Moments:
    """A Gaussian: its share of a mixture, mean and covariance."""

    share: float
    mean: Array
    cov: Array


@dataclass(frozen=True)
class Linear:
    """z = weights · x + bias, the log odds of class 1."""

    weights: Array
    bias: float = 0.0

    def scaled(self, factor: float) -> Linear:
        return Linear(self.weights * factor, self.bias * factor)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Two classes, one number per modality, x | y ~ N(offset ± mean, cov), and a model linear in x.

    Attributes:
        names: modalities.
        mean: half the distance of the class means, per modality; class 1 is at offset + mean.
        cov: covariance within each class.
        offset: centre of the two classes.
        prior: share of class 1.
        models: per set of present modalities what the model computes. The full set alone: no native absence.
        leak: log odds that the model adds for what it reads off the sample ids.
        groups: per group column its shares of samples; membership is random.
        stand_in: what the missing baseline `mean` puts in a modality's place: the mean of these samples, see `given`.
        dull: share of samples, in group `site=dull`, whose first modality says nothing about the class.
    """

    names: tuple[str, ...]
    mean: Array
    cov: Array
    models: Mapping[tuple[str, ...], Linear]
    offset: Array
    prior: float = 0.5
    leak: float = 0.0
    stand_in: Array | None = None  # mean of the samples, known once they are drawn
    groups: Mapping[str, Sequence[float]] = field(default_factory=dict)
    dull: float = 0.0

    task = Task.classification(2)

    @property
    def native(self) -> bool:
        return len(self.models) > 1

    @property
    def floor(self) -> float:
        return max(self.prior, 1 - self.prior)

    def ignores(self, modality: str) -> bool:
        """Whether no model of any subset reads the modality."""
        i = self.names.index(modality)
        return all(m.weights[i] == 0 for s, m in self.models.items() if modality in s)

    # ---- samples and model

    def data(self, n: int, rng: np.random.Generator) -> ArrayData:
        y = (rng.random(n) < self.prior).astype(int)
        groups = {
            name: rng.choice(len(p), n, p=np.asarray(p) / np.sum(p)).astype(str) for name, p in self.groups.items()
        }
        means = np.where(y[:, None] == 1, self.mean, -self.mean)
        if self.dull:
            site = rng.random(n) < self.dull
            means[site, 0] = rng.choice([-1.0, 1.0], site.sum()) * self.mean[0]
            groups["site"] = np.where(site, "dull", "bright")
        x = self.offset + means + rng.multivariate_normal(np.zeros(len(self.names)), self.cov, n)
        columns = {name: x[:, [i]].astype(np.float32) for i, name in enumerate(self.names)}
        ids = 2 * np.arange(n) + y if self.leak else None
        return ArrayData(columns, y, self.task, kinds=dict.fromkeys(self.names, "embedding"), ids=ids, groups=groups)

    def logits(self, batch: Batch) -> Array:
        z = np.zeros(len(batch))
        x = np.stack([batch.inputs[name][:, 0].astype(np.float64) for name in self.names], axis=1)
        there = np.stack([batch.present[name] for name in self.names], axis=1)
        for present, model in self.models.items():
            rows = (there == [name in present for name in self.names]).all(axis=1) if self.native else slice(None)
            z[rows] = (x * model.weights).sum(axis=1)[rows] + model.bias
        if self.leak:
            z += self.leak * np.where(batch.ids % 2 == 1, 1.0, -1.0)
        return np.stack([np.zeros_like(z), z], axis=1)

    def model(self) -> FunctionModel:
        return wrapped(self.logits, self.names, self.native)

    # ---- truth

    def given(self, data: ArrayData) -> Gaussian:
        """The world with these samples' means: a steep model is sure of one class where the true mean is a tie."""
        return replace(self, stand_in=sample_means(data, self.names))

    def truth(self, condition: Condition) -> Truth | None:
        if self.dull or condition.probe in ("identity", "missing_rate"):
            return None
        model = self.models[self.present(condition)]
        right, confidence = np.zeros(2), 0.0
        for y in (0, 1):
            prior = self.prior if y else 1 - self.prior
            for part in self.seen(condition, y):
                m = model.weights @ part.mean + model.bias + self.leak * (2 * y - 1)
                s = float(np.sqrt(max(model.weights @ part.cov @ model.weights, 0.0)))
                above = _above(m, s)
                right[y] += part.share * (above if y else 1 - above)
                confidence += prior * part.share * float(WEIGHTS @ scipy.special.expit(np.abs(m + s * NODES)))
        accuracy = float(right @ [1 - self.prior, self.prior])
        return Truth(accuracy, confidence, float(right.mean()))

    def flips(self, condition: Condition) -> float:
        """How often a swap of one modality changes the answer: two Gaussians with the other modalities in common."""
        (name,) = condition.modalities
        i, model, total = self.names.index(name), self.models[self.names], 0.0
        w = model.weights
        own = float(w @ self.cov @ w)
        swapped = self._cut(self.cov, i)
        common = float((w @ self.cov) @ np.delete(np.eye(len(w)), i, 0).T @ np.delete(w, i))
        for y in (0, 1):
            prior = self.prior if y else 1 - self.prior
            m0 = float(w @ (self.offset + (2 * y - 1) * self.mean)) + model.bias
            for part in self.seen(condition, y):
                m1, other = float(w @ part.mean) + model.bias, float(w @ swapped @ w)
                both = scipy.stats.multivariate_normal([m0, m1], [[own, common], [common, other]], allow_singular=True)
                neither, one, two = both.cdf([0, 0]), _above(m0, own**0.5), _above(m1, other**0.5)
                total += prior * part.share * (one + two - 2 * (one + two - 1 + neither))
        return float(total)

    def present(self, condition: Condition) -> tuple[str, ...]:
        if condition.probe == "missing" and condition.option("baseline") == "native":
            return tuple(n for n in self.names if n not in condition.modalities)
        return self.names

    def seen(self, condition: Condition, y: int) -> list[Moments]:
        """What the model sees of class y: a mixture over the classes of donors."""
        places = [self.names.index(m) for m in condition.modalities]
        sign = 2 * y - 1
        middle = self.offset + (2 * self.prior - 1) * self.mean
        spread = np.diag(self.cov) + 4 * self.prior * (1 - self.prior) * self.mean**2
        mean, cov = self.offset + sign * self.mean, self.cov.copy()
        pool, baseline, alpha = condition.option("pool"), condition.option("baseline"), condition.severity
        if condition.family == "conflict":  # donors of another class, of which there is one
            pool = "across_class"
        if condition.probe == "missing" and baseline in ("zero", "mean", "noise"):
            for i in places:
                cov = self._cut(cov, i, spread[i] if baseline == "noise" else 0.0)
                filled = middle if self.stand_in is None or baseline == "noise" else self.stand_in
                mean[i] = 0.0 if baseline == "zero" else filled[i]
        if condition.probe.endswith("gaussian_noise_additive") and alpha is not None:
            for i in places:
                mean[i] += alpha * middle[i]
                cov[i, i] += alpha**2 * spread[i]
        if not (pool or baseline == "marginal" or condition.probe == "destroy"):
            return [Moments(1.0, mean, cov)]
        for i in places:
            cov = self._cut(cov, i, self.cov[i, i])
        signs = {"within_class": [(1.0, sign)], "across_class": [(1.0, -sign)]}.get(
            pool or "", [(self.prior, 1), (1 - self.prior, -1)]
        )
        parts = []
        for drawn in product(signs, repeat=len(places)):
            other = mean.copy()
            for i, (_, donor) in zip(places, drawn, strict=True):
                other[i] = self.offset[i] + donor * self.mean[i]
            parts.append(Moments(float(np.prod([p for p, _ in drawn])), other, cov))
        return parts

    @staticmethod
    def _cut(cov: Array, i: int, variance: float = -1.0) -> Array:
        """The covariance with dimension i independent of the rest."""
        out = cov.copy()
        kept = cov[i, i] if variance < 0 else variance
        out[i, :] = out[:, i] = 0.0
        out[i, i] = kept
        return out


def _above(mean: float, spread: float) -> float:
    """P(z > 0); a tie goes to class 0, as argmax has it."""
    return float(scipy.stats.norm.cdf(mean / spread)) if spread > 0 else float(mean > 0)


def wrapped(function: Callable[[Batch], Array], names: tuple[str, ...], native: bool, **more: Any) -> FunctionModel:
    outputs = more.pop("outputs", "logits")
    absence = "mask" if native else None
    return FunctionModel(function, names, outputs=outputs, call="batch", absence=absence, fingerprint="known", **more)


def sample_means(data: ArrayData, names: Sequence[str]) -> Array:
    inputs = data.rows(np.arange(len(data))).inputs
    return np.array([float(inputs[m][:, 0].astype(np.float64).mean()) for m in names])


def subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [s for size in range(len(names) + 1) for s in combinations(names, size)]


def bayes(
    names: tuple[str, ...], mean: Array, cov: Array, offset: Array, prior: float
) -> dict[tuple[str, ...], Linear]:
    """The log posterior odds on every subset: 2 μᵀ Σ⁻¹ (x − centre) + log odds of the prior."""
    found = {}
    for present in subsets(names):
        weights = np.zeros(len(names))
        places = [names.index(m) for m in present]
        if places:
            weights[places] = 2 * np.linalg.solve(cov[np.ix_(places, places)], mean[places])
        found[present] = Linear(weights, float(-weights @ offset + np.log(prior / (1 - prior))))
    return found


def gaussian(
    mean: Sequence[float],
    *,
    cov: Array | None = None,
    offset: Sequence[float] | None = None,
    prior: float = 0.5,
    native: bool = True,
) -> Gaussian:
    """A world with its Bayes-optimal model on every subset, or on the full set alone."""
    names = tuple("abcdefgh"[: len(mean)])
    means = np.asarray(mean, float)
    covariance = np.eye(len(means)) if cov is None else np.asarray(cov, float)
    centre = np.zeros(len(means)) if offset is None else np.asarray(offset, float)
    models = bayes(names, means, covariance, centre, prior)
    chosen = models if native else {names: models[names]}
    return Gaussian(names, means, covariance, chosen, centre, prior)


def with_model(world: Gaussian, present: tuple[str, ...], model: Linear) -> Gaussian:
    """The world with another model on one subset."""
    return replace(world, models={**world.models, present: model})
