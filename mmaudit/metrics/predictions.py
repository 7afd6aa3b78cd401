"""Predictions: the outputs of one condition beside the truth, with what metrics derive from them computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.special

from mmaudit.errors import BadInput
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.types import CANDIDATES, FIRST, RIGHT, Array, BoolArray, FloatArray, IntArray, Task

_BLOCK = 2**16
_TABLE = 2**26  # bytes of a table of classes and units


@dataclass(frozen=True, eq=False)
class Order:
    """Entries sorted by score, ascending.

    Attributes:
        order: `int32[n]`.
        tied: `bool[n]`, whether sorted entry i has the score of sorted entry i − 1.
    """

    order: npt.NDArray[np.int32]
    tied: BoolArray

    @classmethod
    def of(cls, score: FloatArray) -> Order:
        """Sort; stable, so that sums over ties do not depend on the machine's sorting instructions."""
        order = np.argsort(score, kind="stable").astype(np.int32)
        ranked = score[order]
        return cls(order, np.concatenate([[False], ranked[1:] == ranked[:-1]])[: len(score)])


@dataclass(frozen=True, eq=False)
class Graded:
    """Statements with a stated probability, and whether each was right: what calibration is about.

    Classification: one per sample, "my prediction is right", with the top-label confidence. Multilabel: one per
    sample and label, "the label applies", with its probability, all labels pooled.

    Attributes:
        score: `float64[m]`, stated probability.
        outcome: `float64[m]`, 1 where the statement was true, else 0.
        sample: `int64[m]`, the sample it is about.
    """

    score: FloatArray
    outcome: FloatArray
    sample: IntArray

    @cached_property
    def order(self) -> Order:
        """Entries by score."""
        return Order.of(self.score)


Each = Callable[["Predictions", Resamples], FloatArray]


