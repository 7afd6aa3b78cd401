"""Chance floors: what the best prediction that ignores the inputs reaches, given how often each answer occurs.

Each function takes the task, its target column and resamples, like a metric, and returns `float64[replicates]`, NaN
where it is not defined.
"""

from __future__ import annotations

import numpy as np
import scipy.special

from mmaudit.kernels.bootstrap import Resamples, ratio
from mmaudit.kernels.medians import absolute_deviations, medians
from mmaudit.types import Array, FloatArray, Task

MOST_SETS = 1000


def class_shares(task: Task, target: Array, w: Resamples) -> FloatArray:
    """Return `float64[classes, replicates]`: share of each class, or for multilabel how often each label applies."""
    if task.kind == "classification":
        return ratio(w.sums(np.ones(len(target)), target, task.width)[:, 0], w.total)
    return ratio(w.sums(target)[0], w.total)


def majority_share(task: Task, target: Array, w: Resamples) -> FloatArray:
    """Share of the most frequent class; multilabel: of the most frequent set of labels."""
    if task.kind == "classification":
        return np.asarray(class_shares(task, target, w).max(axis=0))
    _, number, count = np.unique(target, axis=0, return_inverse=True, return_counts=True)
    rank = np.empty(len(count), np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(len(count))
    place = np.minimum(rank[number.reshape(-1)], MOST_SETS)  # no set behind so many others is ever the most frequent
    groups = min(len(count), MOST_SETS + 1)
    return np.asarray(ratio(w.sums(np.ones(len(target)), place, groups)[:MOST_SETS, 0], w.total).max(axis=0))


def one_over_classes(task: Task, target: Array, w: Resamples) -> FloatArray:
    """1 / number of classes present."""
    present = (class_shares(task, target, w) > 0).sum(axis=0)
    return ratio(np.ones(len(present)), present)


def constant_f1(task: Task, target: Array, w: Resamples) -> FloatArray:
    """Best macro-F1 of a constant prediction: always one class; multilabel: every label that occurs.

    Predicting a class of share π always has F1 2π/(1+π) on it, and 0 on all other classes present.
    """
    share = class_shares(task, target, w)
    f1, present = 2 * share / (1 + share), (share > 0).sum(axis=0)
    return ratio(f1.max(axis=0) if task.kind == "classification" else f1.sum(axis=0), present)


def half(task: Task, target: Array, w: Resamples) -> FloatArray:
    """0.5 where some class or label has samples with and without it."""
    share = class_shares(task, target, w)
    return np.where(((share > 0) & (share < 1)).any(axis=0), 0.5, np.nan)


def random_ranking(task: Task, target: Array, w: Resamples) -> FloatArray:
    """Average precision expected of a random order; mean over classes or labels that vary; binary: of class 1.

    With P of N samples to be found it is (H_N + (P − 1)/(N − 1) · (N − H_N)) / N, H_N = 1 + 1/2 + … + 1/N: the sample
    at rank i is one of them with probability P/N, and then its precision is (1 + (i − 1)(P − 1)/(N − 1)) / i. That is
    above the prevalence P/N, which a constant score has, and twice it where P is about ln N.
    """
    share = class_shares(task, target, w)
    if task.kind == "classification" and task.width == 2:
        share = share[1:]
    varies, n = (share > 0) & (share < 1), w.total
    harmonic = scipy.special.digamma(n + 1) + np.euler_gamma
    others = ratio(share * n - 1, np.broadcast_to(n - 1, share.shape))
    expected = (harmonic + others * (n - harmonic)) / n
    return ratio(np.where(varies, expected, 0.0).sum(axis=0), varies.sum(axis=0))


def prior_brier(task: Task, target: Array, w: Resamples) -> FloatArray:
    """Brier score of predicting the shares themselves."""
    share = class_shares(task, target, w)
    terms = share * (1 - share)
    return np.asarray(terms.sum(axis=0) if task.kind == "classification" else terms.mean(axis=0))


def prior_entropy(task: Task, target: Array, w: Resamples) -> FloatArray:
    """Negative log-likelihood of predicting the shares themselves: their entropy, in nats."""
    share = class_shares(task, target, w)
    if task.kind == "classification":
        return np.asarray(scipy.special.entr(share).sum(axis=0))
    return np.asarray((scipy.special.entr(share) + scipy.special.entr(1 - share)).mean(axis=0))


def constant_risk(task: Task, target: Array, w: Resamples) -> FloatArray:
    """Share of wrong decisions of the best constant prediction, at any coverage."""
    share = class_shares(task, target, w)
    if task.kind == "classification":
        return np.asarray(1 - share.max(axis=0))
    return np.asarray(np.minimum(share, 1 - share).mean(axis=0))


def spread(task: Task, target: Array, w: Resamples) -> FloatArray:
    """Standard deviation of the target: RMSE of predicting its mean; mean over dimensions."""
    return np.asarray(np.sqrt(_variances(target, w)).mean(axis=0))


def absolute_spread(task: Task, target: Array, w: Resamples) -> FloatArray:
    """Mean absolute deviation from the median: MAE of predicting it; mean over dimensions."""
    columns = np.ascontiguousarray(_columns(target).T)
    centres = [medians(w.counts, w.unit, np.argsort(y, kind="stable"), y) for y in columns]
    sums = [absolute_deviations(w.counts, w.unit, y, m) for y, m in zip(columns, centres, strict=True)]
    return np.asarray(np.mean([ratio(total, w.total) for total in sums], axis=0))


def zero(task: Task, target: Array, w: Resamples) -> FloatArray:
    """0: R² of predicting the mean; NaN for a target that does not vary."""
    return np.where((_variances(target, w) > 0).any(axis=0), 0.0, np.nan)


def _variances(target: Array, w: Resamples) -> FloatArray:
    """`float64[dimensions, replicates]`, exactly 0 where only rounding varies."""
    y = _columns(target)
    y = y - y.mean(axis=0)  # keeps Σy²/n − (Σy/n)² from cancelling
    first, second = ratio(w.sums(y)[0], w.total), ratio(w.sums(y**2)[0], w.total)
    return np.asarray(np.where(second - first**2 <= 1e-12 * second, 0.0, second - first**2))


def _columns(target: Array) -> FloatArray:
    return np.asarray(target, np.float64).reshape(len(target), -1)
