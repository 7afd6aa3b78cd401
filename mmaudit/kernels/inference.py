"""From replicates to statements: intervals, p values, adjustment for many tests, smallest effect that would be seen."""

from __future__ import annotations

import numpy as np
import scipy.special
import scipy.stats

from mmaudit.types import Array, FloatArray

FEW = 30
"""Fewer independent units than these widen an interval; from here on it would be by 6 % and less."""

LARGEST_SKEWNESS = 1.0
"""Of replicates of a mean: one sample carries all, and how often it is drawn is Poisson of mean 1."""

OUTLYING = 3.0
"""How many times as far out as the percentiles a replicate counts at most; a share of almost nothing has no end."""

NOTHING = (float("nan"), float("nan"))

SMALLEST_P = float(np.finfo(np.float64).tiny)


def interval(
    replicates: FloatArray,
    value: float,
    within: tuple[float, float] = (-np.inf, np.inf),
    level: float = 0.95,
    units: int | None = None,
) -> tuple[float, float]:
    """Return the bootstrap percentile interval of a metric (Efron & Tibshirani 1993, ch. 13), recentred where biased.

    Where few samples carry a value its far arm is at least that of an exact limit of a count: see `skewed_arms`.

    Metrics that noise can only raise (ECE and its kin, a worst case) are higher in the replicates than in the
    sample, because a resample adds noise once more; the percentile interval then need not even contain the estimate.
    So where the estimate lies outside the middle half of the replicates, they are moved until their median is the
    estimate. This keeps the width; it does not remove the bias of the estimate itself: see `ece_floor`.

    Replicates that all agree give an interval of width 0: the bootstrap cannot see events that the sample lacks.
    Few units that are drawn differ less from each other in a resample than in truth; see `stretch`.

    Args:
        replicates: `float64[B]`; NaN (the resample lacks a class) is left out.
        value: the estimate.
        within: legal values of the metric; the interval is clipped to it.
        level: coverage aimed at.
        units: how many independent units there were to draw from; None: many.

    Returns:
        (low, high); NaN when value is NaN, more than half of the replicates are, or there is but one unit.
    """
    tail = (1 - level) / 2
    factor = stretch(units, tail)
    ordered = _ordered(replicates)
    low, high = _percentiles(ordered, value, tail) if 2 * len(ordered) >= len(replicates) else NOTHING
    if np.isnan(low) or np.isinf(factor):
        return NOTHING
    below, above = skewed_arms(ordered, tail)
    low, high = min(low, value - below), max(high, value + above)
    if factor > 1:
        low, high = value - factor * max(value - low, 0.0), value + factor * max(high - value, 0.0)
    return min(max(low, within[0]), within[1]), min(max(high, within[0]), within[1])


def _ordered(replicates: FloatArray) -> FloatArray:
    """The defined replicates, ascending."""
    ordered = np.sort(replicates)  # NaN comes last
    return ordered[: len(ordered) - undefined(ordered)]


def _at(ordered: FloatArray, share: float) -> float:
    """The quantile of ascending numbers, as `np.quantile` interpolates it, which takes ten times as long."""
    place = share * (len(ordered) - 1)
    below = int(place)
    one, other, part = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)]), place - below
    return other - (other - one) * (1 - part) if part >= 0.5 else one + (other - one) * part


def _percentiles(ordered: FloatArray, value: float, tail: float = 0.025) -> tuple[float, float]:
    """The middle of the replicates, moved where they lie beside the value; NaN where there is neither."""
    if np.isnan(value) or not len(ordered):
        return NOTHING
    bias = 0.0 if _at(ordered, 0.25) <= value <= _at(ordered, 0.75) else _at(ordered, 0.5) - value
    return _at(ordered, tail) - bias, _at(ordered, 1 - tail) - bias


def skewed_arms(replicates: FloatArray, tail: float = 0.025) -> tuple[float, float]:
    """Return how far a value may at least be off below and above, given how skewed its replicates are; 0 for one side.

    A mean that a few large errors carry has a skewed distribution, and percentiles reach too short towards the side on
    which more of them may have been missed (Efron 1987). k equal errors give the replicates the skewness g = 1/√k, and
    their number has an exact limit, the 1 − tail quantile of a Gamma(k + 1) (Garwood 1936). The arm is what that limit
    adds to k = 1/g², in standard deviations √k: 1.96 + (1.96² + 2) g / 3 and higher terms.

    g is shrunk by what B replicates make of none, g · (1 − 24 / (B g²))₊, and is at most `LARGEST_SKEWNESS`.
    Replicates count as being at most `OUTLYING` times as far out as the percentiles.
    """
    ordered = _ordered(replicates)
    if len(ordered) < 2 or not np.isfinite(ordered[[0, -1]]).all():
        return 0.0, 0.0
    low, middle, high = (_at(ordered, share) for share in (tail, 0.5, 1 - tail))
    if high > low:
        ordered = np.clip(ordered, middle - OUTLYING * (middle - low), middle + OUTLYING * (high - middle))
    apart = ordered - ordered.mean()
    scale = max(-float(apart[0]), float(apart[-1]))
    if scale <= 1e-12 * max(abs(float(ordered[0])), abs(float(ordered[-1]))):  # they differ by rounding
        return 0.0, 0.0
    apart /= scale
    squares = apart * apart
    error = float(np.sqrt(squares.mean()))
    skewness = float((squares * apart).mean()) / error**3
    size = min(abs(skewness) - 24 / (len(apart) * max(abs(skewness), 1e-12)), LARGEST_SKEWNESS)
    if size < 0.01:  # percentiles of replicates reach as far
        return 0.0, 0.0
    errors = 1 / size**2
    arm = scale * error * size * float(scipy.special.gammaincinv(errors + 1, 1 - tail) - errors)
    return (0.0, arm) if skewness > 0 else (arm, 0.0)


