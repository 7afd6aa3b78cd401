"""Quantiles of a signal without sorting it. NumPy twin: `numpy.quantile`, in the tests."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

# A float32's upper bits count first, then its lower ones among those that share them.
_SPLIT = 14
_HALF = np.uint32(1) << np.uint32(31)


def quantiles(x: npt.NDArray[Any], shares: tuple[float, ...]) -> list[float]:
    """Return the quantiles of all values of `x`, finite and at least one: as `numpy.quantile(x, shares)`.

    Linear between the two values next to a quantile.
    """
    flat = x.reshape(-1)
    places = [share * (flat.size - 1) for share in shares]
    if flat.dtype != np.float32:
        found = np.partition(flat, sorted({i for p in places for i in (int(p), min(int(p) + 1, flat.size - 1))}))
        return [_between(found[int(p)], found[min(int(p) + 1, flat.size - 1)], p - int(p)) for p in places]
    ordered = _selected(flat, np.array([int(p) for p in places]))
    return [_between(a, b, p - int(p)) for (a, b), p in zip(ordered, places, strict=True)]


def _between(a: Any, b: Any, share: float) -> float:
    return float(a) + (float(b) - float(a)) * share


@numba.njit(nogil=True, cache=True, inline="always")
def _key(bits):  # type: ignore[no-untyped-def]
    """Integers in the order of the float32 numbers whose bits they are made of."""
    return ~bits if bits & _HALF else bits | _HALF


@numba.njit(nogil=True, cache=True)
def _selected(x, ranks):  # type: ignore[no-untyped-def]
    """Return [len(ranks), 2]: the values at each rank of the sorted `x` and at the next one, where there is one."""
    bits = x.view(np.uint32)
    shift = np.uint32(32 - _SPLIT)
    counts = np.zeros(1 << _SPLIT, np.int64)
    for value in bits:
        counts[_key(value) >> shift] += 1
    out = np.empty((len(ranks), 2), np.float32)
    for r in range(len(ranks)):
        before, bucket = 0, 0
        while before + counts[bucket] <= ranks[r]:
            before += counts[bucket]
            bucket += 1
        members = np.empty(counts[bucket], np.float32)
        following, n = np.float32(np.inf), 0
        for i in range(len(x)):
            place = _key(bits[i]) >> shift
            if place == bucket:
                members[n] = x[i]
                n += 1
            elif place > bucket and x[i] < following:
                following = x[i]
        members.sort()
        within = ranks[r] - before
        out[r, 0] = members[within]
        if within + 1 < n:
            out[r, 1] = members[within + 1]
        else:
            out[r, 1] = following if ranks[r] + 1 < len(x) else members[within]
    return out
