"""Measures of a model whose inputs are missing at random: exact expectations over which ones, not draws of them.

A row in which each of M modalities is missing with some probability is one of 2^M patterns. Every pattern is answered
for every row, and a measure counts the answers with the patterns' probabilities as weights. So nothing depends on a
draw of masks, and all methods are measured on the same.
"""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
from sklearn.metrics import average_precision_score

from mmaudit.types import BoolArray, FloatArray, IntArray

Protocol = Literal["may lose all", "keep ≥ 1"]
BINS = 15
HARDLY = 1e-6  # a rise in confidence below this is rounding


def patterns(modalities: int) -> BoolArray:
    """All patterns of presence, `bool[2^M, M]`; the first has everything, the last nothing."""
    return np.array(list(product((True, False), repeat=modalities)))


def pattern_weights(modalities: int, drop: float, protocol: Protocol) -> FloatArray:
    """Return each pattern's probability, `float64[2^M]`, in the order of `patterns`.

    Args:
        modalities: M.
        drop: probability with which each modality is missing, independently.
        protocol: whether a row `may lose all`, or gets back one of them, each as likely, so that it is left
            `keep ≥ 1`.
    """
    shown = patterns(modalities)
    p: FloatArray = np.where(shown, 1 - drop, drop).prod(axis=1)
    if protocol == "keep ≥ 1":
        p = p + np.where(shown.sum(axis=1) == 1, p[-1] / modalities, 0.0)
        p[-1] = 0.0
    return p


def accuracy(probability: FloatArray, target: IntArray, weight: FloatArray) -> float:
    """Expected share of right answers; probabilities `[patterns, n, k]`, weights `[patterns]`."""
    return float((probability.argmax(axis=2) == target).mean(axis=1) @ weight)


def macro_average_precision(probability: FloatArray, target: IntArray, weight: FloatArray) -> float:
    """Mean over classes of the average precision of a class's probability among all weighted answers."""
    counts = np.repeat(weight, len(target))
    truth = np.tile(target, len(weight))
    used = counts > 0
    flat = probability.reshape(-1, probability.shape[2])[used]
    classes = np.unique(target)
    each = [average_precision_score(truth[used] == c, flat[:, c], sample_weight=counts[used]) for c in classes]
    return float(np.mean(each))


def ece(probability: FloatArray, target: IntArray, weight: FloatArray) -> float:
    """Expected calibration error of the top label over all weighted answers, 15 bins of equal width."""
    right = probability.argmax(axis=2) == target
    return _gap(probability.max(axis=2), right, weight)


def classwise_ece(probability: FloatArray, target: IntArray, weight: FloatArray) -> float:
    """Mean over classes of the calibration error of that class's probability, 15 bins of equal width."""
    each = [
        _gap(probability[:, :, c], np.broadcast_to(target == c, probability.shape[:2]), weight)
        for c in range(probability.shape[2])
    ]
    return float(np.mean(each))


def violations(probability: FloatArray) -> float:
    """Share of (row, nested pair of patterns S ⊂ T, S not empty) where S is more confident than T."""
    shown = patterns(int(np.log2(len(probability))))
    confidence = probability.max(axis=2)
    found = [
        confidence[s] > confidence[t] + HARDLY
        for s in range(len(shown))
        for t in range(len(shown))
        if s != t and shown[s].any() and (shown[s] <= shown[t]).all()
    ]
    return float(np.mean(found))


def _gap(score: FloatArray, outcome: BoolArray, weight: FloatArray) -> float:
    places = np.minimum((score * BINS).astype(np.int64), BINS - 1)
    gaps = (outcome - score) * weight[:, None]
    return float(np.abs(np.bincount(places.ravel(), gaps.ravel(), BINS)).sum() / (weight.sum() * score.shape[1]))
