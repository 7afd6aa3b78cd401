"""A task from text, as the shell and configuration files give it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmaudit.data.checks import check_lengths
from mmaudit.data.columns import as_array, is_missing, unmixed
from mmaudit.errors import BadInput
from mmaudit.formats import shorten
from mmaudit.header import MAX_WIDTH
from mmaudit.types import Array, Task

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUTH = {said: int(said.lower() == "true") for said in ("True", "False", "TRUE", "FALSE", "true", "false")}
_COUNT = re.compile(r"[0-9]{1,12}")  # Python takes long for numbers of thousands of digits, and then refuses them
_FORMS = "classification, classification:10, multilabel, multilabel:5, regression, regression:mm"
_RETRIEVAL = "retrieval:image->text, retrieval:image+sound->text or retrieval:image->text,bank=128"


def is_retrieval(task: Task | str | None) -> bool:
    """Whether a task, or its text, is a retrieval: the one task that needs no target column."""
    return task.kind == "retrieval" if isinstance(task, Task) else (task or "").partition(":")[0] == "retrieval"


def parse_task(text: str, target: Any = None, names: Sequence[str] | None = None) -> Task:
    """Return the task that `text` and the target column describe.

    Args:
        text: `classification[:classes]`, `multilabel[:labels]`, `regression[:unit]`, or
            `retrieval:query[+query]->target[,bank=rows]`.
        target: the target column; needed where text and names leave the number of outputs open.
        names: classes, labels or dimensions, in the order of the model's outputs.

    Classes are, in this order of preference: `names`; `0 … k−1` for the number given; the categories of a pandas
    Categorical of strings, if they are sorted; for string targets the distinct values, sorted; for integer targets
    `0 … max`, if each of them occurs.

    Raises:
        BadInput: an unknown task, or a number of outputs that is contradictory or cannot be told.
    """
    kind, _, detail = text.partition(":")
    if kind == "retrieval":
        return _retrieval(text, detail)
    if kind not in ("classification", "multilabel", "regression"):
        near = difflib.get_close_matches(kind, ("classification", "multilabel", "regression"), n=1)
        guess = f"; did you mean {near[0]!r}?" if near else "."
        raise BadInput(f"task {shorten(text, 200)!r} is not one of {_FORMS}, {_RETRIEVAL}{guess}")
    listed = tuple(str(name) for name in names) if names is not None else None
    if kind == "regression":
        return Task.regression(listed or _width(target, text, scalar=True), detail)
    if detail and not (_COUNT.fullmatch(detail) and int(detail) <= MAX_WIDTH):
        raise BadInput(
            f"task {shorten(text, 200)!r}: {shorten(detail, 60)!r} is not a number of outputs up to {MAX_WIDTH:,}; the "
            f"forms are {_FORMS}."
        )
    if listed and detail and len(listed) != int(detail):
        raise BadInput(f"task {text!r} says {detail} outputs, but {len(listed)} names are given: {', '.join(listed)}.")
    given = listed or (int(detail) if detail else None)
    if kind == "multilabel":
        return Task.multilabel(given or _width(target, text, scalar=False))
    return Task.classification(given if given is not None else _classes(target, text))


def class_cells(cells: Sequence[Any], task: Task | str, names: Sequence[str] | None) -> list[Any]:
    """Return the class labels of a text format such as CSV, read as text, as class numbers where they are numbers.

    They are names where a number would make one class of two, or lose a zero: `01` is not `1`. `True` and `False` are
    names too, and 1 and 0 only where the classes are said and these are none of them.
    """
    texts = {x.strip() for x in cells if not is_missing(x)}
    if all(_WHOLE.fullmatch(x) for x in texts):
        return [x if is_missing(x) else int(x) for x in cells]
    if all(_NUMBER.fullmatch(x) for x in texts):
        values = {float(x) for x in texts}
        if len(values) == len(texts) or not all(x.is_integer() for x in values):
            return [x if is_missing(x) else float(x) for x in cells]
    said = task.names if isinstance(task, Task) else names or ([] if ":" in task else None)
    if texts <= _TRUTH.keys() and said is not None and not texts <= set(said):
        return [x if is_missing(x) else _TRUTH[x.strip()] for x in cells]
    return list(cells)


def _retrieval(text: str, detail: str) -> Task:
    """The retrieval that `image+sound->text,bank=128` says."""
    query, arrow, rest = detail.partition("->")
    target, comma, option = rest.partition(",")
    key, _, rows = option.partition("=")
    if not (query and arrow and target) or (comma and (key != "bank" or not _COUNT.fullmatch(rows))):
        raise BadInput(f"task {shorten(text, 200)!r} does not say what is to be found given what; write {_RETRIEVAL}.")
    return Task.retrieval(tuple(query.split("+")), target, int(rows) if comma else 0)


def with_names(task: Task, names: Sequence[str] | None) -> Task:
    """Return `task`; names beside a Task that already has its own must agree with them."""
    if names is not None and tuple(names) != task.names:
        raise BadInput(f"names {', '.join(names)} differ from the task's own, {', '.join(task.names)}; give them once.")
    return task


def _width(target: Any, text: str, scalar: bool) -> int:
    values = _known(target, text)
    if values.ndim == 1 and scalar:
        return 1
    if values.ndim != 2:
        raise BadInput(f"target has shape {list(values.shape)}; task {text!r} needs one row of numbers per sample.")
    return int(values.shape[1])


def _classes(target: Any, text: str) -> tuple[str, ...] | int:
    declared = getattr(getattr(target, "dtype", None), "categories", None)  # of a pandas Categorical
    if declared is not None and len(declared) and all(isinstance(x, str) for x in declared):
        return _in_order(tuple(declared), text)
    values = _known(target, text)
    flat = [x for x in values.ravel().tolist() if not is_missing(x)]  # missing targets are refused by the reader
    if flat and all(isinstance(x, str) for x in flat):
        return tuple(sorted(set(flat)))
    if not flat or not all(isinstance(x, int | float) and np.isfinite(x) and x == np.floor(x) for x in flat):
        raise BadInput(f"task {text!r}: the classes cannot be told from a target of dtype {values.dtype}; name them.")
    found = sorted({int(x) for x in flat})
    if found != list(range(len(found))):
        raise BadInput(
            f"task {text!r}: labels run from {found[0]} to {found[-1]} with {len(found)} distinct values, so the "
            f"model's number of outputs cannot be told; write '{text}:K' with K outputs, count labels from 0, or name "
            "the classes."
        )
    return len(found)


def _in_order(declared: tuple[str, ...], text: str) -> tuple[str, ...]:
    """The categories of a target, unless they are in an order of their own: the model's outputs may be in neither."""
    if declared != tuple(sorted(declared)):
        raise BadInput(
            f"task {text!r}: the target's categories are in the order {', '.join(declared[:8])}, which is not that of "
            "their names; name the classes in the order of the model's outputs."
        )
    return declared


def _known(target: Any, text: str) -> Array:
    if target is None:
        raise BadInput(f"task {text!r} leaves the number of outputs open; write '{text}:K' or name the outputs.")
    values = as_array(unmixed(target), "target")
    if values.ndim:
        check_lengths({"target": len(values)})
    return values
