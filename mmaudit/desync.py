"""How far out of step a sequence may be: half-width and asymmetry of tolerance curves over time shifts.

A tolerance curve is the share of the above-chance performance that is kept, against the shift. Its half-width in one
direction is the shift at which half of it is lost, as the field reports it for audio-visual synchrony.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmaudit.comparison import Measured
from mmaudit.kernels.bootstrap import ratio
from mmaudit.kernels.inference import interval
from mmaudit.metrics.robustness import why_undefined
from mmaudit.summaries import Group, groups
from mmaudit.types import Better, Condition, FloatArray, Score, digest

PROBES = ("temporal_shift", "temporal_shift_samples")
HALF_WIDTH, ASYMMETRY = "tolerance_half_width", "tolerance_asymmetry"
DESCRIPTIONS = (
    (
        HALF_WIDTH,
        "higher",
        "ms or samples",
        "time shift at which half of the above-chance value is lost, between measured shifts by straight lines",
    ),
    (
        ASYMMETRY,
        "neither",
        "",
        "(w later − w earlier) / (w later + w earlier) of the half-widths w; above 0: being late is tolerated better",
    ),
)
"""Name, direction, unit and meaning, for the report's list of metrics."""


def half_width(
    shift: FloatArray, clean: FloatArray, perturbed: FloatArray, chance: FloatArray, better: Better
) -> FloatArray:
    """Return the smallest shift at which half of the above-chance value is lost, per replicate.

    The share kept, (value − chance) / (clean − chance), is 1 at shift 0 and runs in straight lines between the shifts
    measured; later recoveries do not count. inf where half is never lost; NaN where the clean value is not better than
    chance, or a value is undefined.

    Args:
        shift: `float64[k]`, above 0 and increasing.
        clean: `float64[1 + B]`, the metric in step; the estimate first, then its replicates.
        perturbed: `float64[k, 1 + B]`, the same at each shift.
        chance: `float64[1 + B]`, chance level of the metric.
        better: its direction.
    """
    sign = 1.0 if better == "higher" else -1.0
    margin = sign * (clean - chance)
    kept = ratio(sign * (perturbed - chance), np.broadcast_to(np.where(margin > 0, margin, np.nan), perturbed.shape))
    kept = np.concatenate([np.ones((1, kept.shape[1])), kept])
    at = np.concatenate([[0.0], shift])
    low = kept <= 0.5
    after = np.argmax(low, axis=0)
    before = np.maximum(after - 1, 0)
    each = np.arange(kept.shape[1])
    fall = kept[before, each] - kept[after, each]
    part = np.divide(kept[before, each] - 0.5, fall, out=np.zeros_like(fall), where=fall > 0)
    width = at[before] + part * (at[after] - at[before])
    width = np.where(low.any(axis=0), width, np.inf)
    return np.asarray(np.where(np.isnan(kept).any(axis=0), np.nan, width))


def asymmetry(earlier: FloatArray, later: FloatArray) -> FloatArray:
    """Return (later − earlier) / (later + earlier), in [−1, 1]; NaN where both are 0, both inf, or one undefined.

    Where half is never lost on one side the width there is beyond the largest shift; the limit, 1 or −1, stands for it.
    """
    known = np.isfinite(earlier) & np.isfinite(later)
    difference = np.where(known, later, np.nan) - np.where(known, earlier, np.nan)
    both = ratio(difference, np.where(known, later + earlier, np.nan))
    both = np.where(np.isinf(later) & np.isfinite(earlier), 1.0, both)
    return np.asarray(np.where(np.isinf(earlier) & np.isfinite(later), -1.0, both))


def bounds(values: FloatArray, units: int | None = None) -> tuple[float, float]:
    """Return the 95 % interval of half-widths; an end that lies beyond the largest shift is inf.

    Replicates that never lose half are larger than any that do. NaN where more than half of them are undefined.
    """
    replicates = values[1:][~np.isnan(values[1:])]
    if 2 * len(replicates) < len(values) - 1 or not len(replicates):
        return float("nan"), float("nan")
    if np.isfinite(replicates).all():
        return interval(values[1:], float(values[0]), (0.0, np.inf), units=units)
    return _ordered(replicates)


