"""Plasma fractal by the diamond-square algorithm, periodic. NumPy twin, array by array, in the tests."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]


@numba.njit(nogil=True, cache=True)
def diamond_square(noise: Plane, decay: float) -> Plane:
    """Return float32 [n, n] in [0, 1]: a cloud-like height map that joins at opposite edges.

    Fournier, Fussell and Carpenter, "Computer Rendering of Stochastic Models", CACM 25(6), 1982. Starting from one
    corner, the middle of every square and then of every diamond becomes the mean of its four corners plus noise; the
    noise of each further halving is smaller by `decay`². (In ImageNet-C the "wibble" that `decay` divides is used
    twice, as factor and as range, hence the square.) At last the map is stretched to reach from 0 to 1.

    Args:
        noise: [n, n], n a power of two of at least 2, numbers in [-1, 1]; the place (i, j) uses the number at (i, j).
        decay: above 1 gives smooth clouds, the smoother the larger.
    """
    n = noise.shape[0]
    out = np.zeros((n, n), np.float32)
    step, size = n, np.float32(1)
    quarter = np.float32(0.25)
    while step >= 2:
        half = step // 2
        for i in range(0, n, step):
            below = (i + step) % n
            for j in range(0, n, step):
                right = (j + step) % n
                corners = (out[i, j] + out[below, j]) + (out[i, right] + out[below, right])
                out[i + half, j + half] = quarter * corners + size * noise[i + half, j + half]
        for i in range(0, n, step):
            above, below = (i - half) % n, (i + step) % n
            for j in range(0, n, step):
                left, right = (j - half) % n, (j + step) % n
                middle = out[i + half, j + half]
                top = (middle + out[above, j + half]) + (out[i, j] + out[i, right])
                out[i, j + half] = quarter * top + size * noise[i, j + half]
                side = (middle + out[i + half, left]) + (out[i, j] + out[below, j])
                out[i + half, j] = quarter * side + size * noise[i + half, j]
        step = half
        size = np.float32(size / (decay * decay))
    low, high = out[0, 0], out[0, 0]
    for i in range(n):
        for j in range(n):
            low, high = min(low, out[i, j]), max(high, out[i, j])
    factor = np.float32(1) / max(high - low, np.float32(1e-30))
    for i in range(n):
        for j in range(n):
            out[i, j] = (out[i, j] - low) * factor
    return out
