"""What a transmission loses: packets in bursts, and one stretch of time or frequency. NumPy twins: in the tests."""

from __future__ import annotations

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


def stretch_weights(place: float, share: float, length: int, fade: float) -> npt.NDArray[np.float64]:
    """Return per sample of `length` how much of it one masked stretch takes away, in [0, 1].

    Args:
        place: of the stretch, in [0, 1]: 0 at the start, 1 at the end.
        share: of the samples that lie in the stretch, in [0, 1]; not rounded to whole ones.
        fade: samples over which it sets in and dies away, within the stretch; 1 at least, with which a sample is taken
            away by as much as the stretch covers of it.

    What a smaller share takes away a larger one takes away too.
    """
    size = share * length
    start = place * (length - size)
    middles = np.arange(length) + 0.5
    inside = np.minimum(middles - start, start + size - middles) + 0.5
    return np.asarray(np.clip(np.minimum(inside, size) / max(fade, 1.0), 0, 1), np.float64)
