"""Zoom blur of one image: the mean of ever larger versions of it, about its middle. NumPy twin: in the tests."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]


@numba.njit(nogil=True, cache=True)
def zoom_blur(x: FloatImage, step: float, layers: float) -> FloatImage:
    """Return float32 [H, W, C]: the mean of the image and of `layers` zoomed versions, by 1, 1 + step, 1 + 2 step, …

    A number of layers that is not whole gives the last one that part of a weight. The image is interpolated
    linearly. Layer by layer, the zoomed image lies inside of the original, so nothing is read beyond an edge.
    """
    height, width, channels = x.shape
    length = width * channels
    flat = np.ascontiguousarray(x).reshape(height, length)
    # The first layer is the image itself.
    out = (np.float32((1 + min(layers, 1.0)) / (layers + 1)) * flat).astype(np.float32)
    between = np.empty(length, np.float32)
    left, part = np.empty(width, np.int64), np.empty(width, np.float32)
    for k in range(1, int(np.ceil(layers))):
        weight = np.float32(min(layers - k, 1.0) / (layers + 1))
        zoom = 1 + step * k
        for j in range(width):
            left[j], part[j] = _place(j, width, zoom)
        for i in range(height):
            top, share = _place(i, height, zoom)
            above, below = flat[top], flat[min(top + 1, height - 1)]
            for j in range(length):
                between[j] = weight * (above[j] + share * (below[j] - above[j]))
            target = out[i]
            for j in range(width):
                a, b = left[j] * channels, min(left[j] + 1, width - 1) * channels
                for c in range(channels):
                    target[j * channels + c] += between[a + c] + part[j] * (between[b + c] - between[a + c])
    return out.reshape(height, width, channels)


@numba.njit(nogil=True, cache=True)
def _place(i, size, zoom):  # type: ignore[no-untyped-def]
    """Where pixel i of a zoomed row comes from: the pixel to the left, and how far to the right of it."""
    middle = (size - 1) / 2
    at = middle + (i - middle) / zoom
    whole = int(np.floor(at))
    return whole, np.float32(at - whole)
