"""Data and models whose accuracy and confidence under every condition are known in closed form.

A world draws samples, hands out a model (exactly specified, nothing is trained), and says what is true of that model
under a condition: `truth(condition)`, from the densities alone, never from samples or from the audit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import scipy.special
import scipy.stats

from mmaudit import ArrayData, FunctionModel
from mmaudit.types import CLEAN, Array, Batch, Condition, Task

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


@dataclass(frozen=True, eq=False)
class Xor:
    """y says whether the signs behind a and b agree; each alone says nothing. The model is Bayes-optimal."""

    strength: float
    native: bool = True
    stand_in: Array | None = None

    names = ("a", "b")
    task = Task.classification(2)
    floor = 0.5

    def ignores(self, modality: str) -> bool:
        return False

    def given(self, data: ArrayData) -> Xor:
        return replace(self, stand_in=sample_means(data, self.names))

    def data(self, n: int, rng: np.random.Generator) -> ArrayData:
        signs = rng.choice([-1, 1], (n, 2))
        x = (self.strength * signs + rng.standard_normal((n, 2))).astype(np.float32)
        y = (signs.prod(axis=1) > 0).astype(int)
        return ArrayData({"a": x[:, :1], "b": x[:, 1:]}, y, self.task, kinds={"a": "embedding", "b": "embedding"})

    def odds(self, a: Array, b: Array) -> Array:
        """log P(agree) / P(differ) = log cosh(m(a+b)) − log cosh(m(a−b))."""
        return _log_cosh(self.strength * (a + b)) - _log_cosh(self.strength * (a - b))

    def logits(self, batch: Batch) -> Array:
        a, b = (batch.inputs[m][:, 0].astype(np.float64) for m in self.names)
        z = self.odds(a, b)
        if self.native:
            z = np.where(batch.present["a"] & batch.present["b"], z, 0.0)
        return np.stack([np.zeros_like(z), z], axis=1)

    def model(self) -> FunctionModel:
        return wrapped(self.logits, self.names, self.native)

    def truth(self, condition: Condition) -> Truth | None:
        p = float(scipy.stats.norm.cdf(self.strength))
        right, sure = p * p + (1 - p) * (1 - p), self._confidence()
        if condition.family == "clean":
            return Truth(right, sure, right)
        if condition.family in ("mismatch", "control") or condition.option("baseline") == "marginal":
            # One exchanged sign is independent of the other: the same joint distribution, no longer that of y.
            return Truth(0.5, sure, 0.5) if condition.probe != "identity" else None
        if condition.option("baseline") in ("native", "zero"):
            return Truth(0.5, 0.5, 0.5)
        return Truth(
            0.5, self._with_mean(condition.modalities) if condition.option("baseline") == "mean" else np.nan, 0.5
        )

    def _with_mean(self, removed: tuple[str, ...]) -> float:
        """Confidence with the mean in place of one or both: that of the other's odds against a fixed value."""
        at = dict(zip(self.names, self.stand_in if self.stand_in is not None else np.zeros(2), strict=True))
        # The odds of (x, mean) are those of (−x, mean) with the sign changed: one sign of x is enough.
        x = at["a"] if len(removed) == 2 else self.strength + NODES
        fixed = at["b"] if len(removed) == 2 else at[removed[0]]
        return float(np.sum(WEIGHTS * scipy.special.expit(np.abs(self.odds(np.asarray(x), np.asarray(fixed))))))

    def flips(self, condition: Condition) -> float:
        return 0.5

    def _confidence(self) -> float:
        return _xor_confidence(self.strength)


@cache
def _xor_confidence(strength: float) -> float:
    nodes, weights = NODES[::4], WEIGHTS[::4] / WEIGHTS[::4].sum()
    a, b = np.meshgrid(strength + nodes, strength + nodes)
    z = np.abs(_log_cosh(strength * (a + b)) - _log_cosh(strength * (a - b)))
    return float(weights @ scipy.special.expit(z) @ weights)


def _log_cosh(x: Array) -> Array:
    return np.asarray(np.logaddexp(x, -x) - np.log(2))


