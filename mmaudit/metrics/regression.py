"""How far is the value? Errors and explained variance, per dimension, then the mean over dimensions."""

from __future__ import annotations

import numpy as np

from mmaudit.errors import Undefined
from mmaudit.kernels.bootstrap import ratio
from mmaudit.metrics import floors
from mmaudit.metrics.base import Predictions, Resamples, metric
from mmaudit.types import FloatArray


@metric("rmse", better="lower", unit="target", tasks=("regression",), floor=floors.spread, range=(0, np.inf))
def rmse(p: Predictions, w: Resamples) -> FloatArray:
    """Root mean squared error; mean over dimensions of each dimension's.

    Floor: standard deviation of the target.
    """
    per_dimension: FloatArray = np.sqrt(ratio(w.sums(_error(p) ** 2)[0], w.total))
    return np.asarray(per_dimension.mean(axis=0))


@metric("mae", better="lower", unit="target", tasks=("regression",), floor=floors.absolute_spread, range=(0, np.inf))
def mae(p: Predictions, w: Resamples) -> FloatArray:
    """Mean absolute error; mean over dimensions.

    Floor: mean absolute deviation of the target from its median.
    """
    return w.mean(np.abs(_error(p)).mean(axis=1))


@metric("r2", better="higher", unit="share", tasks=("regression",), floor=floors.zero, range=(-np.inf, 1))
def r2(p: Predictions, w: Resamples) -> FloatArray:
    """Share of the target's variance that is explained; mean over dimensions.

    1 − Σ(y − f)² / Σ(y − ȳ)², with the (re)sample's own mean ȳ. Dimensions that do not vary in the (re)sample are left
    out; NaN where none does. Floor: 0.
    """
    varies = np.ptp(p.target, axis=0) > 0
    if not varies.any():
        raise Undefined("the target does not vary; there is no variance to explain")
    # Centring first keeps Σy² − (Σy)²/n from cancelling.
    y = (p.target - p.target.mean(axis=0))[:, varies]
    error = _error(p)[:, varies]
    residual, squares, first = w.sums(np.concatenate([error**2, y**2, y], axis=1))[0].reshape(3, varies.sum(), -1)
    around_mean = squares - np.nan_to_num(ratio(first**2, w.total), nan=0.0)
    around_mean[around_mean <= 1e-12 * squares] = 0.0
    explained = 1 - ratio(residual, around_mean)
    defined = ~np.isnan(explained)
    return ratio(np.where(defined, explained, 0.0).sum(axis=0), defined.sum(axis=0).astype(np.float64))


def _error(p: Predictions) -> FloatArray:
    return np.asarray(p.outputs.astype(np.float64) - p.target)
