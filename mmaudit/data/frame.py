"""A data set from a pandas data frame or a Parquet file. pandas and pyarrow are imported when called."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmaudit.data.arrays import ArrayData
from mmaudit.data.columns import is_missing
from mmaudit.data.infer import KindLike, parse_kind
from mmaudit.data.keys import need, need_once, split_rows
from mmaudit.data.tasks import is_retrieval, parse_task, with_names
from mmaudit.errors import BadInput
from mmaudit.types import Array, Modality, Task

if TYPE_CHECKING:
    import pandas as pd

Columns = str | Sequence[str]

_MOST_WHOLE = 2**53  # up to here every whole number has a float of its own


class FrameData(ArrayData):
    """Samples from columns of a data frame, which is not changed. A `Dataset`.

    Args:
        frame: one row per sample.
        modalities: modality name to its column or columns: a column of text; a column of arrays or lists (image,
            audio, embedding); one or more columns of numbers, which make one table [n, columns].
        target: column of the target; several for multilabel or regression; None for a retrieval in which every sample
            is one of its own.
        task: `Task` or text as in `parse_task`.
        kinds: modality name to kind, where it cannot be read off the values, as in `ArrayData`. Here categorical
            columns may be called by their names: `{"person": "tabular,categorical=sex+ward"}`.
        ids: column of unique sample ids; left out: row numbers, counted before `split`.
        groups: columns to report by.
        cluster: column of what dependent samples share.
        split: rows to keep: `test` (where column `split` is "test") or `column=value`.
        names: classes, labels or dimensions in the order of the outputs; several target columns name themselves.
        source: where the frame came from, for people.

    Cells that pandas calls missing (None, NaN, NA) are not recorded. In a table of numbers a row must be missing as a
    whole or not at all. Booleans are 0 and 1, decimals the nearest float64. A column of pandas' type `category` whose
    categories are whole numbers, or True and False, is categorical without being declared, and its numbers are the
    codes. Of another category there are no codes that would be the same in the next file: encode it, as the model's
    pipeline does. An integer column says nothing.

    Raises:
        BadInput: a missing column, a column of a type that no modality has, or anything that `ArrayData` refuses.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        modalities: Mapping[str, Columns],
        target: Columns | None,
        task: Task | str,
        *,
        kinds: Mapping[str, KindLike] | None = None,
        ids: str | None = None,
        groups: Sequence[str] = (),
        cluster: str | None = None,
        split: str | None = None,
        names: Sequence[str] | None = None,
        source: str = "data frame",
    ) -> None:
        where = source
        known = [str(column) for column in frame.columns]
        need_once(known, where)
        need(needed_columns(modalities, target, ids, groups, cluster), known, where)
        frame = frame.set_axis(known, axis=1)
        rows = np.arange(len(frame))
        if split is not None:
            rows = split_rows(split, known, lambda name: frame[name].to_numpy(dtype=object), where)
            frame = frame.iloc[rows]
        truth = None if target is None and is_retrieval(task) else frame_target(frame, target or [])
        # A column of categories says which classes there are, also where not all of them occur.
        column = frame[target] if isinstance(target, str) else None
        told = column if getattr(getattr(column, "dtype", None), "categories", None) is not None else truth
        if names is None and len(_listed(target)) > 1 and isinstance(task, str):
            names = _listed(target)
        super().__init__(
            {name: frame_values(frame, name, columns) for name, columns in modalities.items()},
            truth,
            with_names(task, names) if isinstance(task, Task) else parse_task(task, told, names),
            kinds=table_kinds(frame, modalities, kinds),
            ids=rows if ids is None else frame_cells(frame[ids]),
            groups={name: frame_cells(frame[name]) for name in groups},
            cluster=None if cluster is None else frame_cells(frame[cluster]),
            source=where + (f"; rows {split}" if split is not None else ""),
        )


def read_parquet(
    path: str | os.PathLike[str],
    modalities: Mapping[str, Columns],
    target: Columns | None,
    task: Task | str,
    *,
    kinds: Mapping[str, KindLike] | None = None,
    ids: str | None = None,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    split: str | None = None,
    names: Sequence[str] | None = None,
) -> FrameData:
    """Read a data set from a Parquet file; only the columns asked for are read. Arguments as in `FrameData`.

    Raises:
        BadInput: the file is missing, truncated or no Parquet, lacks a column, or holds what `ArrayData` refuses.
    """
    import pyarrow
    import pyarrow.parquet

    where = Path(path).name
    wanted = needed_columns(modalities, target, ids, groups, cluster)
    if split is not None:
        wanted.append(split.partition("=")[0] if "=" in split else "split")
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            need(wanted, file.schema_arrow.names, where)
            table = file.read(columns=list(dict.fromkeys(wanted)))
            table.validate(full=True)  # texts that are none are noticed here, not cell by cell
            frame = table.to_pandas(ignore_metadata=True)
    except FileNotFoundError as error:
        raise BadInput(f"file {os.fspath(path)!r} does not exist.") from error
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"file {os.fspath(path)!r} is not a readable Parquet file ({error}); copy it again if it was cut short."
        ) from error
    return FrameData(
        frame,
        modalities,
        target,
        task,
        kinds=kinds,
        ids=ids,
        groups=groups,
        cluster=cluster,
        split=split,
        names=names,
        source=where,
    )


