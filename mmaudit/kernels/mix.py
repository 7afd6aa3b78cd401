"""Levels of signals, and one signal added to another at a given ratio. NumPy twins: in the tests."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Signals = npt.NDArray[Any]

_LANES = 128


@numba.njit(nogil=True, cache=True)
def mean_square(x: Signals, centre: float = 0.0) -> float:
    """Return the mean of (x − centre)² over all of `x`, contiguous and of any shape; 0 where it is empty.

    Summed in float64 and in a fixed order: the same signal gives the same bits anywhere.
    """
    flat = x.reshape(-1)
    # Many running sums, because one would wait for itself at every step.
    sums = np.zeros(_LANES)
    whole = flat.size - flat.size % _LANES
    for i in range(0, whole, _LANES):
        part = flat[i : i + _LANES]
        for k in range(_LANES):
            value = np.float64(part[k]) - centre
            sums[k] += value * value
    for i in range(whole, flat.size):
        value = np.float64(flat[i]) - centre
        sums[0] += value * value
    return np.sum(sums) / max(flat.size, 1)


def add_at_ratio(x: Signals, noise: Signals, ratio: float, centre: float = 0.0) -> None:
    """Add `noise` to `x` [C, T] in place, scaled so that RMS of what is added ÷ RMS of (x − centre) is `ratio`.

    Both contiguous; `noise` is [C, T], or [T] for all channels alike. Where either is silent nothing is added, for then
    there is no such ratio.
    """
    signal, added = mean_square(x, centre), mean_square(noise)
    if signal > 0 and added > 0:
        _add(x, np.broadcast_to(noise, x.shape), x.dtype.type(ratio * np.sqrt(signal / added)))


@numba.njit(nogil=True, cache=True)
def _add(x, noise, scale):  # type: ignore[no-untyped-def]
    for c in range(len(x)):
        to, more = x[c], noise[c]
        for i in range(len(to)):
            to[i] += scale * more[i]


@numba.njit(nogil=True, cache=True)
def amplify(x: Signals, factor: float, limit: float) -> None:
    """Multiply `x`, contiguous and of any shape, by `factor` in place, and cut off at ±`limit`.

    `limit` is the largest number of x's dtype, or less. What is larger, or NaN, stays as it is.
    """
    flat = x.reshape(-1)
    by, most = flat.dtype.type(factor), flat.dtype.type(limit)
    for i in range(flat.size):
        before = flat[i]
        after = min(max(before * by, -most), most)
        flat[i] = after if abs(before) <= most else before


@numba.njit(nogil=True, cache=True)
def repeated(period: npt.NDArray[np.float32], step: float, phase: float, length: int) -> npt.NDArray[np.float32]:
    """Return float32 [length]: one period of a wave played again and again, linear between its points.

    Args:
        period: the wave at evenly spaced places of its period.
        step: periods per sample.
        phase: where in the period sample 0 lies, in periods.
        length: samples to return.
    """
    out = np.empty(length, np.float32)
    for t in range(length):
        place = phase + step * t
        place = (place - np.floor(place)) * len(period)
        left = min(int(place), len(period) - 1)
        right = left + 1 if left + 1 < len(period) else 0
        out[t] = period[left] + np.float32(place - left) * (period[right] - period[left])
    return out
