"""How far is the value? Errors and explained variance, per dimension, then the mean over dimensions."""

from __future__ import annotations

import numpy as np

from mmaudit.errors import Undefined
from mmaudit.kernels.bootstrap import mean_defined, ratio
from mmaudit.metrics import floors
from mmaudit.metrics.base import Predictions, Resamples, metric
from mmaudit.types import FloatArray


def root_errors(p: Predictions, w: Resamples) -> FloatArray:
    """`float64[dimensions, replicates]`: root mean squared error of each."""
    return np.sqrt(ratio(w.sums(_error(p) ** 2)[0], w.total))


def absolute_errors(p: Predictions, w: Resamples) -> FloatArray:
    """`float64[dimensions, replicates]`: mean absolute error of each."""
    return ratio(w.sums(np.abs(_error(p)))[0], w.total)


def explained(p: Predictions, w: Resamples) -> FloatArray:
    """`float64[dimensions, replicates]`: R² of each; NaN for one that does not vary in the (re)sample."""
    varies = np.ptp(p.target, axis=0) > 0
    if not varies.any():
        return np.full((len(varies), w.replicates), np.nan)
    # Centring first keeps Σy² − (Σy)²/n from cancelling.
    y = (p.target - p.target.mean(axis=0))[:, varies]
    error = _error(p)[:, varies]
    residual, squares, first = w.sums(np.concatenate([error**2, y**2, y], axis=1))[0].reshape(3, varies.sum(), -1)
    around_mean = squares - np.nan_to_num(ratio(first**2, w.total), nan=0.0)
    around_mean[around_mean <= 1e-12 * squares] = 0.0
    values = np.full((len(varies), w.replicates), np.nan)
    values[varies] = 1 - ratio(residual, around_mean)
    return values


@metric(
    "rmse",
    better="lower",
    unit="target",
    tasks=("regression",),
    floor=floors.spread,
    range=(0, np.inf),
    each=root_errors,
)
def rmse(p: Predictions, w: Resamples) -> FloatArray:
    """Root mean squared error; mean over dimensions of each dimension's.

    Floor: standard deviation of the target.
    """
    return np.asarray(p.each(root_errors, w).mean(axis=0))


@metric(
    "mae",
    better="lower",
    unit="target",
    tasks=("regression",),
    floor=floors.absolute_spread,
    range=(0, np.inf),
    each=absolute_errors,
)
def mae(p: Predictions, w: Resamples) -> FloatArray:
    """Mean absolute error; mean over dimensions.

    Floor: mean absolute deviation of the target from its median.
    """
    return w.mean(np.abs(_error(p)).mean(axis=1))


@metric(
    "r2",
    better="higher",
    unit="share",
    tasks=("regression",),
    floor=floors.zero,
    range=(-np.inf, 1),
    each=explained,
)
def r2(p: Predictions, w: Resamples) -> FloatArray:
    """Share of the target's variance that is explained; mean over dimensions.

    1 − Σ(y − f)² / Σ(y − ȳ)², with the (re)sample's own mean ȳ. Dimensions that do not vary in the (re)sample are left
    out; NaN where none does. Floor: 0.
    """
    if not (np.ptp(p.target, axis=0) > 0).any():
        raise Undefined("the target does not vary; there is no variance to explain")
    return mean_defined(p.each(explained, w))


def _error(p: Predictions) -> FloatArray:
    return np.asarray(p.outputs.astype(np.float64) - p.target)