def needed_columns(
    modalities: Mapping[str, Columns],
    target: Columns | None,
    ids: str | None,
    groups: Sequence[str],
    cluster: str | None,
) -> list[str]:
    """Return the names of all columns that the arguments of `FrameData` mention."""
    if not isinstance(modalities, Mapping) or not modalities:
        raise BadInput("modalities must map at least one modality name to its column or columns.")
    inputs = [name for columns in modalities.values() for name in _listed(columns)]
    return [*inputs, *_listed(target), *groups, *(name for name in (ids, cluster) if name is not None)]


def _listed(columns: Columns | None) -> list[str]:
    return [columns] if isinstance(columns, str) else list(columns or ())


def frame_values(frame: pd.DataFrame, name: str, columns: Columns) -> Any:
    """Return numbers as a table [n, columns], anything else as a list of cells."""
    from pandas.api.types import is_numeric_dtype

    listed = _listed(columns)
    if not listed:
        raise BadInput(f"modality {name!r} names no column.")
    parts = [_unboxed(frame[column]) for column in listed]
    odd = [c for c, x in zip(listed, parts, strict=True) if not (is_numeric_dtype(x.dtype) or _holds_codes(x))]
    if not odd:
        return np.column_stack([_numbers(part) for part in parts])
    if len(listed) > 1:
        raise BadInput(
            f"modality {name!r}: column {odd[0]!r} has dtype {frame[odd[0]].dtype}; several columns make a table of "
            "numbers, so encode categories as numbers first, or make the column a modality of its own."
        )
    return frame_cells(parts[0]).tolist()


def _numbers(column: pd.Series[Any]) -> Array:
    """Return a numeric column; booleans as 0/1, nullable types as float64 with NaN; of codes the codes."""
    if _holds_codes(column):
        column = column.astype(np.float64 if column.isna().any() else column.cat.categories.dtype)
    if not isinstance(column.dtype, np.dtype):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    values = np.asarray(column.to_numpy())
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def _unboxed(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return booleans and decimals, which pandas may keep as objects or Arrow's type, as bool or as float64 with NaN.

    Any other column comes back as it is.
    """
    if str(column.dtype) == "bool[pyarrow]":
        return column.astype("boolean")
    if column.dtype != object:
        return column
    cells = column.tolist()
    missing = [is_missing(x) for x in cells]
    kinds = {type(x) for x, gone in zip(cells, missing, strict=True) if not gone}
    booleans = bool(kinds) and kinds <= {bool, np.bool_}
    if booleans and not any(missing):
        return column.astype(np.bool_)
    if booleans or kinds == {Decimal}:
        return column.map(lambda x: math.nan if is_missing(x) else float(x)).astype(np.float64)
    return column


def _holds_codes(column: pd.Series[Any]) -> bool:
    """Whether it is of pandas' type `category`, with whole numbers or booleans as categories."""
    categories = getattr(column.dtype, "categories", None)
    return categories is not None and categories.dtype.kind in "iub"


def table_kinds(
    frame: pd.DataFrame, modalities: Mapping[str, Columns], kinds: Mapping[str, KindLike] | None
) -> dict[str, KindLike]:
    """Return `kinds` with the categorical columns of tables: declared by name, or by pandas' type `category`.

    Other kinds stay as they are.

    Raises:
        BadInput: a categorical column that is none of the modality's.
    """
    made = dict(kinds or {})
    for name, columns in modalities.items():
        listed = _listed(columns)
        table = _as_table(name, made.get(name), listed)
        own = {i for i, column in enumerate(listed) if column in frame and _holds_codes(frame[column])}
        if table is not None and (own or table.categorical is not None):
            made[name] = dataclasses.replace(table, categorical=tuple(own.union(table.categorical or ())))
    return made


def _as_table(name: str, kind: KindLike | None, columns: Sequence[str]) -> Modality | None:
    """What is declared of a table, or may be one; None for other kinds."""
    if kind is None:
        return Modality(name, "tabular")
    if isinstance(kind, Modality):
        return kind if kind.kind == "tabular" else None
    return parse_kind(name, kind, columns) if kind.partition(",")[0].strip() == "tabular" else None


def frame_cells(column: pd.Series[Any]) -> Array:
    """Return integers as they are, anything else as objects, missing cells as pandas keeps them (None, NaN, NA).

    Integers among which some are missing, which pandas keeps as floats, are integers and None again.
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        return np.asarray(column.to_numpy())
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        values = column.to_numpy()
        missing = np.isnan(values)
        if missing.any() and (np.abs(values[~missing]) < _MOST_WHOLE).all() and (values % 1 == 0)[~missing].all():
            return np.array([None if gone else int(x) for x, gone in zip(values, missing, strict=True)], dtype=object)
    return np.asarray(column.to_numpy(dtype=object))


def frame_target(frame: pd.DataFrame, target: Columns) -> Array:
    """Return the target column [n], or several as [n, columns]."""
    from pandas.api.types import is_numeric_dtype

    listed = _listed(target)
    if not listed:
        raise BadInput("target names no column.")
    columns = [_unboxed(frame[column]) for column in listed]
    parts = [_numbers(column) if is_numeric_dtype(column.dtype) else frame_cells(column) for column in columns]
    return parts[0] if isinstance(target, str) else np.asarray(np.column_stack(parts))
