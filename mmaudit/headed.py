"""Parquet tables with a header of plain values, by which a reader knows the table for what it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from mmaudit.errors import DamagedRun
from mmaudit.folder import whole
from mmaudit.outputs import UNREADABLE, read_parquet
from mmaudit.place import readable

Rebuilt = TypeVar("Rebuilt")


def header_key(schema: str) -> bytes:
    """Return where in a file's metadata the header is: `mmaudit.crossfit` for the schema `mmaudit.crossfit/1`."""
    return schema.partition("/")[0].encode()


def write_headed(
    path: Path, table: pa.Table, schema: str, header: Mapping[str, Any], *, dictionary: bool | list[str] = True
) -> None:
    """Write a table and its header: the file exists in whole or not at all.

    Args:
        path: of the file.
        table: its columns.
        schema: name and version of what the file holds, as `name/version`.
        header: plain values without NaN.
        dictionary: whether values repeat, so that dictionaries of them save space, or the columns in which they do.
    """
    text = json.dumps({"schema": schema, **header}, ensure_ascii=True, allow_nan=False)
    with (
        whole(path) as partial,
        pq.ParquetWriter(
            partial,
            table.schema,
            compression="zstd",
            use_dictionary=dictionary,
            write_page_checksum=True,
            store_schema=False,
        ) as writer,
    ):
        writer.write_table(table)
        writer.add_key_value_metadata({header_key(schema): text})


def read_headed(path: Path, schema: str, rebuild: Callable[[pa.Table, Any], Rebuilt]) -> Rebuilt | None:
    """Read what `write_headed` wrote; None where there is no file.

    Args:
        path: of the file.
        schema: what it has to hold.
        rebuild: what is returned, from the table and its header. It may trust neither: a value of another type or form
            than it expects raises by itself, and that is damage.

    Raises:
        DamagedRun: it is cut short, overwritten, or not a file of this kind.
    """
    if not path.exists():
        return None
    table = read_parquet(path)
    try:
        header = json.loads((pq.read_metadata(readable(path)).metadata or {})[header_key(schema)])
        if header["schema"] != schema:
            raise ValueError(f"schema {header['schema']!r}, expected {schema!r}")
        return rebuild(table, header)
    except (*UNREADABLE, AttributeError, IndexError, OverflowError, RecursionError, TypeError) as error:
        raise DamagedRun(f"{path} cannot be read ({error}); delete it and audit again to the same folder.") from error