class Predictions:
    """Outputs of one condition beside the truth; arrays derived from them are computed once, on first use.

    Args:
        task: decides what a row means.
        outputs: `[n, k]`, finite: logits (classification, multilabel), values (regression) or answer rows (retrieval,
            see `mmaudit.types`). Rows without outputs must be left out by the caller.
        target: `int[n]`, `int[n, labels]` (0/1) or `float[n, dims]` (`[n]` where there is one dimension); retrieval:
            `int[n, 3]`, identity, candidates and right ones.
        clean: the same rows under the clean condition, for metrics that compare with it.
        rival: `int[n]`, classification: the class that the exchanged modality speaks for under a conflict, another
            one than the target's; −1 for rows that are in no conflict.

    Raises:
        BadInput: when shapes, labels or values do not fit the task.
    """

    def __init__(
        self, task: Task, outputs: Array, target: Array, clean: Predictions | None = None, rival: Array | None = None
    ) -> None:
        outputs, target = np.asarray(outputs), np.asarray(target)
        if task.kind == "regression" and target.ndim == 1 and task.width == 1:
            target = target[:, None]
        if outputs.ndim != 2 or outputs.shape[1] != task.width:
            raise BadInput(f"outputs have shape {outputs.shape}; {task.kind} here needs [n, {task.width}].")
        expected = (len(outputs),) if task.kind == "classification" else outputs.shape
        if task.kind == "retrieval":
            expected = (len(outputs), 3)
        if target.shape != expected:
            raise BadInput(f"target has shape {target.shape}; {task.kind} here needs {list(expected)}.")
        if not np.isfinite(outputs).all():
            bad = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
            raise BadInput(f"outputs of {len(bad)} rows (first: {bad[0]}) are not finite; leave these rows out.")
        legal = np.isfinite(target)
        if task.kind == "retrieval":
            legal = (target[:, CANDIDATES] >= target[:, RIGHT]) & (target[:, RIGHT] >= 0)
            target = target.astype(np.int64)
        elif task.kind != "regression":
            legal = (target >= 0) & (target < _labels(task))
        if not legal.all():
            raise BadInput(
                f"target {target[~legal].ravel()[0]} is not legal for {task.kind} with {_labels(task)} values."
            )
        if clean is not None and clean.n != len(outputs):
            raise BadInput(
                f"clean predictions have {clean.n} rows, these have {len(outputs)}; they must be the same rows."
            )
        if rival is not None:
            self._require_rival(task, target, np.asarray(rival))
        self.task = task
        self.outputs = outputs
        self.target = target
        self.clean = clean
        self.rival = None if rival is None else np.asarray(rival, np.int64)
        self._rarest: tuple[Resamples, Rarest] | None = None
        self._each: dict[tuple[Each, Resamples], FloatArray] = {}

    def rarest(self, w: Resamples) -> Rarest:
        """What metrics in which all classes or labels weigh alike rest on."""
        if self._rarest is None or self._rarest[0] is not w:
            self._rarest = w, rarest(self.task, self.target, w)
        return self._rarest[1]

    def each(self, function: Each, w: Resamples) -> FloatArray:
        """`float64[outputs, replicates]`: a function of these under w; kept where there are several labels or targets.

        So their mean and the scores of each of them are one computation.
        """
        if self.task.kind == "classification" or self.task.width < 2 or w.replicates < 2:
            return function(self, w)
        if (known := self._each.get((function, w))) is None:
            known = self._each.setdefault((function, w), function(self, w))
        return known

    @staticmethod
    def _require_rival(task: Task, target: Array, rival: Array) -> None:
        if task.kind != "classification" or rival.shape != target.shape:
            raise BadInput(f"rival has shape {rival.shape}; it is one class per row, of a classification.")
        if not ((rival >= -1) & (rival < task.width) & (rival != target)).all():
            raise BadInput("rival holds a class that is the target's or none of the task's; use −1 for no conflict.")

    @property
    def n(self) -> int:
        """Samples."""
        return len(self.outputs)

    def take(self, rows: Array) -> Predictions:
        """Return the predictions of some rows (positions or a mask), clean ones included."""
        clean = self.clean.take(rows) if self.clean else None
        rival = None if self.rival is None else self.rival[rows]
        return Predictions(self.task, self.outputs[rows], self.target[rows], clean, rival)

    def forget(self) -> None:
        """Drop what can be worked out again and takes as much memory as the outputs, or more."""
        for name in ("probability", "class_orders", "confidence_order", "graded", "onehot"):
            self.__dict__.pop(name, None)

    @property
    def squared_error(self) -> FloatArray:
        """`float64[n]`: Σ over classes of (p − y)² (classification), or their mean over labels; not kept."""
        out = np.empty(self.n)
        for rows in blocks(self.n):
            squares = (self.probability[rows] - self.onehot[rows]) ** 2
            out[rows] = squares.sum(axis=1) if self.task.kind == "classification" else squares.mean(axis=1)
        return out

    @property
    def surprise(self) -> FloatArray:
        """`float64[n]`: −log of the probability of the truth, in nats, mean over labels; accurate near 0, 1; not kept.

        From logits, so that confident mistakes are not clipped.
        """
        self._needs_probability()
        out = np.empty(self.n)
        for rows in blocks(self.n):
            z = self.outputs[rows].astype(np.float64)
            if self.task.kind == "classification":
                target = self.target[rows, None].astype(np.int64)
                out[rows] = -np.take_along_axis(scipy.special.log_softmax(z, axis=1), target, axis=1)[:, 0]
            else:  # log(1 − p) = log p − logit, exact where p is next to 1
                logs = scipy.special.log_expit(z) - np.where(self.onehot[rows], 0.0, self.outputs[rows])
                out[rows] = -logs.mean(axis=1)
        return out

    @cached_property
    def probability(self) -> FloatArray:
        """`float64[n, k]`: of each class (rows sum to 1) or each label (independent)."""
        self._needs_probability()
        if self.task.kind == "classification":
            return _in_blocks(lambda z: scipy.special.softmax(z, axis=1), self.outputs)
        return _in_blocks(scipy.special.expit, self.outputs)

    @cached_property
    def predicted(self) -> Array:
        """`int64[n]`: most probable class, the first of equals; `int8[n, labels]`: 1 where probability > 0.5.

        Regression: the values themselves. Retrieval: the position of the candidate that scores highest.
        """
        if self.task.kind == "retrieval":
            return np.asarray(self.outputs[:, FIRST], np.int64)
        if self.task.kind == "classification":
            return np.asarray(np.argmax(self.outputs, axis=1))
        return np.asarray(self.outputs > 0, np.int8) if self.task.kind == "multilabel" else self.outputs

    @cached_property
    def confidence(self) -> FloatArray:
        """`float64[n]`: probability of the predicted class; multilabel: mean over labels of that of each decision."""
        if self.task.kind == "multilabel":
            return np.asarray(np.maximum(self.probability, 1 - self.probability).mean(axis=1))
        return np.asarray(self.probability[np.arange(self.n), self.predicted])

    @cached_property
    def correct(self) -> FloatArray:
        """`float64[n]`: share of the row's decisions that are right; classification 0 or 1, multilabel over labels."""
        self._needs_probability()
        right = self.predicted == self.target
        return np.asarray(right if right.ndim == 1 else right.mean(axis=1), np.float64)

    @cached_property
    def hit(self) -> BoolArray:
        """`bool[n]`: whether the prediction is right; multilabel: every label of it."""
        self._needs_probability()
        right = self.predicted == self.target
        return np.asarray(right if right.ndim == 1 else right.all(axis=1))

    @cached_property
    def onehot(self) -> BoolArray:
        """`bool[n, k]`: whether class or label k applies."""
        self._needs_probability()
        if self.task.kind == "multilabel":
            return np.asarray(self.target == 1)
        return np.asarray(self.target[:, None] == np.arange(self.task.width))

    @cached_property
    def class_orders(self) -> tuple[Order, ...]:
        """Samples by probability of each class or label."""
        return tuple(Order.of(column) for column in self.probability.T)

    @cached_property
    def confidence_order(self) -> Order:
        """Samples by confidence."""
        return Order.of(self.confidence)

    @cached_property
    def graded(self) -> Graded:
        """Stated probabilities and outcomes, see `Graded`."""
        if self.task.kind == "multilabel":
            rows = np.repeat(np.arange(self.n), self.task.width)
            return Graded(self.probability.ravel(), self.onehot.ravel().astype(np.float64), rows)
        return Graded(self.confidence, self.hit.astype(np.float64), np.arange(self.n))

    def _needs_probability(self) -> None:
        if self.task.kind not in ("classification", "multilabel"):
            raise BadInput(f"task {self.task.kind!r} has no probabilities or right answers; use a metric for it.")


