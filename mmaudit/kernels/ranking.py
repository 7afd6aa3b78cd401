"""Statistics of an order, under all bootstrap replicates in one pass over the sorted samples.

Every kernel takes samples sorted by score, ascending, with `tied[i]` telling whether sorted sample i has the score of
sample i − 1, and returns one number per replicate. A sample drawn m times is m samples tied with each other.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def concordance(counts, unit, order, tied, positive, total):  # type: ignore[no-untyped-def]
    """Count pairs (positive, negative) in which the positive scores higher, ties half (Mann-Whitney U).

    Goes down from the highest score and ends at the last positive: of many classes each has few samples, and a model
    that is any good has them near the top. All counts are whole or half, so the sums are exact.

    Args:
        counts, unit: of `Resamples`.
        order: `int64[n]`, samples by ascending score.
        tied: `bool[n]`, see above.
        positive: `bool[n]`, by sample (not sorted).
        total: `float64[replicates]`, samples in each replicate.

    Returns:
        pairs, positives, negatives: `float64[replicates]` each; AUROC = pairs / (positives · negatives).
    """
    replicates = counts.shape[1]
    # Of pairs the opposite: those in which the negative scores higher.
    lost, positives, over = np.zeros(replicates), np.zeros(replicates), np.zeros(replicates)
    same_positive, same_negative = np.zeros(replicates), np.zeros(replicates)
    left = positive.sum()
    j = len(order)
    while left > 0:
        i = j - 1
        while tied[i]:
            i -= 1
        if i == j - 1:
            row = counts[unit[order[i]]]
            if positive[order[i]]:
                left -= 1
                for b in range(replicates):
                    lost[b] += row[b] * over[b]
                    positives[b] += row[b]
            else:
                for b in range(replicates):
                    over[b] += row[b]
        else:
            same_positive[:] = 0.0
            same_negative[:] = 0.0
            for k in range(i, j):
                row = counts[unit[order[k]]]
                left -= positive[order[k]]
                same = same_positive if positive[order[k]] else same_negative
                for b in range(replicates):
                    same[b] += row[b]
            for b in range(replicates):
                lost[b] += same_positive[b] * (over[b] + 0.5 * same_negative[b])
                positives[b] += same_positive[b]
                over[b] += same_negative[b]
        j = i
    negatives = total - positives
    return positives * negatives - lost, positives, negatives


@numba.njit(nogil=True, cache=True, error_model="numpy")
def precision_sum(counts, unit, order, tied, positive):  # type: ignore[no-untyped-def]
    """Sum over positives of the precision among samples that score at least as high.

    Arguments as in `concordance`, whose way it goes.

    Returns:
        precisions, positives: `float64[replicates]` each; average precision = precisions / positives.
    """
    replicates = counts.shape[1]
    total, hits, seen, same = np.zeros(replicates), np.zeros(replicates), np.zeros(replicates), np.zeros(replicates)
    left = positive.sum()
    j = len(order)
    while left > 0:
        i = j - 1
        while tied[i]:
            i -= 1
        any_positive = False
        for k in range(i, j):
            row = counts[unit[order[k]]]
            if positive[order[k]]:
                left -= 1
                if not any_positive:
                    same[:] = 0.0
                    any_positive = True
                for b in range(replicates):
                    same[b] += row[b]
            for b in range(replicates):
                seen[b] += row[b]
        if any_positive:
            for b in range(replicates):
                hits[b] += same[b]
                total[b] += same[b] * hits[b] / max(seen[b], 1.0)
        j = i
    return total, hits


@numba.njit(nogil=True, cache=True)
def _gather(counts, unit, order, tied, loss, end, same, same_lost):  # type: ignore[no-untyped-def]
    """Fill `same` and `same_lost`, per replicate, with the samples and the loss of the tie before `end`; its start."""
    start = end - 1
    while tied[start]:
        start -= 1
    same[:] = 0
    same_lost[:] = 0.0
    for k in range(start, end):
        row = counts[unit[order[k]]]
        e = loss[order[k]]
        for b in range(len(same)):
            same[b] += row[b]
            same_lost[b] += e * row[b]
    return start


@numba.njit(nogil=True, cache=True, error_model="numpy")
def risk_sum(counts, unit, order, tied, loss, harmonic):  # type: ignore[no-untyped-def]
    """Sum over coverages of the mean loss among the most confident samples, ties in random order (the expectation).

    A tie of m samples with loss e in all, after C samples with loss E, passes through risks (E + e·t/m) / (C + t),
    t = 1 … m, whose sum is e + (H(C+m) − H(C)) · (E − e·C/m) with the harmonic numbers H.

    Args:
        counts, unit, order, tied: as in `concordance`.
        loss: `float64[n]`, by sample.
        harmonic: `float64[largest number of samples in a replicate + 1]`, H(0) = 0, H(1) = 1, H(2) = 1.5, …

    Returns:
        `float64[replicates]`; area under the risk-coverage curve = this / samples.
    """
    replicates = counts.shape[1]
    total, lost, seen = np.zeros(replicates), np.zeros(replicates), np.zeros(replicates, np.int64)
    same_lost, same = np.zeros(replicates), np.zeros(replicates, np.int64)
    j = len(order)
    while j > 0:
        i = _gather(counts, unit, order, tied, loss, j, same, same_lost)
        for b in range(replicates):
            c, m, e = seen[b], same[b], same_lost[b]
            # For m = 0 (not drawn) both terms are 0; no branch, so the loop runs in vector instructions.
            total[b] += e + (harmonic[c + m] - harmonic[c]) * (lost[b] - e * c / max(m, 1))
            lost[b] += e
            seen[b] += m
        j = i
    return total


@numba.njit(nogil=True, cache=True, error_model="numpy")
def risk_at(counts, unit, order, tied, loss, coverages):  # type: ignore[no-untyped-def]
    """Mean loss among the most confident share of the samples, for several shares; ties in random order.

    Where a share ends inside a tie of m samples with loss e in all, after C samples with loss E, it holds k − C of
    them, and the expected mean loss is (E + e·(k − C)/m) / k, k = share · samples, which need not be whole.

    Args:
        counts, unit, order, tied: as in `concordance`.
        loss: `float64[n]`, by sample.
        coverages: `float64[c]`, shares in (0, 1], ascending.

    Returns:
        `float64[c, replicates]`.
    """
    replicates = counts.shape[1]
    size = np.zeros(replicates)
    for i in range(len(order)):
        row = counts[unit[order[i]]]
        for b in range(replicates):
            size[b] += row[b]
    risk = np.zeros((len(coverages), replicates))
    reached = np.zeros(replicates, np.int64)
    lost, seen = np.zeros(replicates), np.zeros(replicates)
    same_lost, same = np.zeros(replicates), np.zeros(replicates)
    j = len(order)
    while j > 0:
        i = _gather(counts, unit, order, tied, loss, j, same, same_lost)
        for b in range(replicates):
            # The last share is all samples, which rounding must not push beyond the last tie.
            while reached[b] < len(coverages) and (coverages[reached[b]] * size[b] <= seen[b] + same[b] or i == 0):
                wanted = coverages[reached[b]] * size[b]
                part = min((wanted - seen[b]) / same[b], 1.0) if same[b] > 0 else 0.0
                risk[reached[b], b] = (lost[b] + part * same_lost[b]) / wanted
                reached[b] += 1
            lost[b] += same_lost[b]
            seen[b] += same[b]
        j = i
    return risk
