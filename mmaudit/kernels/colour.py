"""Value and saturation of RGB images, one pass over the pixels. Twin: Python's `colorsys`, in the tests.

With V the largest and m the smallest channel, a change of V that keeps hue and saturation (V − m) / V multiplies the
pixel by V' / V; a change of saturation that keeps hue and V multiplies each channel's distance from V. So no pixel
needs to go to HSV and back (Smith, "Color gamut transform pairs", SIGGRAPH 1978).
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def add_to_value(x: FloatImage, amount: np.float32) -> FloatImage:
    """Return float32 [H, W, 3] whose HSV value is raised by `amount`, at most to 1; black becomes grey."""
    height, width, _ = x.shape
    out = np.empty((height, width, 3), np.float32)
    one = np.float32(1)
    for i in range(height):
        for j in range(width):
            r, g, b = x[i, j, 0], x[i, j, 1], x[i, j, 2]
            value = max(r, g, b)
            raised = min(value + amount, one)
            factor = raised / value if value > 0 else np.float32(0)
            rest = np.float32(0) if value > 0 else raised
            out[i, j, 0] = r * factor + rest
            out[i, j, 1] = g * factor + rest
            out[i, j, 2] = b * factor + rest
    return out


@numba.njit(nogil=True, cache=True, error_model="numpy")
def scale_saturation(x: FloatImage, factor: np.float32, amount: np.float32) -> FloatImage:
    """Return float32 [H, W, 3] whose HSV saturation S is S · factor + amount, cut off at 0 and 1.

    Pixels without a hue count as red, as HSV has it, so with an `amount` above 0 grey becomes reddish. Black stays.
    """
    height, width, _ = x.shape
    out = np.empty((height, width, 3), np.float32)
    zero, one = np.float32(0), np.float32(1)
    for i in range(height):
        for j in range(width):
            r, g, b = x[i, j, 0], x[i, j, 1], x[i, j, 2]
            value, spread = max(r, g, b), max(r, g, b) - min(r, g, b)
            saturation = spread / value if value > 0 else zero
            wanted = min(max(saturation * factor + amount, zero), one)
            if spread > 0:
                change = wanted / saturation
                out[i, j, 0] = value - (value - r) * change
                out[i, j, 1] = value - (value - g) * change
                out[i, j, 2] = value - (value - b) * change
            else:
                out[i, j, 0] = value
                out[i, j, 1] = out[i, j, 2] = value * (one - wanted)
    return out


@numba.njit(nogil=True, cache=True)
def scale_contrast(x: FloatImage, kept: np.float32) -> FloatImage:
    """Return float32 [H, W, C] with each channel's distance from its mean multiplied by `kept`."""
    height, width, channels = x.shape
    total = np.zeros(channels, np.float64)
    row = np.empty(width * channels, np.float32)
    flat = x.reshape(height, width * channels)
    out = np.empty((height, width * channels), np.float32)
    # Columns first, in float32, a few thousand rows at most at a time; then over the columns in float64.
    for start in range(0, height, 1024):
        row[:] = 0
        for i in range(start, min(start + 1024, height)):
            for j in range(width * channels):
                row[j] += flat[i, j]
        for j in range(width * channels):
            total[j % channels] += np.float64(row[j])
    rest = np.empty(width * channels, np.float32)
    for j in range(width * channels):
        rest[j] = np.float32((1 - np.float64(kept)) * total[j % channels] / (height * width))
    for i in range(height):
        for j in range(width * channels):
            out[i, j] = flat[i, j] * kept + rest[j]
    return out.reshape(height, width, channels)
