"""Does the score put the right ones first? Ties count as ties: half a pair, one threshold, a random order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmaudit.errors import Undefined
from mmaudit.kernels.bootstrap import mean_defined, ratio
from mmaudit.kernels.ranking import concordance, precision_sum, risk_sum
from mmaudit.metrics import floors
from mmaudit.metrics.base import Predictions, Resamples, metric
from mmaudit.metrics.predictions import Each
from mmaudit.types import FloatArray


def areas(p: Predictions, w: Resamples) -> FloatArray:
    """`float64[k, replicates]`: AUROC of each class or label, NaN where it is not defined; binary: of class 1 alone."""

    def area(*arrays: Any) -> FloatArray:
        pairs, positives, negatives = concordance(*arrays, w.total)
        return ratio(pairs, positives * negatives)

    return _each(p, w, area)


def average_precisions(p: Predictions, w: Resamples) -> FloatArray:
    """`float64[k, replicates]`: average precision, as `areas`."""

    def average(counts: Any, unit: Any, order: Any, tied: Any, positive: Any) -> FloatArray:
        precisions, positives = precision_sum(counts, unit, order, tied, positive)
        # A replicate in which every sample is positive says nothing about ranking.
        return np.where(positives < w.total, ratio(precisions, positives), np.nan)

    return _each(p, w, average)


@metric("auroc", better="higher", unit="share", floor=floors.half, range=(0, 1), per_class=True, each=areas)
def auroc(p: Predictions, w: Resamples) -> FloatArray:
    """Chance that a random sample of a class scores higher on it than a random other sample, ties half.

    Area under the ROC curve. Binary: of class 1. More classes: one against the rest, mean over classes (macro).
    Multilabel: mean over labels. Only classes or labels that some samples of the (re)sample have and some lack;
    NaN for a replicate without any. Scores are probabilities in float64, in which logits above 37 are tied at 1.
    Floor: 0.5.
    """
    return _macro(p, w, areas)


@metric(
    "average_precision",
    better="higher",
    unit="share",
    floor=floors.random_ranking,
    range=(0, 1),
    per_class=True,
    each=average_precisions,
)
def average_precision(p: Predictions, w: Resamples) -> FloatArray:
    """Mean over a class's samples of the precision at their score; mean over classes.

    Σ (Rᵢ − Rᵢ₋₁)·Pᵢ over distinct scores, as scikit-learn's `average_precision_score`. Binary: of class 1. More
    classes: one against the rest. Only classes or labels that some samples of the (re)sample have and some lack.
    Floor: the expectation over random orders (`floors.random_ranking`). With few samples of a class the estimate is
    higher, in the mean, than that of many: one that happens to come first counts as much as a good order.
    """
    return _macro(p, w, average_precisions)


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


def _macro(p: Predictions, w: Resamples, each: Each) -> FloatArray:
    """Mean over the classes or labels for which it is defined, per replicate."""
    if not _both(p):
        raise Undefined(
            "only one class is present; ranking needs two"
            if p.task.kind == "classification"
            else "no label has samples with and without it"
        )
    return mean_defined(p.each(each, w))


def _each(p: Predictions, w: Resamples, one: Callable[..., FloatArray]) -> FloatArray:
    columns = _asked(p)
    values = np.full((len(columns), w.replicates), np.nan)
    for c in _both(p):
        order = p.class_orders[c]
        positive = np.ascontiguousarray(p.onehot[:, c])
        values[c - columns[0]] = one(w.counts, w.unit, order.order, order.tied, positive)
    return values


def _asked(p: Predictions) -> range:
    """Classes or labels that are averaged over: of two classes the second, which says it all."""
    return range(1, 2) if p.task.kind == "classification" and p.task.width == 2 else range(p.task.width)


def _both(p: Predictions) -> list[int]:
    """Those of them that some samples have and some lack."""
    truth = p.onehot
    return [c for c in _asked(p) if truth[:, c].any() and not truth[:, c].all()]
