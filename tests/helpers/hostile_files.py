"""Parquet that is cut short, foreign or a bomb; links that leave the folder, and pipes that never end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from helpers.hostile_case import Hostile, N, overwrite

SHARD = r"00001-\w+\.parquet"


def _path(folder: Path, shard: int = 1) -> Path:
    return sorted((folder / "predictions").iterdir())[shard]


def _shard(change: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda folder: change(_path(folder))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _hole(path: Path) -> None:
    """Whole at both ends, damaged between them."""
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(bytes(data))


def table_of(**columns: Any) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table(columns), path)


def _groups(change: Callable[[int, pa.Table], pa.Table | None]) -> Callable[[Path], None]:
    """Every row group changed; None drops it."""

    def spoil(path: Path) -> None:
        file = pq.ParquetFile(path)
        tables = [change(g, file.read_row_group(g)) for g in range(file.num_row_groups)]
        kept = [t for t in tables if t is not None]
        with pq.ParquetWriter(path, kept[0].schema) as writer:
            for table in kept:
                writer.write_table(table)

    return spoil


def _column(name: str, make: Callable[[int], pa.Array]) -> Callable[[Path], None]:
    def change(group: int, table: pa.Table) -> pa.Table:
        place = table.column_names.index(name)
        return table.set_column(place, name, make(len(table)))

    return _groups(change)


def _output(make: Callable[[int], pa.Array]) -> Callable[[Path], None]:
    return _shard(_column("output", make))


def _lists(lengths: list[int]) -> pa.Array:
    return pa.array([[0.5] * k for k in lengths], pa.list_(pa.float32()))


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _samples(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "samples.parquet"
        pq.write_table(change(pq.read_table(path)), path)

    return spoil


def _replaced(name: str, values: Any) -> Callable[[Path], None]:
    return _samples(lambda table: table.set_column(table.column_names.index(name), name, values))


def _text_bomb(folder: Path) -> None:
    """Forty ids of 8 MB that share one dictionary entry: kilobytes on disk, 320 MB as texts."""
    ids = pa.DictionaryArray.from_arrays(pa.array(np.zeros(N, np.int32)), pa.array(["x" * 8_000_000]))
    path = folder / "samples.parquet"
    table = pq.read_table(path)
    table = table.set_column(table.column_names.index("id"), "id", ids)
    pq.write_table(table, path, compression="zstd", store_schema=False)


FILES = (
    Hostile("samples-gone", lambda f: (f / "samples.parquet").unlink(), r"samples\.parquet is missing", "listing"),
    Hostile("samples-cut", lambda f: cut(f / "samples.parquet"), r"samples\.parquet is cut short", "listing"),
    Hostile("samples-damaged", lambda f: _hole(f / "samples.parquet"), r"samples\.parquet", "samples"),
    Hostile("samples-foreign", lambda f: table_of(price=[1.0] * N)(f / "samples.parquet"), "no column 'id'", "samples"),
    Hostile("samples-target-text", _replaced("target", pa.array(["bark"] * N)), r"target", "samples"),
    Hostile("samples-target-high", _replaced("target", pa.array([99] * N)), r"target 99 is not legal", "samples"),
    Hostile("samples-target-null", _replaced("target", pa.array([None] * N, pa.int64())), r"target", "samples"),
    Hostile("samples-id-list", _replaced("id", pa.array([[1]] * N)), r"'id'", "samples"),
    Hostile("samples-bomb", _text_bomb, r"samples\.parquet.*(too long|bytes)", "samples"),
    Hostile("shard-cut", _shard(cut), SHARD + " is cut short", "listing"),
    Hostile("shard-empty", _shard(lambda p: overwrite(p, b"")), SHARD + " is cut short", "listing"),
    Hostile("shard-folder", _shard(_folder_instead), SHARD + " is not a file", "listing"),
    Hostile("shard-damaged", _shard(_hole), SHARD, "answers"),
    Hostile("shard-no-parquet", _shard(lambda p: overwrite(p, b"PAR1" + b"\xff" * 50 + b"PAR1")), SHARD, "answers"),
    Hostile("shard-foreign", _shard(table_of(price=[1.0, 2.0])), SHARD, "answers"),
    Hostile("shard-fewer-groups", _shard(_groups(lambda g, t: t if g < 3 else None)), SHARD + ".* 3 row g", "answers"),
    Hostile("shard-fewer-rows", _shard(_groups(lambda g, t: t.slice(0, 5))), SHARD + ".* 5 rows", "answers"),
    Hostile("shard-text", _output(lambda n: pa.array([["a"] * 10] * n)), SHARD + ".*'output'", "answers"),
    Hostile("shard-uneven", _output(lambda n: _lists([9, 11] * (n // 2))), SHARD + ".*outputs", "answers"),
    Hostile("shard-long-lists", _output(lambda n: _lists([10_000] * n)), SHARD + ".*outputs", "answers"),
    Hostile("shard-nulls", _output(lambda n: pa.array([None] * n, pa.list_(pa.float32()))), SHARD, "answers"),
    Hostile("shard-changed-text", _shard(_column("changed.photo", lambda n: pa.array(["yes"] * n))),
            SHARD + ".*'changed.photo'", "answers"),
)  # fmt: skip


def _link(name: str, *, folder: bool = False) -> Callable[[Path], None]:
    """Moves a part of the run out of the root and leaves a link to it."""

    def spoil(run: Path) -> None:
        outside = run.parent.parent / f"outside-{run.name}"
        path = next(run.glob(name))
        shutil.rmtree(outside, ignore_errors=True)
        outside.mkdir()
        shutil.move(path, outside / path.name)
        path.symlink_to(outside / path.name, target_is_directory=folder)

    return spoil


def _pipe(name: str) -> Callable[[Path], None]:
    """Reading a named pipe waits for ever."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return spoil


LINKS = (
    Hostile("link-run-json", _link("run.json"), r"run\.json is a link that leaves", "listing"),
    Hostile("link-samples", _link("samples.parquet"), r"samples\.parquet is a link that leaves", "listing"),
    Hostile("link-predictions", _link("predictions", folder=True), r"predictions is a link that leaves", "listing"),
    Hostile("link-shard", _link("predictions/00001-*"), r"predictions/00001-\w+\.parquet is a link", "listing"),
    Hostile("link-report", _link("report.json"), r"report\.json is a link that leaves", "listing"),
    Hostile("link-findings", _link("findings.json"), r"findings\.json is a link that leaves", "listing"),
    Hostile("pipe-run-json", _pipe("run.json"), r"run\.json is not a file", "listing"),
    Hostile("pipe-findings", _pipe("findings.json"), r"findings\.json is not a file", "listing"),
    Hostile("pipe-report", _pipe("report.json"), r"report\.json is not a file", "listing"),
    Hostile("pipe-samples", _pipe("samples.parquet"), r"samples\.parquet is not a file", "listing"),
)
