"""Tables as files: CSV, TSV, JSON lines and Parquet, as data frames."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmaudit.data.keys import need
from mmaudit.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".tsv", ".jsonl", ".parquet", ".pq")


def load_table(path: str | os.PathLike[str], columns: Sequence[str], exact: Collection[str] = ()) -> pd.DataFrame:
    """Read some columns of a table.

    Args:
        path: `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.pq`.
        columns: which; others are not read where the format allows.
        exact: columns of CSV or TSV that stay text: `007` is not 7.

    Raises:
        BadInput: another ending, no such file, damaged, or a column is missing.
    """
    import pandas as pd
    import pyarrow
    import pyarrow.parquet

    where, suffix = Path(path).name, Path(path).suffix
    if suffix not in TABLES:
        raise BadInput(f"table {os.fspath(path)!r} ends in {suffix!r}; expected one of {', '.join(TABLES)}.")
    if not Path(path).is_file():
        raise BadInput(f"file {os.fspath(path)!r} does not exist.")
    try:
        if suffix in (".parquet", ".pq"):
            with pyarrow.parquet.ParquetFile(path) as file:
                need(columns, file.schema_arrow.names, where)
                table: pd.DataFrame = file.read(columns=list(columns)).to_pandas(ignore_metadata=True)
                return table
        if suffix == ".jsonl":
            frame = _lines(Path(path))
        else:
            dtypes = dict.fromkeys(exact, str)
            separator = "," if suffix == ".csv" else "\t"
            frame = pd.read_csv(
                path,
                sep=separator,
                dtype=dtypes,
                keep_default_na=False,
                na_values=[""],
                encoding="utf-8-sig",
                low_memory=False,
            )
    except (ValueError, OSError, UnicodeError, pyarrow.ArrowException, RecursionError, OverflowError) as error:
        if isinstance(error, BadInput):
            raise
        reason = " ".join(str(error).split())[:200]
        raise BadInput(
            f"table {os.fspath(path)!r} cannot be read ({reason}); copy it again if it was cut short."
        ) from error
    need(columns, [str(name) for name in frame.columns], where)
    return frame[list(columns)]


def column_types(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the columns of a Parquet file, `text` for those of strings, else Arrow's name of their type.

    Raises:
        BadInput: it is no readable Parquet file.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
        _ = schema.names
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadInput(f"file {os.fspath(path)!r} is not a readable Parquet file ({error}); copy it again.") from error
    types = {field.name: getattr(field.type, "value_type", field.type) for field in schema}
    listed = {field.name for field in schema if str(field.type).startswith(("list", "large_list", "fixed_size_list"))}
    return {
        name: "text" if str(kind).endswith(("string", "string_view")) and name not in listed else str(kind)
        for name, kind in types.items()
    }


def _lines(path: Path) -> pd.DataFrame:
    """JSON lines, one object a line, with every value as it was written."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise BadInput(f"{path.name}, line {number} is no JSON object; expected one per line.")
                rows.append(row)
    return pd.DataFrame(rows)
