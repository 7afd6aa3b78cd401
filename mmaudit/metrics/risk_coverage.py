"""The risk-coverage curve: the error that is left when only the most confident answers are accepted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmaudit.kernels.inference import interval
from mmaudit.kernels.ranking import risk_at
from mmaudit.metrics.base import Resamples
from mmaudit.metrics.predictions import Predictions
from mmaudit.types import FloatArray

COVERAGES = tuple(i / 20 for i in range(1, 21))


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """One point per coverage.

    Attributes:
        coverage: `float64[c]`, share of the samples that is answered, the most confident first, in (0, 1].
        risk: `float64[c]`, share of wrong answers (multilabel: of wrong labels) among them, in [0, 1]; lower is better.
        low, high: `float64[c]`, 95 % bootstrap interval of `risk`, clusters resampled whole.
    """

    coverage: FloatArray
    risk: FloatArray
    low: FloatArray
    high: FloatArray

    def to_json(self) -> dict[str, list[float]]:
        """Return the fields as lists."""
        return {name: getattr(self, name).tolist() for name in self.__dataclass_fields__}


def risk_coverage(p: Predictions, w: Resamples, coverages: tuple[float, ...] = COVERAGES) -> RiskCoverage:
    """Return the risk-coverage curve of a condition (El-Yaniv and Wiener, JMLR 2010, section 2).

    Samples of equal confidence are in random order, and the risk is the expectation over it. Where all of m
    independent units are right, or all wrong, the interval ends at the exact bound: 1 − 0.025^(1/m), or 0.025^(1/m).
    At full coverage the risk is the error rate.
    """
    order, loss, at = p.confidence_order, 1.0 - p.correct, np.asarray(coverages)
    ones = Resamples.ones(p.n)
    value = risk_at(ones.counts, ones.unit, order.order, order.tied, loss, at)[:, 0]
    replicates = risk_at(w.counts, w.unit, order.order, order.tied, loss, at)
    ends = np.array([interval(replicates[i], float(value[i]), (0.0, 1.0), units=w.units) for i in range(len(at))])
    units = np.maximum(at * w.units, 1.0)
    right = (value == 0.0) & (ends[:, 1] == 0.0)
    wrong = (value == 1.0) & (ends[:, 0] == 1.0)
    low = np.where(wrong, 0.025 ** (1.0 / units), ends[:, 0])
    return RiskCoverage(at, value, low, np.where(right, 1.0 - 0.025 ** (1.0 / units), ends[:, 1]))
