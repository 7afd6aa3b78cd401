"""samples.parquet of a stranger: ids and groups as text, targets as the task needs them; checked before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmaudit.errors import DamagedRun
from mmaudit.formats import printable, shorten
from mmaudit.outputs import UNREADABLE
from mmaudit.place import readable
from mmaudit.store import Run
from mmaudit.types import CANDIDATES, RIGHT, Array, Task

MAX_TEXT = 256 * 2**20
MAX_GROUPS = 1_000


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of every sample, in data set order.

    Attributes:
        ids: `object[n]`, as text without control characters.
        target: `int64[n]` (classification), `int8[n, labels]`, `float64[n, dims]`, or `int64[n, 3]` (retrieval:
            identity, candidates, right ones).
        groups: per group column `object[n]`, as text.
    """

    ids: Array
    target: Array
    groups: Mapping[str, Array]


def read_samples(run: Run) -> Known:
    """Read a run's samples.

    Raises:
        DamagedRun: the file is missing or cannot be read, or does not hold the samples that the header speaks of.
    """
    path = run.folder / "samples.parquet"
    if not path.is_file():
        raise DamagedRun(f"{path} is missing; audit again to the same folder.")
    try:
        with pq.ParquetFile(readable(path)) as file:
            _require_fit(file, run.n)
            texts = [name for name in file.schema_arrow.names if name == "id" or name.startswith("group.")]
        # A text that many rows share is one text in the file, and must not become many here.
        with pq.ParquetFile(readable(path), read_dictionary=texts, page_checksum_verification=True) as file:
            left, read = MAX_TEXT, {}
            for name in texts:
                read[name], left = _texts(file, name, left)
            groups = {name[6:]: column for name, column in read.items() if name != "id"}
            return Known(read["id"], _target(file, run.task), groups)
    except UNREADABLE as error:
        why = shorten(str(error), 300)
        raise DamagedRun(f"{path} cannot be read ({why}). Audit again to the same folder.") from None


def _require_fit(file: pq.ParquetFile, n: int) -> None:
    about, schema = file.metadata, file.schema_arrow
    if about.num_rows != n:
        raise ValueError(f"it has {about.num_rows} rows, run.json speaks of {n}")
    # Not column by column: Arrow 26 ends the process where what a file says of a column contradicts itself.
    size = sum(about.row_group(g).total_byte_size for g in range(about.num_row_groups))
    if size > MAX_TEXT + 64 * n * about.num_columns:
        raise ValueError(f"it would take {size} bytes")
    names = schema.names
    texts = [name for name in names if name == "id" or name.startswith("group.")]
    if "id" not in names:
        raise ValueError("it has no column 'id'")
    if len(set(names)) != len(names) or len(texts) > MAX_GROUPS:
        raise ValueError("it has a column twice, or too many group columns")
    for name in texts:
        kind = schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_integer(kind)):
            raise ValueError(f"it has a column {shorten(name, 60)!r} of type {kind}, expected texts or whole numbers")


def _column(file: pq.ParquetFile, name: str) -> pa.ChunkedArray:
    column = file.read(columns=[name], use_threads=False).column(name)
    if column.null_count or len(column) != file.metadata.num_rows:
        raise ValueError(f"it has gaps in its column {shorten(name, 60)!r}")
    return column


def _texts(file: pq.ParquetFile, name: str, left: int) -> tuple[Array, int]:
    """A column as text, equal texts shared; `left` bounds the length of all of them together."""
    column = _column(file, name)
    if not pa.types.is_dictionary(column.type):
        return column.to_numpy().astype(str).astype(object), left
    parts = [np.empty(0, object)]
    for chunk in column.chunks:
        chunk.validate(full=True)  # a damaged page can point beyond the words
        words, places = chunk.dictionary.to_pylist(), chunk.indices.to_numpy()
        lengths = np.array([len(word) for word in words], np.int64)
        left -= int(lengths[places].sum())
        if left < 0:
            raise ValueError(f"it has texts in {shorten(name, 60)!r} that are too long to be read")
        shared = np.empty(len(words), object)
        shared[:] = [printable(word) for word in words]
        parts.append(shared[places])
    return np.concatenate(parts), left


def _target(file: pq.ParquetFile, task: Task) -> Array:
    given = file.schema_arrow.names
    several = [f"target.{j}" for j in range(sum(name.startswith("target.") for name in given))]
    names = ["target"] if "target" in given else several
    width = {"classification": 1, "retrieval": 3}.get(task.kind, task.width)
    if len(names) != width or not set(names) <= set(given):
        raise ValueError(f"its target has {len(names)} columns, {task.kind} here needs {width}")
    columns = [_column(file, name) for name in names]
    numbers = pa.types.is_floating if task.kind == "regression" else pa.types.is_integer
    if not all(numbers(c.type) or pa.types.is_integer(c.type) for c in columns):
        raise ValueError(f"its target is of type {columns[0].type}, which is no target of {task.kind}")
    arrays = [c.to_numpy() for c in columns]
    target = arrays[0] if task.kind == "classification" else np.stack(arrays, axis=1)
    _require_legal(target, task)
    return target.astype({"regression": np.float64, "multilabel": np.int8}.get(task.kind, np.int64))


def _require_legal(target: Array, task: Task) -> None:
    if task.kind == "regression":
        legal = np.isfinite(target)
    elif task.kind == "retrieval":
        legal = (target[:, CANDIDATES] >= target[:, RIGHT]) & (target[:, RIGHT] >= 0)
    else:
        legal = (target >= 0) & (target < (2 if task.kind == "multilabel" else task.width))
    if not legal.all():
        raise ValueError(f"target {target[~legal].ravel()[0]} is not legal for {task.said}")
