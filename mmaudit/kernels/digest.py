"""64-bit digests of rows, fast enough to take of everything a model receives. Not cryptographic."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

UIntArray = npt.NDArray[np.uint64]

_P0 = np.uint64(0x9E3779B97F4A7C15)
_P1 = np.uint64(0xBF58476D1CE4E5B9)
_P2 = np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


@numba.njit(nogil=True, cache=True)
def _mix(x):  # type: ignore[no-untyped-def]
    """The finaliser of SplitMix64 (Steele et al. 2014): every input bit flips every output bit half of the time."""
    x = (x ^ (x >> _30)) * _P1
    x = (x ^ (x >> _27)) * _P2
    return x ^ (x >> _31)


@numba.njit(nogil=True, cache=True)
def digest_rows(words: UIntArray, tail: npt.NDArray[np.uint8]) -> UIntArray:
    """Return `uint64[n]`, one digest per row: `words` [n, w] are its whole 8-byte words, `tail` [n, t < 8] the rest."""
    n, w = words.shape
    out = np.empty(n, np.uint64)
    for i in range(n):
        row = words[i]
        # Four lanes, because one would wait for its own multiplication at every word.
        lanes = np.array([np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)]) * _P0
        whole = w - w % 4
        for j in range(0, whole, 4):
            for lane in range(4):
                x = (lanes[lane] ^ row[j + lane]) * _P1
                lanes[lane] = x ^ (x >> _32)
        for j in range(whole, w):
            x = (lanes[j - whole] ^ row[j]) * _P1
            lanes[j - whole] = x ^ (x >> _32)
        h = np.uint64(8 * w + tail.shape[1]) * _P0
        for lane in range(4):
            h = _mix(h + lanes[lane])
        for j in range(tail.shape[1]):
            h = _mix(h + np.uint64(tail[i, j]) + np.uint64(1))
        out[i] = h
    return out


@numba.njit(nogil=True, cache=True)
def digest_sum(rows: UIntArray, keys: UIntArray, present: npt.NDArray[np.bool_], salt: np.uint64) -> np.uint64:
    """Return one digest of all rows, the same in any order and any division into parts whose digests are added."""
    total = np.uint64(0)
    for i in range(len(rows)):
        total += _mix(_mix(rows[i] + salt) ^ _mix(keys[i] + _P0 + np.uint64(present[i])))
    return total
