"""A table of answers: a row per sample and condition.

Columns: `id`; `condition`, its label or key (left out: all rows are `clean`); and the outputs, either

    output          a list of k numbers, or one number where there is one output; or
    output.NAME     a column per class, label or dimension, called as the task calls it, or 0 to k − 1.

An answer that is null or not finite is no answer: it counts as the model's failure. A row that is not there at all is
another thing: a condition has to be answered for every sample, or not be in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from mmaudit.errors import BadInput
from mmaudit.outputs import Float32Array, opened
from mmaudit.types import CLEAN, Array, Task

CSV, PARQUET = (".csv", ".csv.gz"), (".parquet", ".pq")
# What Arrow raises where a file is damaged, foreign, or holds texts that are none.
_UNREADABLE = (pa.ArrowException, OSError, KeyError, UnicodeDecodeError)


class Answers:
    """An opened table.

    Args:
        given: a pandas data frame; the path of a Parquet or CSV file, or of a folder of such files; or several paths.
        task: of the data set; decides how many outputs there are and how their columns may be called.

    Raises:
        BadInput: a file cannot be read, or a column is missing or of another type.
    """

    def __init__(self, given: Any, task: Task) -> None:
        self.task = task
        self._parts = _opened(given)
        names = self._parts[0].names
        if "id" not in names:
            raise BadInput(f"the table of answers has no column 'id'; it has {_few(names)}.")
        self._columns = _output_columns(names, task)
        self._named = "condition" in names

    def labels(self) -> list[str]:
        """What the column `condition` holds, each once, in order of appearance; `BadInput` where it is no text."""
        try:
            return self._labels()
        except _UNREADABLE as error:
            raise BadInput(f"the table of answers cannot be read: {error}.") from error

    def _labels(self) -> list[str]:
        return list(self._places) if self._named else [CLEAN.label]

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        """The parts in which each condition has rows."""
        found: dict[str, list[int]] = {}
        for number, part in enumerate(self._parts):
            values = pc.unique(part.read(["condition"]).column("condition").cast(pa.string())).to_pylist()
            if None in values:
                raise BadInput("the table of answers has rows without a condition; name one in every row.")
            for value in values:
                found.setdefault(value, []).append(number)
        return found

    def read(self, label: str, ids: Array) -> Float32Array:
        """Return the answers under one condition, float32 [n, k], in the order of `ids`; NaN where they are null.

        Raises:
            BadInput: a sample has no row, or several; or answers are no numbers, or not as many as the task has.
        """
        found: list[Array] = [np.zeros(0, object)]
        values: list[Float32Array] = [np.zeros((0, self.task.width), np.float32)]
        try:
            for number in self._places.get(label, []) if self._named else range(len(self._parts)):
                table = self._chosen(self._parts[number], label)
                found.append(np.asarray(table.column("id").cast(pa.string()).to_pylist(), object))
                values.append(self._values(label, table))
        except _UNREADABLE as error:
            raise BadInput(f"the table of answers cannot be read under {label[:200]!r}: {error}.") from error
        order = _order(label, np.concatenate(found), ids)
        rows: Float32Array = np.take(np.concatenate(values), order, axis=0)
        return rows

    def _chosen(self, part: _Part, label: str) -> pa.Table:
        """The rows of a part under one condition; Arrow's own filter asks for statistics, which can end the process."""
        table = part.read(["id", *self._columns, *(["condition"] if self._named else [])])
        return table.filter(pc.equal(table.column("condition").cast(pa.string()), label)) if self._named else table

    def _values(self, label: str, table: pa.Table) -> Float32Array:
        said = f"answers under {label[:200]!r}"
        try:
            if len(self._columns) > 1 or self._columns[0] != "output":
                parts = [table.column(name).cast(pa.float64()).to_numpy() for name in self._columns]
                return np.stack(parts, axis=1).astype(np.float32)
            column = table.column("output").combine_chunks()
            if pa.types.is_null(column.type):
                return np.full((len(table), self.task.width), np.nan, np.float32)
            if not (pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type) or _large(column.type)):
                values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)[:, None]
            else:
                values = _stacked(column, self.task.width)
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise BadInput(f"{said} are no lists of numbers ({error}).") from None
        if values.shape[1] != self.task.width:
            raise BadInput(f"{said} have {values.shape[1]} outputs, the task ({self.task.said}) has {self.task.width}.")
        found: Float32Array = values.astype(np.float32)
        return found


@dataclass(frozen=True)
class _Part:
    """Rows that are read at once: a table in memory, or a row group of a file.

    Attributes:
        names: of its columns.
        table: where it is in memory.
        file, group: where it is not.
    """

    names: tuple[str, ...]
    table: Any = None
    file: Path = Path()
    group: int = 0

    def read(self, columns: list[str]) -> pa.Table:
        """Some columns."""
        if lacking := [name for name in columns if name not in self.names]:
            raise BadInput(f"table of answers {self.file.name!r} has no column {lacking[0]!r}, which others have.")
        if self.table is not None:
            return self.table.select(columns)
        with opened(self.file) as file:
            return file.read_row_group(self.group, columns=columns, use_threads=False)


def _in_memory(table: pa.Table) -> list[_Part]:
    return [_Part(tuple(table.column_names), table)]


