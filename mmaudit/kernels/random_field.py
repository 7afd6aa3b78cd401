"""Smooth random fields: white noise under a periodic Gaussian. NumPy twin: `gaussian_filter(mode="wrap")`, in tests."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]


def smooth_field(noise: Plane, sigma: float) -> Plane:
    """Return float32 [H, W]: white noise of mean 0 and variance 1, blurred by `sigma` px, brought back to variance 1.

    The noise is taken as periodic, so that the field has the same variance everywhere, at the edges too. Unlike that
    of the blurred noise itself, its variance does not depend on σ: the smooth fields of images of different sizes are
    alike. The kernel ends at 3 σ.
    """
    height, width = noise.shape
    return np.asarray(_periodic(np.ascontiguousarray(noise, np.float32), _taps(height, sigma), _taps(width, sigma)))


def spread(sigma: float) -> float:
    """Return the standard deviation of white noise of variance 1 after a Gaussian blur of `sigma` px that ends at 3 σ.

    In the limit of a wide kernel it is 1 / (2 √π σ).
    """
    reach = np.arange(-_radius(sigma), _radius(sigma) + 1)
    taps = _gauss(reach, sigma)
    return float(np.sum(taps**2))


def _radius(sigma: float) -> int:
    return int(3 * sigma + 0.5)


def _gauss(reach: npt.NDArray[np.int64], sigma: float) -> npt.NDArray[np.float64]:
    taps = np.exp(-0.5 * (reach / max(sigma, 1e-6)) ** 2)
    return np.asarray(taps / taps.sum(), np.float64)


@lru_cache(maxsize=256)
def _taps(size: int, sigma: float) -> npt.NDArray[np.float32]:
    """The kernel along an axis of `size`, wrapped where it is longer, its sum of squares 1."""
    radius = _radius(sigma)
    reach = np.arange(-radius, radius + 1)
    taps = _gauss(reach, sigma)
    if len(taps) > size:
        taps = np.bincount((reach + (size - 1) // 2) % size, taps).astype(np.float64)
    return np.asarray(taps / np.sqrt(np.sum(taps**2)), np.float32)


@numba.njit(nogil=True, cache=True)
def _periodic(noise: Plane, down: npt.NDArray[np.float32], across: npt.NDArray[np.float32]) -> Plane:
    """Blur rows, then columns; a kernel of k numbers reaches (k - 1) // 2 to the left."""
    height, width = noise.shape
    blurred, out = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    reach = (len(across) - 1) // 2
    row = np.empty(width + len(across), np.float32)
    for i in range(height):
        source, target = noise[i], blurred[i]
        for j in range(len(row)):
            row[j] = source[(j - reach) % width]
        for k in range(len(across)):
            tap = across[k]
            for j in range(width):
                target[j] += tap * row[j + k]
    reach = (len(down) - 1) // 2
    for i in range(height):
        target = out[i]
        for k in range(len(down)):
            tap, source = down[k], blurred[(i + k - reach) % height]
            for j in range(width):
                target[j] += tap * source[j]
    return out
