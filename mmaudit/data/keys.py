"""Pick columns of a file or data frame by name."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np

from mmaudit.data.columns import is_missing
from mmaudit.errors import BadInput
from mmaudit.types import Array, IntArray

# Names that a target, id or class column is found under when the user names none.
TARGETS = ("target", "label", "labels", "y")
IDS = ("id", "ids", "sample_id")

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


def need(names: Iterable[str], known: Collection[str], where: str) -> None:
    """Raise `BadInput` for the first of `names` that is not in `known`, with a suggestion."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else "."
            raise BadInput(f"{where} has no {name!r}; it has {', '.join(map(repr, known))}{guess}")


def need_once(names: Iterable[str], where: str) -> None:
    """Raise `BadInput` for the first of `names` that occurs more than once: which of them is meant cannot be told."""
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise BadInput(f"{where}: column {twice[0]!r} occurs more than once; rename one of them.")


def find_target(known: Collection[str], where: str) -> str:
    """Return the customary target name that `where` has; none or two are `BadInput`."""
    found = [name for name in TARGETS if name in known]
    if len(found) != 1:
        came = f"has both {found[0]!r} and {found[1]!r}" if found else f"has none of {', '.join(map(repr, TARGETS))}"
        raise BadInput(f"{where} {came}; name the target, target=…; it holds {', '.join(map(repr, known))}.")
    return found[0]


def natural_ids(ids: Array) -> Array:
    """Return ids that are all plainly written whole numbers as integers, as Parquet or .npz would give them.

    Any others stay as they are: `007` and `1_0` are names.
    """
    texts = ids.tolist()
    if ids.dtype.kind != "O" or not all(isinstance(x, str) and _WHOLE.fullmatch(x) for x in texts):
        return ids
    return np.array([int(x) for x in texts], np.int64)


def cell_text(value: Any) -> str:
    """Return a cell as text: bytes decoded, a missing one empty."""
    if is_missing(value):
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def split_rows(split: str, known: Collection[str], read: Callable[[str], Array], where: str) -> IntArray:
    """Return the rows that `split` chooses: `test` (in column `split`) or `column=value`.

    Raises:
        BadInput: no such column, or no such value in it.
    """
    column, sep, value = split.partition("=")
    if not sep:
        column, value = "split", split
    need([column], known, where)
    values = read(column)
    if values.ndim != 1:
        raise BadInput(
            f"{where}: column {column!r} has shape {list(values.shape)}; a split needs one value per sample."
        )
    texts = np.array([cell_text(x) for x in values.tolist()], dtype=np.str_)
    rows = np.flatnonzero(texts == value)
    if not len(rows):
        found = sorted(set(texts.tolist()))
        listed = ", ".join(map(repr, found[:8])) + (", …" if len(found) > 8 else "")
        raise BadInput(f"{where}: no sample has {column} = {value!r}; its values are {listed}.")
    return rows.astype(np.int64)
