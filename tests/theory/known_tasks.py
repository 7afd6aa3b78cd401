"""Worlds of several classes, of numbers and of labels; see `known_truth`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.special
import scipy.stats

from mmaudit import ArrayData, FunctionModel
from mmaudit.types import CLEAN, Array, Batch, Condition, Task
from theory.known_fusion import Quality, Xor
from theory.known_truth import Gaussian, Truth, gaussian, wrapped


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
