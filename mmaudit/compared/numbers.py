"""From replicates of two runs to the numbers of a row: both values, the difference, p, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mmaudit.compared.result import CHANGE, LEVEL, Compared, Verdict
from mmaudit.comparison import (
    NO_INTERVAL,
    NO_INTERVAL_OF_CHANGE,
    Measured,
    coins,
    one_way,
    reaching,
    uncertain,
    unseen_share,
)
from mmaudit.kernels.inference import (
    benjamini_hochberg,
    interval,
    minimum_detectable_effect,
    p_value,
    standard_error,
)
from mmaudit.metrics import Metric
from mmaudit.types import FloatArray

NO_DIRECTION = "neither direction of this metric is better, so there is no verdict"
UNDEFINED = "not defined on these samples"


def filled(
    about: Compared, metric: Metric, first: Measured, other: Measured, missed: Callable[[], float] = float
) -> Compared:
    """Return the row with its numbers; p is not yet adjusted, and there is no verdict yet.

    Args:
        about: what it is; says whether the runs are paired, and the margin.
        metric: that was measured.
        first, other: replicate by replicate the same resample where paired, else independent ones.
        missed: what samples that were not seen could do to a metric without ends (`View.missed`); asked for where no
            resample of paired runs differs.
    """
    change = about.quantity == CHANGE
    width = metric.range[1] - metric.range[0]
    within = (-width, width) if change else metric.range
    known, silent = replace(about, n_first=first.n, n_other=other.n), ""
    for side, found in (("first", first), ("other", other)):
        low, high, why = _bounds(found.values, unseen_share(metric, found.values, found), within, found.units)
        silent = silent or (why and f"{NO_INTERVAL}{why}")
        numbers = {f"value_{side}": float(found.values[0]), f"low_{side}": low, f"high_{side}": high}
        known = replace(known, **numbers)  # type: ignore[arg-type]  # these fields are floats
    reason = first.reason or other.reason
    delta = other.values - first.values
    if reason or not np.isfinite(delta[0]):
        return replace(known, reason=reason or UNDEFINED)
    unseen = _unseen_difference(metric, delta, first, other, known.paired)
    if not unseen and known.paired and first.units > 1 and standard_error(delta[1:]) == 0:
        unseen = missed()
    unseen *= 2 if change else 1
    reach = 2 * width if change else width
    units = min(first.units, other.units)
    low, high, why = _bounds(delta, unseen, (-reach, reach), units)
    silent = silent or (why and f"{NO_INTERVAL_OF_CHANGE}{why}")
    counted = known.paired and metric.counts and not (change or unseen or why)
    apart = one_way(delta, first) if counted else 0.0
    low, high = reaching(float(delta[0]), low, high, apart)
    least_p = coins(float(delta[0]), first.w) if apart and not known.margin else 0.0
    beyond = max(abs(float(delta[0])) - known.margin, 0.0)
    error = standard_error(delta[1:])
    return replace(
        known,
        delta=float(delta[0]),
        delta_low=low,
        delta_high=high,
        p=max(p_value(beyond, delta[1:], units), least_p),
        mde=unseen if error == 0 and unseen else minimum_detectable_effect(error, units=units),
        reason=silent or (NO_DIRECTION if metric.better == "neither" else ""),
    )


def _bounds(values: FloatArray, unseen: float, within: tuple[float, float], units: int) -> tuple[float, float, str]:
    """Return the 95 % interval, and why there is none.

    `unseen`, what no replicate can show, adds up with either side as squares.
    """
    value = float(values[0])
    low, high = interval(values[1:], value, units=units)
    if unseen:
        down, up = (max(0.0, arm) for arm in (value - low, high - value))  # 0 of one unit, which has no arms
        low, high = value - float(np.hypot(down, unseen)), value + float(np.hypot(up, unseen))
    elif why := uncertain(values, units):
        return float("nan"), float("nan"), why
    return float(np.clip(low, *within)), float(np.clip(high, *within)), ""


def _unseen_difference(metric: Metric, delta: FloatArray, first: Measured, other: Measured, paired: bool) -> float:
    """How far the difference may be from a value that no replicate leaves (see `unseen_share`).

    Paired, of samples on which the two differ; else what either run leaves unseen.
    """
    if paired:
        return unseen_share(metric, delta, first)
    one, two = (unseen_share(metric, side.values, side) for side in (first, other))
    return float(np.hypot(one, two))


def judged(rows: Sequence[Compared]) -> list[Compared]:
    """Add adjusted p values and verdicts; rows on all samples are one family of tests, rows on groups another."""
    out = list(rows)
    for grouped in (False, True):
        members = [i for i, row in enumerate(out) if bool(row.group) == grouped and row.p == row.p]
        adjusted = benjamini_hochberg(np.array([out[i].p for i in members]))
        for i, p in zip(members, adjusted, strict=True):
            out[i] = replace(out[i], p_adjusted=float(p), verdict=verdict(out[i], float(p)))
    return out


def verdict(row: Compared, p_adjusted: float) -> Verdict:
    """Return what the numbers say: decided by the interval's bound and the adjusted p, both."""
    if row.better == "neither" or not p_adjusted <= LEVEL:
        return "undecided"
    if row.delta_low > row.margin:
        return "better" if row.better == "higher" else "worse"
    if row.delta_high < -row.margin:
        return "worse" if row.better == "higher" else "better"
    return "undecided"
