"""Maps that make a model's answers mean what they say: fitted on other folds, so that they flatter nobody.

A model that lost a modality is rarely calibrated: its stand-in is nothing it was trained on. What its answers *hold*
about the truth is what is left once they are recalibrated, with a scale and an offset per class (vector scaling with
one common scale; Guo et al. 2017; Platt 1999 for two classes), or a straight line for numbers.

    p(y | z) = softmax(a · z + b),  a ≥ 0       up to `MOST_OFFSETS` classes
    p(y | z) = softmax(a · z + c · log prior)   above, where an offset per class would be fitted to noise

a = 0 is the class shares, so a recalibrated answer is about never worse than knowing nothing.
"""

from __future__ import annotations

import numpy as np
import scipy.special

from mmaudit.kernels.positions import spread
from mmaudit.types import Array, BoolArray, FloatArray, IntArray

MOST_OFFSETS = 50
# A standard normal prior on scale and offsets, as heavy as this many samples: keeps separable answers finite.
WEIGHT = 0.1
STEPS = 40
# Two numbers are well known from this many rows × classes; more would only take time.
MOST_VALUES = 1_000_000


def recalibrated(logits: Array, target: IntArray, fold: IntArray, classes: int) -> tuple[FloatArray, FloatArray]:
    """Return posterior and prior of every row, `float64[n, classes]` each, by maps fitted on the other folds.

    Args:
        logits: `float[n, classes]`, finite.
        target: `int64[n]`.
        fold: `int64[n]`, at least two different values.
        classes: columns of logits.
    """
    z = np.asarray(logits, np.float64)
    z = z - z.mean(axis=1, keepdims=True)
    size = float(np.sqrt(np.mean(np.square(z))))
    z = z / size if size > 0 else z
    posterior, prior = np.empty(z.shape), np.empty(z.shape)
    for k in np.unique(fold):
        train, test = fold != k, fold == k
        shares = np.bincount(target[train], minlength=classes) / max(1, int(train.sum()))
        prior[test] = shares
        posterior[test] = _Map(z[train], target[train], shares)(z[test])
    return posterior, prior


class _Map:
    """One fitted map. Newton's method on a concave likelihood."""

    def __init__(self, z: FloatArray, target: IntArray, shares: FloatArray) -> None:
        self.seen: BoolArray = shares > 0
        self.shares = shares[self.seen]
        kept = np.cumsum(self.seen) - 1
        self.offsets = len(self.shares) <= MOST_OFFSETS
        # Starts from the class shares, around which the prior on the parameters is centred as well.
        self.base = np.log(self.shares)
        self.theta = np.zeros(1 + (len(self.shares) if self.offsets else 1))
        rows: slice | IntArray = slice(None)
        if not self.offsets and z.size > MOST_VALUES:
            rows = spread(np.arange(len(z)), max(100, MOST_VALUES // z.shape[1]))
        self._fit(z[rows][:, self.seen], kept[target[rows]])
        if self.theta[0] < 0:
            self.theta[:] = 0

    def __call__(self, z: FloatArray) -> FloatArray:
        out = np.zeros(z.shape)
        out[:, self.seen] = scipy.special.softmax(self._eta(self.theta, z[:, self.seen]), axis=1)
        return out

    def _eta(self, theta: FloatArray, z: FloatArray) -> FloatArray:
        rest = theta[1:] if self.offsets else theta[1] * self.base
        return np.asarray(self.base + rest + theta[0] * z)

    def _fit(self, z: FloatArray, y: IntArray) -> None:
        rows = np.arange(len(y))
        value = self._value(self.theta, z, y)
        for _ in range(STEPS):
            p = scipy.special.softmax(self._eta(self.theta, z), axis=1)
            gradient, hessian = self._derivatives(p, z, y, rows)
            step = np.linalg.solve(hessian, gradient)
            for _ in range(30):
                new = self._value(self.theta + step, z, y)
                if new >= value - 1e-12 * abs(value):
                    break
                step = step / 2
            self.theta = self.theta + step
            if new - value < 1e-9 * max(1.0, abs(value)):
                return
            value = new

    def _value(self, theta: FloatArray, z: FloatArray, y: IntArray) -> float:
        said = scipy.special.log_softmax(self._eta(theta, z), axis=1)[np.arange(len(y)), y]
        return float(said.sum() - WEIGHT / 2 * np.square(theta).sum())

    def _derivatives(self, p: FloatArray, z: FloatArray, y: IntArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Gradient and negative Hessian of the penalised log likelihood."""
        mean = (p * z).sum(axis=1)
        around = p * (z - mean[:, None])
        scale = float((z[rows, y] - mean).sum())
        curve = float((around * z).sum())
        if self.offsets:
            counts = np.bincount(y, minlength=p.shape[1])
            gradient = np.concatenate([[scale], counts - p.sum(axis=0)])
            hessian = np.empty((len(gradient), len(gradient)))
            hessian[1:, 1:] = np.diag(p.sum(axis=0)) - p.T @ p
            hessian[0, 1:] = hessian[1:, 0] = around.sum(axis=0)
        else:
            expected = p @ self.base
            gradient = np.array([scale, float((self.base[y] - expected).sum())])
            hessian = np.empty((2, 2))
            hessian[1, 1] = float((p @ np.square(self.base) - np.square(expected)).sum())
            hessian[0, 1] = hessian[1, 0] = float((around * self.base).sum())
        hessian[0, 0] = curve
        return gradient - WEIGHT * self.theta, hessian + WEIGHT * np.eye(len(gradient))


def fitted_lines(values: Array, target: FloatArray, fold: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return predictions a · value + c and the plain mean, `float64[n, dims]` each, all from other folds."""
    x = np.asarray(values, np.float64)
    predicted, prior = np.empty(x.shape), np.empty(x.shape)
    for k in np.unique(fold):
        train, test = fold != k, fold == k
        mx, my = x[train].mean(axis=0), target[train].mean(axis=0)
        spread = np.square(x[train] - mx).sum(axis=0)
        together = ((x[train] - mx) * (target[train] - my)).sum(axis=0)
        slope = np.maximum(
            0, np.divide(together, spread, out=np.zeros_like(spread), where=spread > 1e-12 * (1 + mx**2))
        )
        prior[test] = my
        predicted[test] = my + slope * (x[test] - mx)
    return predicted, prior
