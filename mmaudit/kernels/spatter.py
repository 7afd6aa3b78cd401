"""Drops of water and spots of mud from a smooth random field. NumPy twins, formula by formula, in the tests."""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]


def water(field: Plane, mean: float, spread: float, threshold: float, sigma: float, unit: float) -> Plane:
    """Return float32 [H, W] in [0, 1], 0 between the drops: how much light each pixel of water adds, at most 1.

    Where mean + spread·field exceeds the threshold there is water. Its brightness follows the distance to the drop's
    rim, d, as the share of pixels that lie nearer to some rim, and the light that falls on the slope from the upper
    left. Both are taken from the field itself: d = 2 h / (√(g² + 4 a h) + g), exact for a paraboloid, of height h over
    the threshold, slope g and curvature a = F / 4σ², that of a Gaussian field of height F (Adler 1981); and the share
    nearer than d is 1 − exp(−2 ℓ d), ℓ the length of rims per area, √(1/2σ²) / 2 · exp(−u² / 2) (Rice's formula).
    There is always a drop: the threshold is at most half a standard deviation below the field's highest point.

    Args:
        field: of variance 1, the blur of white noise by σ·unit px, periodic.
        mean, spread, threshold: the field's mean and standard deviation, and the level that counts as water.
        sigma: in px of a 224 px image.
        unit: px per px of a 224 px image.
    """
    u = min((threshold - mean) / spread, float(field.max()) - 0.5)
    rims = math.sqrt(1 / (2 * sigma**2)) / 2 * math.exp(-(u**2) / 2)
    f = np.float32
    return np.asarray(_water(field, f(u), f(mean / spread), f(2 * rims), f(1 / (4 * sigma**2)), f(unit)))


@numba.njit(nogil=True, cache=True)
def _water(
    field: Plane, u: np.float32, mean: np.float32, rims: np.float32, bend: np.float32, unit: np.float32
) -> Plane:
    height, width = field.shape
    one, tenth = np.float32(1), np.float32(0.1)
    far, half, quarter = np.float32(20), np.float32(0.5), np.float32(0.25)
    distance = np.empty((height, width), np.float32)
    for i in range(height):
        above, row, below = field[(i - 1) % height], field[i], field[(i + 1) % height]
        for j in range(width):
            down, right = below[j] - above[j], row[(j + 1) % width] - row[j - 1]
            slope = half * unit * np.sqrt(down * down + right * right) + np.float32(1e-9)
            h = row[j] - u
            if h > 0:
                a = np.float32(4) * bend * max(row[j], tenth)
                d = 2 * h / (np.sqrt(slope * slope + a * h) + slope)
            else:
                d = -h / slope
            distance[i, j] = min(d, far)
    share = averaged(distance)
    for i in range(height):
        for j in range(width):
            # The published chain rounds distances down to whole pixels; a quarter fits its light best.
            share[i, j] = one - np.exp(-rims * max(share[i, j] - quarter, np.float32(0)))
    lit = distance
    for i in range(height):
        above, row, below = share[max(i - 1, 0)], share[i], share[min(i + 1, height - 1)]
        for j in range(width):
            left, right = max(j - 1, 0), min(j + 1, width - 1)
            slope = 2 * (below[right] - above[left]) + below[j] - above[j] + row[right] - row[left]
            lit[i, j] = min(max(row[j] + unit * slope, np.float32(0)), one)
    layer: Plane = averaged(lit)
    brightest = np.float32(1e-9)
    for i in range(height):
        for j in range(width):
            layer[i, j] = layer[i, j] * (mean + field[i, j]) if field[i, j] > u else np.float32(0)
            brightest = max(brightest, layer[i, j])
    for i in range(height):
        for j in range(width):
            layer[i, j] /= brightest
    return layer


@numba.njit(nogil=True, cache=True)
def averaged(x: Plane) -> Plane:
    """Return the mean over 3×3 pixels, edges repeated."""
    height, width = x.shape
    out = np.empty((height, width), np.float32)
    row = np.empty(width + 2, np.float32)
    ninth = np.float32(1 / 9)
    for i in range(height):
        above, at, below = x[max(i - 1, 0)], x[i], x[min(i + 1, height - 1)]
        for j in range(width):
            row[j + 1] = above[j] + at[j] + below[j]
        row[0], row[width + 1] = row[1], row[width]
        for j in range(width):
            out[i, j] = ninth * (row[j] + row[j + 1] + row[j + 2])
    return out


@numba.njit(nogil=True, cache=True)
def mud(blurred: Plane) -> Plane:
    """Return float32 [H, W], how much of each pixel mud covers: what of the blurred spots is left above 0.8.

    Spots are cut at 0.8 as published, but with an edge that is half a pixel wide rather than none: from 0.75 to 0.85.
    Where all spots are so small that the blur leaves nothing of 0.85, all of that is lower in proportion.
    """
    height, width = blurred.shape
    top = np.float32(0)
    for i in range(height):
        for j in range(width):
            top = max(top, blurred[i, j])
    cut = np.float32(0.8) * min(np.float32(1), top / np.float32(0.85))
    steep = np.float32(8) / max(cut, np.float32(1e-9))
    out = np.empty((height, width), np.float32)
    for i in range(height):
        for j in range(width):
            b = blurred[i, j]
            edge = min(max((b - cut) * steep + np.float32(0.5), np.float32(0)), np.float32(1))
            out[i, j] = edge * max(b, np.float32(0.8))
    return out