@dataclass(frozen=True, eq=False)
class Quality:
    """a is evidence whose quality b states: x_a = ±b + noise. b decides no answer, only how sure each may be."""

    low: float = 0.3
    high: float = 3.0
    stand_in: Array | None = None

    names = ("a", "b")
    task = Task.classification(2)
    floor = 0.5
    native = False

    def ignores(self, modality: str) -> bool:
        return False

    def given(self, data: ArrayData) -> Quality:
        return replace(self, stand_in=sample_means(data, self.names))

    def data(self, n: int, rng: np.random.Generator) -> ArrayData:
        y, q = rng.integers(0, 2, n), rng.choice([self.low, self.high], n)
        a = (2 * y - 1) * q + rng.standard_normal(n)
        columns = {"a": a[:, None].astype(np.float32), "b": q[:, None].astype(np.float32)}
        return ArrayData(columns, y, self.task, kinds={"a": "embedding", "b": "embedding"})

    def logits(self, batch: Batch) -> Array:
        a, b = (batch.inputs[m][:, 0].astype(np.float64) for m in self.names)
        return np.stack([-a * b, a * b], axis=1)

    def model(self) -> FunctionModel:
        return wrapped(self.logits, self.names, native=False)

    def truth(self, condition: Condition) -> Truth | None:
        if condition.family not in ("clean", "missing", "mismatch"):
            return None
        if "a" in condition.modalities:
            if condition.family == "missing":  # nothing that is left tells the class
                return Truth(0.5, self._without_a(condition), 0.5)
            return Truth(*self._swapped_a(condition))
        cases = list(product((self.low, self.high), repeat=2))
        baseline, pool = condition.option("baseline"), condition.option("pool")
        if baseline == "zero":
            return Truth(0.5, 0.5, 0.5)
        if baseline == "noise":
            return None
        right = sure = 0.0
        for true, stated in cases:
            share = 0.25
            if baseline == "mean":
                stated = (self.low + self.high) / 2
            elif not (pool or baseline == "marginal"):
                share = 0.5 * (true == stated)
            right += share * float(scipy.stats.norm.cdf(true))
            sure += share * float(WEIGHTS @ scipy.special.expit(np.abs(2 * stated * (true + NODES))))
        return Truth(right, sure, right)

    def _without_a(self, condition: Condition) -> float:
        if condition.option("baseline") == "zero":
            return 0.5
        if condition.option("baseline") != "mean" or self.stand_in is None or len(condition.modalities) > 1:
            return float("nan")
        odds = [2 * abs(self.stand_in[0]) * q for q in (self.low, self.high)]
        return float(scipy.special.expit(odds).mean())

    def _swapped_a(self, condition: Condition) -> tuple[float, float, float]:
        flip = {"random": 0.5, "across_class": 1.0, "within_class": 0.0}[condition.option("pool") or ""]
        right = sure = 0.0
        for true, stated in product((self.low, self.high), repeat=2):
            p = float(scipy.stats.norm.cdf(true))
            right += 0.25 * (flip * (1 - p) + (1 - flip) * p)
            sure += 0.25 * float(WEIGHTS @ scipy.special.expit(np.abs(2 * stated * (true + NODES))))
        return right, sure, right

    def flips(self, condition: Condition) -> float:
        return 0.0 if condition.modalities == ("b",) else 0.4


@dataclass(frozen=True, eq=False)
class Receiver(Gaussian):
    """a carries a signal and 600 known ±1 marks. Once noise blurs the marks beyond a limit, a is thrown away.

    Under additive noise of severity α (marks have unit spread) the mean square deviation of |mark| from 1 is `blur(α)`,
    give or take 6 %: with the limit between those of two severities, the lock is kept at one and lost at the next.
    """

    limit: float = 0.0

    @staticmethod
    def blur(alpha: float) -> float:
        """E (|1 + αn| − 1)² = 2 + α² − 2 E|1 + αn|, with the mean of a folded normal."""
        folded = alpha * np.sqrt(2 / np.pi) * np.exp(-1 / (2 * alpha**2)) + 1 - 2 * scipy.stats.norm.cdf(-1 / alpha)
        return float(2 + alpha**2 - 2 * folded)

    def data(self, n: int, rng: np.random.Generator) -> ArrayData:
        plain = super().data(n, rng)
        marks = rng.choice([-1.0, 1.0], (n, 600)).astype(np.float32)
        rows = plain.rows(np.arange(n))
        a = np.hstack([rows.inputs["a"], marks])
        columns = {"a": a, **{m: rows.inputs[m] for m in self.names[1:]}}
        return ArrayData(columns, rows.target, self.task, kinds=dict.fromkeys(self.names, "embedding"))

    def logits(self, batch: Batch) -> Array:
        deviation = ((np.abs(batch.inputs["a"][:, 1:]) - 1) ** 2).mean(axis=1)
        locked = batch.present["a"] & (deviation < self.limit)
        return super().logits(batch.replace(present={"a": locked}))

    def truth(self, condition: Condition) -> Truth | None:
        removed = "a" in condition.modalities and condition.probe == "missing"
        noisy = "a" in condition.modalities and condition.family == "corruption"
        if removed and condition.option("baseline") == "noise":
            return None  # marks of random size
        lost = removed and condition.option("baseline") in ("zero", "mean")
        if lost or (noisy and self.blur(condition.severity or 0.01) > self.limit):
            gone = replace(condition, probe="missing", family="missing", options=(("baseline", "native"),))
            if len(condition.modalities) > 1:
                return None
            return super().truth(gone)
        return super().truth(condition)


