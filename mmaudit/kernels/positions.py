"""Some of many positions: evenly over the data, and in no step with it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mmaudit.kernels.neighbours import mix

IntArray = npt.NDArray[np.int64]


def spread(positions: IntArray, limit: int) -> IntArray:
    """Return at most `limit` of `positions`, in their order: one from each of as many stretches of equal length.

    Where in its stretch is drawn, by a fixed hash of the stretch's number. In equal steps one would take only one class
    of data in which classes come in turns, or one camera, or one hour of the day.

    Args:
        positions: `int[n]`.
        limit: at least 1.
    """
    n = len(positions)
    if n <= limit:
        return positions.astype(np.int64)
    edges = np.arange(limit + 1, dtype=np.int64) * n // limit
    drawn = mix(np.arange(limit, dtype=np.uint64)) % np.diff(edges).astype(np.uint64)
    return positions[edges[:-1] + drawn.astype(np.int64)].astype(np.int64)
