"""Philox 4×64-10, one block per key: the first uniform of NumPy's `Generator(Philox(key))`, for many keys at once."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

_M0 = np.uint64(0xD2E7470EE14C6C93)
_M1 = np.uint64(0xCA5A826395121157)
_W0 = np.uint64(0x9E3779B97F4A7C15)
_W1 = np.uint64(0xBB67AE8584CAA73B)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


@numba.njit(cache=True, inline="always")
def _high(a, b):  # type: ignore[no-untyped-def]
    """Upper 64 bits of the 128-bit product."""
    a0, a1 = a & _LOW, a >> _32
    b0, b1 = b & _LOW, b >> _32
    mid = a1 * b0 + ((a0 * b0) >> _32)
    mid_low = (mid & _LOW) + a0 * b1
    return a1 * b1 + (mid >> _32) + (mid_low >> _32)


@numba.njit(cache=True)
def philox_uniforms(key0: np.uint64, keys1: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Return `float64[n]` in [0, 1): for each key (key0, keys1[i]) the first double NumPy's generator would draw."""
    out = np.empty(len(keys1), np.float64)
    for i in range(len(keys1)):
        # NumPy increments the counter before the first block, so it starts at 1.
        c0, c1, c2, c3 = np.uint64(1), np.uint64(0), np.uint64(0), np.uint64(0)
        k0, k1 = key0, keys1[i]
        for _ in range(10):
            h0, l0 = _high(_M0, c0), _M0 * c0
            h1, l1 = _high(_M1, c2), _M1 * c2
            c0, c1, c2, c3 = h1 ^ c1 ^ k0, l1, h0 ^ c3 ^ k1, l0
            k0 += _W0
            k1 += _W1
        out[i] = np.float64(c0 >> np.uint64(11)) / 9007199254740992.0
    return out
