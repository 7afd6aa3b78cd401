"""Every pixel looks somewhere nearby: frosted glass. NumPy twin: `scipy.ndimage.map_coordinates`, in the tests."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]


@numba.njit(nogil=True, cache=True)
def displace(x: FloatImage, down: npt.NDArray[np.float32], across: npt.NDArray[np.float32]) -> FloatImage:
    """Return float32 [H, W, C] whose pixel (i, j) is the image at (i + down[i, j], j + across[i, j]).

    Between pixels the image is interpolated linearly; pixels outside repeat the edge.

    Args:
        x: image, contiguous.
        down, across: float32 [H, W], in pixels; finite.
    """
    height, width, channels = x.shape
    out = np.empty((height, width, channels), np.float32)
    last_row, last_column = np.float32(height - 1), np.float32(width - 1)
    for i in range(height):
        for j in range(width):
            v = min(max(np.float32(i) + down[i, j], np.float32(0)), last_row)
            u = min(max(np.float32(j) + across[i, j], np.float32(0)), last_column)
            top, left = int(v), int(u)
            below, right = min(top + 1, height - 1), min(left + 1, width - 1)
            p, q = v - np.float32(top), u - np.float32(left)
            for c in range(channels):
                upper = x[top, left, c] + q * (x[top, right, c] - x[top, left, c])
                lower = x[below, left, c] + q * (x[below, right, c] - x[below, left, c])
                out[i, j, c] = upper + p * (lower - upper)
    return out
