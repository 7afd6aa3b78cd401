"""What a data file holds, column by column, without reading more of it than that takes."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from mmaudit.data.tables import load_table
from mmaudit.errors import BadInput
from mmaudit.types import Array

MOST_ROWS = 10_000
"""Rows of a table that are looked at."""
_MOST_VALUES = 50
FIRST_ROWS = 64
_ENDINGS = {
    "image": {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"},
    "audio": {".wav", ".flac", ".ogg", ".mp3"},
}

Form = Literal["text", "integer", "number", "bool", "list", "other"]


@dataclass(frozen=True)
class Column:
    """An array or column of a data file.

    Attributes:
        name: as the file calls it.
        rows: its length.
        shape: of one row; `None` for a length that differs between rows, or that the file does not tell.
        form: `"text"`, `"integer"`, `"number"` (floating point), `"bool"`, `"list"` (numbers per row) or `"other"`.
        dtype: as the file calls it.
        values: its distinct values and how many rows have each, where they are at most 50; else empty.
        words: mean number of words of a text.
        low: smallest value of the rows looked at, where they are numbers.
        high: largest value.
        files: the kind of files whose names a column of texts holds, `"image"` or `"audio"`; else empty.
    """

    name: str
    rows: int
    shape: tuple[int | None, ...]
    form: Form
    dtype: str
    values: Mapping[Any, int]
    words: float = 0.0
    low: float = float("nan")
    high: float = float("nan")
    files: str = ""

    @property
    def scalar(self) -> bool:
        """Whether a row has one value."""
        return not self.shape

    @property
    def said(self) -> str:
        """Type and shape, as `uint8 [64, 64, 3]`."""
        return (
            f"{self.dtype} [{', '.join('?' if d is None else str(d) for d in self.shape)}]"
            if self.shape
            else self.dtype
        )


def columns(path: Path) -> list[Column]:
    """Describe the columns of an .npz file or of a table: Parquet, CSV, TSV or JSON lines.

    Raises:
        BadInput: the file cannot be read, or is none of these.
    """
    if path.suffix == ".npz":
        return _npz(path)
    return _parquet(path) if path.suffix in (".parquet", ".pq") else _cells(path)


def _npz(path: Path) -> list[Column]:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as archive:
            found = []
            for name in archive.files:
                shape, dtype, values = _start(archive, name)
                found.append(described(name, shape, dtype, values))
            return found
    except FileNotFoundError:
        raise BadInput(f"data file {str(path)!r} does not exist.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"data file {str(path)!r} is not a readable .npz file: {error}.") from error


def _start(archive: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any], Array | None]:
    """Shape, type and first rows of an array; all rows where a row is one value. The rest is not even unpacked."""
    with archive.zip.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(member)
        if not shape or dtype.kind not in "biufU" or fortran:
            return shape, dtype, None
        rows = shape[0] if len(shape) == 1 else min(shape[0], FIRST_ROWS)
        count = rows * int(np.prod(shape[1:]))
        return shape, dtype, np.frombuffer(member.read(count * dtype.itemsize), dtype).reshape(rows, *shape[1:])


def described(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], values: Array | None) -> Column:
    """An array of `shape` in words, by its first rows; None where they were not read."""
    forms: dict[str, Form] = {"U": "text", "S": "other", "i": "integer", "u": "integer", "f": "number", "b": "bool"}
    form = forms.get(dtype.kind, "other")
    rows, row = (shape[0], shape[1:]) if shape else (0, ())
    texts = values.ravel().tolist() if values is not None and form == "text" else []
    low, high = _range(values if form in ("integer", "number") else None)
    return Column(
        name, rows, row, form, "text" if form == "text" else str(dtype),
        _counts(values) if values is not None and len(shape) == 1 else {},
        float(np.mean([len(t.split()) for t in texts])) if texts else 0.0,
        low, high,
    )  # fmt: skip


def _parquet(path: Path) -> list[Column]:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(path) as file:
            rows = file.metadata.num_rows
            head = next(file.iter_batches(batch_size=MOST_ROWS), None)
            schema = file.schema_arrow
    except FileNotFoundError:
        raise BadInput(f"data file {str(path)!r} does not exist.") from None
    except (OSError, pyarrow.ArrowException) as error:
        raise BadInput(f"data file {str(path)!r} is not a readable Parquet file: {error}.") from error
    return [field_column(field, rows, head.column(i) if head is not None else None) for i, field in enumerate(schema)]


def _cells(path: Path) -> list[Column]:
    """Columns of a table without types, by the values of its first rows."""
    import pyarrow

    frame = load_table(path)
    found = []
    for name in frame.columns:
        try:
            values = pyarrow.array(frame[name].head(MOST_ROWS), from_pandas=True)
        except pyarrow.ArrowException:  # numbers beside texts, or lists beside numbers
            values = pyarrow.nulls(min(len(frame), MOST_ROWS))
        found.append(field_column(pyarrow.field(str(name), values.type), len(frame), values))
    return found


def field_column(field: Any, rows: int, head: Any) -> Column:
    """A column of a table in words, by its Arrow field and the values of its first rows."""
    import pyarrow.types as kinds

    typed = field.type.value_type if kinds.is_dictionary(field.type) else field.type
    if kinds.is_list(typed) or kinds.is_large_list(typed) or kinds.is_fixed_size_list(typed):
        lengths = {len(v) for v in head.to_pylist() if v is not None} if head is not None else set()
        inner = typed.value_type
        nested = kinds.is_list(inner) or kinds.is_large_list(inner) or kinds.is_fixed_size_list(inner)
        shape = (lengths.pop() if len(lengths) == 1 else None,)
        return Column(field.name, rows, (*shape, None) if nested else shape, "list", str(typed), {})
    form: Form = "other"
    if kinds.is_string(typed) or kinds.is_large_string(typed):
        form = "text"
    elif kinds.is_boolean(typed):
        form = "bool"
    elif kinds.is_integer(typed):
        form = "integer"
    elif kinds.is_floating(typed) or kinds.is_decimal(typed):
        form = "number"
    seen = [v for v in head.to_pylist() if v is not None] if head is not None and form != "other" else []
    words = float(np.mean([len(str(v).split()) for v in seen])) if seen and form == "text" else 0.0
    said = "text" if form == "text" else str(typed)
    counted = _counts(np.array(seen, dtype=np.str_ if form == "text" else None)) if seen else {}
    files = _files(seen) if form == "text" else ""
    return Column(field.name, rows, (), form, said, counted, words, files=files)


def _files(texts: Sequence[str]) -> str:
    """The kind of files that all of the texts name, by their endings; empty where they do not."""
    endings = {PurePosixPath(text).suffix.lower() for text in texts}
    return next((kind for kind, known in _ENDINGS.items() if endings and endings <= known), "")


def _counts(values: Array | Sequence[Any]) -> dict[Any, int]:
    found, counts = np.unique(np.asarray(values), return_counts=True)
    if len(found) > _MOST_VALUES:
        return {}
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _range(values: Array | None) -> tuple[float, float]:
    if values is None or not values.size:
        return float("nan"), float("nan")
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (float("nan"), float("nan"))
