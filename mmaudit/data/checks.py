"""Checks of what a user hands in, before any forward pass; shared by all readers.

Each returns the value in the one form the rest of the package uses, or raises `BadInput` that names the culprit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mmaudit.data.columns import as_array, is_missing, unmixed
from mmaudit.data.retrieval import identities
from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray, IntArray, Task

# Group name of samples whose group was not recorded.
UNKNOWN_GROUP = "(missing)"


def check_lengths(lengths: Mapping[str, int]) -> int:
    """Return the number of samples n that all of `lengths` (by what they are called) agree on, at least 1."""
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{what} {n:,}" for what, n in lengths.items())
        raise BadInput(f"lengths differ: {listed}; inputs, target, ids and groups need one row per sample each.")
    n = next(iter(lengths.values()))
    if n == 0:
        raise BadInput("the data set is empty: 0 samples; an audit needs at least 2, of different targets.")
    return n


def check_ids(given: Any | None, n: int) -> Array:
    """Return ids as int64[n] or str[n]; None numbers the samples from 0. Duplicates are refused."""
    if given is None:
        return np.arange(n, dtype=np.int64)
    values = _vector(given, "ids")
    check_lengths({"samples": n, "ids": len(values)})
    if values.dtype.kind == "O":
        items = values.tolist()
        missing = [row for row, x in enumerate(items) if is_missing(x)]
        if missing:
            raise BadInput(f"ids: row {missing[0]} (and {len(missing) - 1} more) has no id; every sample needs one.")
        if all(isinstance(x, str) for x in items):
            values = np.array(items, dtype=np.str_)
        elif all(isinstance(x, int | np.integer) and not isinstance(x, bool) for x in items):
            values = np.array(items)
    if values.dtype.kind not in "iuUT":
        raise BadInput(f"ids are of dtype {values.dtype}; expected integers or strings, one unique id per sample.")
    if values.dtype.kind == "u" and values.size and values.max() > np.iinfo(np.int64).max:
        raise BadInput(f"ids: {values.max()} does not fit into a 64-bit signed integer; pass ids as strings.")
    ids: Array = values.astype(np.int64 if values.dtype.kind in "iu" else np.str_)
    ordered = np.sort(ids)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(twice):
        rows = np.flatnonzero(ids == twice[0])
        raise BadInput(
            f"duplicate sample ids: {twice[0].item()!r} is at rows {rows[0]} and {rows[1]}, {len(twice)} ids in all "
            "are not unique; every sample needs its own id, as its perturbation depends on it."
        )
    return ids


def check_target(task: Task, given: Any, ids: Array) -> Array:
    """Return the target column: int64[n] for classification and retrieval, int8[n, labels], or float64[n, dims].

    Classification labels are class numbers 0 … k−1, or class names as strings. Whole numbers kept as floats count.

    Raises:
        BadInput: a target is missing, outside the classes, not 0/1 (multilabel) or of the wrong width; or all
            targets are the same, so that nothing about the model can be told.
    """
    if task.kind == "retrieval":
        return identities(given, ids)
    values = as_array(unmixed(given), "target")
    if values.ndim == 0:
        raise BadInput(f"target is a single value ({given!r:.60}); expected one target per sample.")
    check_lengths({"samples": len(ids), "target": len(values)})
    if values.dtype.kind in "OUT":
        values = _named(task, values, ids)
    if values.dtype.kind not in "iufb":
        raise BadInput(f"target has dtype {values.dtype}; expected numbers or class names.")
    if values.dtype.kind == "f":
        _refuse(~np.isfinite(values), ids, "target is NaN or infinite", "drop these samples or correct their target")
    if task.kind == "regression":
        wide = values.reshape(len(values), -1) if values.ndim <= 2 else values
        if wide.shape[1:] != (task.width,):
            raise BadInput(
                f"target has shape {list(values.shape)}; regression of {_dims(task)} needs [n, {task.width}]."
            )
        if len(wide) > 1 and (wide == wide[0]).all():
            raise BadInput(
                f"target: all {len(wide):,} samples have the same value, {wide[0].tolist()}; there is nothing "
                "to predict. Add samples with other values."
            )
        return wide.astype(np.float64)
    if values.dtype.kind == "f":
        whole = values == np.floor(values)
        _refuse(~whole, ids, "target is not a whole number", f"a {task.kind} target holds class numbers")
    return _classes(task, values, ids) if task.kind == "classification" else _labels(task, values, ids)


def check_groups(given: Mapping[str, Any] | None, n: int) -> dict[str, Array]:
    """Return group columns as str[n]; a value that is not recorded becomes the group `(missing)`."""
    groups: dict[str, Array] = {}
    for name, column in (given or {}).items():
        values = _vector(column, f"group column {name!r}")
        check_lengths({"samples": n, f"group column {name!r}": len(values)})
        if values.dtype.kind in "Of":
            names = [UNKNOWN_GROUP if is_missing(x) else str(x) for x in values.tolist()]
            groups[name] = np.array(names, dtype=np.str_)
        elif values.dtype.kind == "M":
            groups[name] = np.where(np.isnat(values), UNKNOWN_GROUP, values.astype(np.str_))
        elif values.dtype.kind in "iubUS":
            try:
                groups[name] = values.astype(np.str_)
            except UnicodeDecodeError as error:
                raise BadInput(f"group column {name!r} holds bytes that are no ASCII; decode them first.") from error
        else:
            raise BadInput(f"group column {name!r} is {values.dtype}; expected texts, whole numbers or dates.")
    return groups


def check_cluster(given: Any | None, ids: Array) -> Array | None:
    """Return the cluster column as int64[n] or str[n]; other hashable values are numbered by first appearance."""
    if given is None:
        return None
    values = _vector(given, "cluster")
    check_lengths({"samples": len(ids), "cluster": len(values)})
    if values.dtype.kind in "OfMm":
        dates = values.dtype.kind in "Mm"
        missing = np.isnat(values) if dates else np.array([is_missing(x) for x in values.tolist()], dtype=np.bool_)
        _refuse(missing, ids, "cluster is missing", "give samples that belong to no cluster a cluster of their own")
    if values.dtype.kind in "iu" and (values.dtype != np.uint64):
        return values.astype(np.int64)
    if values.dtype.kind in "UT":
        return values.astype(np.str_)
    try:
        seen: dict[Any, int] = {}
        return np.array([seen.setdefault(x, len(seen)) for x in values.tolist()], dtype=np.int64)
    except TypeError as error:
        raise BadInput(f"cluster: {error}; cluster values must be hashable: numbers or strings.") from error


def check_present(name: str, given: Any | None, n: int) -> BoolArray:
    """Return a presence column as bool[n]; None means recorded everywhere."""
    if given is None:
        return np.ones(n, np.bool_)
    values = _vector(given, f"present[{name!r}]")
    check_lengths({"samples": n, f"present[{name!r}]": len(values)})
    if values.dtype.kind not in "b" and not (values.dtype.kind in "iu" and np.isin(values, (0, 1)).all()):
        raise BadInput(f"present[{name!r}] has dtype {values.dtype}; expected True where the sample was recorded.")
    return values.astype(np.bool_)


def check_positions(positions: Any, n: int) -> IntArray:
    """Return positions as int64, each in [0, n); negative ones are refused, they would silently wrap around."""
    values = np.asarray(positions)
    if values.ndim != 1 or (values.dtype.kind not in "iu" and values.size):
        raise BadInput(f"positions must be integers of shape [rows], got {values.dtype} {list(values.shape)}.")
    if values.size and not (values.min() >= 0 and values.max() < n):
        wrong = values[(values < 0) | (values >= n)][0]
        raise BadInput(f"position {wrong} is outside the data set's {n:,} samples.")
    return values.astype(np.int64)


def some_samples(ids: Array, rows: Iterable[int]) -> str:
    """Name samples in a message: `sample id 17 and 3 more (4 of 100 samples)`."""
    listed = list(rows)
    more = f" and {len(listed) - 1:,} more ({len(listed):,} of {len(ids):,} samples)" if len(listed) > 1 else ""
    return f"sample id {ids[listed[0]].item()!r}{more}"


def _vector(given: Any, what: str) -> Array:
    if isinstance(given, list | tuple):  # keep mixed types apart: np.array([1, "a"]) would make both strings
        kept = np.empty(len(given), dtype=object)
        kept[:] = given
        plain = {type(x) for x in given}
        given = np.asarray(given) if len(plain) == 1 and plain <= {int, str, float, bool} else kept
    values = as_array(given, what)
    if values.ndim != 1:
        raise BadInput(f"{what} has shape {list(values.shape)}; expected one value per sample, [n].")
    return values


def _refuse(wrong: Array, ids: Array, what: str, advice: str) -> None:
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    if len(rows):
        raise BadInput(f"{what} for {some_samples(ids, rows)}; {advice}.")


def _named(task: Task, values: Array, ids: Array) -> Array:
    """Turn class names into class numbers; object arrays of numbers into numbers."""
    flat = values.ravel().tolist()
    missing = np.array([is_missing(x) for x in flat], dtype=np.bool_).reshape(values.shape)
    _refuse(missing, ids, "target is missing", "drop these samples or give them a target")
    if not any(isinstance(x, str) for x in flat):
        try:
            found = np.array(flat).reshape(values.shape)
            return found.astype(np.float64) if found.dtype.kind == "O" else found  # decimals and fractions
        except (TypeError, ValueError) as error:
            raise BadInput(f"target is not an array of numbers or class names: {error}.") from error
    if task.kind != "classification":
        raise BadInput(f"target holds strings; a {task.kind} target holds numbers of shape [n, {task.width}].")
    number = {name: i for i, name in enumerate(task.names)}
    unknown = np.array([x not in number for x in flat], dtype=np.bool_).reshape(values.shape)
    if unknown.any():
        first = flat[int(np.flatnonzero(unknown)[0])]
        _refuse(
            unknown,
            ids,
            f"target: label {first!r} is not one of the {task.width} classes ({_listed(task)}),",
            "name every class in the task, in the order of the model's outputs",
        )
    return np.array([number[x] for x in flat], dtype=np.int64).reshape(values.shape)


def _classes(task: Task, values: Array, ids: Array) -> Array:
    if values.ndim != 1:
        hint = "; for one-hot rows use target.argmax(axis=1)" if values.shape[1:] == (task.width,) else ""
        raise BadInput(f"target has shape {list(values.shape)}; classification needs one class per sample, [n]{hint}.")
    outside = (values < 0) | (values >= task.width) if values.dtype.kind != "b" else np.zeros(len(values), np.bool_)
    if outside.any():
        _refuse(
            outside,
            ids,
            f"target: label {values[outside][0]} is outside the {task.width} classes 0 … {task.width - 1} "
            f"({_listed(task)}),",
            "count classes from 0, or pass their names as strings",
        )
    target = values.astype(np.int64)
    if (target == target[0]).all():
        raise BadInput(
            f"target: all {len(target):,} samples are of one class, {task.names[target[0]]!r}; "
            "accuracy, calibration and chance cannot be told apart. Add samples of at least one other class."
        )
    return target


def _labels(task: Task, values: Array, ids: Array) -> Array:
    if values.shape[1:] != (task.width,):
        raise BadInput(f"target has shape {list(values.shape)}; multilabel of {_dims(task)} needs [n, {task.width}].")
    _refuse(~np.isin(values, (0, 1)), ids, "target is not 0 or 1", "a multilabel target says 0 or 1 for every label")
    target = values.astype(np.int8)
    if (target == target[0]).all():
        raise BadInput(f"target: all {len(target):,} samples have the same labels; add samples of other labels.")
    return target


def _dims(task: Task) -> str:
    return f"{task.width} ({_listed(task)})"


def _listed(task: Task) -> str:
    shown = [repr(name) for name in task.names[:5]]
    return ", ".join(shown) + (", …" if task.width > 5 else "")