def _ordered(replicates: FloatArray) -> tuple[float, float]:
    """The outer 2.5 % cut off where nothing can be put between two values."""
    ordered = np.sort(replicates)
    last = len(ordered) - 1
    return float(ordered[int(np.floor(0.025 * last))]), float(ordered[int(np.ceil(0.975 * last))])


@dataclass(frozen=True, eq=False)
class Reference:
    """What tolerance curves are compared with: the primary metric in step.

    Attributes:
        values: `float64[1 + B]`, estimate and replicates on clean data.
        chance: `float64[1 + B]`, chance level with its replicates.
        better: direction.
        n: samples.
        units: independent ones among them; None: many.
    """

    values: FloatArray
    chance: FloatArray
    better: Better
    n: int
    units: int | None = None


def tolerance(
    conditions: Sequence[Condition], measured: Mapping[str, Measured], clean: Reference, unanswered: Mapping[str, str]
) -> Iterator[Score]:
    """Yield the half-width of every tolerance curve, and the asymmetry of each pair of directions.

    Args:
        conditions: of the run.
        measured: the primary metric, by condition key.
        clean: the same in step.
        unanswered: why, by keys of conditions under which not every sample has an answer.
    """
    pairs: dict[str, dict[str, FloatArray]] = {}
    fewest: dict[str, int] = {}
    for curve in groups(conditions):
        first = curve.conditions[0]
        if not curve.curve or first.probe not in PROBES:
            continue
        direction = first.option("direction") or ""
        row, widths = _half_width(curve, measured, clean, unanswered)
        yield row
        name = curve.name.replace(f", direction={direction}", "")
        pairs.setdefault(name, {})[direction] = widths
        fewest[name] = min(row.n, fewest.get(name, row.n))
    for name, sides in pairs.items():
        if len(sides) == 2:
            yield _asymmetry(name, sides, fewest[name], clean.units)


def _half_width(
    curve: Group, measured: Mapping[str, Measured], clean: Reference, unanswered: Mapping[str, str]
) -> tuple[Score, FloatArray]:
    shift = np.array([c.severity or 0.0 for c in curve.conditions])
    widths = half_width(
        shift, clean.values, np.stack([measured[c.key].values for c in curve.conditions]), clean.chance, clean.better
    )
    unit = curve.conditions[0].unit
    unknown = next((c for c in curve.conditions if c.key in unanswered), None)
    farthest = f"{shift[-1]:g} {unit}"
    if unknown:
        widths = np.full_like(widths, np.nan)
        reason = unanswered[unknown.key]
    elif np.isnan(widths[0]):
        reason = (
            why_undefined(float(clean.values[0]), clean.better, float(clean.chance[0]))
            or "a value of the curve is undefined"
        )
    elif np.isinf(widths[0]):
        reason = f"not reached within {farthest}: more than half of what is above chance is left there"
    else:
        reason = ""
    low, high = bounds(widths, clean.units)
    if not reason and np.isinf(high):
        reason = f"the upper end of the interval lies beyond {farthest}, the largest shift measured"
    row = Score(
        condition=digest(curve.name, HALF_WIDTH),
        label=curve.name,
        metric=HALF_WIDTH,
        n=min(clean.n, *(measured[c.key].n for c in curve.conditions)),
        value=_finite(widths[0]),
        low=_finite(low),
        high=_finite(high),
        unit=unit,
        better="higher",
        reason=reason,
    )
    return row, widths


def _asymmetry(name: str, sides: Mapping[str, FloatArray], n: int, units: int | None) -> Score:
    earlier, later = sides["earlier"], sides["later"]
    result = asymmetry(earlier, later)
    value = float(result[0]) if np.isfinite([earlier[0], later[0]]).all() else float("nan")
    known = result[1:][~np.isnan(result[1:])]
    endless = np.isinf(earlier[1:]) | np.isinf(later[1:])
    low, high = float("nan"), float("nan")
    if value == value and endless.any() and 2 * len(known) >= len(result) - 1:
        low, high = _ordered(known)
    elif value == value:
        low, high = interval(result[1:], value, (-1.0, 1.0), units=units)
    return Score(
        condition=digest(name, ASYMMETRY),
        label=name,
        metric=ASYMMETRY,
        n=n,
        value=value,
        low=low,
        high=high,
        better="neither",
        reason="" if value == value else "the half-width is not known in both directions",
    )


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else float("nan")
