"""Nearest neighbours: vectors that samples are compared by, and an exact search whose answer no rounding decides.

NumPy twins are in the tests: plain loops over all pairs, over all values and over all n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

FloatRows = npt.NDArray[np.float32]
UIntArray = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]

_BLOCK_VALUES = 2**23
_START, _END = 2, 3  # code points that no text holds, before its first and after its last character


def mix(x: UIntArray) -> UIntArray:
    """Return 64 well mixed bits for each number: the finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


@lru_cache(maxsize=64)
def columns(shape: tuple[int, ...], width: int) -> tuple[IntArray, FloatRows]:
    """Return for each value of a sample of this shape, flattened, its column in [0, width) and its sign.

    They depend on the value's place alone, so samples of different shapes agree where they overlap.
    """
    bits = np.zeros(shape, np.uint64)
    for place in np.indices(shape, np.uint64):
        bits = mix(bits ^ place)
    bits = mix(bits).ravel()
    sign = np.where(bits >> np.uint64(63) == 1, -1.0, 1.0).astype(np.float32)
    return (bits % np.uint64(width)).astype(np.int64), sign


@numba.njit(nogil=True, cache=True)
def sketch(x: FloatRows, column: IntArray, sign: FloatRows, width: int) -> FloatRows:
    """Return float32 [n, width]: values added up in their columns, with their signs.

    Charikar, Chen & Farach-Colton (2002). Squared distances between rows are kept on average, with a
    relative standard deviation of at most √(2 / width).
    """
    n, size = x.shape
    out = np.zeros((n, width), np.float32)
    for i in range(n):
        for j in range(size):
            out[i, column[j]] += sign[j] * x[i, j]
    return out


def ngrams(texts: Sequence[str], width: int, n: int = 3) -> FloatRows:
    """Return float32 [texts, width] of length 1: counts of hashed character n-grams, a mark before and after the text.

    The hashing trick of Weinberger et al. (ICML 2009), with signs. The squared distance of two texts is
    2 − 2·cos of their counts; a text of fewer than n − 1 characters is all zeros.
    """
    out = np.zeros((len(texts), width), np.float32)
    for i, text in enumerate(texts):
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
        codes = np.concatenate([[_START], codes, [_END]]).astype(np.uint64)
        if len(codes) < n:
            continue
        bits = np.zeros(len(codes) - n + 1, np.uint64)
        for k in range(n):
            bits = mix(bits ^ codes[k : len(codes) - n + 1 + k])
        sign = np.where(bits >> np.uint64(63) == 1, -1.0, 1.0)
        counts = np.bincount((bits % np.uint64(width)).astype(np.int64), sign, width)
        out[i] = counts / (float(np.sqrt(counts @ counts)) or 1.0)
    return out


def nearest(
    queries: FloatRows, values: UIntArray, candidates: FloatRows, candidate_values: UIntArray, rank: UIntArray
) -> IntArray:
    """Return per query the row of the nearest candidate of another value (Euclidean); -1 where there is none.

    A matrix product finds the candidates that can be the nearest within its rounding errors; their distances are
    then computed one by one in float64. So the answer does not depend on blocks, threads or the order of candidates.

    Args:
        queries, candidates: `float32[q, d]` and `float32[c, d]`, finite.
        values: `uint64[q]`, digest of what each query is; a candidate of the same digest is passed over.
        candidate_values: `uint64[c]`, the same for candidates, increasing without repeats.
        rank: `uint64[c]`, decides between equally near candidates: the lowest is taken.
    """
    out = np.full(len(queries), -1, np.int64)
    if not len(candidates):
        return out
    lengths = np.sqrt(np.square(candidates, dtype=np.float64).sum(axis=1))
    # Bound of what rounding to float32 can do to |c|² − 2 q·c, whatever the order of the sum (Higham 2002, 3.1).
    gamma = (candidates.shape[1] + 8) * 2.0**-23
    step = max(1, _BLOCK_VALUES // len(candidates))
    for start in range(0, len(queries), step):
        block, own = queries[start : start + step], values[start : start + step]
        place = np.minimum(np.searchsorted(candidate_values, own), len(candidates) - 1)
        passed = np.where(candidate_values[place] == own, place, -1)
        product = block @ candidates.T
        _closest(block, candidates, product, lengths, gamma, passed, rank, out[start : start + step])
    return out


@numba.njit(nogil=True, cache=True)
def _closest(queries, candidates, product, lengths, gamma, passed, rank, out):  # type: ignore[no-untyped-def]
    """Write into `out` the closest candidate of each query; candidate `passed[i]` is not looked at."""
    for i in range(len(queries)):
        reach = 0.0
        for d in range(queries.shape[1]):
            reach += np.float64(queries[i, d]) ** 2
        reach = np.sqrt(reach)
        limit = np.inf  # some candidate is surely no farther than this
        for j in range(len(candidates)):
            if j != passed[i]:
                far = lengths[j] * lengths[j] - 2 * np.float64(product[i, j])
                limit = min(limit, far + gamma * lengths[j] * (lengths[j] + 2 * reach))
        best = np.inf
        for j in range(len(candidates)):
            far = lengths[j] * lengths[j] - 2 * np.float64(product[i, j])
            if j == passed[i] or far - gamma * lengths[j] * (lengths[j] + 2 * reach) > limit:
                continue
            exact = 0.0
            for d in range(queries.shape[1]):
                apart = np.float64(queries[i, d]) - np.float64(candidates[j, d])
                exact += apart * apart
            if exact < best or (exact == best and rank[j] < rank[out[i]]):
                best = exact
                out[i] = j
