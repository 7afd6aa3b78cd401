"""Reads written inputs back, in batches, ready to be given to a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmaudit.errors import BadInput, UnknownName
from mmaudit.precomputed.manifest import FILE, Manifest
from mmaudit.types import Array, BoolArray, Condition


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs of some samples under one condition.

    Attributes:
        condition: its label, such as `missing[text, baseline=zero]`: what the table of answers calls it.
        ids: of the samples.
        inputs: per modality an array, rows first; text and what differs in shape from row to row as object arrays.
        present: per modality `bool[n]`; the value of a row where it is False means nothing.
    """

    condition: str
    ids: Array
    inputs: Mapping[str, Array]
    present: Mapping[str, BoolArray]

    def __len__(self) -> int:
        return len(self.ids)


def read_inputs(folder: str | Path, *, conditions: Sequence[str] | None = None) -> Iterator[Inputs]:
    """Read what `write_inputs` wrote: condition by condition, in batches of at most 256 samples.

    Args:
        folder: what was given to `write_inputs` as `out`.
        conditions: labels of the conditions to read; all by default.

    Raises:
        BadInput: the folder is none of written inputs, or a file is damaged.
        UnknownName: no condition has such a label.
    """
    manifest = Manifest.open(folder)
    known = {c.label: c for c in manifest.conditions}
    for label in conditions or ():
        if label not in known:
            raise UnknownName("condition", label, known)
    shapes = manifest.shapes
    for label, condition in known.items():
        if conditions is None or label in conditions:
            yield from _of(manifest, manifest.conditions[0], condition, shapes)


def _of(
    manifest: Manifest, clean: Condition, condition: Condition, shapes: Mapping[str, tuple[str, tuple[int | None, ...]]]
) -> Iterator[Inputs]:
    changed = set(condition.modalities) if condition is not clean else set(shapes)
    pairs = zip(_groups(manifest, condition), _groups(manifest, clean), strict=True)
    while True:
        try:
            own, base = next(pairs)
            tables = {name: own if name in changed else base for name in shapes}
            if own.column("id") != base.column("id"):
                raise BadInput(
                    f"{manifest.file(condition)} has other samples than the clean file; write the inputs again."
                )
            found = Inputs(
                condition.label,
                own.column("id").to_numpy(),
                {name: _column(tables[name], name, *shapes[name]) for name in shapes},
                {name: tables[name].column(f"present.{name}").to_numpy().astype(bool) for name in shapes},
            )
        except StopIteration:
            return
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, pa.ArrowException) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(
                f"{manifest.file(condition)} does not hold what {FILE} says ({type(error).__name__}: "
                f"{str(error)[:200]}); write the inputs again."
            ) from error
        yield found


def _groups(manifest: Manifest, condition: Condition) -> Iterator[pa.Table]:
    path = manifest.file(condition)
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path} cannot be read ({error}); write the inputs again.") from error


def _column(table: pa.Table, name: str, kind: str, shape: tuple[int | None, ...]) -> Array:
    column: Any = table.column(f"input.{name}").combine_chunks()
    if kind == "text":
        texts = np.empty(len(table), object)
        texts[:] = column.to_pylist()
        return texts
    flat = column.flatten().to_numpy(zero_copy_only=False)
    if f"shape.{name}" not in table.column_names:
        return np.asarray(flat.reshape(len(table), *(int(d) for d in shape if d is not None)))
    rows = np.empty(len(table), object)
    start = 0
    for row, dims in enumerate(table.column(f"shape.{name}").to_pylist()):
        size = int(np.prod(dims, dtype=np.int64))
        rows[row] = flat[start : start + size].reshape(dims)
        start += size
    return rows
