"""Calibration in bins: which bin a score is in, and the kernel for bins of equal mass."""

from __future__ import annotations

import numba
import numpy as np

from mmaudit.types import FloatArray, IntArray


def equal_width_bin(score: FloatArray, bins: int) -> IntArray:
    """Return the bin of each score in [0, 1]: [0, 1/bins), [1/bins, 2/bins), …, the last one closed at 1."""
    return np.minimum(np.searchsorted(np.linspace(0, 1, bins + 1), score, side="right") - 1, bins - 1)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def equal_mass_gap(counts, unit, order, tied, gap, bins):  # type: ignore[no-untyped-def]
    """Sum of |sum of gap| over bins of equal mass, tied scores never parted.

    The inner edges are the 1/bins, 2/bins, … quantiles of each replicate's scores (NumPy's default, linear); a score
    is in the bin whose lower edge is the last one ≤ it. A tie whose last member has rank r (from 0) among N is
    therefore in bin ⌊bins · r / (N − 1)⌋, the last bin closed.

    Args:
        counts, unit: of `Resamples`, here by entry: `unit[i]` is that of entry i.
        order: `int64[n]`, entries by ascending score.
        tied: `bool[n]`, whether sorted entry i has the score of sorted entry i − 1.
        gap: `float64[n]`, outcome − score, by entry.
        bins: how many.

    Returns:
        gaps, entries: `float64[replicates]` each; adaptive ECE = gaps / entries.
    """
    replicates = counts.shape[1]
    n = len(order)
    size = np.zeros(replicates)
    for k in range(n):
        row = counts[unit[k]]
        for b in range(replicates):
            size[b] += row[b]
    # Bins per rank; a replicate of one entry has one bin.
    scale = np.empty(replicates)
    for b in range(replicates):
        scale[b] = max(size[b] - 1.0, 1.0)
    total, inside, seen, bin_now = (
        np.zeros(replicates),
        np.zeros(replicates),
        np.zeros(replicates),
        np.zeros(replicates),
    )
    same_gap, same = np.zeros(replicates), np.zeros(replicates)
    i = 0
    while i < n:
        j = i + 1
        while j < n and tied[j]:
            j += 1
        same_gap[:] = 0.0
        same[:] = 0.0
        for k in range(i, j):
            row = counts[unit[order[k]]]
            v = gap[order[k]]
            for b in range(replicates):
                same[b] += row[b]
                same_gap[b] += v * row[b]
        for b in range(replicates):
            if same[b] > 0.0:
                seen[b] += same[b]
                # The quotient of whole numbers is rounded correctly, so ⌊ ⌋ is exact.
                bin_here = min(np.floor(bins * (seen[b] - 1.0) / scale[b]), bins - 1.0)
                if bin_here != bin_now[b]:
                    total[b] += abs(inside[b])
                    inside[b] = 0.0
                    bin_now[b] = bin_here
                inside[b] += same_gap[b]
        i = j
    for b in range(replicates):
        total[b] += abs(inside[b])
    return total, size
