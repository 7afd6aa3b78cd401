"""Resampling of one image, bilinear, edges by reflection. NumPy twin: `scipy.ndimage.map_coordinates`, in the tests."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float32]


@numba.njit(nogil=True, cache=True, inline="always")
def _place(c, n):  # type: ignore[no-untyped-def]
    """Return the pixel before coordinate `c` of an axis of n ≥ 2 pixels, and how far `c` lies behind it, in [0, 1]."""
    if c < 0 or c > n - 1:
        # The image and its mirror image alternate, the edge pixels standing twice: period 2n, mirrors at -1/2, n - 1/2.
        t = c + 0.5
        t -= np.floor(t / (2 * n)) * (2 * n)
        t = min(t, 2 * n - t) - 0.5
        c = min(max(t, 0.0), n - 1.0)
    i = min(int(c), n - 2)
    return i, c - i


@numba.njit(nogil=True, cache=True, inline="always")
def _pick(x, y, z, out):  # type: ignore[no-untyped-def]
    """Write the pixel at row `y`, column `z` of [H, W, C] into `out` [C]."""
    height, width, channels = x.shape
    i, s = 0, 0.0
    j, t = 0, 0.0
    if height > 1:
        i, s = _place(y, height)
    if width > 1:
        j, t = _place(z, width)
    below, right = min(i + 1, height - 1), min(j + 1, width - 1)
    a, b = np.float32((1 - s) * (1 - t)), np.float32((1 - s) * t)
    c, d = np.float32(s * (1 - t)), np.float32(s * t)
    for k in range(channels):
        out[k] = a * x[i, j, k] + b * x[i, right, k] + c * x[below, j, k] + d * x[below, right, k]


@numba.njit(nogil=True, cache=True)
def displaced(x: FloatImage, down: Plane, right: Plane, factor: float) -> FloatImage:
    """Return float32 [H, W, C] whose pixel (i, j) is x at (i + factor·down[i, j], j + factor·right[i, j])."""
    height, width, channels = x.shape
    out = np.empty((height, width, channels), np.float32)
    for i in range(height):
        for j in range(width):
            _pick(x, i + factor * down[i, j], j + factor * right[i, j], out[i, j])
    return out


@numba.njit(nogil=True, cache=True)
def rotated(x: FloatImage, radians: float) -> FloatImage:
    """Return float32 [H, W, C] turned counter-clockwise about its centre."""
    height, width, channels = x.shape
    out = np.empty((height, width, channels), np.float32)
    cos, sin = np.cos(radians), np.sin(radians)
    middle, centre = (height - 1) / 2, (width - 1) / 2
    for i in range(height):
        for j in range(width):
            y, z = i - middle, j - centre
            _pick(x, middle + cos * y + sin * z, centre - sin * y + cos * z, out[i, j])
    return out


@numba.njit(nogil=True, cache=True)
def zoomed(x: Plane, tall: float, wide: float) -> Plane:
    """Return float32 [H, W]: the middle `tall`×`wide` pixels of `x` stretched so that their corners are its corners."""
    height, width = x.shape
    out = np.empty((height, width), np.float32)
    top, left = (height - tall) / 2, (width - wide) / 2
    down, across = max(tall - 1, 0.0) / max(height - 1, 1), max(wide - 1, 0.0) / max(width - 1, 1)
    pixels = x.reshape(height, width, 1)
    one = np.empty(1, np.float32)
    for i in range(height):
        for j in range(width):
            _pick(pixels, top + i * down, left + j * across, one)
            out[i, j] = one[0]
    return out
