"""Fewer, larger pixels in one image. Twin: Pillow's box filter down and nearest neighbour up, in the tests."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]


@numba.njit(nogil=True, cache=True)
def pixelate(x: FloatImage, kept: float) -> FloatImage:
    """Return float32 [H, W, C] in which the pixels of each cell are their mean.

    Cells are 1 / kept px wide and high, from the first corner on; a pixel belongs to the cell that its middle is in.

    Args:
        x: image, contiguous.
        kept: cells per pixel along each side, in (0, 1].
    """
    height, width, channels = x.shape
    length = width * channels
    flat = x.reshape(height, length)
    out = np.empty((height, length), np.float32)
    sums = np.empty(length, np.float32)
    first_row = 0
    while first_row < height:
        end_row = _end(first_row, height, kept)
        sums[:] = flat[first_row]
        for i in range(first_row + 1, end_row):
            row = flat[i]
            for j in range(length):
                sums[j] += row[j]
        target = out[first_row]
        first = 0
        while first < width:
            end = _end(first, width, kept)
            share = np.float32(1) / np.float32((end - first) * (end_row - first_row))
            for c in range(channels):
                total = np.float32(0)
                for j in range(first, end):
                    total += sums[j * channels + c]
                for j in range(first, end):
                    target[j * channels + c] = total * share
            first = end
        for i in range(first_row + 1, end_row):
            out[i] = target
        first_row = end_row
    return out.reshape(height, width, channels)


@numba.njit(nogil=True, cache=True)
def _end(first, size, kept):  # type: ignore[no-untyped-def]
    """The first pixel after `first` that is not in its cell."""
    cell, end = int((first + 0.5) * kept), first + 1
    while end < size and int((end + 0.5) * kept) == cell:
        end += 1
    return end
