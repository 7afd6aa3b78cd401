"""What the samples that were measured may have missed, of a metric that none of them was seen to change.

Where none of k samples changed a metric, the difference has no spread, and everything made of it would take it for
known. Up to 1 − 0.025^(1/k) of all samples may be changed: the exact bound (Clopper & Pearson 1934), about four samples
more than the k. A share cannot move by more (for a mean over classes see `Measured.bound`), and a metric between two
ends by no more than that part of its range. What four samples can do to another metric (RMSE, R², nats) no observation
bounds; taken is what they would do if each were like that one of the k which moves the metric most.
"""

from __future__ import annotations

import math

import numpy as np

from mmaudit.comparison import Measured, exact_bound, unseen_share
from mmaudit.kernels.inference import standard_error
from mmaudit.kernels.positions import spread
from mmaudit.metrics import Metric, Predictions, Resamples
from mmaudit.types import IntArray

TRIED = 1000
"""Most samples that are tried for the one that moves a metric most; of more, those of the largest errors in a
regression, else such as `spread` takes."""

MOST = 254  # times that a resample can hold a sample once more
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
    if by := unseen_share(metric, change, found):
        return by
    bound, n = exact_bound(found.w), predictions.n
    more = math.ceil(bound / (1 - bound) * n)
    furthest, worst = 0.0, -1
    tried = _tried(predictions)
    for start in range(0, len(tried), PIECE):
        rows = tried[start : start + PIECE]
        # All others are one unit, which every replicate holds once: memory does not grow with the samples.
        unit = np.zeros(n, np.int64)
        unit[rows] = np.arange(1, len(rows) + 1)
        counts = np.ones((len(rows) + 1, len(rows)), np.uint8)
        counts[np.arange(1, len(rows) + 1), np.arange(len(rows))] += np.uint8(min(more, MOST))
        moved = np.nan_to_num(np.abs(metric(predictions, Resamples(counts, unit)) - found.values[0]), posinf=0.0)
        if moved.max() > furthest:
            furthest, worst = float(moved.max()), int(rows[moved.argmax()])
    if more > MOST and worst >= 0 and found.w.units > 1:  # few clusters of many samples: more than a count can say
        repeated = predictions.take(np.concatenate([np.arange(n), np.full(more, worst)]))
        furthest = float(abs(metric(repeated, Resamples.ones(n + more))[0] - found.values[0]))
    return furthest


def _tried(p: Predictions) -> IntArray:
    if p.n <= TRIED or p.task.kind != "regression":
        return spread(np.arange(p.n), TRIED)
    errors = np.abs(p.outputs - p.target)
    scale = errors.mean(axis=0)
    return np.argsort(-(errors / np.where(scale > 0, scale, 1.0)).max(axis=1), kind="stable")[:TRIED]
