"""Edits of many texts at once: which places are hit, and the texts with these places replaced."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from mmaudit.kernels.text import CodeArray, Places

FloatArray = npt.NDArray[np.float64]


@numba.njit(nogil=True, cache=True)
def pick(
    u: FloatArray, ends: Places, share: float, spare: int, extra: int
) -> tuple[Places, Places, npt.NDArray[np.float64]]:
    """Return which places are hit, how many in the texts before and with i, and `float64[hit, extra]` draws for each.

    Text i has L = `ends[i + 1] - ends[i]` places. Its part of `u`, uniform in [0, 1), is one number for rounding, L for
    the order in which places are hit, and L for each of the `extra`. share·L places are hit, rounded up or down at
    random so that the share is right on average, but at least `spare` places are not.
    """
    n = len(ends) - 1
    hit = np.empty(ends[n], np.int64)
    counts = np.zeros(n + 1, np.int64)
    longest = 0
    for i in range(n):
        longest = max(longest, ends[i + 1] - ends[i])
    filled, edge = np.empty(longest, np.int64), np.empty(longest, np.float64)
    k, at = 0, 0
    for i in range(n):
        size = ends[i + 1] - ends[i]
        count = min(int(share * size + u[at]), max(size - spare, 0))
        if count > 0:
            order = u[at + 1 : at + 1 + size]
            last = _smallest(order, count, filled, edge)
            left = count
            for j in range(size):
                if order[j] <= last and left > 0:
                    hit[k] = ends[i] + j
                    k += 1
                    left -= 1
        counts[i + 1] = k
        at += 1 + (1 + extra) * size
    choice = np.empty((k, extra), np.float64)
    at = 0
    for i in range(n):
        size = ends[i + 1] - ends[i]
        for h in range(counts[i], counts[i + 1]):
            for e in range(extra):
                choice[h, e] = u[at + 1 + (1 + e) * size + hit[h] - ends[i]]
        at += 1 + (1 + extra) * size
    return hit[:k].copy(), counts, choice


@numba.njit(nogil=True, cache=True)
def _smallest(order: FloatArray, count: int, filled: Places, edge: FloatArray) -> float:
    """Return the `count`-th smallest of numbers in [0, 1), by counting them in as many bins as there are numbers."""
    size = len(order)
    filled[:size] = 0
    for x in order:
        filled[min(int(x * size), size - 1)] += 1
    bin_ = 0
    while count > filled[bin_]:
        count -= filled[bin_]
        bin_ += 1
    m = 0
    for x in order:
        if min(int(x * size), size - 1) == bin_:
            j = m
            while j > 0 and edge[j - 1] > x:
                edge[j] = edge[j - 1]
                j -= 1
            edge[j] = x
            m += 1
    return float(edge[count - 1])


@numba.njit(nogil=True, cache=True)
def _in_order(u: FloatArray, out: Places, filled: Places) -> None:
    """Put into `out` the places of numbers in [0, 1), smallest number first, by sorting them into bins."""
    size = len(u)
    filled[: size + 1] = 0
    for x in u:
        filled[min(int(x * size), size - 1) + 1] += 1
    for bin_ in range(size):
        filled[bin_ + 1] += filled[bin_]
    # filled[b] is where bin b begins, and grows as it is filled.
    begin = filled[:size].copy()
    for j in range(size):
        bin_ = min(int(u[j] * size), size - 1)
        k = filled[bin_]
        filled[bin_] += 1
        while k > begin[bin_] and u[out[k - 1]] > u[j]:
            out[k] = out[k - 1]
            k -= 1
        out[k] = j


@numba.njit(nogil=True, cache=True)
def match(u: FloatArray, lefts: Places, ends: Places, share: float) -> tuple[Places, Places]:
    """Return which of the pairs (left, left + 1) trade places, and how many in the texts before and with i.

    Text i has the pairs `ends[i]` to `ends[i + 1]` of `lefts`, which rise, and one number more in `u`, for rounding,
    before one number for each pair. Pairs are taken in random order, none that shares a member with one already
    taken, until `share` of the members of all pairs have moved (rounded up or down at random), or no pair is left.
    """
    n = len(ends) - 1
    hit = np.zeros(ends[n], np.bool_)
    counts = np.zeros(n + 1, np.int64)
    longest = 0
    for i in range(n):
        longest = max(longest, ends[i + 1] - ends[i])
    order, filled = np.empty(longest, np.int64), np.empty(longest + 1, np.int64)
    for i in range(n):
        first, size = ends[i], ends[i + 1] - ends[i]
        members = 0
        for j in range(first, first + size):
            members += 1 if j > first and lefts[j] == lefts[j - 1] + 1 else 2
        wanted = int(share * members / 2 + u[first + i])
        _in_order(u[first + i + 1 : first + i + 1 + size], order, filled)
        taken = 0
        for o in range(size):
            if taken >= wanted:
                break
            j = first + order[o]
            before = j > first and hit[j - 1] and lefts[j - 1] == lefts[j] - 1
            after = j + 1 < first + size and hit[j + 1] and lefts[j + 1] == lefts[j] + 1
            if not before and not after:
                hit[j] = True
                taken += 1
        counts[i + 1] = counts[i] + taken
    return np.flatnonzero(hit), counts


@numba.njit(nogil=True, cache=True)
def splice(
    codes: CodeArray,
    ends: Places,
    edits: Places,
    starts: Places,
    stops: Places,
    pool: CodeArray,
    pieces: Places,
) -> tuple[CodeArray, Places]:
    """Return the texts with `codes[starts[e] : stops[e]]` replaced, for every edit e, and where each now ends.

    Text i has the edits `edits[i]` to `edits[i + 1]`, in order, none overlapping another. In the place of edit e come
    the pieces `pool[pieces[e, p, 0] : pieces[e, p, 1]]`, p = 0, 1, ….
    """
    size = len(codes)
    for e in range(len(starts)):
        size += starts[e] - stops[e]
        for p in range(pieces.shape[1]):
            size += pieces[e, p, 1] - pieces[e, p, 0]
    out = np.empty(size, np.uint32)
    new_ends = np.zeros(len(ends), np.int64)
    k = 0
    for i in range(len(ends) - 1):
        j = ends[i]
        for e in range(edits[i], edits[i + 1]):
            while j < starts[e]:
                out[k] = codes[j]
                k += 1
                j += 1
            for p in range(pieces.shape[1]):
                for q in range(pieces[e, p, 0], pieces[e, p, 1]):
                    out[k] = pool[q]
                    k += 1
            j = stops[e]
        while j < ends[i + 1]:
            out[k] = codes[j]
            k += 1
            j += 1
        new_ends[i + 1] = k
    return out, new_ends


@numba.njit(nogil=True, cache=True)
def find(
    codes: CodeArray,
    starts: Places,
    stops: Places,
    ends: Places,
    single: Places,
    pairs: Places,
) -> tuple[Places, Places, Places, Places]:
    """Return starts, stops and groups of what a table of confusions holds, and how many in the texts before and with i.

    Characters k, `starts[k]` to `stops[k]`, `ends[i]` to `ends[i + 1]` of them in text i, are looked up by code point
    in `single` (0: not in the table) and, before that, with the next one in `pairs`, rows (first, second, group).
    Characters of several code points are in no table.
    """
    found_starts, found_stops = np.empty(len(starts), np.int64), np.empty(len(starts), np.int64)
    groups = np.empty(len(starts), np.int64)
    counts = np.zeros(len(ends), np.int64)
    n = 0
    for i in range(len(ends) - 1):
        k = ends[i]
        while k < ends[i + 1]:
            code, group, length = codes[starts[k]], 0, 1
            if stops[k] - starts[k] == 1 and code < len(single):
                group = single[code]
                if len(pairs) and k + 1 < ends[i + 1] and stops[k + 1] - starts[k + 1] == 1:
                    for p in range(len(pairs)):
                        if pairs[p, 0] == code and pairs[p, 1] == codes[starts[k + 1]]:
                            group, length = pairs[p, 2], 2
            if group:
                found_starts[n], found_stops[n], groups[n] = starts[k], stops[k + length - 1], group
                n += 1
            k += length
        counts[i + 1] = n
    return found_starts[:n].copy(), found_stops[:n].copy(), groups[:n].copy(), counts


@numba.njit(nogil=True, cache=True)
def unlike_neighbours(
    codes: CodeArray, starts: Places, stops: Places, ends: Places, allowed: npt.NDArray[np.bool_]
) -> tuple[Places, Places]:
    """Return the members whose next one in the same text differs from them, both allowed; and counts as in `pick`."""
    lefts = np.empty(len(starts), np.int64)
    counts = np.zeros(len(ends), np.int64)
    k = 0
    for i in range(len(ends) - 1):
        for j in range(ends[i], ends[i + 1] - 1):
            if not allowed[j] or not allowed[j + 1]:
                continue
            size = stops[j] - starts[j]
            differ = size != stops[j + 1] - starts[j + 1]
            for c in range(0 if differ else size):
                differ |= codes[starts[j] + c] != codes[starts[j + 1] + c]
            if differ:
                lefts[k] = j
                k += 1
        counts[i + 1] = k
    return lefts[:k].copy(), counts


@numba.njit(nogil=True, cache=True)
def runs(starts: Places, stops: Places, ends: Places, gone: Places) -> tuple[Places, Places, Places]:
    """Return counts of edits as in `pick`, and where each starts and stops, that delete the words `gone` of texts.

    Words that follow each other go in one edit, together with one of the gaps beside them: the one that follows, or
    at the end of the text the one before. `gone` rises and leaves at least one word of every text.
    """
    edits = np.zeros(len(ends), np.int64)
    from_, to = np.empty(len(gone), np.int64), np.empty(len(gone), np.int64)
    k, g = 0, 0
    for i in range(len(ends) - 1):
        while g < len(gone) and gone[g] < ends[i + 1]:
            first = last = gone[g]
            g += 1
            while g < len(gone) and gone[g] == last + 1 and gone[g] < ends[i + 1]:
                last = gone[g]
                g += 1
            if last + 1 < ends[i + 1]:
                from_[k], to[k] = starts[first], starts[last + 1]
            else:
                from_[k], to[k] = stops[first - 1], stops[last]
            k += 1
        edits[i + 1] = k
    return edits, from_[:k].copy(), to[:k].copy()