@dataclass(frozen=True, eq=False)
class Classes:
    """K classes, x_m = strength_m · e_y + N(0, I), and the Bayes-optimal model: logits Σ over present strength_m x_m.

    With d² = Σ strength², its accuracy is ∫ φ(t − d) Φ(t)^(K−1) dt, and its confidence, being a posterior, the same.
    """

    strength: Mapping[str, float]
    classes: int = 4
    sharpen: float = 1.0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.strength)

    @property
    def task(self) -> Task:
        return Task.classification(self.classes)

    @property
    def floor(self) -> float:
        return 1 / self.classes

    native = True

    def ignores(self, modality: str) -> bool:
        return self.strength[modality] == 0

    def given(self, data: ArrayData) -> Classes:
        return self

    def data(self, n: int, rng: np.random.Generator) -> ArrayData:
        y = rng.integers(0, self.classes, n)
        columns = {
            m: (s * np.eye(self.classes)[y] + rng.standard_normal((n, self.classes))).astype(np.float32)
            for m, s in self.strength.items()
        }
        return ArrayData(columns, y, self.task, kinds=dict.fromkeys(self.names, "embedding"))

    def logits(self, batch: Batch) -> Array:
        parts = [self.strength[m] * batch.inputs[m] * batch.present[m][:, None] for m in self.names]
        return self.sharpen * np.sum(parts, axis=0)

    def model(self) -> FunctionModel:
        return wrapped(self.logits, self.names, native=True)

    def truth(self, condition: Condition) -> Truth | None:
        gone = () if condition.family == "clean" else condition.modalities
        if condition.family == "mismatch":
            return self._swapped(condition)
        if condition.family != "clean" and condition.option("baseline") not in ("native", "zero"):
            return None
        d = float(np.sqrt(sum(s**2 for m, s in self.strength.items() if m not in gone)))
        right = self.wins(d, d)
        return Truth(right, right if self.sharpen == 1 else float("nan"), right)

    def _swapped(self, condition: Condition) -> Truth:
        """Logits over their spread D: the true class at (D² − s²)/D, the donor's at s²/D, D² = Σ strength²."""
        (name,) = condition.modalities
        total = float(np.sqrt(sum(s**2 for s in self.strength.values())))
        s = self.strength[name]
        kept, false = (total**2 - s**2) / total, s**2 / total
        apart = self._against(kept, false)
        same = {"within_class": 1.0, "across_class": 0.0}.get(condition.option("pool") or "", 1 / self.classes)
        right = same * self.wins(total, total) + (1 - same) * apart
        return Truth(right, float("nan"), right)

    def wins(self, d: float, _: float) -> float:
        return self._against(d, 0.0)

    def _against(self, own: float, rival: float) -> float:
        """P(the true class has the largest logit) with one rival raised and the others at 0, unit spread each."""
        t = np.linspace(own - 9, own + 9, 4001)
        cdf = scipy.stats.norm.cdf
        density = scipy.stats.norm.pdf(t - own) * cdf(t - rival) * cdf(t) ** (self.classes - 2)
        return float(np.trapezoid(density, t))

    def flips(self, condition: Condition) -> float:
        clean, swapped = self.truth(CLEAN), self.truth(condition)
        assert clean is not None
        assert swapped is not None
        return clean.accuracy - swapped.accuracy  # at least this many right answers change


@dataclass(frozen=True, eq=False)
class Regression:
    """target = Σ slope_m x_m + noise with x_m ~ N(offset_m, 1), and the model that knows the slopes.

    Modalities are independent, so each accounts for slope² of the variance: R² on a subset is its share of it.
    """

    slope: Mapping[str, float]
    noise: float = 0.3
    offset: Mapping[str, float] = field(default_factory=dict)
    used: Mapping[str, float] = field(default_factory=dict)
    native: bool = True

    task = Task.regression(1, "mm")
    floor = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.slope)

    def ignores(self, modality: str) -> bool:
        return self.weight(modality) == 0

    def weight(self, modality: str) -> float:
        return self.used.get(modality, self.slope[modality])

    def given(self, data: ArrayData) -> Regression:
        return self

    def data(self, n: int, rng: np.random.Generator) -> ArrayData:
        x = {m: self.offset.get(m, 0.0) + rng.standard_normal(n) for m in self.names}
        y = sum(s * x[m] for m, s in self.slope.items()) + self.noise * rng.standard_normal(n)
        columns = {m: v[:, None].astype(np.float32) for m, v in x.items()}
        return ArrayData(columns, y, self.task, kinds=dict.fromkeys(self.names, "embedding"))

    def values(self, batch: Batch) -> Array:
        out = np.zeros(len(batch))
        for m in self.names:
            x = np.where(batch.present[m], batch.inputs[m][:, 0], self.offset.get(m, 0.0))
            out += self.weight(m) * x
        return out[:, None]

    def model(self) -> FunctionModel:
        return wrapped(self.values, self.names, self.native, outputs="values")

    def truth(self, condition: Condition) -> Truth | None:
        baseline, pool = condition.option("baseline"), condition.option("pool")
        if condition.family not in ("clean", "missing", "mismatch", "corruption"):
            return None
        variance = sum(s**2 for s in self.slope.values()) + self.noise**2
        error, bias = self.noise**2, 0.0
        for m, s in self.slope.items():
            w = self.weight(m)
            own = (s - w) ** 2  # of the modality's own deviation that the model gets wrong
            shift = (w - s) * self.offset.get(m, 0.0)
            if m in condition.modalities:
                if pool or baseline in ("marginal", "noise"):
                    own = s**2 + w**2
                elif baseline in ("native", "mean", "zero"):
                    own = s**2
                    shift -= w * self.offset.get(m, 0.0) * (baseline == "zero")
                elif condition.severity is not None:
                    own += (w * condition.severity) ** 2
                    shift += w * condition.severity * self.offset.get(m, 0.0)
            error += own
            bias += shift
        r2 = 1 - (error + bias**2) / variance
        return Truth(r2, float("nan"), r2)


