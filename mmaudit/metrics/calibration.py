"""Is the stated probability right? Proper scores, calibration errors in bins, and confidence itself.

Calibration errors compare stated probabilities with outcomes (`Graded`): classification the top-label confidence with
whether the prediction is right; multilabel each label's probability with whether it applies, all labels pooled.
"""

from __future__ import annotations

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.kernels.bootstrap import ratio
from mmaudit.kernels.calibration import equal_mass_gap, equal_width_bin, top_label_gaps
from mmaudit.metrics import floors
from mmaudit.metrics.base import Predictions, Resamples, metric
from mmaudit.metrics.predictions import Graded
from mmaudit.types import Array, FloatArray

BINS = 15


@metric("brier", better="lower", unit="squared probability", floor=floors.prior_brier, range=(0, 2), answered=2)
def brier(p: Predictions, w: Resamples) -> FloatArray:
    """Squared distance between probabilities and truth (Brier 1950).

    Classification: Σ over classes of (p − y)², in [0, 2], for two classes too: twice what scikit-learn's
    `brier_score_loss` gives there. Multilabel: mean over labels of (p − y)², in [0, 1]. Proper. Floor: that of
    predicting how often each class occurs.
    """
    return w.mean(p.squared_error)


@metric("nll", better="lower", unit="nats", floor=floors.prior_entropy, range=(0, np.inf))
def nll(p: Predictions, w: Resamples) -> FloatArray:
    """Negative log-likelihood of the truth, in nats (log loss, cross-entropy).

    Computed from logits, so confident mistakes are not clipped. Multilabel: mean over labels. Proper. Floor: entropy
    of the class shares.
    """
    return w.mean(p.surprise)


@metric("ece", better="lower", unit="share", range=(0, 1), answered=1)
def ece(p: Predictions, w: Resamples) -> FloatArray:
    """Expected calibration error: mean |accuracy − confidence| over 15 bins of equal width, weighted by their samples.

    Naeini et al., AAAI 2015; Guo et al., ICML 2017. The last bin is closed at 1. Noise alone makes it positive: read
    it beside `ece_floor`.
    """
    return binned_ece(p.graded, w)


@metric("mce", better="lower", unit="share", range=(0, 1))
def mce(p: Predictions, w: Resamples) -> FloatArray:
    """Maximum calibration error: largest |accuracy − confidence| over the 15 bins of `ece` that hold samples.

    Naeini et al., AAAI 2015. A bin with few samples decides it easily.
    """
    gap, size = _bin_sums(p.graded, w)
    gaps = np.nan_to_num(ratio(np.abs(gap), size), nan=0.0)
    return np.where(w.total > 0, gaps.max(axis=0), np.nan)


@metric("ace", better="lower", unit="share", range=(0, 1))
def ace(p: Predictions, w: Resamples) -> FloatArray:
    """Average calibration error: mean |accuracy − confidence| over the 15 bins of `ece` that hold samples, unweighted.

    Neumann et al., NeurIPS MLITS 2018. Bins that few samples reach count as much as the others. Not the adaptive
    error that shares its initials: see `adaptive_ece`.
    """
    gap, size = _bin_sums(p.graded, w)
    gaps = np.nan_to_num(ratio(np.abs(gap), size), nan=0.0)
    return ratio(gaps.sum(axis=0), (size > 0).sum(axis=0))


@metric("ece_floor", better="neither", unit="share", range=(0, 1))
def ece_floor(p: Predictions, w: Resamples) -> FloatArray:
    """ECE that a perfectly calibrated model with these confidences would show on this many samples.

    The gap of a bin is then a sum of independent zero-mean terms of variance v = Σ c·(1 − c), about normal, so
    E|gap| = √(2v/π), and the floor is Σ over bins of it / n. An ECE near it is no sign of miscalibration.
    """
    return calibrated_ece(p.graded, w)


@metric("adaptive_ece", better="lower", unit="share", range=(0, 1), answered=1)
def adaptive_ece(p: Predictions, w: Resamples) -> FloatArray:
    """ECE in 15 bins of equal mass: edges at the quantiles of the (re)sample's confidences, ties never parted.

    Nixon et al., CVPR workshops 2019 (with top-label confidence). Bins where confidences crowd near 1 are finer than
    those of `ece`.
    """
    g, order = p.graded, p.graded.order
    gaps, size = equal_mass_gap(w.counts, w.unit[g.sample], order.order, order.tied, g.outcome - g.score, BINS)
    return ratio(gaps, size)


