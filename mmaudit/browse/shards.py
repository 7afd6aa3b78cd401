"""Row groups of a run's predictions: one condition of one shard at a time, checked before they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmaudit.errors import BadInput, DamagedRun
from mmaudit.formats import shorten
from mmaudit.outputs import UNREADABLE, Float32Array, opened
from mmaudit.store import Run
from mmaudit.types import Array, BoolArray, Condition, FloatArray, IntArray

# What pages, levels and small values take beside the numbers of a row group.
_SLACK = 2**16


@dataclass(frozen=True, eq=False)
class Part:
    """The answers to one shard's samples under one condition.

    Attributes:
        outputs: `float32[n, k]`.
        changed: `bool[n]`, whether the condition changed any of the modalities it declares.
        moved: `float64[n]`, mean distance over these modalities; NaN where one was withheld. 0 where there are none.
        measured: `bool[n]`, whether a budget let the sample be measured; where not, the outputs are NaN.
    """

    outputs: Float32Array
    changed: BoolArray
    moved: FloatArray
    measured: BoolArray

    def take(self, row: int) -> Part:
        """One of the rows, copied, so that the others are not held."""
        rows = slice(row, row + 1)
        return Part(
            self.outputs[rows].copy(), self.changed[rows].copy(), self.moved[rows].copy(), self.measured[rows].copy()
        )

    @classmethod
    def empty(cls, rows: int, width: int) -> Part:
        """Nothing measured."""
        none = np.full((rows, width), np.nan, np.float32)
        return cls(none, np.zeros(rows, np.bool_), np.full(rows, np.nan), np.zeros(rows, np.bool_))

    def place(self, rows: Array, other: Part, taken: Array) -> None:
        """Put some rows of another part at these rows."""
        self.outputs[rows], self.changed[rows] = other.outputs[taken], other.changed[taken]
        self.moved[rows], self.measured[rows] = other.moved[taken], other.measured[taken]


class Shards:
    """Reads the answers of a run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.width = run.task.width
        self.rows = run.shard_rows
        self.count = -(-run.n // run.shard_rows)
        self.portions = run.portions
        self.known = {c.key for c in run.conditions}
        self._positions: dict[int, list[IntArray]] = {}

    def size(self, shard: int) -> int:
        """Samples in a shard."""
        return min(self.rows, self.run.n - shard * self.rows)

    def span(self, shard: int) -> slice:
        """Positions of a shard's samples."""
        return slice(shard * self.rows, shard * self.rows + self.size(shard))

    def require(self, condition: Condition) -> None:
        """Raise `BadInput` where the run has no such condition."""
        if condition.key not in self.known:
            label = shorten(condition.label, 120)
            raise BadInput(f"condition {label!r} is not part of the run {self.run.folder}.")

    def read(self, shard: int, conditions: Sequence[Condition]) -> Iterator[tuple[Condition, Part]]:
        """Yield the answers of a shard under some conditions, one row group at a time.

        Each file is opened once; conditions come in the order of the plan.

        Raises:
            DamagedRun: a file is missing, cannot be read, or does not hold what the header says.
        """
        for condition in conditions:
            self.require(condition)
        wanted = {c.key for c in conditions}
        some: dict[str, Part] = {}
        for number, portion in enumerate(self.portions):
            if not any(c.key in wanted for c in portion.conditions):
                continue
            if portion.samples is None:
                yield from self._file(shard, number, wanted)
            else:
                self._gather(shard, number, wanted, some)
        # What a budget measured on some samples lies in several files, so it is complete only now.
        order = [c for c in self.run.conditions if c.key in some]
        yield from ((condition, some.pop(condition.key)) for condition in order)

    def _gather(self, shard: int, number: int, wanted: Collection[str], found: dict[str, Part]) -> None:
        """Add what a portion of some samples says of this shard's."""
        if number not in self._positions:
            self._positions[number] = self.run.shards(number)[:]
        span, positions = self.span(shard), self._positions[number]
        for condition in self.portions[number].conditions:
            if condition.key in wanted and condition.key not in found:
                found[condition.key] = Part.empty(self.size(shard), self.width)
        for piece, at in enumerate(positions):
            here = np.flatnonzero((at >= span.start) & (at < span.stop))
            if len(here):
                rows = at[here] - span.start
                for condition, part in self._file(piece, number, wanted):
                    found[condition.key].place(rows, part, here)

    def _file(self, shard: int, number: int, wanted: Collection[str]) -> Iterator[tuple[Condition, Part]]:
        """Yield what a file says under the wanted conditions."""
        path, rows = self.run.file(shard, number), self.run.size(shard, number)
        if not path.is_file():
            raise DamagedRun(f"{path} is missing: the audit has not finished. Audit again to the same folder.")
        try:
            with opened(path) as file:
                self._require_fit(file, number)
                for group, condition in enumerate(self.portions[number].conditions):
                    if condition.key in wanted:
                        yield condition, self._part(file, group, condition, rows)
        except UNREADABLE as error:
            why = shorten(str(error), 300)
            raise DamagedRun(f"{path} cannot be read ({why}). Audit again to the same folder.") from None

    def _require_fit(self, file: pq.ParquetFile, number: int) -> None:
        about, groups = file.metadata, len(self.portions[number].conditions)
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
        return Part(self._outputs(table, rows), *_proof(table, condition.modalities, rows), np.ones(rows, np.bool_))

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
