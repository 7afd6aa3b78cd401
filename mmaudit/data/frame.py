"""A data set from a pandas data frame or a Parquet file. pandas and pyarrow are imported when called."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmaudit.data.arrays import ArrayData
from mmaudit.data.infer import KindLike
from mmaudit.data.keys import need, split_rows
from mmaudit.data.tasks import is_retrieval, parse_task, with_names
from mmaudit.errors import BadInput
from mmaudit.types import Array, Task

if TYPE_CHECKING:
    import pandas as pd

Columns = str | Sequence[str]


class FrameData(ArrayData):
    """Samples from columns of a data frame, which is not changed. A `Dataset`.

    Args:
        frame: one row per sample.
        modalities: modality name to its column or columns: a column of text; a column of arrays or lists (image,
            audio, embedding); one or more columns of numbers, which make one table [n, columns].
        target: column of the target; several for multilabel or regression; None for a retrieval in which every sample
            is one of its own.
        task: `Task` or text as in `parse_task`.
        kinds: modality name to kind, where it cannot be read off the values, as in `ArrayData`.
        ids: column of unique sample ids; left out: row numbers, counted before `split`.
        groups: columns to report by.
        cluster: column of what dependent samples share.
        split: rows to keep: `test` (where column `split` is "test") or `column=value`.
        names: classes, labels or dimensions in the order of the outputs; several target columns name themselves.
        source: where the frame came from, for people.

    Cells that pandas calls missing (None, NaN, NA) are not recorded. In a table of numbers a row must be missing as a
    whole or not at all.

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
        if len(set(known)) < len(known):
            twice = sorted({c for c in known if known.count(c) > 1})
            raise BadInput(f"{where}: column {twice[0]!r} occurs more than once; rename one of them.")
        need(needed_columns(modalities, target, ids, groups, cluster), known, where)
        frame = frame.set_axis(known, axis=1)
        rows = np.arange(len(frame))
        if split is not None:
            rows = split_rows(split, known, lambda name: frame[name].to_numpy(dtype=object), where)
            frame = frame.iloc[rows]
        truth = None if target is None and is_retrieval(task) else frame_target(frame, target or [])
        if names is None and len(_listed(target)) > 1 and isinstance(task, str):
            names = _listed(target)
        super().__init__(
            {name: frame_values(frame, name, columns) for name, columns in modalities.items()},
            truth,
            with_names(task, names) if isinstance(task, Task) else parse_task(task, truth, names),
            kinds=kinds,
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
    odd = [column for column in listed if not is_numeric_dtype(frame[column].dtype)]
    if not odd:
        return np.column_stack([_numbers(frame[column]) for column in listed])
    if len(listed) > 1:
        raise BadInput(
            f"modality {name!r}: column {odd[0]!r} has dtype {frame[odd[0]].dtype}; several columns make a table of "
            "numbers, so encode categories as numbers first, or make the column a modality of its own."
        )
    return frame_cells(frame[listed[0]]).tolist()


def _numbers(column: pd.Series[Any]) -> Array:
    """Return a numeric column; booleans as 0/1, nullable types as float64 with NaN."""
    if not isinstance(column.dtype, np.dtype):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    values = np.asarray(column.to_numpy())
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def frame_cells(column: pd.Series[Any]) -> Array:
    """Return integers as they are, anything else as objects, missing cells as pandas keeps them (None, NaN, NA)."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(dtype=object))


def frame_target(frame: pd.DataFrame, target: Columns) -> Array:
    """Return the target column [n], or several as [n, columns]."""
    from pandas.api.types import is_numeric_dtype

    listed = _listed(target)
    if not listed:
        raise BadInput("target names no column.")
    parts = [_numbers(frame[c]) if is_numeric_dtype(frame[c].dtype) else frame_cells(frame[c]) for c in listed]
    return parts[0] if isinstance(target, str) else np.asarray(np.column_stack(parts))
