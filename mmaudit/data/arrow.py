"""Single cells of Arrow columns: text, and lists of numbers of any depth, as arrays of the same type."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray


def sample(cell: Any, who: str) -> Any:
    """Return an Arrow scalar as one sample: text, an array of numbers, or None where it is null.

    Raises:
        BadInput: nested lists of differing lengths, or of values that are no numbers.
    """
    import pyarrow as pa

    if not cell.is_valid:
        return None
    if isinstance(cell, pa.ExtensionScalar):
        cell = cell.value
    if pa.types.is_string(cell.type) or pa.types.is_large_string(cell.type):
        return cell.as_py()
    if not _is_list(cell.type):
        raise BadInput(f"{who} is of Arrow type {cell.type}; a sample must be text or a list of numbers.")
    values, shape = cell.values, []
    while True:
        shape.append(len(values))
        if not _is_list(values.type):
            break
        if values.null_count:
            raise BadInput(f"{who} holds a missing list within a list; a sample must be one array.")
        inner = {len(x) for x in values} or {0}
        if len(inner) > 1:
            raise BadInput(f"{who} is nested with differing lengths; a sample must be one array.")
        values = values.flatten()
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)):
        raise BadInput(f"{who} is a list of Arrow type {values.type}; a sample must be text or a list of numbers.")
    found: Array = values.to_numpy(zero_copy_only=False)
    # The last length is that of the innermost lists; with none there are no values.
    sizes = shape[:1]
    for outer, total in itertools.pairwise(shape):
        sizes.append(total // outer if outer else 0)
    return (found.astype(np.uint8) if found.dtype.kind == "b" else found).reshape(sizes)


def validity(table: Any, column: str) -> BoolArray:
    """Return bool[n] of a Hugging Face data set's column: False where it is null, or a file without bytes and path."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = table.data.column(column)
    valid: BoolArray = pc.is_valid(values).to_numpy().astype(np.bool_)
    if pa.types.is_struct(values.type):
        parts = [pc.is_valid(pc.struct_field(values, name)) for name in ("bytes", "path")]
        valid &= pc.or_(*parts).to_numpy().astype(np.bool_)
    chosen: BoolArray = valid[_rows(table)]
    return chosen


def lengths(table: Any, column: str) -> list[int]:
    """Return the length of each cell of a Hugging Face data set's column, −1 where there is none to be told cheaply."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = table.data.column(column)
    if isinstance(values.type, pa.ExtensionType):
        values = pa.chunked_array([chunk.storage for chunk in values.chunks], values.type.storage_type)
    if pa.types.is_struct(values.type):
        found = pc.binary_length(pc.struct_field(values, "bytes"))
    elif _is_list(values.type):
        found = pc.list_value_length(values)
    else:
        found = pc.binary_length(values)
    filled: list[int] = pc.fill_null(found, -1).to_numpy()[_rows(table)].tolist()
    return filled


def _rows(table: Any) -> Any:
    """Which rows of the Arrow table the data set shows, in order; `select` and `shuffle` leave the table as it is."""
    indices = getattr(table, "_indices", None)
    return slice(None) if indices is None else indices.column(0).to_numpy()


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
