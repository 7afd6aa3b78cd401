"""Every pixel comes from somewhere nearby: frosted glass. NumPy twins: in the tests."""

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


@numba.njit(nogil=True, cache=True)
def shuffle(moved: FloatImage, u: FloatImage, furthest: float, scale: float) -> None:
    """Let every pixel take, in place, what a pixel nearby holds: one pass of ImageNet-C's glass.

    It goes from the last pixel to the first, and each takes the value of a pixel some steps away: −δ, −δ + 1, … below
    δ, both ways, equally likely. What lies after it has been given another value already in this pass, and it takes
    that one: chains go further than δ. Pixels within δ of the rim stay; ImageNet-C's loop begins one later there than
    it ends here. A step is `scale` pixels; a pixel is looked up at the nearest whole place, those after it one further
    on at least, so that chains are as long in a small image.

    Args:
        moved: float32 [2, H, W], down and across: how far away, in pixels, what each pixel holds comes from.
        u: float32 [2, H, W], uniforms in [0, 1), down and across.
        furthest: δ, in steps.
        scale: pixels per step.
    """
    height, width = moved.shape[1:]
    rim = furthest * scale
    for i in range(height - 1, 0, -1):
        if i <= rim or i > height - rim:
            continue
        for j in range(width - 1, 0, -1):
            if j <= rim or j > width - rim:
                continue
            down = np.floor(2 * furthest * u[0, i, j]) - furthest
            across = np.floor(2 * furthest * u[1, i, j]) - furthest
            rows, columns = int(np.rint(down * scale)), int(np.rint(across * scale))
            if down > 0:
                rows = max(rows, 1)
            elif down == 0 and across > 0:
                columns = max(columns, 1)
            row, column = min(max(i + rows, 0), height - 1), min(max(j + columns, 0), width - 1)
            moved[0, i, j] = np.float32(down * scale) + moved[0, row, column]
            moved[1, i, j] = np.float32(across * scale) + moved[1, row, column]
