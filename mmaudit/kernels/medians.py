"""Medians of bootstrap replicates, and mean absolute deviations from them, in one pass over sorted samples each."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def medians(counts, unit, order, values):  # type: ignore[no-untyped-def]
    """Return `float64[replicates]`: median of each replicate; NaN for an empty one.

    Args:
        counts, unit: of `Resamples`.
        order: `int64[n]`, samples by ascending value.
        values: `float64[n]`, by sample (not sorted).
    """
    replicates = counts.shape[1]
    total, below = np.zeros(replicates), np.zeros(replicates)
    for i in order:
        row = counts[unit[i]]
        for b in range(replicates):
            total[b] += row[b]
    out = np.full(replicates, np.nan)
    waiting = np.zeros(replicates, np.bool_)
    for i in order:
        row = counts[unit[i]]
        for b in range(replicates):
            if row[b] == 0:
                continue
            if waiting[b]:
                out[b] = (out[b] + values[i]) / 2
                waiting[b] = False
            before = below[b]
            below[b] += row[b]
            if 2 * before < total[b] and 2 * below[b] >= total[b]:
                out[b] = values[i]
                # Half of the replicate lies at or below this value: the median is the mean of it and the next one.
                waiting[b] = 2 * below[b] == total[b]
    return out


@numba.njit(nogil=True, cache=True)
def absolute_deviations(counts, unit, values, centre):  # type: ignore[no-untyped-def]
    """Return `float64[replicates]`: sum over each replicate of the distances of its values from its own centre.

    Args:
        counts, unit: of `Resamples`.
        values: `float64[n]`, by sample.
        centre: `float64[replicates]`, `medians` of them; NaN for an empty replicate.
    """
    out = np.zeros(counts.shape[1])
    for i in range(len(values)):
        row = counts[unit[i]]
        for b in range(len(out)):
            out[b] += row[b] * abs(values[i] - centre[b])
    return out
