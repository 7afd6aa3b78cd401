"""What a data set for retrieval says beside its modalities: which candidates are right, and which each query has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmaudit.data.columns import as_array, is_missing
from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray, IntArray, Modality, Task


def require_task_modalities(task: Task, modalities: Sequence[Modality]) -> None:
    """Raise `BadInput` unless every modality of a retrieval is one of the data set's."""
    if not isinstance(task, Task):
        raise BadInput(f"task is {task!r}; give a Task, or text such as 'classification'.")
    known = [m.name for m in modalities]
    for name in task.names if task.kind == "retrieval" else ():
        if name not in known:
            raise BadInput(
                f"the task is {task.said}, but the data has no {name!r}; it has {', '.join(map(repr, known))}."
            )


def identities(given: Any | None, ids: Array) -> IntArray:
    """Return the identity of each sample, `int64[n]`; candidates with a query's identity are right for it.

    Args:
        given: whole numbers or strings [n], such as class ids for retrieval by class; strings are numbered in their
            order. None: every sample is one of its own.
        ids: of the samples.

    Raises:
        BadInput: one is missing, or all are the same, so that every candidate is right.
    """
    n = len(ids)
    if given is None:
        return np.arange(n, dtype=np.int64)
    values = as_array(given, "target")
    if values.ndim != 1 or len(values) != n:
        raise BadInput(
            f"target has shape {list(values.shape)} for {n} samples; a retrieval has one identity per sample, [n], or "
            "None where every sample is one of its own."
        )
    missing = [row for row, x in enumerate(values.tolist()) if is_missing(x)] if values.dtype.kind in "Of" else []
    if missing:
        raise BadInput(f"target is missing for sample id {ids[missing[0]].item()!r}; every sample needs an identity.")
    if values.dtype.kind in "OUT":
        texts = [str(x) for x in values.tolist()]
        numbered: IntArray = np.unique(np.array(texts, np.str_), return_inverse=True)[1].reshape(n).astype(np.int64)
    elif values.dtype.kind in "iub" or (values.dtype.kind == "f" and bool((values == np.floor(values)).all())):
        numbered = values.astype(np.int64)
    else:
        raise BadInput(f"target has dtype {values.dtype}; an identity is a whole number or a string.")
    if (numbered == numbered[0]).all():
        raise BadInput("target: all samples have one identity, so every candidate would be right; give several.")
    return numbered


def check_candidates(task: Task, given: Any | None, present: BoolArray) -> IntArray | None:
    """Return the candidates listed for each query, positions `int64[n, K]`; −1 where a list is shorter.

    Args:
        task: of the data set.
        given: integers [n, K], the query's own position among them; None for none.
        present: `bool[n]`, where the target modality was recorded.

    Raises:
        BadInput: not a retrieval, another shape, a position outside the data set, one that is listed twice, or a query
            whose own target was recorded and is not among its candidates.
    """
    if given is None:
        return None
    n = len(present)
    lists = as_array(given, "candidates")
    if task.kind != "retrieval" or task.bank:
        raise BadInput("candidates are given, but the task is no retrieval over listed candidates; leave one out.")
    if lists.ndim != 2 or len(lists) != n or lists.dtype.kind not in "iu" or not lists.shape[1]:
        raise BadInput(
            f"candidates are {lists.dtype} {list(lists.shape)}; expected integers [{n}, K]: positions of K samples "
            "per query, its own among them."
        )
    lists = lists.astype(np.int64)
    if ((lists < -1) | (lists >= n)).any():
        row = int(np.argmax(((lists < -1) | (lists >= n)).any(axis=1)))
        raise BadInput(f"candidates of row {row} hold positions outside the data set's {n:,} samples.")
    ordered = np.sort(lists, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        raise BadInput(f"candidates of row {int(np.argmax(twice))} list a sample twice; list each once.")
    own = (lists == np.arange(n)[:, None]).any(axis=1) | ~present
    if not own.all():
        raise BadInput(
            f"candidates of row {int(np.argmin(own))} do not hold the row itself; the right one belongs to the list."
        )
    return lists


def among(lists: IntArray | None, positions: IntArray, n: int) -> IntArray | None:
    """Return the lists of some rows as positions among these rows; candidates that are not among them are −1."""
    if lists is None:
        return None
    if lists.dtype.kind not in "iu" or ((lists < -1) | (lists >= n)).any():
        raise BadInput(
            f"candidates hold positions outside the file's {n:,} rows; expected integers from −1 to {n - 1}."
        )
    place = np.full(n + 1, -1, np.int64)
    place[positions] = np.arange(len(positions))
    return np.asarray(place[lists[positions]])
