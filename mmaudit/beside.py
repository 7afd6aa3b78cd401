"""What a budget's few samples may have missed, in a difference from clean and in what is made of such differences.

What stands beside other conditions, which may have other samples, is clean (on all its samples) plus the condition's
paired difference from it (on its own): the difference estimator of sampling theory (Cochran 1977, section 7.3). It is
unbiased, and narrower than the value on the few where answers agree with the clean ones.

Where none of the k samples of a condition changed a metric, the difference has no spread, and everything made of it
would take it for known. Up to 1 − 0.025^(1/k) of all samples may be changed: the exact bound (Clopper & Pearson 1934),
about four samples more than the k. A share cannot move by more (for a mean over classes see `Measured.bound`). What
four samples can do to another metric no observation bounds; taken is what they would do if each were like that one of
the k which moves the metric most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mmaudit.comparison import Measured, exact_bound
from mmaudit.kernels.inference import standard_error
from mmaudit.metrics import Metric, Predictions, Resamples
from mmaudit.types import FloatArray, Score

TRIED = 1000
"""Most samples that are tried for the one that moves a metric most; of more, evenly spaced ones."""

PIECE = 250  # of these are tried at a time, for memory's sake


def unseen(metric: Metric, predictions: Predictions, found: Measured, reference: Measured | None = None) -> float:
    """Return how far a metric, or its difference from a reference, may be from what no sample was seen to change.

    In the unit of the metric; 0 where replicates differ, for they say it then, and where it is undefined.

    Args:
        metric: the metric.
        predictions: what was measured.
        found: the measurement.
        reference: the same metric of the same samples on clean data.
    """
    change = found.values if reference is None else found.values - reference.values
    if not np.isfinite(change).all() or standard_error(change[1:]) > 0:
        return 0.0
    bound = exact_bound(found.w)
    if _is_share(metric):
        return found.bound
    n = predictions.n
    more = min(math.ceil(bound / (1 - bound) * n), 254) if bound < 1 else 254
    furthest = 0.0
    tried = np.unique(np.linspace(0, n - 1, min(n, TRIED)).astype(np.int64))
    for start in range(0, len(tried), PIECE):
        rows = tried[start : start + PIECE]
        weights = np.ones((len(rows), n), np.uint8)
        weights[np.arange(len(rows)), rows] += np.uint8(more)
        moved = np.abs(metric(predictions, Resamples.of(weights)) - found.values[0])
        furthest = max(furthest, float(np.max(moved[np.isfinite(moved)], initial=0.0)))
    return furthest


def opened(row: Score, metric: Metric, by: float, reference: Measured) -> Score:
    """Return a difference from clean that says so where its interval had width 0.

    Args:
        row: of the difference; that of a share has the bound already (`comparison.score_row`).
        metric: of the row.
        by: of `unseen`.
        reference: the metric on clean data.
    """
    room = abs(float(reference.values[0]) - row.floor)
    return _wider(row, by, room, still=True) if by and not _is_share(metric) else row


@dataclass(frozen=True, eq=False)
class Beside:
    """The primary metric of a condition, to be held against that of others.

    Attributes:
        measured: clean plus the paired difference.
        unseen: how far the difference may be from 0 although no sample changed the metric (see `unseen`); 0 where the
            condition has all samples.
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
    return replace(row, delta_low=low, delta_high=high, lost_low=lost[0], lost_high=lost[1])


def _is_share(metric: Metric) -> bool:
    """Whether it is a share of samples; the explained variance is called one and has no lower end."""
    return metric.unit == "share" and bool(np.isfinite(metric.range).all())


def _missed(replicates: int, bound: float) -> FloatArray:
    """`float64[replicates]`, in a fixed random order: distances of a share from 0 after k samples without an event.

    In units of the exact bound of k: P(X > x) = P(X < −x) = (1 − x)^k up to ½, so that 2.5 % lie beyond ±1.
    """
    k = math.log(0.025) / math.log1p(-bound)
    rank = (np.random.Generator(np.random.Philox(key=39)).permutation(replicates) + 0.5) / replicates
    tail = np.minimum(rank, 1 - rank)
    return np.asarray(np.where(rank < 0.5, -1.0, 1.0) * (1 - tail ** (1 / k)) / bound)
