"""Row groups of a run's predictions: one condition of one shard at a time, checked before they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmaudit.errors import BadInput, DamagedRun
from mmaudit.formats import shorten
from mmaudit.outputs import UNREADABLE, Float32Array, opened
from mmaudit.store import Run
from mmaudit.types import Array, BoolArray, Condition, FloatArray

# What pages, levels and small values take beside the numbers of a row group.
_SLACK = 2**16


@dataclass(frozen=True, eq=False)
class Part:
    """The answers to one shard's samples under one condition.

    Attributes:
        outputs: `float32[n, k]`.
        changed: `bool[n]`, whether the condition changed any of the modalities it declares.
        moved: `float64[n]`, mean distance over these modalities; NaN where one was withheld. 0 where there are none.
    """

    outputs: Float32Array
    changed: BoolArray
    moved: FloatArray

    def take(self, row: int) -> Part:
        """One of the rows, copied, so that the others are not held."""
        rows = slice(row, row + 1)
        return Part(self.outputs[rows].copy(), self.changed[rows].copy(), self.moved[rows].copy())


class Shards:
    """Reads the answers of a run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.width = run.task.width
        self.rows = run.shard_rows
        self.count = -(-run.n // run.shard_rows)
        self.increments = run.increments
        self.places = {c.key: (i, g) for i, part in enumerate(self.increments) for g, c in enumerate(part)}

    def size(self, shard: int) -> int:
        """Samples in a shard."""
        return min(self.rows, self.run.n - shard * self.rows)

    def span(self, shard: int) -> slice:
        """Positions of a shard's samples."""
        return slice(shard * self.rows, shard * self.rows + self.size(shard))

    def place(self, condition: Condition) -> tuple[int, int]:
        """Increment and row group of a condition; raises `BadInput` where the run has none such."""
        try:
            return self.places[condition.key]
        except KeyError:
            label = shorten(condition.label, 120)
            raise BadInput(f"condition {label!r} is not part of the run {self.run.folder}.") from None

    def read(self, shard: int, conditions: Sequence[Condition]) -> Iterator[tuple[Condition, Part]]:
        """Yield the answers of a shard under some conditions, one row group at a time.

        Each file is opened once; conditions come in the order of the plan.

        Raises:
            DamagedRun: a file is missing, cannot be read, or does not hold what the header says.
        """
        wanted: dict[int, list[tuple[int, Condition]]] = {}
        for condition in conditions:
            increment, group = self.place(condition)
            wanted.setdefault(increment, []).append((group, condition))
        for increment in sorted(wanted):
            path = self.run.file(shard, increment)
            if not path.is_file():
                raise DamagedRun(f"{path} is missing: the audit has not finished. Audit again to the same folder.")
            try:
                with opened(path) as file:
                    self._require_fit(file, increment, self.size(shard))
                    for group, condition in sorted(wanted[increment], key=lambda item: item[0]):
                        yield condition, self._part(file, group, condition, self.size(shard))
            except UNREADABLE as error:
                why = shorten(str(error), 300)
                raise DamagedRun(f"{path} cannot be read ({why}). Audit again to the same folder.") from None

    def _require_fit(self, file: pq.ParquetFile, increment: int, rows: int) -> None:
        about, groups = file.metadata, len(self.increments[increment])
        if about.num_row_groups != groups:
            raise ValueError(f"it has {about.num_row_groups} row groups, expected {groups}")
        expected = {"output": pa.types.is_list}
        for m in self.run.modalities:
            expected |= {f"changed.{m.name}": pa.types.is_boolean, f"moved.{m.name}": pa.types.is_floating}
        schema = file.schema_arrow
        for name, is_right in expected.items():
            if len(schema.get_all_field_indices(name)) != 1 or not is_right(schema.field(name).type):
                raise ValueError(f"it has no column {shorten(name, 60)!r} as a run's predictions have it")
        if not pa.types.is_float32(schema.field("output").type.value_type):
            raise ValueError("its column 'output' does not hold float32")

    def _part(self, file: pq.ParquetFile, group: int, condition: Condition, rows: int) -> Part:
        about = file.metadata.row_group(group)
        if about.num_rows != rows:
            raise ValueError(f"row group {group} has {about.num_rows} rows, expected {rows}")
        names = [f"{what}.{m}" for m in condition.modalities for what in ("changed", "moved")]
        # What a footer promises is checked before anything is allocated: small files can hold very long lists.
        for i in range(about.num_columns):
            column = about.column(i)
            cells = rows * (self.width if column.path_in_schema.startswith("output.") else 1)
            if column.path_in_schema.startswith("output.") and column.num_values != cells:
                raise ValueError(f"row group {group} has {column.num_values} outputs, expected {rows} × {self.width}")
            if column.total_uncompressed_size > 16 * cells + _SLACK:
                raise ValueError(f"row group {group} would take {column.total_uncompressed_size} bytes")
        table = file.read_row_group(group, columns=["output", *names], use_threads=False)
        return Part(self._outputs(table, rows), *_proof(table, condition.modalities, rows))

    def _outputs(self, table: pa.Table, rows: int) -> Float32Array:
        column = table.column("output").combine_chunks()
        flat = column.flatten().to_numpy(zero_copy_only=False)
        starts = np.diff(column.offsets.to_numpy())
        if len(flat) != rows * self.width or not (starts == self.width).all() or column.null_count:
            raise ValueError(f"its rows do not have {self.width} outputs each")
        return np.asarray(flat, np.float32).reshape(rows, self.width)


def _proof(table: pa.Table, modalities: Sequence[str], rows: int) -> tuple[BoolArray, FloatArray]:
    if not modalities:
        return np.zeros(rows, np.bool_), np.zeros(rows)
    changed = [_column(table, f"changed.{m}", rows).astype(np.bool_) for m in modalities]
    moved = [_column(table, f"moved.{m}", rows).astype(np.float64) for m in modalities]
    return np.asarray(np.any(changed, axis=0)), np.asarray(np.mean(moved, axis=0))


def _column(table: pa.Table, name: str, rows: int) -> Array:
    column = table.column(name)
    # Damaged pages can give columns of different lengths.
    if column.null_count or len(column) != rows:
        raise ValueError(f"its column {shorten(name, 60)!r} has gaps")
    values: Array = column.to_numpy()
    return values
