"""Arbitration: where modalities contradict each other, whom does the model believe, and how sure is it?

Under the probe `conflict` one modality was exchanged and speaks for another class (`Predictions.rival`) than those kept
in place, which speak for the target. Rows in no conflict (the modality absent) are left out of every number here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmaudit.errors import Undefined
from mmaudit.kernels.bootstrap import ratio
from mmaudit.metrics.base import Predictions, Resamples, metric
from mmaudit.types import BoolArray, FloatArray, TaskKind

CLASSIFICATION: tuple[TaskKind, ...] = ("classification",)
MOST_CLASSES = 20
OTHERS = "all other classes"


def in_conflict(p: Predictions) -> BoolArray:
    """`bool[n]`: whether the row's modalities speak for two classes."""
    assert p.rival is not None
    return np.asarray(p.rival >= 0)


def kept_wins(p: Predictions) -> BoolArray:
    """`bool[n]`: whether the answer is the class of the modalities kept in place."""
    return np.asarray(in_conflict(p) & (p.predicted == p.target))


def exchanged_wins(p: Predictions) -> BoolArray:
    """`bool[n]`: whether the answer is the class of the modality that was exchanged."""
    return np.asarray(in_conflict(p) & (p.predicted == p.rival))


def neither_wins(p: Predictions) -> BoolArray:
    """`bool[n]`: whether the answer is a third class."""
    return np.asarray(in_conflict(p) & ~kept_wins(p) & ~exchanged_wins(p))


def _share(rows: BoolArray, p: Predictions, w: Resamples) -> FloatArray:
    if not in_conflict(p).any():
        raise Undefined("no sample is in conflict: there is none of another class that has the modality")
    sums = w.sums(np.stack([rows, in_conflict(p)], axis=1))[0]
    return ratio(sums[0], sums[1])


def _confidence(rows: BoolArray, p: Predictions, w: Resamples) -> FloatArray:
    if not rows.any():
        raise Undefined("no answer is of this kind, so there is no confidence in it")
    sums = w.sums(np.stack([rows * p.confidence, rows], axis=1))[0]
    return ratio(sums[0], sums[1])


@metric("follows_kept", better="neither", unit="share", tasks=CLASSIFICATION, range=(0, 1), needs_rival=True)
def follows_kept(p: Predictions, w: Resamples) -> FloatArray:
    """Share of conflicts in which the answer is the class of the modalities kept in place."""
    return _share(kept_wins(p), p, w)


@metric("follows_exchanged", better="neither", unit="share", tasks=CLASSIFICATION, range=(0, 1), needs_rival=True)
def follows_exchanged(p: Predictions, w: Resamples) -> FloatArray:
    """Share of conflicts in which the answer is the class that the exchanged modality speaks for."""
    return _share(exchanged_wins(p), p, w)


@metric("follows_neither", better="neither", unit="share", tasks=CLASSIFICATION, range=(0, 1), needs_rival=True)
def follows_neither(p: Predictions, w: Resamples) -> FloatArray:
    """Share of conflicts in which the answer is a third class, that of no modality."""
    return _share(neither_wins(p), p, w)


@metric("confidence_kept", better="neither", unit="share", tasks=CLASSIFICATION, range=(0, 1), needs_rival=True)
def confidence_kept(p: Predictions, w: Resamples) -> FloatArray:
    """Mean confidence of the answers that follow the modalities kept in place; NaN where none does."""
    return _confidence(kept_wins(p), p, w)


@metric("confidence_exchanged", better="neither", unit="share", tasks=CLASSIFICATION, range=(0, 1), needs_rival=True)
def confidence_exchanged(p: Predictions, w: Resamples) -> FloatArray:
    """Mean confidence of the answers that follow the exchanged modality; NaN where none does."""
    return _confidence(exchanged_wins(p), p, w)


@metric("confidence_neither", better="neither", unit="share", tasks=CLASSIFICATION, range=(0, 1), needs_rival=True)
def confidence_neither(p: Predictions, w: Resamples) -> FloatArray:
    """Mean confidence of the answers that follow no modality of a conflict; NaN where all follow one."""
    return _confidence(neither_wins(p), p, w)


def matrix(p: Predictions) -> dict[str, Any]:
    """Who wins, class against class, as plain values.

    `classes` are names; `n[i][j]` is the number of conflicts in which the modalities kept in place speak for class i
    and the exchanged one for class j, `exchanged[i][j]` the share of them that the exchanged one wins and `kept[i][j]`
    the others' share, NaN where there was none. With more than 20 classes, the 19 most frequent ones stand by
    themselves and all others together.
    """
    assert p.rival is not None
    rows = in_conflict(p)
    kept, exchanged = p.target[rows], p.rival[rows]
    seen = np.bincount(np.concatenate([kept, exchanged]), minlength=p.task.width)
    order = np.argsort(-seen, kind="stable")
    order = order[seen[order] > 0]
    coarse = len(order) > MOST_CLASSES
    shown = np.sort(order[: MOST_CLASSES - 1] if coarse else order)
    place = np.full(p.task.width, len(shown))
    place[shown] = np.arange(len(shown))
    names = [p.task.names[c] for c in shown] + [OTHERS] * coarse
    width = len(names)
    cell = place[kept] * width + place[exchanged]

    def counts(which: BoolArray) -> FloatArray:
        return np.asarray(np.bincount(cell, which[rows], width * width).reshape(width, width), np.float64)

    n = counts(rows)
    return {
        "classes": names,
        "n": n.astype(int).tolist(),
        "kept": ratio(counts(kept_wins(p)), n).tolist(),
        "exchanged": ratio(counts(exchanged_wins(p)), n).tolist(),
    }


def conflicts(p: Predictions, w: Resamples) -> tuple[Predictions, Resamples]:
    """Only the rows in conflict, so that n is what these shares rest on; all where there is none."""
    rows = np.zeros(0, np.int64) if p.rival is None else np.flatnonzero(in_conflict(p))
    if p.rival is None or not len(rows) or len(rows) == p.n:
        return p, w
    return Predictions(p.task, p.outputs[rows], p.target[rows], rival=p.rival[rows]), w.take(rows)