def _in_blocks(function: Callable[[FloatArray], FloatArray], outputs: Array) -> FloatArray:
    """Apply a function of each row to blocks of rows: SciPy holds several copies of what it is given."""
    out = np.empty(outputs.shape)
    for rows in blocks(len(outputs)):
        out[rows] = function(outputs[rows].astype(np.float64))
    return out


def blocks(n: int) -> Iterator[slice]:
    """Rows in blocks small enough that what is worked out of one takes no memory to speak of."""
    return (slice(first, first + _BLOCK) for first in range(0, n, _BLOCK))


def _labels(task: Task) -> int:
    return 2 if task.kind == "multilabel" else task.width


class Rarest(NamedTuple):
    """What a mean over classes or labels rests on; only those that occur, labels also in no more than a part.

    Attributes:
        units: independent units of the rarest class; of labels, of the rarer of having and lacking it.
        classes: how many there are; two classes are one question.
        together: how many units an interval of the mean may go by (`freedom`).
    """

    units: int
    classes: int
    together: int


def rarest(task: Task, target: Array, w: Resamples) -> Rarest:
    """Return what `Predictions.rarest` does, of these targets."""
    counts = units_of_classes(task, target, w)
    if counts is None:
        return Rarest(w.units, 1, w.units)
    found = counts[counts > 0]
    if not len(found):
        return Rarest(w.units, 1, w.units)
    one = task.kind == "classification" and len(found) == 2
    return Rarest(int(found.min()), 1 if one else len(found), freedom(found, one))


def units_of_classes(task: Task, target: Array, w: Resamples) -> IntArray | None:
    """`int[classes or labels]`: independent units of each; 0 for one that nobody has, or all. None for other tasks.

    Of a label, the rarer of having and lacking it.
    """
    each = w.unit if w.source is None else w.source
    if task.kind == "multilabel":
        sides = [target[:, label] == value for label in range(task.width) for value in (0, 1)]
        counts = [int(np.count_nonzero(np.bincount(each[rows]) if w.clustered else rows)) for rows in sides]
        return np.array([min(pair) for pair in zip(counts[::2], counts[1::2], strict=True)])
    if task.kind != "classification":
        return None
    return _units_per_class(target, each) if w.clustered else np.asarray(np.bincount(target))


def freedom(counts: IntArray, one: bool) -> int:
    """Return how many units know the spread of a mean over classes as well as all of theirs do together.

    One more than Welch and Satterthwaite's degrees of freedom (1946), (Σ v)² / Σ v² / (k − 1) with v = 1/k: a class of
    k units adds to the variance by 1/k. Classes of a single unit show no spread; they count where nothing else is, or
    where two classes are one question.
    """
    known = counts if one else counts[counts > 1]
    if not len(known) or known.min() < 2:
        return 1
    parts = 1 / known
    return int(parts.sum() ** 2 / (parts**2 / (known - 1)).sum()) + 1


def _units_per_class(target: IntArray, unit: IntArray) -> IntArray:
    """How many different units each class has."""
    classes, units = int(target.max()) + 1, int(unit.max()) + 1
    if classes * units > _TABLE:
        return np.bincount(np.unique(target * units + unit) // units)
    # Sorting the pairs takes a second for a million, and every condition asks.
    there = np.zeros((classes, units), np.bool_)
    there[target, unit] = True
    return np.asarray(there.sum(axis=1))
