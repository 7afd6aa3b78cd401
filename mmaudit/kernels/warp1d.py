"""Time series read at other times, and smooth random curves over time. NumPy and SciPy twins: in the tests."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

FloatArray = npt.NDArray[np.float64]


@numba.njit(nogil=True, cache=True)
def at_times(x: npt.NDArray[Any], times: FloatArray) -> npt.NDArray[Any]:
    """Return [n, T, C]: series `x` [n, T, C], contiguous, read at `times` [n, S = T] by linear interpolation.

    Times are in samples; those before the first sample or after the last read that one. Every row as `numpy.interp`.
    """
    n, length, channels = x.shape
    out = np.empty_like(x)
    for i in range(n):
        for t in range(length):
            time = min(max(times[i, t], 0.0), length - 1.0)
            left = int(time)
            share = time - left
            for c in range(channels):
                a = x[i, left, c]
                # The sample itself where the time is a whole number, so that ∞ and NaN beside it do not spread.
                out[i, t, c] = a if share == 0.0 else a + share * (x[i, left + 1, c] - a)
    return out


@numba.njit(nogil=True, cache=True)
def _weighted(knots: FloatArray, basis: FloatArray) -> FloatArray:
    """Matrix product; BLAS would add in an order that depends on the number of rows."""
    n, length = len(knots), basis.shape[1]
    out = np.zeros((n, length))
    for i in range(n):
        for k in range(len(basis)):
            weight = knots[i, k]
            for t in range(length):
                out[i, t] += weight * basis[k, t]
    return out


def smooth(knots: FloatArray, length: int) -> FloatArray:
    """Return float64 [n, length]: cubic splines through `knots` [n, K ≥ 2], evenly spaced from first to last sample.

    As `scipy.interpolate.CubicSpline(numpy.linspace(0, length - 1, K), knots, axis=1)` at 0 … length − 1.
    """
    return np.asarray(_weighted(np.ascontiguousarray(knots, np.float64), _basis(knots.shape[1], length)))


def strayed(x: npt.NDArray[Any], knots: FloatArray, farthest: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return [n, T, C]: series `x`, contiguous, with a smooth curve added to every channel.

    The curves are those of `smooth` through `knots` [n, C, K], moved to begin at 0 and scaled so that their largest
    absolute value is `farthest`, [C] or [1].
    """
    return np.asarray(_strayed(x, knots, _basis(knots.shape[2], x.shape[1]), farthest))


@numba.njit(nogil=True, cache=True)
def _strayed(x: npt.NDArray[Any], knots: FloatArray, basis: FloatArray, farthest: npt.NDArray[Any]) -> npt.NDArray[Any]:
    n, length, channels = x.shape
    out = np.empty_like(x)
    curve = np.empty(length)
    for i in range(n):
        for c in range(channels):
            curve[:] = 0.0
            for k in range(len(basis)):
                weight = knots[i, c, k]
                for t in range(length):
                    curve[t] += weight * basis[k, t]
            first, most = curve[0], 0.0
            for t in range(length):
                curve[t] -= first
                most = max(most, abs(curve[t]))
            scale = farthest[c if len(farthest) > 1 else 0] / most if most > 0 else 0.0
            for t in range(length):
                out[i, t, c] = x[i, t, c] + scale * curve[t]
    return out


@lru_cache(maxsize=64)
def _basis(count: int, length: int) -> FloatArray:
    """Row k: the spline that is 1 at knot k and 0 at all others."""
    places = np.arange(length) / max(length - 1, 1)
    spline = CubicSpline(np.linspace(0, 1, count), np.eye(count), axis=0)
    return np.ascontiguousarray(spline(places).T, np.float64)


@numba.njit(nogil=True, cache=True)
def clock(log_speed: FloatArray) -> FloatArray:
    """Return times [n, T] that run with speed exp(log_speed) [n, T], from 0 to T − 1 in every row.

    The speed is integrated by the trapezoid rule; times grow strictly.
    """
    n, length = log_speed.shape
    out = np.zeros((n, length))
    for i in range(n):
        highest = np.max(log_speed[i]) if length else 0.0  # taken off, so that exp cannot overflow
        before = np.exp(log_speed[i, 0] - highest) if length else 0.0
        for t in range(1, length):
            now = np.exp(log_speed[i, t] - highest)
            out[i, t] = out[i, t - 1] + 0.5 * (before + now)
            before = now
        if length > 1:
            scale = (length - 1) / out[i, length - 1]
            for t in range(length):
                out[i, t] *= scale
    return out
