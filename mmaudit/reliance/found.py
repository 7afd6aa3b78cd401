"""From replicates to an estimate: interval, p, and an exact bound where nothing varies."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.special

from mmaudit.comparison import NO_INTERVAL, exact_bound, uncertain
from mmaudit.estimates import Estimate
from mmaudit.kernels.inference import interval, p_value, standard_error
from mmaudit.metrics import Resamples
from mmaudit.types import FloatArray

NO_BOUNDS = (-np.inf, np.inf)
NORMAL = 1.959964  # of the standard normal, 97.5 % lie below


@dataclass(frozen=True, eq=False)
class Found:
    """An estimate, and the replicates behind it.

    Attributes:
        estimate: the number.
        values: `float64[1 + B]`, the estimate first, then its replicates; all NaN where it is undefined.
    """

    estimate: Estimate
    values: FloatArray


def found(
    about: Estimate,
    values: FloatArray,
    w: Resamples,
    *,
    within: tuple[float, float] = NO_BOUNDS,
    per_sample: tuple[float, float] | None = None,
    test: bool = False,
    extra: float = 0.0,
    reason: str = "",
    endless: bool = False,
) -> Found:
    """Return an estimate with its 95 % interval.

    Args:
        about: what it is about; n, value, interval and p are filled in.
        values: `float64[1 + B]`, the estimate first, then its replicates.
        w: the resamples behind them.
        within: legal values; the interval is clipped to them.
        per_sample: where the value is a mean over samples, what one sample can contribute at least and at most. Where
            no replicate varies the interval then is the exact one: a share of at most 1 − 0.025^(1/n) of the samples
            (see `comparison.exact_bound`) may be as far away as that.
        test: whether "the true value is 0" is tested.
        extra: standard error that the replicates do not hold; interval and p allow for it.
        reason: why the value is undefined.
        endless: whether it is made of a metric without ends (R²): where no replicate varies nothing bounds it, and it
            has no interval.
    """
    value = float(values[0])
    low, high = interval(values[1:], value, within, units=w.units)
    if per_sample is not None and np.isfinite(value) and standard_error(values[1:]) == 0:
        share = exact_bound(w)
        low, high = value - share * (value - per_sample[0]), value + share * (per_sample[1] - value)
    elif endless and (why := uncertain(values, w.units)):
        low, high, reason = float("nan"), float("nan"), reason or f"{NO_INTERVAL}{why}"
    p = p_value(value, values[1:], w.units) if test else float("nan")
    if extra > 0:
        wide = NORMAL * extra
        low, high = value - float(np.hypot(value - low, wide)), value + float(np.hypot(high - value, wide))
        error = float(np.hypot(standard_error(values[1:]), extra))
        p = float(2 * scipy.special.ndtr(-abs(value) / error)) if test else p
    if not reason and not np.isfinite(value):
        reason = "one of the values it is made of is undefined"
    return Found(
        replace(about, n=w.n, value=value, low=float(low), high=float(high), p=p, reason=reason),
        values,
    )


def nothing(about: Estimate, w: Resamples, reason: str) -> Found:
    """What was not measured, and why."""
    return Found(replace(about, n=w.n, reason=reason), np.full(1 + w.replicates, np.nan))
