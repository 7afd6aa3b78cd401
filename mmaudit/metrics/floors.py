"""Chance floors: what the best prediction that ignores the inputs reaches, given how often each answer occurs.

Each function takes the task and its target column and returns one number, NaN where it is not defined.
"""

from __future__ import annotations

import numpy as np
import scipy.special

from mmaudit.types import Array, FloatArray, Task


def class_shares(task: Task, target: Array) -> FloatArray:
    """Return the share of each class, or for multilabel how often each label applies."""
    if task.kind == "classification":
        return np.bincount(target, minlength=task.width) / len(target)
    return np.asarray(target.mean(axis=0), np.float64)


def majority_share(task: Task, target: Array) -> float:
    """Share of the most frequent class; multilabel: of the most frequent set of labels."""
    answers = target if task.kind == "classification" else np.ascontiguousarray(target)
    return float(np.unique(answers, axis=0, return_counts=True)[1].max() / len(target))


def one_over_classes(task: Task, target: Array) -> float:
    """1 / number of classes present."""
    return 1 / np.count_nonzero(class_shares(task, target))


def constant_f1(task: Task, target: Array) -> float:
    """Best macro-F1 of a constant prediction: always one class; multilabel: every label that occurs.

    Predicting a class of share π always has F1 2π/(1+π) on it, and 0 on all other classes present.
    """
    share = class_shares(task, target)
    present = share[share > 0]
    if not len(present):
        return float("nan")
    f1 = 2 * present / (1 + present)
    return float(f1.max() / len(present) if task.kind == "classification" else f1.mean())


def half(task: Task, target: Array) -> float:
    """0.5 where some class or label has samples with and without it."""
    share = class_shares(task, target)
    return 0.5 if ((share > 0) & (share < 1)).any() else float("nan")


def prevalence(task: Task, target: Array) -> float:
    """Mean share over classes or labels that some samples have and some lack; binary: share of class 1."""
    share = class_shares(task, target)
    if task.kind == "classification" and task.width == 2:
        share = share[1:]
    share = share[(share > 0) & (share < 1)]
    return float(share.mean()) if len(share) else float("nan")


def prior_brier(task: Task, target: Array) -> float:
    """Brier score of predicting the shares themselves."""
    share = class_shares(task, target)
    terms = share * (1 - share)
    return float(terms.sum() if task.kind == "classification" else terms.mean())


def prior_entropy(task: Task, target: Array) -> float:
    """Negative log-likelihood of predicting the shares themselves: their entropy, in nats."""
    share = class_shares(task, target)
    if task.kind == "classification":
        return float(scipy.special.entr(share).sum())
    return float((scipy.special.entr(share) + scipy.special.entr(1 - share)).mean())


def constant_risk(task: Task, target: Array) -> float:
    """Share of wrong decisions of the best constant prediction, at any coverage."""
    share = class_shares(task, target)
    if task.kind == "classification":
        return float(1 - share.max())
    return float(np.minimum(share, 1 - share).mean())


def spread(task: Task, target: Array) -> float:
    """Standard deviation of the target: RMSE of predicting its mean; mean over dimensions."""
    return float(_columns(target).std(axis=0).mean())


def absolute_spread(task: Task, target: Array) -> float:
    """Mean absolute deviation from the median: MAE of predicting it; mean over dimensions."""
    y = _columns(target)
    return float(np.abs(y - np.median(y, axis=0)).mean())


def zero(task: Task, target: Array) -> float:
    """0: R² of predicting the mean; NaN for a target that does not vary."""
    return 0.0 if (np.ptp(_columns(target), axis=0) > 0).any() else float("nan")


def _columns(target: Array) -> FloatArray:
    return np.asarray(target, np.float64).reshape(len(target), -1)
