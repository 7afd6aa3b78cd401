"""Blur of one plane along a line: the trail of something that moves. NumPy twin: `map_coordinates`, in the tests."""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]


def streaked(x: Plane, sigma: float, length: float, angle: float) -> Plane:
    """Return float32 [H, W]: `x` drawn out along a line, with a half Gaussian as weight; edges repeated.

    out(p) = Σ w(t) x(p + t·(sin angle, cos angle)) over t from 0 to `length` px, w(t) ~ exp(−t² / 2σ²), Σ w = 1; rows
    count downwards. Steps are of one pixel, or of σ where that is shorter, between pixels bilinear, so that every
    angle, σ and length count, however small.
    """
    rows, columns, weights = _taps(float(sigma), float(length), float(angle))
    return np.asarray(_gathered(np.ascontiguousarray(x, np.float32), rows, columns, weights))


def _taps(
    sigma: float, length: float, angle: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Which pixels, relative to the one at hand, are added up with which weight."""
    step = min(1.0, max(sigma, 1e-3))
    count = min(int(length / step), 4096)
    t = np.arange(count + 2) * step
    w = np.exp(-0.5 * (t / max(sigma, 1e-3)) ** 2)
    w[-1] *= length / step - count
    y, x = t * math.sin(angle), t * math.cos(angle)
    i, j = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    down, right = y - i, x - j
    parts = ((0, 0, (1 - down) * (1 - right)), (0, 1, (1 - down) * right), (1, 0, down * (1 - right)), (1, 1, down * right))
    total: dict[tuple[int, int], float] = {}
    for di, dj, share in parts:
        for place in zip((i + di).tolist(), (j + dj).tolist(), (share * w).tolist(), strict=True):
            total[place[:2]] = total.get(place[:2], 0.0) + place[2]
    kept = {place: weight for place, weight in total.items() if weight > 1e-6}
    weights = np.array(list(kept.values()))
    places = np.array(list(kept), np.int64).reshape(-1, 2)
    return places[:, 0].copy(), places[:, 1].copy(), (weights / weights.sum()).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _gathered(
    x: Plane, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], weights: npt.NDArray[np.float32]
) -> Plane:
    height, width = x.shape
    left, right = 0, 0
    for k in range(len(columns)):
        left, right = max(left, -columns[k]), max(right, columns[k])
    # Each row with its edge pixels repeated, so that the inner loop runs straight through and vectorises.
    padded = np.empty((height, left + width + right), np.float32)
    for i in range(height):
        padded[i, :left] = x[i, 0]
        padded[i, left : left + width] = x[i]
        padded[i, left + width :] = x[i, width - 1]
    out = np.zeros((height, width), np.float32)
    for i in range(height):
        target = out[i]
        for k in range(len(weights)):
            source, start, weight = padded[min(max(i + rows[k], 0), height - 1)], left + columns[k], weights[k]
            for j in range(width):
                target[j] += weight * source[start + j]
    return out
