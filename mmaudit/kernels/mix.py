"""Levels of signals, and one signal added to another at a given ratio. NumPy twins: in the tests."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Signals = npt.NDArray[Any]


@numba.njit(nogil=True, cache=True)
def mean_square(x: Signals, centre: float) -> float:
    """Return the mean of (x − centre)² over all of `x`, contiguous and of any shape; 0 where it is empty.

    Summed in float64 and in a fixed order: the same signal gives the same bits anywhere.
    """
    flat = x.reshape(-1)
    # Four running sums, because one would wait for itself at every step.
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = flat.size - flat.size % 4
    for i in range(0, whole, 4):
        p, q = np.float64(flat[i]) - centre, np.float64(flat[i + 1]) - centre
        r, s = np.float64(flat[i + 2]) - centre, np.float64(flat[i + 3]) - centre
        a += p * p
        b += q * q
        c += r * r
        d += s * s
    for i in range(whole, flat.size):
        p = np.float64(flat[i]) - centre
        a += p * p
    return (a + b + c + d) / max(flat.size, 1)


@numba.njit(nogil=True, cache=True)
def add_at_ratio(x: Signals, noise: Signals, ratio: float, centre: float) -> None:
    """Add `noise` to `x` in place, scaled so that RMS of what is added ÷ RMS of (x − centre) is `ratio`.

    Both contiguous and of one shape. Where either is silent nothing is added, for then there is no such ratio.
    """
    signal, added = mean_square(x, centre), mean_square(noise, 0.0)
    if signal <= 0 or added <= 0:
        return
    scale = ratio * np.sqrt(signal / added)
    flat, more = x.reshape(-1), noise.reshape(-1)
    for i in range(flat.size):
        flat[i] += scale * more[i]


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
