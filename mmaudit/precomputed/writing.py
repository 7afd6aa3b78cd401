"""Writes the inputs of every condition, to be answered elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmaudit.data import Dataset
from mmaudit.errors import BadInput
from mmaudit.folder import write_atomically
from mmaudit.header import modality_to_json
from mmaudit.plan import Plan
from mmaudit.precomputed.manifest import FILE, SCHEMA
from mmaudit.precomputed.planned import planned, source_of
from mmaudit.predict import BATCH_ROWS, Progress, fitting_rows
from mmaudit.preparing import AnySuite, data_fingerprints
from mmaudit.probes import Source, probes
from mmaudit.types import Array, Batch, Condition, Modality


def write_inputs(
    data: Dataset,
    out: str | Path,
    *,
    suite: AnySuite = "standard",
    train: Dataset | None = None,
    native_absence: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write what a model would be given under every condition of a suite, one Parquet file each.

    `mmaudit.precomputed.manifest` describes the files; `read_inputs` reads them. A second call goes on where a killed
    one stopped.

    Args:
        data: the data set to audit.
        out: a folder: absent, empty, or of an earlier call with the same data and suite.
        suite: as for `audit`; its adversarial probes are left out, as they need the model.
        train: training data, for the means and deviations that stand-ins and noise use.
        native_absence: whether the model handles absent modalities by itself; then conditions that merely take a
            modality away are written, too.
        progress: called with (rows written, rows planned).

    Returns:
        The path of `conditions.json`, which is written last.

    Raises:
        BadInput: the data or the folder is not usable, or the task is a retrieval.
        UnknownName: the suite names what does not exist.
    """
    source = source_of(data, train)
    plan = planned(data, suite, native=native_absence)
    folder = Path(out)
    content = {
        "schema": SCHEMA,
        "fingerprints": data_fingerprints(data, train),
        "task": data.task.to_json(),
        "modalities": [modality_to_json(m) for m in data.modalities],
        "n": len(data),
        "suite": plan.suite.to_json(),
        "scenarios": list(plan.scenarios),
        "declined": plan.declined_json,
        "conditions": [{**c.to_json(), "file": f"{c.key}.parquet"} for c in plan.conditions],
    }
    _require_fitting(folder, content)
    todo = [c for c in plan.conditions if not (folder / f"{c.key}.parquet").exists()]
    _write(folder, data, source, plan, todo, progress)
    said = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / FILE, said.encode("utf-8", "backslashreplace"))
    return folder / FILE


def _require_fitting(folder: Path, content: dict[str, Any]) -> None:
    """Make the folder; raise `BadInput` where it holds other files, or inputs of other data or another suite."""
    begun = folder / f".{FILE}"
    mark = json.dumps(content, sort_keys=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = begun.read_text(encoding="utf-8") if begun.exists() else None
        if known is None and any(folder.iterdir()):
            raise BadInput(f"out={str(folder)!r} holds other files; give a new or empty folder.")
        if known not in (None, mark):
            raise BadInput(f"out={str(folder)!r} holds inputs of other data or another suite; give another folder.")
        if known is None:
            write_atomically(begun, mark.encode())
        for leftover in folder.glob("*.partial"):
            leftover.unlink()
    except OSError as error:
        raise BadInput(f"out={str(folder)!r} cannot be written: {error}; give another folder.") from error


def _write(
    folder: Path, data: Dataset, source: Source, plan: Plan, todo: Sequence[Condition], progress: Progress | None
) -> None:
    """Write the files that are missing, some conditions at a time, so that few files are open."""
    done, total = len(data) * (len(plan.conditions) - len(todo)), len(data) * len(plan.conditions)
    rows = fitting_rows(data, BATCH_ROWS)
    for first in range(0, len(todo), _OPEN):
        some = todo[first : first + _OPEN]
        with ExitStack() as stack:
            files = [stack.enter_context(_File(folder / f"{c.key}.parquet")) for c in some]
            for start in range(0, len(data), rows):
                clean = data.rows(np.arange(start, min(start + rows, len(data))))
                for condition, file in zip(some, files, strict=True):
                    given = clean
                    if condition.family != "clean":
                        given = probes.get(condition.probe).apply(clean, condition, source)
                    names = condition.modalities if condition.family != "clean" else [m.name for m in data.modalities]
                    file.write(table_of(given, [source.modality(name) for name in names]))
                    done += len(clean)
                    if progress:
                        progress(done, total)
            for file in files:
                file.finished = True


_OPEN = 64


class _File:
    """A Parquet file that takes its place when it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        self.writer: pq.ParquetWriter | None = None
        self.finished = False

    def __enter__(self) -> _File:
        return self

    def write(self, table: pa.Table) -> None:
        """Add rows, as one row group."""
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.partial, table.schema, compression="zstd", use_dictionary=False)
        self.writer.write_table(table.cast(self.writer.schema), row_group_size=len(table))

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()
        if self.finished:
            self.partial.replace(self.path)
        else:
            self.partial.unlink(missing_ok=True)


def table_of(batch: Batch, modalities: Sequence[Modality]) -> pa.Table:
    """Some modalities of a batch as the columns that `mmaudit.precomputed.manifest` describes."""
    columns: dict[str, Any] = {"id": pa.array(batch.ids.tolist() if batch.ids.dtype.kind in "OU" else batch.ids)}
    for modality in modalities:
        name = modality.name
        values = batch.inputs[name]
        if modality.kind == "text":
            columns[f"input.{name}"] = pa.array(values.tolist(), pa.string())
        elif values.dtype == object:
            columns |= _ragged(name, modality, values)
        else:
            flat = np.ascontiguousarray(values).reshape(-1)
            size = int(np.prod(values.shape[1:], dtype=np.int64))
            columns[f"input.{name}"] = pa.FixedSizeListArray.from_arrays(pa.array(flat), size)
        columns[f"present.{name}"] = pa.array(np.asarray(batch.present[name], bool))
    return pa.table(columns)


def _ragged(name: str, modality: Modality, values: Array) -> dict[str, Any]:
    dtype = np.dtype(modality.dtype)
    arrays = [np.asarray(value, dtype) for value in values]
    lengths = np.cumsum([0, *(array.size for array in arrays)], dtype=np.int64)
    flat = np.concatenate([array.reshape(-1) for array in arrays]) if arrays else np.empty(0, dtype)
    numbers = pa.LargeListArray.from_arrays(pa.array(lengths), pa.array(flat))
    shapes = pa.array([list(array.shape) for array in arrays], pa.list_(pa.int64()))
    return {f"input.{name}": numbers, f"shape.{name}": shapes}
