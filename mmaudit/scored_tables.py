"""The tables that scoring writes and findings rest on, read back with a check that they are these tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from mmaudit.errors import DamagedRun
from mmaudit.formats import shorten
from mmaudit.outputs import read_parquet
from mmaudit.types import Score

Kind = Literal["text", "number"]

SCORES: dict[str, Kind] = {
    f.name: "text" if isinstance(f.default, str) or f.default is MISSING else "number" for f in fields(Score)
}
"""Columns of `scores.parquet`."""
_DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Score)}
APPLIED: dict[str, Kind] = {
    **dict.fromkeys(("condition", "left", "received", "error"), "text"),
    **dict.fromkeys(("n", "changed", "moved", "raised"), "number"),
}
"""Columns of `conditions.parquet`."""
LATER = {"left": "[]"}
"""Columns that runs scored by earlier versions lack, and what they then hold."""


def read_rows(path: Path, columns: Mapping[str, Kind], again: str) -> list[dict[str, Any]]:
    """Return a table's rows; an empty list where the file is not there, or has neither rows nor columns.

    Args:
        path: a Parquet file.
        columns: all that it may have, and must have, with what is in them: `text` (never missing) or `number`.
        again: the command that writes it again.

    Raises:
        DamagedRun: it cannot be read; a column lacks, is not known, is there twice, or holds something else.
    """
    if not path.exists():
        return []
    table = read_parquet(path)
    if not table.num_columns:
        return []
    try:
        names = table.column_names
    except UnicodeDecodeError as error:
        raise DamagedRun(f"{path} has a column whose name is no text ({error}). Write it again: {again}") from None
    late = {name: value for name, value in LATER.items() if name in columns and name not in names}
    columns = {name: kind for name, kind in columns.items() if name not in late}
    odd = [f"no {name!r}" for name in columns if name not in names]
    odd += [f"an unknown {name!r}" for name in names if name not in columns]
    odd += [f"{name!r} twice" for name in columns if names.count(name) > 1]
    odd = odd or [f"{name!r} is no {kind}" for name, kind in columns.items() if not _holds(table.column(name), kind)]
    if odd:
        raise DamagedRun(f"{path} is no table of this run: {shorten('; '.join(odd), 200)}. Write it again: {again}")
    try:
        rows: list[dict[str, Any]] = table.to_pylist()
    except UnicodeDecodeError as error:
        raise DamagedRun(f"{path} holds what is no text ({error}). Write it again: {again}") from None
    return [{**late, **row} for row in rows] if late else rows


def score_of(row: Mapping[str, Any]) -> Score:
    """The score that a row of `scores.parquet` is; a number that is not there is undefined."""
    return Score(**{name: _DEFAULTS[name] if value is None else value for name, value in row.items()})


def _holds(column: pa.ChunkedArray, kind: Kind) -> bool:
    found = column.type
    if kind == "text":
        return bool(pa.types.is_string(found)) and column.null_count == 0
    # A column of numbers none of which is known has no type of its own.
    return bool(pa.types.is_floating(found) or pa.types.is_integer(found) or pa.types.is_null(found))
