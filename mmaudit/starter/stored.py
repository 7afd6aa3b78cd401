"""What data that are no single table hold, column by column: a zarr group, a saved data set, WebDataset shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmaudit.errors import MissingExtra
from mmaudit.starter.columns import FIRST_ROWS, MOST_ROWS, Column, described, field_column
from mmaudit.types import Array

MOST_SPLITS = 50


@dataclass(frozen=True)
class Stored:
    """What is seen in such data.

    Attributes:
        columns: one of each array, feature or kind of member.
        splits: names and sizes of parts that are stored apart, of which one has to be named.
        called: name of a modality by the column that it would be read from, where they should differ.
        single: whether a modality is one column, so that single numbers make no table together.
    """

    columns: list[Column]
    splits: Mapping[str, int]
    called: Mapping[str, str]
    single: bool


def stored(form: str, path: Path | str) -> Stored:
    """Describe data of a form as `mmaudit.data.reading.form_of` names it: zarr, datasets or shards.

    Raises:
        BadInput: they cannot be read.
        MissingExtra: what reads them is not installed.
    """
    if form == "zarr":
        return _zarr(Path(path))
    return _saved(Path(path)) if form == "datasets" else _shards(path)


# ---- zarr


def _zarr(path: Path) -> Stored:
    from mmaudit.data.zarr import checked_array, opened_group

    group, known = opened_group(path)
    names = [n for n in known if not (n.endswith(".length") and n.removesuffix(".length") in known)]
    ragged = {n.removesuffix(".length") for n in known if n not in names}
    return Stored([_array(n, checked_array(group, n, path.name), n in ragged) for n in names], {}, {}, True)


def _array(name: str, array: Any, ragged: bool) -> Column:
    shape = tuple(array.shape)
    some = np.asarray(array[: MOST_ROWS if len(shape) == 1 else FIRST_ROWS]) if shape else None
    if some is not None and some.dtype.kind in "OT":
        some = some.astype(np.str_)
    dtype = np.dtype(array.dtype) if some is None else some.dtype
    found = described(name, shape, dtype, some)
    return replace(found, shape=(None, *found.shape[1:])) if ragged and found.shape else found


# ---- Hugging Face


def _saved(folder: Path) -> Stored:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", "datasets") from None
    from mmaudit.data.saved_arrow import saved_dataset, saved_splits

    names = saved_splits(folder)
    tables = {name: saved_dataset(folder, name) for name in (names or [""])[:MOST_SPLITS]}
    table = tables.get("test") or next(iter(tables.values()))
    head = table.select(range(min(len(table), MOST_ROWS)))
    columns = []
    for name, feature in table.features.items():
        if isinstance(feature, datasets.Image | datasets.Audio):
            kind = "image" if isinstance(feature, datasets.Image) else "audio"
            columns.append(Column(name, len(table), (), "text", kind, {}, files=kind))
        elif isinstance(feature, datasets.ClassLabel):
            columns.append(_classes(name, feature, len(table), head))
        else:
            cells = head.with_format("arrow")[:][name].combine_chunks()
            columns.append(field_column(pa.field(name, cells.type), len(table), cells))
    return Stored(columns, {n: len(t) for n, t in tables.items()} if names else {}, {}, False)


def _classes(name: str, feature: Any, rows: int, head: Any) -> Column:
    """Class labels, stored as numbers whose names the data set has."""
    codes, counts = np.unique(np.array([c for c in head[name] if c is not None], np.int64), return_counts=True)
    counted = {feature.names[c]: k for c, k in zip(codes.tolist(), counts.tolist(), strict=True) if c >= 0}
    return Column(name, rows, (), "text", "class label", counted if len(counted) <= MOST_SPLITS else {}, words=1.0)


# ---- WebDataset


def _shards(pattern: Path | str) -> Stored:
    from mmaudit.data.shards import find_shards, index_shards
    from mmaudit.data.webdataset import IMAGES, SOUNDS, Fields

    index = index_shards(find_shards(pattern))
    fields, rows = Fields(index), len(index.keys)
    columns: list[Column] = []
    called: dict[str, str] = {}

    def add(name: str, values: Array, title: str) -> None:
        cells = pa.array(values[:MOST_ROWS].tolist(), from_pandas=True)
        columns.append(field_column(pa.field(name, cells.type), rows, cells))
        called.setdefault(name, title)

    for ending in index.places:
        last = ending.rpartition(".")[2]
        kind = "image" if last in IMAGES else "audio" if last in SOUNDS else ""
        if kind:
            columns.append(Column(ending, rows, (), "text", f".{ending} files", {}, files=kind))
            called[ending] = kind if kind not in called.values() else ending.replace(".", "_")
        elif ending == "json":
            for key in fields.names():
                add(f"json.{key}", fields.column(f"json.{key}", key), key)
        elif last in ("txt", "text", "cls", "id"):
            add(ending, fields.column(ending, ending), "text" if last == "txt" else ending.replace(".", "_"))
        else:
            columns.append(Column(ending, rows, (None,), "other", f".{ending} files", {}))
    return Stored(columns, {}, called, True)
