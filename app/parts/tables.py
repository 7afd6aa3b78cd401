"""Tables on a page: numbers that sort as numbers and read with unit and interval; every one can be taken away."""

from __future__ import annotations

import io
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from mmaudit.app.parts import texts
from mmaudit.formats import DASH, shorten

if TYPE_CHECKING:
    # Not imported when the app runs: the list of runs needs no figures, and they take a second to load.
    from mmaudit.figures import Cell, Column, Table

MOST_STYLED = 4000  # cells; beyond, numbers are shown by Streamlit's own format
LONGEST_CELL = 300
ROW, HEADER = 35, 38  # px of a row and of the header row, in Streamlit's tables
TALLEST = 420

# Of a heading the unit that the shown text is in: `accuracy (%, ↑ better)`, `change (pp)`.
_IN_PERCENT = re.compile(r"\((?:%|pp)(?=[,)])")


def show(table: Table | pd.DataFrame, name: str, key: str, height: int | None = None, download: bool = True) -> None:
    """Show a table that can be sorted and searched, and below it the buttons that save it.

    Args:
        table: of a figure, or any frame of plain values.
        name: of the saved file, without ending.
        key: unique on the page.
        height: in px; left out, as high as its rows, at most `TALLEST`.
        download: whether the buttons are drawn.
    """
    data, config = _prepared(table)
    rows = len(table) if isinstance(table, pd.DataFrame) else len(table.rows)
    if not rows:
        texts.nothing("This table has no rows.")
        return
    tall = height or min(HEADER + ROW * rows, TALLEST)
    st.dataframe(
        data, hide_index=True, width="stretch", height=tall, column_config=config, key=f"data-{key}", placeholder=DASH
    )
    for line in [] if isinstance(table, pd.DataFrame) else _reasons(table):
        st.caption(line)
    if download:
        downloads(table, name, key)


def downloads(table: Table | pd.DataFrame, name: str, key: str) -> None:
    """Buttons that save a table as CSV and as Parquet; the file is made when one is pressed."""
    with st.container(horizontal=True, gap="small", key=f"take-{key}"):
        for kind, mime, make in (("csv", "text/csv", csv), ("parquet", "application/vnd.apache.parquet", parquet)):
            st.download_button(
                "Table as CSV" if kind == "csv" else "Table as Parquet",
                data=partial(make, table),
                file_name=f"{file_name(name)}.{kind}",
                mime=mime,
                key=f"{kind}-{key}",
                on_click="ignore",
            )


def selectable(frame: pd.DataFrame, key: str, height: int | None = None, config: Any = None) -> int | None:
    """Show a frame of which one row can be chosen; return its place, or None.

    Streamlit sends all rows of such a table, so give at most some thousands.
    """
    tall = height or min(HEADER + ROW * len(frame), TALLEST)
    event = st.dataframe(
        _safe(frame), hide_index=True, width="stretch", height=tall, key=key,
        on_select="rerun", selection_mode="single-row", column_config=config, placeholder=DASH,
    )  # fmt: skip
    rows = event["selection"]["rows"]
    return int(rows[0]) if rows and rows[0] < len(frame) else None


def frame(table: Table) -> pd.DataFrame:
    """A figure's table as plain columns, for files.

    Text columns as they are; a numeric column as its number, with `(shown)` the text with unit and interval, and
    `(why none)` the reason where there is no number.

    Numbers are stored values: a share is in [0, 1], and its column is headed so, not in percent.
    """
    found: dict[str, list[Any]] = {}
    for i, column in enumerate(table.columns):
        cells = [row[i] for row in table.rows]
        title = _unique(_IN_PERCENT.sub("(share", column.title) if column.numeric else column.title, found)
        if not column.numeric:
            found[title] = [c.text for c in cells]
            continue
        found[title] = [float("nan") if c.value is None else float(c.value) for c in cells]
        found[f"{title} (shown)"] = [c.text for c in cells]
        if any(c.reason for c in cells):
            found[f"{title} (why none)"] = [c.reason for c in cells]
    return pd.DataFrame(found)


