"""Between a float image and bytes as Pillow stores colour: four per pixel, the last one unused. Twins: in the tests."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt


@numba.njit(nogil=True, cache=True)
def rgbx(x: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return uint8 [H, W, 4] of float32 [H, W, 3] in [0, 1], rounded half to even; `x` must be contiguous."""
    height, width, _ = x.shape
    out = np.empty((height, width, 4), np.uint8)
    source, target = x.reshape(-1), out.reshape(-1)
    for i in range(height * width):
        for c in range(3):
            value = min(max(source[3 * i + c], np.float32(0)), np.float32(1))
            target[4 * i + c] = np.uint8(np.rint(value * np.float32(255)))
        target[4 * i + 3] = 0
    return out


@numba.njit(nogil=True, cache=True)
def unpack(stored: npt.NDArray[Any], out: npt.NDArray[np.float32]) -> None:
    """Write uint8 [H, W, C] as float32 in [0, 1] into contiguous `out`; `stored` must be contiguous."""
    source, target = stored.reshape(-1), out.reshape(-1)
    for i in range(source.size):
        target[i] = np.float32(source[i]) * np.float32(1 / 255)
