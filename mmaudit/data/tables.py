"""Tables as files: CSV, TSV, JSON lines and Parquet, as data frames."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmaudit.data.keys import need, need_once
from mmaudit.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

DELIMITED = (".csv", ".tsv")
TABLES = (*DELIMITED, ".jsonl", ".parquet", ".pq")


def load_table(
    path: str | os.PathLike[str], columns: Sequence[str] | None = None, exact: Collection[str] = ()
) -> pd.DataFrame:
    """Read some columns of a table, or all.

    Args:
        path: `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.pq`.
        columns: which; others are not read where the format allows. None: all.
        exact: columns of CSV or TSV that stay text: `007` is not 7.

    Raises:
        BadInput: another ending, no such file, damaged, a column is missing or there twice, or the rows of CSV or TSV
            have more fields than the header has names.
    """
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
                names = file.schema_arrow.names
                chosen = names if columns is None else list(columns)
                need(chosen, names, where)
                need_once((name for name in names if name in chosen), where)
                table: pd.DataFrame = file.read(columns=chosen).to_pandas(ignore_metadata=True)
                return table
        frame = _lines(Path(path)) if suffix == ".jsonl" else _delimited(Path(path), columns, exact)
    except (ValueError, OSError, UnicodeError, pyarrow.ArrowException, RecursionError, OverflowError) as error:
        if isinstance(error, BadInput):
            raise
        reason = " ".join(str(error).split())[:200]
        if isinstance(error, UnicodeError):
            raise BadInput(f"table {os.fspath(path)!r} is not in UTF-8 ({reason}); save it so.") from error
        raise BadInput(
            f"table {os.fspath(path)!r} cannot be read ({reason}); copy it again if it was cut short."
        ) from error
    if columns is None:
        return frame
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


def _delimited(path: Path, columns: Sequence[str] | None, exact: Collection[str]) -> pd.DataFrame:
    """CSV or TSV whose header names every field of its rows, with `exact` columns as text."""
    import pandas as pd

    form: dict[str, Any] = {
        "sep": "," if path.suffix == ".csv" else "\t",
        "keep_default_na": False,
        "na_values": [""],
        "encoding": "utf-8-sig",
    }
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, **form).iloc[0].tolist()
    if len(header) == 1 and header[0] not in (columns or ()) and any(sign in str(header[0]) for sign in ",;|\t"):
        between = "commas" if path.suffix == ".csv" else "tabs"
        raise BadInput(f"{path.name} has one column, {str(header[0])[:80]!r}; write {between} between its fields.")
    need_once((name for name in header if columns is None or name in columns), path.name)
    # Of a row with more fields than names pandas would make the first fields the index, and shift all the others.
    if (fields := _first_row_fields(path, form)) > len(header):
        raise BadInput(
            f"{path.name}: its header has {len(header):,} names, but its first row has {fields:,} fields, so it cannot "
            "be told which value belongs to which name; name every field in the header, or remove the surplus from "
            "the rows (often a delimiter at the end of each)."
        )
    table: pd.DataFrame = pd.read_csv(path, dtype=dict.fromkeys(exact, str), low_memory=False, **form)
    return table


def _first_row_fields(path: Path, form: dict[str, Any]) -> int:
    """How many fields the first row after the header has; 0 without any. Of longer ones after it pandas complains."""
    import pandas as pd

    try:
        return len(pd.read_csv(path, header=1, nrows=0, index_col=False, **form).columns)
    except pd.errors.ParserError:  # there is no such row, or it is damaged, which reading the table will tell
        return 0


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
