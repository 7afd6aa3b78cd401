"""What a row of outputs says: the answer in words, how sure it is, whether it is right, and what it is worth.

One class per task. Definitions are those of `mmaudit.metrics` (`Predictions`, `expected_reciprocal`), which the tests
hold them against; they are written out here because reading a run needs neither resamples nor metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, logsumexp

from mmaudit.errors import DamagedRun, Undefined
from mmaudit.formats import MINUS, shorten
from mmaudit.types import FIRST, HIGHER, LOG_FIRST, RIGHT, TIED, TIED_RIGHT, Array, BoolArray, FloatArray, Task

NO_ANSWER = "no answer"
NOT_MEASURED = "not measured"
NAME_LIMIT = 60
MOST_NAMES = 12


@dataclass(frozen=True, eq=False)
class Judged:
    """The answers in some rows, next to the truth.

    Attributes:
        answered: `bool[n]`; where it is false nothing below means anything.
        choice: `[n, …]`, the answer as the task has it; `Judge.words` puts it into words.
        confidence: `float64[n]`, in [0, 1]; NaN where the task has none, or there is no answer.
        worth: `float64[n]`, what damage is a fall of; NaN where there is no answer.
        right: `bool[n]`; None where no answer of the task is right or wrong.
    """

    answered: BoolArray
    choice: Array
    confidence: FloatArray
    worth: FloatArray
    right: BoolArray | None


class Judge(Protocol):
    """One task's way to read outputs."""

    unit: str
    summary: str
    flip_reason: str

    def judged(self, outputs: Array, target: Array) -> Judged:
        """Read `float32[n, k]` next to the targets of the same rows."""

    def right(self, outputs: Array, target: Array) -> BoolArray:
        """`bool[n]`: whether the answer is right; false where there is none. Cheaper than `judged`."""

    def words(self, judged: Judged) -> Array:
        """`object[n]`: the answers in words."""

    def truth(self, target: Array, ids: Array) -> Array:
        """`object[n]`: the targets in words."""


def judge_of(task: Task, ids: Array) -> Judge:
    """The judge of a task; `ids` are the samples', for retrieval."""
    if task.kind == "retrieval":
        return _Ranks(ids)
    if task.kind == "regression":
        return _Numbers(task)
    return _Classes(task) if task.kind == "classification" else _Labels(task)


def answered(outputs: Array) -> BoolArray:
    """`bool[n]`: whether a row holds an answer."""
    return np.asarray(np.isfinite(outputs).all(axis=1))


def probabilities(task: Task, outputs: Array) -> FloatArray:
    """`float64[n, k]`: of each class or label; NaN in rows without an answer."""
    there = answered(outputs)[:, None]
    z = np.where(there, outputs, 0).astype(np.float64)
    p = expit(z) if task.kind == "multilabel" else np.exp(z - logsumexp(z, axis=1, keepdims=True))
    return np.where(there, p, np.nan)


class _Classes:
    unit = "share"
    summary = "fall of the probability of the right class, from clean to perturbed; positive is worse"
    flip_reason = ""

    def __init__(self, task: Task) -> None:
        self.names = _names(task)

    def judged(self, outputs: Array, target: Array) -> Judged:
        there = answered(outputs)
        z = np.where(there[:, None], outputs, 0).astype(np.float64)
        total, rows = logsumexp(z, axis=1), np.arange(len(z))
        choice = np.argmax(z, axis=1)
        confidence = np.where(there, np.exp(z[rows, choice] - total), np.nan)
        worth = np.where(there, np.exp(z[rows, target] - total), np.nan)
        return Judged(there, choice, confidence, worth, there & (choice == target))

    def right(self, outputs: Array, target: Array) -> BoolArray:
        return np.asarray((np.argmax(outputs, axis=1) == target) & answered(outputs))

    def words(self, judged: Judged) -> Array:
        return np.where(judged.answered, self.names[judged.choice], NO_ANSWER)

    def truth(self, target: Array, ids: Array) -> Array:
        return np.asarray(self.names[target])


class _Labels:
    unit = "share"
    summary = (
        "fall of the probability of the right decision (label applies or not), mean over labels, from clean to "
        "perturbed; positive is worse"
    )
    flip_reason = ""

    def __init__(self, task: Task) -> None:
        self.names = _names(task)

    def judged(self, outputs: Array, target: Array) -> Judged:
        there = answered(outputs)
        z = np.where(there[:, None], outputs, 0).astype(np.float64)
        p, choice = expit(z), z > 0
        confidence = np.where(there, np.maximum(p, 1 - p).mean(axis=1), np.nan)
        worth = np.where(there, np.where(target == 1, p, 1 - p).mean(axis=1), np.nan)
        return Judged(there, choice, confidence, worth, there & (choice == target).all(axis=1))

    def right(self, outputs: Array, target: Array) -> BoolArray:
        return np.asarray(((outputs > 0) == target).all(axis=1) & answered(outputs))

    def words(self, judged: Judged) -> Array:
        return np.where(judged.answered, self._said(judged.choice), NO_ANSWER)

    def truth(self, target: Array, ids: Array) -> Array:
        return self._said(target == 1)

    def _said(self, applies: Array) -> Array:
        """Rows that are equal are put into words once."""
        packed = np.packbits(applies, axis=1)
        kinds, place = np.unique(packed, axis=0, return_inverse=True)
        rows = np.unpackbits(kinds, axis=1, count=applies.shape[1]).astype(np.bool_)
        said = np.empty(len(rows), object)
        said[:] = [_listed(self.names[row]) or "none" for row in rows]
        return np.asarray(said[place.reshape(-1)])


