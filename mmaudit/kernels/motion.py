"""Motion blur of one image: a Gaussian tail along a straight line, edges repeated. NumPy twin: in the tests."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]

# Points on each pixel of the line, and at least so many: their distance is far below the width of a pixel.
_POINTS = 4
_FEWEST = 64


def motion_blur(x: FloatImage, sigma: float, start: float, end: float, angle: float) -> FloatImage:
    """Return float32 [H, W, C] averaged along a straight line through each pixel.

    The weight at a distance t from the pixel, start ≤ t ≤ end, is exp(−t² / 2σ²). Between pixels the image is
    interpolated linearly, so all sizes may be below a pixel. Pixels outside repeat the edge.

    Args:
        x: image.
        sigma: of the weights, in pixels, above 0.
        start, end: of the line, in pixels.
        angle: of the line, in radians; 0 is to the right, π/2 is down.
    """
    row, column, weight = line(sigma, start, end, angle)
    out: FloatImage = _weighted(np.ascontiguousarray(x, dtype=np.float32), row, column, weight)
    return out


def line(
    sigma: float, start: float, end: float, angle: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the kernel of `motion_blur`: rows and columns relative to the pixel, and weights that sum to 1."""
    count = max(_FEWEST, int(np.ceil(_POINTS * (end - start))))
    t = start + (np.arange(count) + 0.5) / count * (end - start)
    weight = np.exp(-0.5 * (t / sigma) ** 2)
    weight /= weight.sum()
    down, across = t * np.sin(angle), t * np.cos(angle)
    top, left = np.floor(down).astype(np.int64), np.floor(across).astype(np.int64)
    low, wide = (top.min(), left.min()), (top.max() - top.min() + 2, left.max() - left.min() + 2)
    kernel = np.zeros(wide)
    for dy in (0, 1):
        for dx in (0, 1):
            share = np.abs(1 - dy - (down - top)) * np.abs(1 - dx - (across - left))
            np.add.at(kernel, (top + dy - low[0], left + dx - low[1]), share * weight)
    row, column = np.nonzero(kernel)
    return row + low[0], column + low[1], kernel[row, column].astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _weighted(
    x: FloatImage, row: npt.NDArray[np.int64], column: npt.NDArray[np.int64], weight: npt.NDArray[np.float32]
) -> FloatImage:
    """Sum the image shifted to each place of the kernel, times the weight there."""
    height, width, channels = x.shape
    pad = np.abs(column).max()
    length, side = width * channels, pad * channels
    flat = x.reshape(height, length)
    # Rows with their edge pixels repeated, so that the inner loop runs straight through and vectorises.
    wide = np.empty((height, length + 2 * side), np.float32)
    for i in range(height):
        wide[i, side : side + length] = flat[i]
        for j in range(side):
            wide[i, j] = flat[i, j % channels]
            wide[i, side + length + j] = flat[i, length - channels + j % channels]
    out = np.zeros((height, length), np.float32)
    for i in range(height):
        target = out[i]
        for k in range(len(weight)):
            factor, source = weight[k], wide[min(max(i + row[k], 0), height - 1), (pad + column[k]) * channels :]
            for j in range(length):
                target[j] += factor * source[j]
    return out.reshape(height, width, channels)
