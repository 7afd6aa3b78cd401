"""From values with replicates to estimates: intervals, p values, and reasons where there is nothing to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy.special

from mmaudit.comparison import NO_INTERVAL, STILL
from mmaudit.errors import Undefined
from mmaudit.estimates import Estimate, estimators
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.kernels.inference import interval, p_value, symmetric_interval
from mmaudit.types import Array, FloatArray

Subset = tuple[str, ...]
Options = tuple[tuple[str, str], ...]

REST = "rest"
ROUNDING = 1e-9
MOST_PAIRED = 6  # with more modalities no predictor of a pair is fitted: one against the rest only


@dataclass(frozen=True)
class Sides:
    """Two sides whose information is divided.

    Attributes:
        first, second: modalities of each.
        modalities: what estimates of both sides are filed under.
        options: `against=rest` for one modality against all others.
    """

    first: Subset
    second: Subset
    modalities: Subset
    options: Options = ()

    @classmethod
    def every(cls, names: Subset) -> list[Sides]:
        """All pairs; of more than two modalities also each against the rest."""
        if len(names) < 2:
            return []
        pairs = [cls((a,), (b,), (a, b)) for a, b in combinations(names, 2)] if len(names) <= MOST_PAIRED else []
        if len(names) == 2:
            return pairs
        return pairs + [cls((m,), tuple(n for n in names if n != m), (m,), (("against", REST),)) for m in names]

    def both(self, names: Subset) -> Subset:
        """All modalities of both sides, in data set order."""
        return tuple(n for n in names if n in (*self.first, *self.second))

    @property
    def words(self) -> str:
        """How a sentence calls them: `image and text`, `image and the rest`."""
        return f"{self.first[0]} and {'the rest' if self.options else self.second[0]}"


def row(
    name: str,
    modalities: Subset,
    options: Options,
    make: Callable[[], FloatArray] | FloatArray,
    n: int,
    *,
    units: int | None = None,
    null: float = float("nan"),
    test: bool = False,
    reason: str = "",
    least: float = -np.inf,
) -> Estimate:
    """Return an estimate of `float64[1 + B]` values; NaN with the reason where making them raises `Undefined`.

    Informations are skewed at 0, and where two sides say equally much; hence the symmetric interval.

    Args:
        name, modalities, options, n, null: what it is about.
        units: independent ones among the samples, see `interval`.
        make: the values, or what makes them.
        test: whether "the true value is 0" is tested.
        reason: what a reader should know of the value.
        least: the smallest value there can be, by definition.
    """
    about = estimators.get(name)
    try:
        values = make() if callable(make) else make
    except Undefined as undefined:
        return Estimate(name, modalities, options, n=n, unit=about.unit, better=about.better, reason=str(undefined))
    value = 0.0 if abs(values[0]) <= ROUNDING else float(values[0])
    low, high = symmetric_interval(values[1:], value, units)
    low = max(low, least)
    if not np.isfinite(value):
        reason = reason or "not defined on these samples"
    elif high - low <= ROUNDING:  # a width that claims to know
        low, high, reason = float("nan"), float("nan"), reason or f"{NO_INTERVAL}{STILL}"
    p = float("nan")
    if test:  # rounding is nothing to be certain of
        p = p_value(value, values[1:], units) if value != 0 else 1.0
    return Estimate(name, modalities, options, "", n, value, low, high, null, p, about.unit, about.better, reason)


def share_row(name: str, modalities: Subset, options: Options, hit: Array, w: Resamples, reason: str = "") -> Estimate:
    """Return the mean of `hit[n]` as an estimate, a share of samples.

    Interval: exact (Clopper & Pearson 1934) where samples are independent and hits are 0 or 1, else by the bootstrap.
    """
    about = estimators.get(name)
    hit = np.asarray(hit, np.float64)
    if reason or not len(hit):
        why = reason or "there is no such sample"
        return Estimate(name, modalities, options, n=len(hit), unit=about.unit, better=about.better, reason=why)
    value = float(hit.mean())
    if w.units == len(hit) and np.isin(hit, (0.0, 1.0)).all():
        low, high = clopper_pearson(int(hit.sum()), len(hit))
    else:
        low, high = interval(w.mean(hit), value, (0.0, 1.0), units=w.units)
        if not high > low:  # nothing varies, and the bootstrap cannot draw what the sample lacks
            unseen = 1.0 - 0.025 ** (1.0 / w.units)
            low, high = max(0.0, value - unseen), min(1.0, value + unseen)
    nothing = float("nan")
    return Estimate(
        name, modalities, options, "", len(hit), value, low, high, nothing, nothing, about.unit, about.better
    )


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share (Clopper & Pearson 1934); n ≥ 1."""
    tail = (1 - level) / 2
    low = float(scipy.special.betaincinv(hits, n - hits + 1, tail)) if hits > 0 else 0.0
    high = float(scipy.special.betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return low, high


def clusters(w: Resamples) -> Array | None:
    """The cluster of each row, of which no two must be shuffled apart; None where every row is one by itself.

    Not what is drawn: of many units random blocks are, whose rows have nothing in common.
    """
    if not w.clustered or w.units == w.n:
        return None
    return w.unit if w.source is None else w.source


def short(*values: FloatArray) -> Sequence[FloatArray]:
    """Cut replicates to as many as all have; the same resamples stand in the same places."""
    size = min(len(v) for v in values)
    return [v[:size] for v in values]
