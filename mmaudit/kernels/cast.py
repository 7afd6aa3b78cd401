"""Between stored values and [0, 1], in one pass over the data. NumPy twins: in the tests."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt


@numba.njit(nogil=True, cache=True)
def to_unit(x: npt.NDArray[Any], low: np.float32, factor: np.float32) -> npt.NDArray[np.float32]:
    """Return (x − low) · factor as contiguous float32 of x's shape; `x` must be contiguous."""
    flat = x.reshape(-1)
    out = np.empty(flat.size, np.float32)
    for i in range(flat.size):
        out[i] = (np.float32(flat[i]) - low) * factor
    return out.reshape(x.shape)


@numba.njit(nogil=True, cache=True)
def from_unit(x: npt.NDArray[np.float32], low: np.float32, span: np.float32, out: npt.NDArray[Any]) -> None:
    """Write x · span + low, clipped to [low, low + span] and rounded half to even, into contiguous `out`."""
    source, target = x.reshape(-1), out.reshape(-1)
    for i in range(source.size):
        value = min(max(source[i], np.float32(0)), np.float32(1)) * span + low
        target[i] = np.rint(value)