@metric("classwise_ece", better="lower", unit="share", range=(0, 1))
def classwise_ece(p: Predictions, w: Resamples) -> FloatArray:
    """Mean over all classes, or labels, of the ECE of that class's probability, not only of the top one.

    Kull et al., NeurIPS 2019, eq. 3; 15 bins of equal width. With many classes most probabilities are near 0, where
    little can go wrong, so values are small: compare them with the clean ones, not between tasks.
    """
    gaps = np.zeros(w.replicates)
    for score, outcome in zip(p.probability.T, p.onehot.T, strict=True):
        gaps += np.abs(w.sums(outcome - score, equal_width_bin(score, BINS), BINS)[:, 0]).sum(axis=0)
    return ratio(gaps, w.total * p.task.width)


@metric("mean_confidence", better="neither", unit="share", range=(0, 1))
def mean_confidence(p: Predictions, w: Resamples) -> FloatArray:
    """Mean probability of the predicted class; multilabel: of each label's decision.

    No direction is good: it should follow accuracy.
    """
    return w.mean(p.confidence)


@metric("overconfidence", better="neither", unit="share", range=(-1, 1), answered=1)
def overconfidence(p: Predictions, w: Resamples) -> FloatArray:
    """Mean confidence minus share of right decisions: positive is overconfident, negative underconfident, 0 is best.

    Multilabel: decisions are single labels. Over- and underconfidence in different samples cancel here, not in `ece`.
    """
    return w.mean(p.confidence - p.correct)


@metric("confidence_rise", better="lower", unit="share", range=(0, 1), needs_clean=True)
def confidence_rise(p: Predictions, w: Resamples) -> FloatArray:
    """Share of samples whose confidence in the clean prediction is higher than under the clean condition, by > 10⁻⁶.

    Where the condition only removes information (a modality), each is a violation of confidence monotonicity (Ma et
    al., Calibrating Multimodal Learning, ICML 2023). Multilabel: mean over labels of the clean decisions' probability.
    """
    assert p.clean is not None
    if p.task.kind == "classification":
        rise = p.probability[np.arange(p.n), p.clean.predicted] - p.clean.confidence
    else:
        rise = (np.where(p.clean.predicted == 1, 1, -1) * (p.probability - p.clean.probability)).mean(axis=1)
    return w.mean(rise > 1e-6)


def expected_calibration_error(probability: Array, target: Array, bins: int = BINS) -> float:
    """Return the ECE of class probabilities: the plain estimate of `ece`, straight from probabilities, in one pass.

    Args:
        probability: `float[n, k]`, in [0, 1]; the top class is the first of equals.
        target: `int[n]`, classes.
        bins: of equal width, the last one closed at 1.

    Returns:
        A share in [0, 1]; NaN for no samples.

    Raises:
        BadInput: shapes do not fit, a probability is not in [0, 1], or a class is none of the k.
    """
    probability, target = np.asarray(probability), np.asarray(target)
    if probability.ndim != 2 or not probability.shape[1] or target.shape != probability.shape[:1]:
        raise BadInput(
            f"probabilities {probability.shape} and target {target.shape} do not fit; give [n, k], k ≥ 1, and [n]."
        )
    if bins < 1 or target.dtype.kind not in "iu" or probability.dtype.kind != "f":
        raise BadInput(f"{bins} bins, {probability.dtype}, {target.dtype}: give ≥ 1 bin, floats and integer classes.")
    if not len(target):
        return float("nan")
    gaps, wrong = top_label_gaps(probability, target, bins)
    if wrong:
        raise BadInput(
            f"{wrong} samples have a probability that is NaN or not in [0, 1], or a class that is none of the "
            f"{probability.shape[1]}; give probabilities (not logits) and classes from 0."
        )
    return float(np.abs(gaps).sum() / len(target))


def binned_ece(g: Graded, w: Resamples) -> FloatArray:
    """Return `float64[replicates]`: expected calibration error of stated probabilities, 15 bins of equal width."""
    gap = w.sums(g.outcome - g.score, equal_width_bin(g.score, BINS), BINS, g.sample)[:, 0]
    return ratio(np.abs(gap).sum(axis=0), _entries(g, w))


def calibrated_ece(g: Graded, w: Resamples) -> FloatArray:
    """Return `float64[replicates]`: expected ECE if the stated probabilities were the true ones, see `ece_floor`."""
    variance = w.sums(g.score * (1 - g.score), equal_width_bin(g.score, BINS), BINS, g.sample)[:, 0]
    return ratio(np.sqrt(2 / np.pi * variance).sum(axis=0), _entries(g, w))


def _entries(g: Graded, w: Resamples) -> FloatArray:
    """Number of stated probabilities in each replicate: the same for every sample."""
    return w.total * (len(g.score) // w.n)


def _bin_sums(g: Graded, w: Resamples) -> tuple[FloatArray, FloatArray]:
    """Sum of outcome − score, and number of entries, `float64[bins, replicates]` each."""
    columns = np.stack([g.outcome - g.score, np.ones(len(g.score))], axis=1)
    sums = w.sums(columns, equal_width_bin(g.score, BINS), BINS, g.sample)
    return sums[:, 0], sums[:, 1]