class _Numbers:
    flip_reason = "an answer of a regression is near or far, not right or wrong, so it cannot flip"

    def __init__(self, task: Task) -> None:
        self.names = _names(task) if task.width > 1 else None
        self.unit = shorten(task.unit, NAME_LIMIT)
        dims = " (mean over dimensions)" if task.width > 1 else ""
        self.summary = (
            f"growth of the absolute error{dims} from clean to perturbed, in the target's unit; positive is worse"
        )

    def judged(self, outputs: Array, target: Array) -> Judged:
        there = answered(outputs)
        error = np.abs(outputs.astype(np.float64) - target).mean(axis=1)
        none = np.full(len(outputs), np.nan)
        return Judged(there, outputs, none, np.where(there, -error, np.nan), None)

    def right(self, outputs: Array, target: Array) -> BoolArray:
        raise Undefined(self.flip_reason)

    def words(self, judged: Judged) -> Array:
        return np.where(judged.answered, self._said(judged.choice), NO_ANSWER)

    def truth(self, target: Array, ids: Array) -> Array:
        return self._said(target)

    def _said(self, values: Array) -> Array:
        unit = f" {self.unit}" if self.unit else ""
        columns = [np.char.replace(np.char.mod("%.4g", values[:, j]), "-", MINUS) for j in range(values.shape[1])]
        if self.names is None:
            return np.asarray(np.char.add(columns[0], unit).astype(object))
        shown = [
            np.char.add(f"{name} ", column) for name, column in zip(self.names, columns[:MOST_NAMES], strict=False)
        ]
        more = f", {len(columns) - MOST_NAMES} more" if len(columns) > MOST_NAMES else ""
        said = shown[0]
        for column in shown[1:]:
            said = np.char.add(np.char.add(said, ", "), column)
        return np.asarray(np.char.add(said, f"{unit}{more}").astype(object))


class _Ranks:
    unit = "share"
    summary = (
        "fall of 1 / rank of the first right candidate (expected over ties), from clean to perturbed; positive is worse"
    )
    flip_reason = ""

    def __init__(self, ids: Array) -> None:
        self.ids = ids

    def judged(self, outputs: Array, target: Array) -> Judged:
        from mmaudit.metrics.retrieval import expected_reciprocal

        there = answered(outputs)
        rows = np.where(there[:, None], outputs, np.array([0, 0, 1, 0, 0, 0], np.float32)).astype(np.float64)
        standing = rows[:, HIGHER], rows[:, TIED], rows[:, TIED_RIGHT]
        n, counts = len(self.ids), np.stack(standing, axis=1)
        wrong = (rows[:, FIRST] < 0) | (rows[:, FIRST] >= n) | (counts < 0).any(axis=1) | (counts.sum(axis=1) > n)
        if (wrong | (rows[:, TIED_RIGHT] < 1)).any():
            raise DamagedRun(f"the answers rank candidates that are not among the {n} samples; audit again.")
        confidence = np.where(there, np.exp(np.minimum(rows[:, LOG_FIRST], 0)), np.nan)
        worth = np.where(there, expected_reciprocal(*standing), np.nan)
        choice = np.stack([rows[:, FIRST], *standing], axis=1)
        return Judged(there, choice, confidence, worth, self.right(outputs, target))

    def right(self, outputs: Array, target: Array) -> BoolArray:
        # A wrong candidate with the same score may come first just as well.
        return np.asarray((outputs[:, HIGHER] == 0) & (outputs[:, TIED] == 0) & answered(outputs))

    def words(self, judged: Judged) -> Array:
        from mmaudit.metrics.retrieval import ranks

        first = self.ids[judged.choice[:, 0].astype(np.int64)]
        place = ranks(*judged.choice[:, 1:].T)
        said = np.empty(len(first), object)
        said[:] = [f"{name} (right one at rank {rank:g})" for name, rank in zip(first, place, strict=True)]
        return np.where(judged.answered, said, NO_ANSWER)

    def truth(self, target: Array, ids: Array) -> Array:
        said = np.empty(len(ids), object)
        others = target[:, RIGHT]
        said[:] = [
            "none among the candidates" if k == 0 else name if k == 1 else f"{name} and {k - 1} more"
            for name, k in zip(ids, others.tolist(), strict=True)
        ]
        return said


def _names(task: Task) -> Array:
    names = np.empty(len(task.names), object)
    names[:] = [shorten(name, NAME_LIMIT) or "(no name)" for name in task.names]
    return names


def _listed(names: Array) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown}, {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown
