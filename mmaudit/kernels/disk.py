"""Mean over a disk around every pixel: defocus of one image, edges repeated. NumPy twin: in the tests."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]

# Lines per pixel of radius along which the disk is summed up: weights are exact to six digits.
_LINES = 64


def disk_blur(x: FloatImage, radius: float) -> FloatImage:
    """Return float32 [H, W, C] in which a pixel is the mean of the image over the disk of `radius` px around it.

    Between pixels the image is interpolated linearly, so the radius need not be whole and may be below 1 px. Pixels
    outside repeat the edge.
    """
    above, shift, weight = _edges(float(radius))
    out: FloatImage = _means(np.ascontiguousarray(x, dtype=np.float32), above, shift, weight)
    return out


@lru_cache(maxsize=64)
def weights(radius: float) -> npt.NDArray[np.float64]:
    """Return the kernel [2R + 1, 2R + 1], R = ceil(radius), of the mean over a disk of a linearly interpolated image.

    The weight at (i, j) is the integral over the disk of (1 − |v − i|)⁺ (1 − |u − j|)⁺, over the disk's area.
    """
    reach = int(np.ceil(radius))
    count = _LINES * (reach + 1)
    angle = (np.arange(count) + 0.5) / count * np.pi - np.pi / 2
    v, half = radius * np.sin(angle), radius * np.cos(angle)
    offsets = np.arange(-reach, reach + 1)
    rows = np.maximum(1 - np.abs(v[None] - offsets[:, None]), 0) * half
    columns = _ramp(half[:, None] - offsets) - _ramp(-half[:, None] - offsets)
    found = rows @ columns
    found += found.T.copy()  # The integral is exact along lines only; the disk is not.
    return np.asarray(found / found.sum(), np.float64)


def _ramp(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Integral of (1 − |u|)⁺ from −∞ to t."""
    t = np.clip(t, -1, 1)
    return 0.5 + t - np.sign(t) * t * t / 2


@lru_cache(maxsize=64)
def _edges(radius: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return where the kernel changes from one pixel of a row to the next: row, column, and by how much.

    Only the right half of the lower half: the kernel is symmetric both ways. Inside of the disk nothing changes, so
    there are about as many places as its edge is long.
    """
    kernel = weights(radius)
    reach = len(kernel) // 2
    quarter = np.pad(kernel[reach:, reach:], ((0, 0), (0, 1)))
    fall = quarter[:, :-1] - quarter[:, 1:]
    row, column = np.nonzero(np.abs(fall) > 1e-9)
    return row, column, fall[row, column].astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _means(
    x: FloatImage, above: npt.NDArray[np.int64], shift: npt.NDArray[np.int64], weight: npt.NDArray[np.float32]
) -> FloatImage:
    """Sum boxes, one per place where the kernel's rows change; boxes are differences of running sums."""
    height, width, channels = x.shape
    pad = shift.max() + 1
    length, wide = width * channels, (width + 2 * pad) * channels
    # sums[i, j, c]: channel c of row i, edges repeated, summed up before padded pixel j.
    sums = np.empty((height, width + 2 * pad, channels), np.float32)
    for i in range(height):
        for c in range(channels):
            total = np.float32(0)
            for j in range(width + 2 * pad):
                sums[i, j, c] = total
                total += x[i, min(max(j - pad, 0), width - 1), c]
    rows = sums.reshape(height, wide)
    out = np.zeros((height, length), np.float32)
    both = np.empty(wide, np.float32)
    for i in range(height):
        target = out[i]
        known = -1
        for k in range(len(above)):
            if above[k] != known:
                known = above[k]
                upper, lower = rows[max(i - known, 0)], rows[min(i + known, height - 1)]
                share = np.float32(1 if known else 0.5)
                for j in range(wide):
                    both[j] = share * (upper[j] + lower[j])
            factor = weight[k]
            right, left = both[(pad + shift[k] + 1) * channels :], both[(pad - shift[k]) * channels :]
            for j in range(length):
                target[j] += factor * (right[j] - left[j])
    return out.reshape(height, width, channels)
