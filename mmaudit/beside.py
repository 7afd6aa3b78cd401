"""What a budget's few samples may have missed, in a difference from clean and in what is made of such differences.

What stands beside other conditions, which may have other samples, is clean (on all its samples) plus the condition's
paired difference from it (on its own): the difference estimator of sampling theory (Cochran 1977, section 7.3). It is
unbiased, and narrower than the value on the few where answers agree with the clean ones.

What such few samples may have missed (`mmaudit.unseen`) goes into everything that is made of the difference. Without a
budget it stands in the row of a metric that has no ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mmaudit.comparison import NO_INTERVAL_OF_CHANGE, Measured, exact_bound, score_row
from mmaudit.kernels.inference import standard_error
from mmaudit.metrics import Metric, Predictions
from mmaudit.types import Condition, FloatArray, Score, Task
from mmaudit.unseen import unseen


def opened(row: Score, metric: Metric, by: float, reference: Measured) -> Score:
    """Return a difference from clean that says so where its interval had width 0.

    Args:
        row: of the difference; that of a metric with two ends has the bound already (`comparison.score_row`).
        metric: of the row.
        by: of `unseen`.
        reference: the metric on clean data.
    """
    # One unit says nothing of others, whatever its samples do.
    if not by or np.isfinite(metric.range).all() or reference.w.units < 2:
        return row
    room = abs(float(reference.values[0]) - row.floor)
    return _wider(row, by, room, still=True)


def told(
    task: Task,
    condition: Condition,
    metric: Metric,
    predictions: Predictions,
    found: Measured,
    reference: Measured | None = None,
    *,
    group: str = "",
) -> Score:
    """Return a row of the scores, with the bound of `unseen` where no sample was seen to change the metric.

    See `comparison.score_row` for the arguments.
    """
    row = score_row(task, condition, metric, found, reference, group=group)
    if reference is None or np.isfinite(row.delta_low) or not np.isfinite(row.delta):
        return row
    return opened(row, metric, unseen(metric, predictions, found, reference), reference)


@dataclass(frozen=True, eq=False)
class Beside:
    """The primary metric of a condition, to be held against that of others.

    Attributes:
        measured: clean plus the paired difference.
        unseen: how far the difference may be from 0 although no sample changed the metric (see `mmaudit.unseen`); 0
            where the condition has all samples.
    """

    measured: Measured
    unseen: float = 0.0

    @property
    def spread(self) -> Measured:
        """The same with the bound in its replicates, for means, areas and worst cases over conditions.

        Each replicate has a rank, and is off by as much as a share can be from 0 after k samples without an event: the
        2.5 % at either end lie beyond the bound. The rank is the same under every condition: what few samples did not
        show of one they may not have shown of its neighbours either, and such errors do not average out.
        """
        if not self.unseen:
            return self.measured
        values = self.measured.values.copy()
        values[1:] += self.unseen * _missed(len(values) - 1, exact_bound(self.measured.w))
        return replace(self.measured, values=values)


def beside(clean: Measured, found: Measured, reference: Measured, missed: float) -> Beside:
    """Return what stands beside other conditions.

    Args:
        clean: the primary metric on clean data, all samples.
        found: it under a condition.
        reference: it on clean data, on the samples of that condition.
        missed: of `unseen`.
    """
    return Beside(replace(found, values=clean.values + found.values - reference.values), missed)


def widened(row: Score, before: Beside, after: Beside, room: float) -> Score:
    """Return a difference between two conditions whose interval knows what either side's few samples may have missed.

    The errors of a bootstrap interval and of a bound are apart from each other: half-widths add up as squares. Where no
    replicate differs, the larger bound is the interval: the samples of one side are among those of the other.

    Args:
        row: of the difference `after` − `before`.
        before, after: its sides.
        room: what a loss is a share of.
    """
    bound = max(before.unseen, after.unseen)
    if not bound or row.delta != row.delta:
        return row
    moving = after.measured.values - before.measured.values
    found = _wider(row, bound, room, still=standard_error(moving[1:]) == 0)
    if row.unit != "share":
        return found
    return replace(found, delta_low=max(found.delta_low, -1.0), delta_high=min(found.delta_high, 1.0))


def _wider(row: Score, by: float, room: float, *, still: bool) -> Score:
    def ends(value: float, low: float, high: float, by: float) -> tuple[float, float]:
        down, up = (0.0, 0.0) if still else (value - low, high - value)
        return value - float(np.hypot(down, by)), value + float(np.hypot(up, by))

    low, high = ends(row.delta, row.delta_low, row.delta_high, by)
    lost = ends(row.lost, row.lost_low, row.lost_high, by / max(room, 1e-12))
    said = "" if row.reason.startswith(NO_INTERVAL_OF_CHANGE) and np.isfinite(low) else row.reason
    row = replace(row, delta_low=low, delta_high=high, lost_low=lost[0], lost_high=lost[1], reason=said)
    return row if math.isfinite(row.mde) else replace(row, mde=by)


def _missed(replicates: int, bound: float) -> FloatArray:
    """`float64[replicates]`, in a fixed random order: distances of a share from 0 after k samples without an event.

    In units of the exact bound of k: P(X > x) = P(X < −x) = (1 − x)^k up to ½, so that 2.5 % lie beyond ±1.
    """
    k = math.log(0.025) / math.log1p(-bound)
    rank = (np.random.Generator(np.random.Philox(key=39)).permutation(replicates) + 0.5) / replicates
    tail = np.minimum(rank, 1 - rank)
    return np.asarray(np.where(rank < 0.5, -1.0, 1.0) * (1 - tail ** (1 / k)) / bound)
