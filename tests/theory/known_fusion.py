"""Worlds of two classes in which one modality decides what another one means; see `known_truth`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
import scipy.special
import scipy.stats

from mmaudit import ArrayData, FunctionModel
from mmaudit.types import Array, Batch, Condition, Task
from theory.known_truth import NODES, WEIGHTS, Gaussian, Truth, sample_means, wrapped


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
