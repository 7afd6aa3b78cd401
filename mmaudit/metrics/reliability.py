"""The reliability diagram: how often statements of each stated probability were true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats

from mmaudit.kernels.bootstrap import ratio
from mmaudit.kernels.calibration import equal_width_bin
from mmaudit.metrics.calibration import BINS
from mmaudit.metrics.predictions import Predictions
from mmaudit.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Reliability:
    """One bin per row; NaN where a bin is empty.

    Attributes:
        edges: `float64[bins + 1]`; bins are closed below, the last one on both sides.
        count: `int64[bins]`, statements in the bin.
        confidence: `float64[bins]`, their mean stated probability.
        accuracy: `float64[bins]`, share of them that was true.
        low, high: `float64[bins]`, 95 % Wilson interval of `accuracy`, samples taken as independent (too narrow
            where they come in clusters).
    """

    edges: FloatArray
    count: IntArray
    confidence: FloatArray
    accuracy: FloatArray
    low: FloatArray
    high: FloatArray

    def to_json(self) -> dict[str, list[float] | list[int]]:
        """Return the fields as lists; NaN stays NaN."""
        return {name: getattr(self, name).tolist() for name in self.__dataclass_fields__}


def reliability(p: Predictions, bins: int = BINS) -> Reliability:
    """Return the reliability diagram of a condition, with the statements and bins that `ece` uses.

    ECE is Σ count · |accuracy − confidence| / Σ count.
    """
    g = p.graded
    place = equal_width_bin(g.score, bins)
    count = np.bincount(place, minlength=bins)
    confidence = ratio(np.bincount(place, g.score, bins), count)
    accuracy = ratio(np.bincount(place, g.outcome, bins), count)
    low, high = wilson(accuracy, count)
    return Reliability(np.linspace(0, 1, bins + 1), count, confidence, accuracy, low, high)


def wilson(share: FloatArray, n: IntArray, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Return the Wilson score interval (1927) of a share among n; NaN where n = 0."""
    z = float(scipy.stats.norm.ppf((1 + level) / 2))
    n = np.where(n > 0, n, np.nan)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