def _of_files(files: Sequence[Path]) -> list[_Part]:
    """The row groups of Parquet files; a file without rows has one part without rows."""
    parts: list[_Part] = []
    for path in files:
        with opened(path) as file:
            names, groups = tuple(file.schema_arrow.names), file.num_row_groups
            parts += [_Part(names, None, path, group) for group in range(groups)]
            if not groups:
                parts += _in_memory(file.schema_arrow.empty_table())
    return parts


def _opened(given: Any) -> list[_Part]:
    if hasattr(given, "columns") and hasattr(given, "to_numpy"):  # a data frame, without importing pandas
        try:
            frame = given
            if "output" in given.columns and given["output"].dtype == object:
                # Lists of float32 beside lists of float64 are no column to Arrow.
                frame = given.assign(output=[_listed(value) for value in given["output"]])
            return _in_memory(pa.Table.from_pandas(frame, preserve_index=False))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise BadInput(f"the data frame of answers has a column that no table can hold: {error}.") from error
    paths = [Path(p) for p in ([given] if isinstance(given, str | Path) else list(given))]
    files: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if p.name.endswith((*CSV, *PARQUET))) if path.is_dir() else [path]
        files += inside
    if not files or (lacking := [p for p in files if not p.is_file()]):
        missing = str(paths[0] if not files else lacking[0])
        raise BadInput(f"table of answers {missing!r} does not exist, or is a folder without Parquet or CSV files.")
    sorts = {"csv" if p.name.endswith(CSV) else "parquet" if p.name.endswith(PARQUET) else p.suffix for p in files}
    try:
        if sorts == {"parquet"}:
            return _of_files(files)
        if sorts == {"csv"}:
            # As text: an id "007" is not 7.
            kept = pa.csv.ConvertOptions(column_types={"id": pa.string(), "condition": pa.string()})
            return _in_memory(pa.concat_tables([pa.csv.read_csv(p, convert_options=kept) for p in files]))
    except _UNREADABLE as error:
        raise BadInput(f"table of answers {str(files[0])!r} cannot be read: {error}.") from error
    raise BadInput(f"tables of answers end in {_few(sorted(sorts))}; give .parquet or .csv, and one sort at a time.")


def _listed(value: Any) -> Any:
    return np.asarray(value, np.float64) if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" else value


def _output_columns(names: Sequence[str], task: Task) -> list[str]:
    if "output" in names:
        return ["output"]
    found = [name.removeprefix("output.") for name in names if name.startswith("output.")]
    for wanted in (list(task.names), [str(i) for i in range(task.width)]):
        if sorted(found) == sorted(wanted):
            return [f"output.{name}" for name in wanted]
    has = f"the table has {_few(names)}"
    if not found:
        raise BadInput(
            f"the table of answers has no outputs: {has}; expected a column 'output' of lists, or columns "
            f"{_few([f'output.{name}' for name in task.names])}. Scores of every class are needed, not the class alone."
        )
    raise BadInput(f"the table's outputs are {_few(found)}, those of the task ({task.said}) are {_few(task.names)}.")


def _order(label: str, found: Array, ids: Array) -> Array:
    """Return the row of each sample; ids are compared as text, since CSV has nothing else."""
    wanted = np.asarray([str(x) for x in ids.tolist()], object)
    place = {identity: row for row, identity in enumerate(found.tolist())}
    here = set(wanted.tolist())
    if len(place) < len(found):
        seen: set[Any] = set()
        for identity in found.tolist():
            if identity in seen and identity in here:
                raise BadInput(f"the table answers sample {identity} twice under {label[:200]!r}; leave one row.")
            seen.add(identity)
    lacking = [identity for identity in wanted.tolist() if identity not in place]
    if lacking:
        foreign = next((str(identity) for identity in found.tolist() if identity not in here), "")
        has = f" The table answers {foreign[:80]!r}, which is no id of the data." if foreign else ""
        raise BadInput(
            f"the table has no answer to {len(lacking)} of {len(wanted)} samples under {label[:200]!r}, the first "
            f"being {lacking[0][:80]!r}.{has} Answer every sample (null where the model failed), or leave the "
            "condition out."
        )
    surplus = [str(identity) for identity in place if identity not in here]
    if surplus:
        raise BadInput(
            f"the table answers {len(surplus):,} sample{'s' * (len(surplus) > 1)} that the data does not have under "
            f"{label[:200]!r}, the first being {surplus[0][:80]!r}; leave them out, or give the data they belong to."
        )
    return np.asarray([place[identity] for identity in wanted.tolist()], np.int64)


def _stacked(column: Any, width: int) -> Array:
    """Lists of numbers as a matrix; a null list is a row of NaN."""
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    known = np.asarray(column.is_valid())
    sizes = np.unique(lengths[known])
    size = int(sizes[0]) if len(sizes) else width
    if len(sizes) > 1:
        raise ValueError(f"their lengths differ: {', '.join(str(int(s)) for s in sizes[:4])}")
    values = np.full((len(column), size), np.nan)
    values[known] = (
        column.filter(pa.array(known)).flatten().cast(pa.float64()).to_numpy(zero_copy_only=False).reshape(-1, size)
    )
    return values


def _large(kind: Any) -> bool:
    return bool(pa.types.is_large_list(kind))


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(str(name)[:60]) for name in names[:8])
    return (shown or "nothing") + (f" and {len(names) - 8} more" if len(names) > 8 else "")
