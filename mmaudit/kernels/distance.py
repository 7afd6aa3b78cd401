"""How far rows of two arrays, or pairs of texts, are apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

LONGEST = 512  # characters of a text compared: the work grows with the square


@numba.njit(nogil=True, cache=True)
def rms_rows(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Return whether rows of [n, d] differ, `bool[n]`, and the root mean square of their difference, `float64[n]`.

    Two NaN in the same place are equal. The order of summation is fixed: the same row gives the same bits anywhere.
    """
    n, d = a.shape
    changed, rms = np.zeros(n, np.bool_), np.zeros(n)
    for i in range(n):
        x, y = a[i], b[i]
        # Four running sums, because one would wait for itself at every step.
        sums = np.zeros(4)
        whole = d - d % 4
        for j in range(0, whole, 4):
            for lane in range(4):
                p, q = np.float64(x[j + lane]), np.float64(y[j + lane])
                if p != q and not (p != p and q != q):
                    sums[lane] += (p - q) * (p - q)
                    changed[i] = True
        for j in range(whole, d):
            p, q = np.float64(x[j]), np.float64(y[j])
            if p != q and not (p != p and q != q):
                sums[0] += (p - q) * (p - q)
                changed[i] = True
        if d:
            rms[i] = np.sqrt((sums[0] + sums[1] + sums[2] + sums[3]) / d)
    return changed, rms


def normalised_levenshtein(a: Sequence[str], b: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return per pair the Levenshtein distance over the longer length, in [0, 1]; 0 for two empty texts.

    Counts insertions, deletions and substitutions of code points, each at cost 1 (Levenshtein 1966), in the first
    512 code points of each text.
    """
    (codes_a, ends_a), (codes_b, ends_b) = _codes(a), _codes(b)
    out: npt.NDArray[np.float32] = _pairs(codes_a, ends_a, codes_b, ends_b)
    return out


def _codes(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return all texts' code points in one array, and where each text begins and ends in it."""
    cut = [text[:LONGEST] for text in texts]
    codes = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)
    return codes, np.concatenate(([0], np.cumsum([len(text) for text in cut]))).astype(np.int64)


@numba.njit(nogil=True, cache=True)
def _pairs(
    codes_a: npt.NDArray[np.uint32],
    ends_a: npt.NDArray[np.int64],
    codes_b: npt.NDArray[np.uint32],
    ends_b: npt.NDArray[np.int64],
) -> npt.NDArray[np.float32]:
    n = len(ends_a) - 1
    out = np.zeros(n, np.float32)
    costs = np.empty(LONGEST + 1, np.int64)
    for i in range(n):
        a, b = codes_a[ends_a[i] : ends_a[i + 1]], codes_b[ends_b[i] : ends_b[i + 1]]
        longer = max(len(a), len(b))
        if longer:
            out[i] = _levenshtein(a, b, costs) / longer
    return out


@numba.njit(nogil=True, cache=True)
def _levenshtein(a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32], costs: npt.NDArray[np.int64]) -> int:
    """One row of the table at a time; `costs[j]` is the distance between what is read of `a` and b's first j."""
    for j in range(len(b) + 1):
        costs[j] = j
    for i in range(len(a)):
        diagonal = costs[0]
        costs[0] = i + 1
        for j in range(len(b)):
            above = costs[j + 1]
            costs[j + 1] = min(diagonal + (a[i] != b[j]), above + 1, costs[j] + 1)
            diagonal = above
    return int(costs[len(b)])