@dataclass(frozen=True, eq=False)
class Labels:
    """Three independent labels, each with one number of its own in every modality: x = ±strength + noise."""

    strength: Mapping[str, float]
    sharpen: float = 1.0
    stand_in: Array | None = None  # [labels, modalities]

    task = Task.multilabel(3)
    floor = 0.5  # of average precision: how often a label applies
    native = True

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.strength)

    def ignores(self, modality: str) -> bool:
        return self.strength[modality] == 0

    def given(self, data: ArrayData) -> Labels:
        inputs = data.rows(np.arange(len(data))).inputs
        return replace(self, stand_in=np.stack([inputs[m].astype(np.float64).mean(axis=0) for m in self.names], axis=1))

    def data(self, n: int, rng: np.random.Generator) -> ArrayData:
        y = rng.integers(0, 2, (n, 3))
        columns = {
            m: (s * (2 * y - 1) + rng.standard_normal((n, 3))).astype(np.float32) for m, s in self.strength.items()
        }
        return ArrayData(columns, y, self.task, kinds=dict.fromkeys(self.names, "embedding"))

    def logits(self, batch: Batch) -> Array:
        parts = [2 * self.strength[m] * batch.inputs[m] * batch.present[m][:, None] for m in self.names]
        return self.sharpen * np.sum(parts, axis=0)

    def model(self) -> FunctionModel:
        return wrapped(self.logits, self.names, native=True)

    def label(self, number: int) -> Gaussian:
        """One label alone: two classes."""
        world = gaussian(list(self.strength.values()))
        letters = dict(zip(world.names, self.names, strict=True))
        models = {tuple(letters[x] for x in s): m.scaled(self.sharpen) for s, m in world.models.items()}
        stand_in = None if self.stand_in is None else self.stand_in[number]
        return replace(world, names=self.names, models=models, stand_in=stand_in)

    def truth(self, condition: Condition) -> Truth | None:
        worlds = [self.label(i) for i in range(self.task.width)]
        each = [w.truth(condition) for w in worlds]
        known = [t for t in each if t is not None]
        if len(known) < len(each):
            return None
        return Truth(
            float(np.mean([t.accuracy for t in known])),
            float(np.mean([t.confidence for t in known])),
            precision=float(np.mean([_average_precision(w, condition) for w in worlds])),
        )

    def flips(self, condition: Condition) -> float:
        return self.label(0).flips(condition)


def _average_precision(world: Gaussian, condition: Condition) -> float:
    """∫ precision d(recall); scores of either class are mixtures of normals, both classes equally often."""
    model = world.models[world.present(condition)]
    positive, negative = (
        [
            (p.share, model.weights @ p.mean + model.bias, float(model.weights @ p.cov @ model.weights) ** 0.5)
            for p in seen
        ]
        for seen in (world.seen(condition, 1), world.seen(condition, 0))
    )
    everything = positive + negative
    if max(s for _, _, s in everything) == 0:
        return 0.5  # one score for all
    low, high = min(m - 9 * s for _, m, s in everything), max(m + 9 * s for _, m, s in everything)
    t = np.linspace(low, high, 20_001)
    true, false = (sum(p * scipy.stats.norm.sf((t - m) / s) for p, m, s in parts) for parts in (positive, negative))
    precision = true / np.maximum(true + false, 1e-300)
    return float(np.sum((precision[1:] + precision[:-1]) / 2 * -np.diff(true)))


World = Gaussian | Xor | Quality | Classes | Regression | Labels
