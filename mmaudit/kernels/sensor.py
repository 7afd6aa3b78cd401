"""What faulty sensors do to series [n, T, C]: gaps, readings held, cut off or off by much, channels mixed up.

For gaps and held readings a recording is cut at random places into parts. In each part the fault covers the same
share, so that faults are of random lengths and do not overlap, and a larger share covers all that a smaller one does.
NumPy twins: in the tests.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@numba.njit(nogil=True, cache=True)
def gaps(cuts: FloatArray, anchors: FloatArray, share: float, length: int) -> npt.NDArray[np.bool_]:
    """Return `bool[n, length]`: which samples lie in a gap.

    Args:
        cuts: [n, K], sorted, in [0, 1]: where recordings are cut, as a share of their length.
        anchors: [n, K + 1] in [0, 1]: the place in each part, as a share of it, from which its gap grows both ways.
        share: of the time covered, in [0, 1].
        length: T.
    """
    n, count = cuts.shape
    out = np.zeros((n, length), np.bool_)
    for i in range(n):
        start = 0.0
        for k in range(count + 1):
            end = cuts[i, k] * length if k < count else float(length)
            anchor = start + anchors[i, k] * (end - start)
            first = anchor - share * (anchor - start)
            last = anchor + share * (end - anchor)
            # A sample stands for the time from t to t + 1 and is lost where its middle is.
            for t in range(max(0, int(np.ceil(first - 0.5))), min(length, int(np.ceil(last - 0.5)))):
                out[i, t] = True
            start = end
    return out


@numba.njit(nogil=True, cache=True)
def held(x: npt.NDArray[Any], cuts: FloatArray, rounding: FloatArray, share: float) -> npt.NDArray[Any]:
    """Return [n, T, C]: series `x` in which every channel repeats the first sample of each part for a while.

    Args:
        x: series, contiguous.
        cuts: [n, C, K], sorted, in [0, 1]: where channels are cut, as a share of their length.
        rounding: [n, C, K + 1] in [0, 1): whether a number of samples is rounded down (near 0) or up (near 1).
        share: of each part's samples after its first that repeat it, in [0, 1].
    """
    n, length, channels = x.shape
    count = cuts.shape[2]
    out = x.copy()
    for i in range(n):
        for c in range(channels):
            first = 0
            for k in range(count + 1):
                end = int(np.ceil(cuts[i, c, k] * length)) if k < count else length
                repeats = int(share * (end - first - 1) + rounding[i, c, k])
                for t in range(first + 1, min(end, first + 1 + repeats)):
                    out[i, t, c] = x[i, first, c]
                first = end
    return out


@numba.njit(nogil=True, cache=True)
def clipped(x: npt.NDArray[Any], share: float) -> npt.NDArray[Any]:
    """Return [n, T, C]: series `x`, each channel clipped to its own range shrunk by `share` towards its mean.

    A channel with a value that is not finite has no such limits and stays.
    """
    n, length, channels = x.shape
    out = x.copy()
    for i in range(n):
        for c in range(channels):
            low, high, total = np.inf, -np.inf, 0.0
            for t in range(length):
                value = np.float64(x[i, t, c])
                low, high = min(low, value), max(high, value)
                total += value
            mean = total / max(length, 1)
            if not np.isfinite(total):
                continue
            low, high = low + share * (mean - low), high - share * (high - mean)
            for t in range(length):
                if x[i, t, c] < low:
                    out[i, t, c] = low
                elif x[i, t, c] > high:
                    out[i, t, c] = high
    return out


@numba.njit(nogil=True, cache=True)
def spiked(
    x: npt.NDArray[Any], bits: npt.NDArray[np.uint32], share: float, height: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Return [n, T, C]: series `x` in which a share of the readings is off by + or − `height` of the channel.

    `bits` is [n, T·C], random; the lowest bit of each number is the sign, the others decide. `height` is [C] or [1].
    """
    n, length, channels = x.shape
    out = x.copy()
    limit = share * 2.0**31
    for i in range(n):
        for t in range(length):
            for c in range(channels):
                word = bits[i, t * channels + c]
                if np.float64(word >> np.uint32(1)) < limit:
                    size = height[c if len(height) > 1 else 0]
                    out[i, t, c] += size if word & np.uint32(1) else -size
    return out


@numba.njit(nogil=True, cache=True)
def rewired(x: npt.NDArray[Any], origin: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return [n, T, C]: channel c of series i is `x`'s channel `origin[i, c]`; origin is [n, C]."""
    n, length, channels = x.shape
    out = np.empty_like(x)
    for i in range(n):
        for t in range(length):
            for c in range(channels):
                out[i, t, c] = x[i, t, origin[i, c]]
    return out


@numba.njit(nogil=True, cache=True)
def replaced(x: npt.NDArray[Any], lost: npt.NDArray[np.bool_], mean: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return [n, T, C]: series `x` with `mean` [T, C] in the place of lost channels [n, C], where it is finite."""
    n, length, channels = x.shape
    out = np.empty_like(x)
    for i in range(n):
        for t in range(length):
            for c in range(channels):
                out[i, t, c] = mean[t, c] if lost[i, c] and np.isfinite(mean[t, c]) else x[i, t, c]
    return out
