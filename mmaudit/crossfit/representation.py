"""From a modality's table of numbers to a few comparable ones, as the training rows suggest."""

from __future__ import annotations

import numpy as np

from mmaudit.crossfit.samples import Table
from mmaudit.types import FloatArray

MOST = 64  # numbers per modality that predictors are given
FARTHEST = 8.0  # standard deviations: beyond, a value says no more, and would drown all others
EXACT = 640  # up to this many rows or columns principal components are computed exactly


class Representation:
    """Standardisation, one-hot codes and principal components, all fitted on the rows given here and on no others.

    Columns of one unit (pixels, counts of letters) keep their relative sizes; others get unit variance. Blocks of
    columns get the same weight. More than `MOST` columns are replaced by their `MOST` first principal components.
    """

    def __init__(self, table: Table) -> None:
        self.categories = _categories(table)
        x = self._expanded(table)
        block = np.concatenate([table.block, *([table.block[c]] * len(v) for c, v in self.categories.items())])
        self.mean = x.mean(axis=0)
        spread = x.std(axis=0)
        # A modality that is the same for every training row has no numbers left.
        self.kept = spread > 1e-7 * (np.abs(self.mean) + 1e-30)
        self.mean, block = self.mean[self.kept], block.astype(np.int64)[self.kept]
        self.scale = spread[self.kept]
        for b in np.unique(block).tolist():
            mine = block == b
            if table.alike[b]:
                self.scale[mine] = np.sqrt(np.mean(np.square(self.scale[mine])))
            self.scale[mine] *= np.sqrt(mine.sum())
        # Standard deviations, whatever the weight of the block.
        self.farthest = FARTHEST * spread[self.kept] / self.scale
        z = self._standardised(x)
        self.axes = _principal(z) if z.shape[1] > MOST else None
        if self.axes is not None:
            z = z @ self.axes
        self.size = float(np.sqrt(np.mean(np.square(z).sum(axis=1)))) if z.shape[1] else 1.0
        self.width = z.shape[1]

    def __call__(self, table: Table) -> FloatArray:
        """Return `float64[n, width]`; the training rows have mean 0 and a mean squared length of 1."""
        z = self._standardised(self._expanded(table))
        if self.axes is not None:
            z = z @ self.axes
        return np.asarray(z / self.size)

    def _expanded(self, table: Table) -> FloatArray:
        x = table.values.astype(np.float64)
        if not self.categories:
            return x
        return np.concatenate([x, *(x[:, [column]] == values for column, values in self.categories.items())], axis=1)

    def _standardised(self, x: FloatArray) -> FloatArray:
        return np.asarray(np.clip((x[:, self.kept] - self.mean) / self.scale, -self.farthest, self.farthest))


def _categories(table: Table) -> dict[int, FloatArray]:
    """Distinct values of the columns of categories; two values are one number, and need no codes."""
    found = {c: np.unique(table.values[:, c]).astype(np.float64) for c in np.flatnonzero(table.codes).tolist()}
    return {c: values for c, values in found.items() if 2 < len(values) <= table.codes[c]}


def _principal(z: FloatArray) -> FloatArray:
    """Return the `MOST` first principal axes of centred rows, `float64[d, MOST]`.

    Exactly where one side is short, else by subspace iteration (Halko, Martinsson & Tropp 2011) from a fixed start.
    """
    n, d = z.shape
    count = min(MOST, n)
    if d <= EXACT:
        return np.asarray(np.linalg.eigh(z.T @ z)[1][:, ::-1][:, :count])
    if n <= EXACT:
        values, left = np.linalg.eigh(z @ z.T)
        good = np.maximum(values[::-1][:count], 1e-12 * max(float(values[-1]), 1e-300))
        return np.asarray(z.T @ (left[:, ::-1][:, :count] / np.sqrt(good)))
    basis = np.random.default_rng(0).standard_normal((d, count + 16))
    for _ in range(3):
        basis = np.linalg.qr(z.T @ (z @ np.linalg.qr(basis)[0]))[0]
    values, rotation = np.linalg.eigh((lambda y: y.T @ y)(z @ basis))
    return np.asarray(basis @ rotation[:, ::-1][:, :count])
