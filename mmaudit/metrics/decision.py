"""Is the prediction right? Accuracy and its kin, from the most probable class or the labels above 0.5."""

from __future__ import annotations

import numpy as np

from mmaudit.kernels.bootstrap import mean_defined, ratio
from mmaudit.metrics import floors
from mmaudit.metrics.base import DECISIONS, Predictions, Resamples, metric
from mmaudit.types import FloatArray


@metric("accuracy", better="higher", unit="share", floor=floors.majority_share, range=(0, 1), counts=True)
def accuracy(p: Predictions, w: Resamples) -> FloatArray:
    """Share of samples whose prediction is right.

    Multilabel: exact match, every label of the sample is right (subset accuracy). Floor: the most frequent answer.
    """
    return w.mean(p.hit)


def recalls(p: Predictions, w: Resamples) -> FloatArray:
    """`float64[classes, replicates]`: share of a class's samples that are recognised; NaN for one without samples."""
    sums = w.sums(np.stack([np.ones(p.n), p.hit], axis=1), p.target, p.task.width)
    return ratio(sums[:, 1], sums[:, 0])


@metric(
    "balanced_accuracy",
    better="higher",
    unit="share",
    tasks=("classification",),
    floor=floors.one_over_classes,
    range=(0, 1),
    per_class=True,
    each=recalls,
)
def balanced_accuracy(p: Predictions, w: Resamples) -> FloatArray:
    """Mean over classes of the share of the class's samples that are recognised (mean recall).

    Over the classes present in the (re)sample, as scikit-learn's `balanced_accuracy_score`. Floor: 1 / classes.
    """
    return mean_defined(recalls(p, w))


def label_f1(p: Predictions, w: Resamples) -> FloatArray:
    """`float64[k, replicates]`: F1 of each label or class; NaN where it is in neither truth nor predictions."""
    said = p.predicted == 1 if p.task.kind == "multilabel" else p.predicted[:, None] == np.arange(p.task.width)
    both = p.onehot & said
    either = p.onehot.astype(np.float64) + said
    sums = w.sums(np.concatenate([both, either], axis=1))[0].reshape(2, p.task.width, -1)
    return ratio(2 * sums[0], sums[1])


@metric(
    "macro_f1",
    better="higher",
    unit="share",
    floor=floors.constant_f1,
    range=(0, 1),
    per_class=True,
    each=label_f1,
)
def macro_f1(p: Predictions, w: Resamples) -> FloatArray:
    """Mean over classes, or over labels, of F1 = 2·TP / (2·TP + FP + FN).

    Over those that occur in truth or predictions of the (re)sample; the others have no F1 (scikit-learn's `f1_score`
    with `zero_division=nan`). NaN where none does. Floor: best constant prediction.
    """
    if p.task.kind == "multilabel":
        return mean_defined(p.each(label_f1, w))
    true = w.sums(np.stack([np.ones(p.n), p.hit], axis=1), p.target, p.task.width)
    predicted = w.sums(np.ones(p.n), p.predicted, p.task.width)[:, 0]
    return mean_defined(ratio(2 * true[:, 1], true[:, 0] + predicted))


@metric("flip_rate", better="lower", unit="share", tasks=(*DECISIONS, "retrieval"), range=(0, 1), needs_clean=True)
def flip_rate(p: Predictions, w: Resamples) -> FloatArray:
    """Share of samples whose prediction differs from the one under the clean condition.

    Multilabel: in any label. Retrieval: another candidate scores highest. It needs no truth: a wrong prediction that
    changes counts too.
    """
    assert p.clean is not None
    flipped = p.predicted != p.clean.predicted
    return w.mean(flipped if flipped.ndim == 1 else flipped.any(axis=1))