def csv(table: Table | pd.DataFrame) -> bytes:
    """The table as CSV in UTF-8, with the mark that spreadsheets look for.

    Texts that a spreadsheet would run as a formula begin with an apostrophe.
    """
    whole = (table if isinstance(table, pd.DataFrame) else frame(table)).copy()
    words = [i for i in range(whole.shape[1]) if not pd.api.types.is_numeric_dtype(whole.dtypes.iloc[i])]
    for i in words:
        whole.isetitem(i, [_inert(v) for v in whole.iloc[:, i]])
    whole.columns = [_inert(str(c)) for c in whole.columns]
    return whole.to_csv(index=False).encode("utf-8-sig", "replace")


def parquet(table: Table | pd.DataFrame) -> bytes:
    """The table as a Parquet file."""
    whole = table if isinstance(table, pd.DataFrame) else frame(table)
    file = io.BytesIO()
    whole.to_parquet(file, index=False)
    return file.getvalue()


def file_name(name: str) -> str:
    """A file name made of letters, digits, `-` and `_` only."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "table"


def _inert(value: Any) -> Any:
    text = value if isinstance(value, str) else None
    return f"'{text}" if text and text[0] in "=+-@\t\r" else value


def _prepared(table: Table | pd.DataFrame) -> tuple[Any, dict[str, Any]]:
    """What `st.dataframe` is given: numbers underneath, texts with unit and interval shown."""
    if isinstance(table, pd.DataFrame):
        return _safe(table), {}
    values: dict[str, Any] = {}
    said: dict[str, list[str]] = {}
    config: dict[str, Any] = {}
    for i, column in enumerate(table.columns):
        cells = [row[i] for row in table.rows]
        title = _unique(shorten(column.title, 80), values)
        said[title] = [shorten(c.text, LONGEST_CELL) for c in cells]
        values[title] = _numbers(cells) if column.numeric else said[title]
        config[title] = _column(column, title)
    data = pd.DataFrame(values)
    if data.size > MOST_STYLED:
        return pd.DataFrame(said), config
    numeric: list[Any] = [t for c, t in zip(table.columns, values, strict=True) if c.numeric]
    return data.style.format(_said, subset=numeric), config


class _Number(float):
    """A number that carries the text it is shown as."""

    said: str


def _said(number: Any) -> str:
    return str(number.said)


def _numbers(cells: list[Cell]) -> pd.Series[Any]:
    found = []
    for cell in cells:
        number = _Number("nan" if cell.value is None else cell.value)
        number.said = shorten(cell.text, LONGEST_CELL)
        found.append(number)
    return pd.Series(found, dtype=object)


def _column(column: Column, title: str) -> Any:
    return st.column_config.Column(title, help=texts.plain(column.note) if column.note else None)


def _safe(table: pd.DataFrame) -> pd.DataFrame:
    """The same frame with texts that a table can hold."""
    odd = [i for i in range(table.shape[1]) if str(table.dtypes.iloc[i]) in ("object", "str", "string")]
    if not odd:
        return table
    shown = table.copy(deep=False)
    for i in odd:
        shown.isetitem(i, [shorten(v, LONGEST_CELL) if isinstance(v, str) else v for v in shown.iloc[:, i]])
    return shown


def _reasons(table: Table) -> list[str]:
    """One line for every reason that a number is missing for, and how many numbers that are.

    Where there is none by nature (the severity of a condition without degrees) the column is named.
    """
    counts: dict[str, int] = {}
    for row in table.rows:
        for cell, column in zip(row, table.columns, strict=True):
            reason = cell.reason
            if not reason and column.numeric and cell.value is None and cell.text != DASH:
                reason = f"{column.title}: {cell.text or 'none'}"
            if reason:
                counts[reason] = counts.get(reason, 0) + 1
    return [f"{DASH} in {n} {'cell' if n == 1 else 'cells'}: {texts.plain(reason)}" for reason, n in counts.items()]


def _unique(title: str, taken: Any) -> str:
    """The title, with a number where another column has it."""
    name, i = title, 2
    while name in taken:
        name, i = f"{title} ({i})", i + 1
    return name
