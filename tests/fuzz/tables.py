"""Parquet tables with one thing changed: a column, a type, its rows, its row groups, or its metadata."""

from __future__ import annotations

import io
import json
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from fuzz import values
from helpers.hostile_texts import TEXTS

Metadata = dict[bytes, bytes]


def read(data: bytes) -> tuple[pa.Table, Metadata]:
    """The table, and the file's key-value metadata."""
    file = pq.ParquetFile(io.BytesIO(data))
    return file.read(use_threads=False), dict(file.metadata.metadata or {})


def written(table: pa.Table, metadata: Metadata, rng: Random) -> bytes:
    """The bytes of a file, in row groups of some size."""
    sink = io.BytesIO()
    rows = max(len(table), 1)
    whole = rng.random() < 0.7
    with pq.ParquetWriter(sink, table.schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(table, row_group_size=rows if whole else rng.randint(1, rows))
        writer.add_key_value_metadata({k: v for k, v in metadata.items() if k != b"ARROW:schema"})
    return sink.getvalue()


def changed(table: pa.Table, metadata: Metadata, rng: Random) -> tuple[pa.Table, Metadata]:
    """One change."""
    if metadata and rng.random() < 0.3:
        return table, _metadata(metadata, rng)
    if not table.num_columns:
        return pa.table({"x": [1]}), metadata
    return rng.choice(_CHANGES)(table, rng), metadata


def _metadata(metadata: Metadata, rng: Random) -> Metadata:
    key = rng.choice(sorted(metadata))
    try:
        value = json.loads(metadata[key])
    except (ValueError, RecursionError):
        return {k: v for k, v in metadata.items() if k != key}
    text = values.nested(json.dumps(values.changed(value, rng), ensure_ascii=True), rng)
    return {**metadata, key: text.encode()}


def _drop(table: pa.Table, rng: Random) -> pa.Table:
    return table.remove_column(rng.randrange(table.num_columns)) if table.num_columns > 1 else table


def _rename(table: pa.Table, rng: Random) -> pa.Table:
    names = list(table.column_names)
    names[rng.randrange(len(names))] = rng.choice(("", "x", "id", "group.", "present.", "a.b", *names))
    return table.rename_columns(names)


def _rows(table: pa.Table, rng: Random) -> pa.Table:
    n = len(table)
    kind = rng.randrange(4)
    if kind == 0:
        return table.slice(0, rng.randint(0, n))
    if kind == 1:
        return pa.concat_tables([table, table])
    return table.take([rng.randrange(n) for _ in range(n)]) if n else table


def _values(table: pa.Table, rng: Random) -> pa.Table:
    """One column's values: of another type, missing, odd, or another column's."""
    at = rng.randrange(table.num_columns)
    name, n = table.column_names[at], len(table)
    kind = rng.randrange(7)
    if kind == 0:
        column = pa.nulls(n, table.schema.field(at).type)
    elif kind == 1:
        column = pa.array([rng.choice((None, -1, 0, 1, 99, 2**31, -(2**63), 2**63 - 1)) for _ in range(n)], pa.int64())
    elif kind == 2:
        column = pa.array([rng.choice((None, 0.0, float("nan"), float("inf"), 1e300, -1.0)) for _ in range(n)])
        column = column.cast(pa.float64())
    elif kind == 3:
        odd = ("", "x", "clean", "\x00", "a" * 5_000, *TEXTS.values())
        plain = [rng.choice(odd).encode("utf-8", "replace").decode() for _ in range(n)]
        column = pa.array(plain, pa.string())
    elif kind == 4:
        column = pa.array([[0.5] * rng.choice((0, 1, 3)) for _ in range(n)], pa.list_(pa.float32()))
    elif kind == 5:
        column = pa.array([bytes([rng.randrange(256)]) * 3 for _ in range(n)], pa.binary())
    else:
        column = table.column(rng.randrange(table.num_columns))
    return table.set_column(at, name, column)


def _one(table: pa.Table, rng: Random) -> pa.Table:
    """One cell."""
    at = rng.randrange(table.num_columns)
    cells = table.column(at).to_pylist()
    if not cells:
        return table
    row = rng.randrange(len(cells))
    old = cells[row]
    if isinstance(old, str):
        cells[row] = rng.choice(("", old + "x", old[:1], *TEXTS.values())).encode("utf-8", "replace").decode()
    elif isinstance(old, bool) or old is None:
        cells[row] = None
    elif isinstance(old, int):
        cells[row] = rng.choice((None, -1, old + 1, 2**31 - 1, -(2**31), 127))
    elif isinstance(old, float):
        cells[row] = rng.choice((None, -old, float("nan"), float("inf"), 1e30))
    elif isinstance(old, list):
        cells[row] = rng.choice((None, old[:1], [], old + old))
    try:
        column = pa.array(cells, table.schema.field(at).type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        column = pa.nulls(len(cells), table.schema.field(at).type)
    return table.set_column(at, table.column_names[at], column)


_CHANGES = (_drop, _rename, _rows, _values, _values, _one, _one)
