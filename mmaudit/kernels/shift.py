"""Translation of one image, bilinear, edges repeated. NumPy twin: `scipy.ndimage.shift`, in the tests."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]


@numba.njit(nogil=True, cache=True)
def translated(x: FloatImage, down: float, right: float) -> FloatImage:
    """Return float32 [H, W, C] moved by `down` and `right` px; what comes in at the edges repeats them."""
    height, width, channels = x.shape
    out = np.empty((height, width, channels), np.float32)
    for i in range(height):
        y = min(max(i - down, 0.0), height - 1.0)
        above = int(y)
        below, s = min(above + 1, height - 1), np.float32(y - above)
        for j in range(width):
            z = min(max(j - right, 0.0), width - 1.0)
            left = int(z)
            beyond, t = min(left + 1, width - 1), np.float32(z - left)
            for k in range(channels):
                top = x[above, left, k] + t * (x[above, beyond, k] - x[above, left, k])
                bottom = x[below, left, k] + t * (x[below, beyond, k] - x[below, left, k])
                out[i, j, k] = top + s * (bottom - top)
    return out
