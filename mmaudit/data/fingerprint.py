"""A data set's identity: any value, id, target, class name, description or order that changes, changes it.

Memory layout, byte order and the way of storing (array, list, `Indexed`, Parquet) do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from mmaudit.data.scan import BLOCK_BYTES
from mmaudit.types import Array, IntArray, Modality

if TYPE_CHECKING:
    from mmaudit.data.dataset import Dataset

_FORMAT = "mmaudit.data/1"
_TEXT_ROWS = 4096


def content_fingerprint(data: Dataset) -> str:
    """Return `sha256:` and 64 hex digits over everything in `data`, read in blocks of a few MiB."""
    from mmaudit.data.dataset import values

    state = _head(data)
    n = len(data)
    for modality in data.modalities:
        step = _rows_per_block(modality)
        for start in range(0, n, step):
            _update(state, modality, values(data, modality.name, np.arange(start, min(start + step, n))))
    return f"sha256:{state.hexdigest()}"


def sampled_fingerprint(data: Dataset, positions: IntArray, traits: Iterable[str] = ()) -> str:
    """Return `sha256` over ids, target, groups, presence and descriptions, and the inputs at `positions` only.

    It starts with `sampled:`, so that a reader of a report knows that a change elsewhere can go unnoticed. `traits` is
    what a store tells of all its values without reading them, such as the sizes of files.
    """
    state = _head(data)
    for trait in traits:
        _strings(state, [trait])
    inputs = data.rows(positions).inputs
    for modality in data.modalities:
        _update(state, modality, inputs[modality.name])
    return f"sampled:{state.hexdigest()}"


def subset_fingerprint(whole: str, positions: IntArray) -> str:
    """Return the fingerprint of some rows, in order, of the data set with fingerprint `whole`."""
    how, _, digits = whole.partition(":")
    state = hashlib.sha256(f"subset\0{digits}\0".encode())
    _numbers(state, positions)
    return f"{how}:{state.hexdigest()}"


def _head(data: Dataset) -> Any:
    """Everything but the inputs' values; every part is preceded by its length, so parts cannot run into each other."""
    description = {
        "format": _FORMAT,
        "n": len(data),
        "modalities": [m.to_json() for m in data.modalities],
        "task": data.task.to_json(),
        "groups": sorted(data.groups),
        "cluster": data.cluster is not None,
    }
    text = json.dumps(description, sort_keys=True).encode()
    state = hashlib.sha256(len(text).to_bytes(8, "little") + text)
    _column(state, data.ids)
    _numbers(state, data.target)
    if (lists := getattr(data, "candidates", None)) is not None:
        _numbers(state, lists)
    for name in sorted(data.groups):
        _column(state, data.groups[name])
    if data.cluster is not None:
        _column(state, data.cluster)
    for modality in data.modalities:
        _numbers(state, data.presence(modality.name))
    return state


def _rows_per_block(modality: Modality) -> int:
    # Text is hashed with lengths first, block by block: the number of rows is part of the format, so it is constant.
    if modality.kind == "text" or modality.ragged:
        return _TEXT_ROWS
    sizes = [size for size in modality.shape if size is not None]
    return max(1, BLOCK_BYTES // max(1, int(np.prod(sizes)) * np.dtype(modality.dtype).itemsize))


def _update(state: Any, modality: Modality, rows: Array) -> None:
    if modality.kind == "text":
        _strings(state, rows.tolist())
    elif modality.ragged:
        for row in rows:
            state.update(repr(row.shape).encode())
            _numbers(state, row)
    else:
        _numbers(state, rows)


def _column(state: Any, values: Array) -> None:
    if values.dtype.kind in "iu":
        state.update(b"int")
        _numbers(state, values.astype(np.int64, copy=False))
    else:
        state.update(b"str")
        _strings(state, [str(x) for x in values.tolist()])


def _strings(state: Any, texts: list[str]) -> None:
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    _numbers(state, np.array([len(x) for x in encoded], dtype=np.int64))
    state.update(b"".join(encoded))


def _numbers(state: Any, values: Array) -> None:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    if little.size:
        state.update(little.data.cast("B"))
