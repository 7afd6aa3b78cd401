"""What a transmission loses: packets in bursts, and one stretch of time or frequency. NumPy twins: in the tests."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt


@numba.njit(nogil=True, cache=True)
def bursts(u: npt.NDArray[np.float64], share: float, memory: float) -> npt.NDArray[np.bool_]:
    """Return which of `len(u)` packets are lost: Gilbert's two-state chain, driven by uniforms `u` in [0, 1).

    After a packet that arrived the next is lost with probability (1 − memory)·share, after a lost one with memory +
    (1 − memory)·share. So the share lost is `share` at every time, losses come in bursts of 1 / ((1 − memory)(1 −
    share)) packets on average, and what a smaller share loses a larger one loses too.
    """
    out = np.zeros(len(u), np.bool_)
    lost = False
    for i in range(len(u)):
        chance = (1 - memory) * share + (memory if lost else 0.0) if i else share
        lost = u[i] < chance
        out[i] = lost
    return out


@numba.njit(nogil=True, cache=True)
def drop(x: npt.NDArray[Any], u: npt.NDArray[np.float32], share: float, blank: float) -> None:
    """Set to `blank`, in place, the times of `x` [R, T] at which the uniforms `u` [T] lie below `share`."""
    for r in range(len(x)):
        row = x[r]
        for i in range(len(row)):
            row[i] = blank if u[i] < share else row[i]


@numba.njit(nogil=True, cache=True)
def replace(x: npt.NDArray[Any], first: int, weights: npt.NDArray[np.float64], blank: float) -> None:
    """Let the columns of `x` [R, T] from `first` on, in place, become `blank` by as much as their weights, in [0, 1].

    Values that are not finite stay. Nothing overflows.
    """
    for r in range(len(x)):
        row = x[r, first : first + len(weights)]
        for i in range(len(row)):
            w = row.dtype.type(weights[i])
            mixed = (row.dtype.type(1) - w) * row[i] + w * row.dtype.type(blank)
            row[i] = mixed if np.isfinite(row[i]) else row[i]


@numba.njit(nogil=True, cache=True)
def stretch_weights(place: float, share: float, length: int, fade: float) -> tuple[int, npt.NDArray[np.float64]]:
    """Return where one masked stretch begins, and how much of each of its samples it takes away, in [0, 1].

    What a smaller share takes away a larger one takes away too.

    Args:
        place: of the stretch, in [0, 1]: 0 at the start, 1 at the end.
        share: of the samples that lie in the stretch, in [0, 1]; not rounded to whole ones.
        length: samples that there are.
        fade: samples over which it sets in and dies away, within the stretch; 1 at least, with which a sample is taken
            away by as much as the stretch covers of it.
    """
    size = share * length
    start = place * (length - size)
    first = max(0, int(np.floor(start - 0.5)))
    last = min(length, int(np.ceil(start + size + 0.5)))
    slope = 1 / max(fade, 1.0)
    out = np.empty(max(last - first, 0), np.float64)
    for i in range(len(out)):
        middle = first + i + 0.5
        inside = min(min(middle - start, start + size - middle) + 0.5, size)
        out[i] = min(max(inside * slope, 0.0), 1.0)
    return first, out
