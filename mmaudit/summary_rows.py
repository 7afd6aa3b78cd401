"""Rows of summaries over a family or a curve, with the interval of their replicates."""

from __future__ import annotations

import math

from mmaudit.comparison import NO_INTERVAL, STILL, Measured, uncertain, unseen_share
from mmaudit.kernels.inference import interval
from mmaudit.metrics import Metric
from mmaudit.summaries import Group, Summary
from mmaudit.types import FloatArray, Score, Task, digest


def summary_row(
    group: Group,
    summary: Summary,
    result: FloatArray,
    metric: Metric,
    task: Task,
    clean: Measured,
    *,
    n: int,
    missed: float = 0.0,
    reason: str = "",
) -> Score:
    """Return a summary's row; undefined where some condition is, as leaving that out would make the model look better.

    Args:
        group, summary: of what, and what.
        result: `float64[1 + replicates]`.
        metric, task: what is summed up.
        clean: the metric on clean data.
        n: samples that every condition has.
        missed: how far the metric may be from what no sample was seen to change under any of the conditions; for a
            metric without ends (`mmaudit.unseen`).
        reason: why it is undefined.
    """
    value = float("nan") if reason else float(result[0])
    start, limits, units = float(clean.values[0]), metric.range, clean.w.units
    if not reason and value != value:
        reason = summary.reason(start, clean.floor, metric.better)
    why = uncertain(result, units) if value == value else ""
    if value == value and (unseen := unseen_share(metric, result, clean) or (missed if why == STILL else 0.0)):
        low, high = summary.around(value, unseen, start, clean.floor, limits)
    elif why:
        low, high, reason = float("nan"), float("nan"), f"{NO_INTERVAL}{why}"
    else:
        low, high = interval(result[1:], value, limits if summary.unit is None else (-math.inf, math.inf), units=units)
    return Score(
        condition=digest(group.name, summary.name),
        label=group.name,
        metric=summary.name,
        n=n,
        value=value,
        low=low,
        high=high,
        unit=metric.unit_of(task) if summary.unit is None else summary.unit,
        better=metric.better if summary.better is None else summary.better,
        reason=reason,
    )
