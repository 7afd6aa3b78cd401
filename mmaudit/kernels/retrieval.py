"""Ranks of candidates: a block of scores against the best right one, and what ties come to when broken at random."""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def take_right(scores, allowed, own, identity, usable, best, tied, peak, total, bad):  # type: ignore[no-untyped-def]
    """Fold a block of scores into what is known of each query's right candidates.

    Args:
        scores: `float32[q, c]`.
        allowed: `bool[q, c]`, which candidates belong to the query's list; `bool[0, 0]` for all.
        own, identity: `int64[q]`, `int64[c]`; right is where they are equal.
        usable: `bool[c]`, whether the candidate has features; one without is found last.
        best, tied: `float32[q]`, `int64[q]`: highest score of a right candidate so far, and how many have it.
        peak, total: `float64[q]`: the same as `best`, and the sum of exp(score − peak) over right candidates so far.
        bad: `bool[q]`: set where a score is not finite.
    """
    everything = allowed.shape[0] == 0
    for i in range(scores.shape[0]):
        for j in range(scores.shape[1]):
            if identity[j] != own[i] or not usable[j] or not (everything or allowed[i, j]):
                continue
            s = scores[i, j]
            if not np.isfinite(s):
                bad[i] = True
            elif s > best[i]:
                total[i] = total[i] * np.exp(peak[i] - s) + 1.0
                best[i], peak[i], tied[i] = s, s, 1
            else:
                total[i] += np.exp(s - peak[i])
                if s == best[i]:
                    tied[i] += 1


@numba.njit(nogil=True, cache=True)
def take_all(  # type: ignore[no-untyped-def]
    scores, allowed, own, identity, positions, usable, best, higher, tied, first, peak, total, bad
):
    """Fold a block of scores into each query's counts; `best` is final.

    Args:
        scores, allowed, own, identity, usable, best, bad: see `take_right`.
        positions: `int64[c]`, in ascending order over blocks.
        higher, tied: `int64[q]`: wrong candidates above, and at, the best right one.
        first: `int64[q]`: position of the highest score so far, the first of equals; −1 for none.
        peak, total: `float64[q]`: highest score so far, and the sum of exp(score − peak).
    """
    everything = allowed.shape[0] == 0
    for i in range(scores.shape[0]):
        high, place = peak[i], first[i]
        above, same = higher[i], tied[i]
        finite = True
        for j in range(scores.shape[1]):
            if not usable[j] or not (everything or allowed[i, j]):
                continue
            s = scores[i, j]
            finite &= np.isfinite(s)
            if s > high:
                high, place = s, positions[j]
            if identity[j] != own[i]:
                above += s > best[i]
                same += s == best[i]
        if not finite:
            bad[i] = True
            continue
        old = 0.0 if peak[i] == -np.inf else total[i] * np.exp(peak[i] - high)
        for j in range(scores.shape[1]):
            if usable[j] and (everything or allowed[i, j]):
                old += np.exp(np.float64(scores[i, j]) - high)
        peak[i], total[i], first[i], higher[i], tied[i] = high, old, place, above, same


@numba.njit(nogil=True, cache=True)
def mean_reciprocal(higher, tied, right):  # type: ignore[no-untyped-def]
    """Return `float64[n]`: expected 1 / rank of the first right one, ties in random order.

    Among `tied` wrong and `right` right ones in random order, j wrong ones come before the first right one with
    probability p(0) = right / (tied + right), p(j + 1) = p(j) · (tied − j) / (tied + right − 1 − j).
    """
    out = np.empty(len(higher))
    for i in range(len(higher)):
        t, u = tied[i], right[i]
        p, value, left = u / (t + u), 0.0, 1.0
        for j in range(np.int64(t) + 1):
            value += p / (higher[i] + 1 + j)
            left -= p
            if left < 1e-15:
                break
            p *= (t - j) / (t + u - 1 - j)
        out[i] = value
    return out


@numba.njit(nogil=True, cache=True)
def middle_rank(higher, tied, right):  # type: ignore[no-untyped-def]
    """Return `float64[n]`: median of the rank of the first right one, ties in random order; between two: their mean."""
    out = np.empty(len(higher))
    for i in range(len(higher)):
        t, u = tied[i], right[i]
        p = u / (t + u)
        reached, j = p, 0
        while reached < 0.5 - 1e-12:
            p *= (t - j) / (t + u - 1 - j)
            reached += p
            j += 1
        out[i] = higher[i] + 1 + j + (0.5 if reached < 0.5 + 1e-12 else 0.0)
    return out


@numba.njit(nogil=True, cache=True)
def reached(weights, row, higher, tied, right, ranks, rank_of):  # type: ignore[no-untyped-def]
    """Return `float64[replicates]`: expected number of queries whose first right one is found within each's rank.

    Not all of the first m among `tied` wrong and `right` right ones are wrong, which has probability
    1 − C(tied, m) / C(tied + right, m).

    Args:
        weights: `[rows, replicates]`, how often each row of queries was drawn.
        row: `int64[n]`, the row of each query (or of each kind of them).
        higher, tied, right: `float64[n]`, of each query.
        ranks: `float64[d]`, ranks asked about.
        rank_of: `int64[replicates]`, which of them each replicate asks about.
    """
    out = np.zeros(len(rank_of))
    within = np.empty(len(ranks))
    for i in range(len(row)):
        t, u = tied[i], right[i]
        for d in range(len(ranks)):
            m = ranks[d] - higher[i]
            if m <= 0:
                within[d] = 0.0
            elif m > t:
                within[d] = 1.0
            elif u == 1:
                within[d] = m / (t + 1)
            else:
                log_missed = math.lgamma(t + 1) - math.lgamma(t - m + 1)
                log_missed -= math.lgamma(t + u + 1) - math.lgamma(t + u - m + 1)
                within[d] = 1 - math.exp(log_missed)
        drawn = weights[row[i]]
        for b in range(len(out)):
            out[b] += drawn[b] * within[rank_of[b]]
    return out
