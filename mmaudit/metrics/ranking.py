"""Does the score put the right ones first? Ties count as ties: half a pair, one threshold, a random order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmaudit.errors import Undefined
from mmaudit.kernels.bootstrap import ratio
from mmaudit.kernels.ranking import concordance, precision_sum, risk_sum
from mmaudit.metrics import floors
from mmaudit.metrics.base import Predictions, Resamples, metric
from mmaudit.types import FloatArray


@metric("auroc", better="higher", unit="share", floor=floors.half, range=(0, 1), per_class=True)
def auroc(p: Predictions, w: Resamples) -> FloatArray:
    """Chance that a random sample of a class scores higher on it than a random other sample, ties half.

    Area under the ROC curve. Binary: of class 1. More classes: one against the rest, mean over classes (macro).
    Multilabel: mean over labels. Only classes or labels that some samples of the (re)sample have and some lack;
    NaN for a replicate without any. Scores are probabilities in float64, in which logits above 37 are tied at 1.
    Floor: 0.5.
    """

    def area(*arrays: Any) -> FloatArray:
        pairs, positives, negatives = concordance(*arrays)
        return ratio(pairs, positives * negatives)

    return _macro(p, w, area)


@metric("average_precision", better="higher", unit="share", floor=floors.random_ranking, range=(0, 1), per_class=True)
def average_precision(p: Predictions, w: Resamples) -> FloatArray:
    """Mean over a class's samples of the precision at their score; mean over classes.

    Σ (Rᵢ − Rᵢ₋₁)·Pᵢ over distinct scores, as scikit-learn's `average_precision_score`. Binary: of class 1. More
    classes: one against the rest. Only classes or labels that some samples of the (re)sample have and some lack.
    Floor: the expectation over random orders (`floors.random_ranking`). With few samples of a class the estimate is
    higher, in the mean, than that of many: one that happens to come first counts as much as a good order.
    """

    def average(counts: Any, unit: Any, order: Any, tied: Any, positive: Any) -> FloatArray:
        precisions, positives = precision_sum(counts, unit, order, tied, positive)
        # A replicate in which every sample is positive says nothing about ranking.
        return np.where(positives < w.total, ratio(precisions, positives), np.nan)

    return _macro(p, w, average)


@metric("aurc", better="lower", unit="share", floor=floors.constant_risk, range=(0, 1))
def aurc(p: Predictions, w: Resamples) -> FloatArray:
    """Mean over coverages of the error among the most confident samples: area under the risk-coverage curve.

    (1/n) Σᵢ errors among the i most confident / i (Geifman et al., ICLR 2019, eq. 2); samples of equal confidence in
    random order, the expectation over it. Multilabel: error is the share of wrong labels. 0 is perfect; a model whose
    confidence says nothing has its error rate. Floor: error of the best constant prediction.
    """
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, w.total.max() + 1))])
    order = p.confidence_order
    return ratio(risk_sum(w.counts, w.unit, order.order, order.tied, 1 - p.correct, harmonic), w.total)


def _macro(p: Predictions, w: Resamples, one: Callable[..., FloatArray]) -> FloatArray:
    """Mean of `one` over the classes or labels for which it is defined, per replicate."""
    truth = p.onehot
    columns = range(1, 2) if p.task.kind == "classification" and p.task.width == 2 else range(p.task.width)
    columns_with_both = [c for c in columns if truth[:, c].any() and not truth[:, c].all()]
    if not columns_with_both:
        raise Undefined(
            "only one class is present; ranking needs two"
            if p.task.kind == "classification"
            else "no label has samples with and without it"
        )
    total, defined = np.zeros(w.replicates), np.zeros(w.replicates)
    for c in columns_with_both:
        order = p.class_orders[c]
        value = one(w.counts, w.unit, order.order, order.tied, np.ascontiguousarray(truth[:, c]))
        known = ~np.isnan(value)
        total[known] += value[known]
        defined += known
    return ratio(total, defined)