def stretch(units: int | None, tail: float = 0.025) -> float:
    """Return what the arms of an interval are multiplied by where few independent units were drawn from.

    Means of m units have √((m − 1)/m) of their true spread in resamples, and their spread is itself uncertain, so that
    Student's t with m − 1 degrees of freedom belongs in the normal quantile's place: together the expanded percentile
    interval (Hesterberg 2015, "What teachers should know about the bootstrap", section 5), here as a factor, because
    its percentiles lie beyond a thousand replicates. 1 from `FEW` units on, infinite for one.
    """
    if units is None or units >= FEW:
        return 1.0
    if units < 2:
        return float("inf")
    quantile = scipy.special.stdtrit(units - 1, 1 - tail) / scipy.special.ndtri(1 - tail)
    return float(quantile * np.sqrt(units / (units - 1)))


def symmetric_interval(replicates: FloatArray, value: float, units: int | None = None) -> tuple[float, float]:
    """Return what percentile and basic bootstrap interval hold together: the longer arm of the percentiles on both.

    For estimates whose replicates are skewed while nothing says to which side their error is: percentiles lean to the
    one, the basic interval (Davison & Hinkley 1997, section 5.2) to the other (docs/decisions/0042).
    """
    ordered, factor = _ordered(replicates), stretch(units)
    if 2 * len(ordered) < len(replicates) or np.isinf(factor):
        return NOTHING
    low, high = _percentiles(ordered, value)
    arm = factor * max(value - low, high - value)
    return value - arm, value + arm


def bound_of(units: int) -> float:
    """Return 1 − 0.025^(1/n), about 3.7 / n, with n the number of independent units (clusters count once)."""
    return float(1.0 - 0.025 ** (1.0 / units))


def undefined(replicates: FloatArray) -> int:
    """Return how many replicates have no value."""
    return int(np.isnan(replicates).sum())


def standard_error(replicates: FloatArray) -> float:
    """Return the bootstrap standard error: standard deviation of the defined replicates, NaN for fewer than two.

    Replicates that differ by rounding only (relative 10⁻¹²) count as equal: 0.
    """
    defined = replicates[~np.isnan(replicates)]
    if len(defined) < 2 or 2 * len(defined) < len(replicates):
        return float("nan")
    error = float(np.std(defined, ddof=1))
    return 0.0 if error <= 1e-12 * float(np.abs(defined).max()) else error


def p_value(delta: float, replicates: FloatArray, units: int | None = None) -> float:
    """Return the two-sided p of "the true difference is 0", from delta / standard error.

    Student's t with B − 1 degrees of freedom accounts for the standard error being estimated from B replicates, with
    m − 1 for its being estimated from m units where these are few (see `stretch`). It is not a count of replicates
    beyond 0: that could not go below 1/(B+1), so no single effect, however large, would survive the adjustment over a
    grid of more than fifty tests.

    Where the replicates do not vary: 1 for delta = 0; else 1/(B+1), or 2^(1−m) where that is more (m units changed the
    same way, as so many coins fall on one side).

    Args:
        delta: the estimate of the difference.
        replicates: `float64[B]`, paired differences; NaN is left out.
        units: how many independent units there were to draw from; None: many.

    Returns:
        p in (0, 1]; NaN where delta or its standard error is undefined, or there is but one unit.
    """
    error = standard_error(replicates)
    if np.isnan(delta) or np.isnan(error) or (units is not None and units < 2):
        return float("nan")
    count = len(replicates) - undefined(replicates)
    if error == 0:
        coins = 0.0 if units is None else 2.0 ** (1 - units)
        return 1.0 if abs(delta) <= 1e-12 else max(1 / (count + 1), coins)
    freedom = count - 1
    if units is not None and units < FEW:
        error, freedom = error * np.sqrt(units / (units - 1)), min(freedom, units - 1)
    # scipy.stats' own t.sf and norm.ppf are these functions behind checks that take longer than the rest of a score.
    return max(float(2 * scipy.special.stdtr(freedom, -abs(delta) / error)), SMALLEST_P)


def benjamini_hochberg(p: Array) -> FloatArray:
    """Return p values adjusted for the false discovery rate (Benjamini & Hochberg 1995); NaN passes through uncounted.

    Calling everything with an adjusted p below q significant makes the expected share of false claims at most q, for
    independent or positively dependent tests (conditions that share samples are the latter).
    """
    p = np.asarray(p, np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        adjusted[known] = scipy.stats.false_discovery_control(p[known], method="bh")
    return adjusted


def minimum_detectable_effect(error: float, power: float = 0.8, alpha: float = 0.05, units: int | None = None) -> float:
    """Return the |difference| that would be found with the given power: (z₁₋α/₂ + z_power) · error = 2.80 · error.

    Bloom 1995. Of few units quantiles of Student's t, and the error of `p_value`. NaN for a standard error of 0
    (replicates that all agree say nothing about what would have been seen) and for one unit.
    """
    if not error > 0 or (units is not None and units < 2):
        return float("nan")
    if units is not None and units < FEW:
        t = scipy.special.stdtrit(units - 1, 1 - alpha / 2) + scipy.special.stdtrit(units - 1, power)
        return float(t * np.sqrt(units / (units - 1))) * error
    return float(scipy.special.ndtri(1 - alpha / 2) + scipy.special.ndtri(power)) * error
