"""A data set from Hugging Face `datasets`: Arrow files on disk, or a `datasets.Dataset` in memory."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data.arrow import lengths, sample, validity
from mmaudit.data.cells import Cells, Held
from mmaudit.data.columns import make_column
from mmaudit.data.confined import Root
from mmaudit.data.decoding import MAX_BYTES, Decoder, decoder_of
from mmaudit.data.frame import Columns, frame_cells, frame_target, frame_values, table_kinds
from mmaudit.data.infer import KindLike, parse_kind
from mmaudit.data.keys import find_target, need, split_rows
from mmaudit.data.saved_arrow import saved_dataset, saved_splits
from mmaudit.data.streamed import StreamedData
from mmaudit.data.tasks import is_retrieval, parse_task, with_names
from mmaudit.errors import BadInput, MissingExtra
from mmaudit.types import BoolArray, IntArray, Task


class HuggingFaceData(StreamedData):
    """Samples of a Hugging Face data set, decoded when asked for. A `Dataset`. Needs the `datasets` extra.

    Args:
        dataset: a `datasets.Dataset`, or the folder that `save_to_disk` wrote. Nothing is ever downloaded. Its format
            and transforms do not matter: values are read from Arrow.
        modalities: modality name to its column, or columns of numbers; or the names of columns that are modalities.
        target: column of the target, or several; left out: the one of `target`, `label`, `labels`, `y`. A `ClassLabel`
            names the classes.
        task: `Task` or text as in `parse_task`.
        kinds: modality name to kind, with options for decoding as in `decoder_of`. An `Image` or `Audio` column needs
            none; an `Audio` column with a sampling rate is resampled to it. Columns of lists and arrays need theirs.
        root: folder in which files may be read, for images and sounds that are kept as paths rather than bytes.
        ids, groups, cluster, names: as in `FrameData`.
        split: of a `DatasetDict` its name; else rows to keep, as in `FrameData`.
        whole: as in `StreamedData`.

    Null cells were not recorded.

    Raises:
        BadInput: no such folder or column, a column of a type that no modality has, a path outside `root`, or anything
            that `StreamedData` refuses.
        MissingExtra: `datasets` is not installed.
    """

    def __init__(
        self,
        dataset: Any,
        modalities: Mapping[str, Columns] | Sequence[str],
        target: Columns | None,
        task: Task | str,
        *,
        kinds: Mapping[str, KindLike] | None = None,
        root: str | os.PathLike[str] | None = None,
        ids: str | None = None,
        groups: Sequence[str] = (),
        cluster: str | None = None,
        split: str | None = None,
        names: Sequence[str] | None = None,
        whole: bool = False,
    ) -> None:
        table, where, split = _opened(dataset, split)
        columns = dict(modalities) if isinstance(modalities, Mapping) else {name: name for name in modalities}
        if not columns:
            raise BadInput("modalities is empty; name at least one column that is an input.")
        known = list(table.column_names)
        if target is None and not is_retrieval(task):
            target = find_target(known, where)
        targets = [target] if isinstance(target, str) else list(target or ())
        others = [*groups, *(name for name in (ids, cluster) if name is not None)]
        splitting = [] if split is None else [split.partition("=")[0] if "=" in split else "split"]
        listed = [c for x in columns.values() for c in ([x] if isinstance(x, str) else x)]
        need([*listed, *targets, *others, *splitting], known, where)
        small = list(dict.fromkeys([*targets, *others, *splitting]))
        rows = np.arange(len(table))
        if split is not None:
            frame = _frame(table, splitting)
            rows = split_rows(split, known, lambda name: frame[name].to_numpy(dtype=object), where)
            table = table.select(rows)
        frame = _frame(table, small)
        truth = None if target is None else frame_target(frame, target)
        if names is None and len(targets) == 1 and isinstance(task, str) and not task.startswith("regression"):
            names = getattr(table.features[targets[0]], "names", None)
        if names is None and len(targets) > 1 and isinstance(task, str):
            names = targets
        cells: dict[str, Cells] = {}
        declared: dict[str, KindLike] = {}
        notes: list[str] = []
        for name, column in columns.items():
            cells[name], kind, note = _cells_of(table, name, column, (kinds or {}).get(name), root)
            declared |= {} if kind is None else {name: kind}
            notes += [f"{name} {note}"] if note else []
        super().__init__(
            cells,
            truth,
            with_names(task, names) if isinstance(task, Task) else parse_task(task, truth, names),
            kinds={**{k: v for k, v in (kinds or {}).items() if k not in declared}, **declared},
            ids=rows if ids is None else frame_cells(frame[ids]),
            groups={name: frame_cells(frame[name]) for name in groups},
            cluster=None if cluster is None else frame_cells(frame[cluster]).tolist(),
            source="; ".join([where, *([f"rows {split}"] if split is not None else []), *notes]),
            whole=whole,
        )


class ArrowCells:
    """One column of a Hugging Face data set: text, lists and arrays of numbers, or encoded files."""

    def __init__(
        self, name: str, table: Any, column: str, decoder: Decoder | None, root: str | os.PathLike[str] | None
    ) -> None:
        self._modality = name
        self._column = column
        self._table = table.select_columns([column]).with_format("arrow")
        self._decoder = decoder
        self._root = None if root is None else Root(root)
        self._recorded = validity(table, column)

    @property
    def recorded(self) -> BoolArray:
        """bool[n], False where the cell is null."""
        return self._recorded

    def traits(self) -> Iterator[str]:
        """The length of each cell: bytes of a file, values of a list."""
        yield from map(str, lengths(self._table, self._column))

    def read(self, positions: IntArray) -> Sequence[Any]:
        """Return the decoded cells."""
        if not len(positions):
            return []
        column = self._table[positions.tolist()].column(self._column).combine_chunks()
        return [self._one(cell, int(row)) for cell, row in zip(column, positions, strict=True)]

    def _one(self, cell: Any, row: int) -> Any:
        who = f"modality {self._modality!r}, row {row}"
        if self._decoder is None:
            return sample(cell, who)
        value = cell.as_py()
        if value is None:
            return None
        content, path = value.get("bytes"), value.get("path")
        if content is None and path is None:
            return None
        if content is None:
            if self._root is None:
                raise BadInput(
                    f"{who} is kept as a path, {path!r:.200}; give the folder from which files may be read: root=…, or "
                    "put the files' bytes into the data set."
                )
            content = self._root.read(path, who, MAX_BYTES)
        return self._decoder.decode(content, f"{path or f'of row {row}'!r:.200}")


def _opened(dataset: Any, split: str | None) -> tuple[Any, str, str | None]:
    """Return the `datasets.Dataset`, what to call it, and the split that is left to do."""
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", "datasets") from None
    where = "the Hugging Face data set"
    if isinstance(dataset, str | os.PathLike):
        where = Path(dataset).name
        if not Path(dataset).is_dir():
            raise BadInput(
                f"folder {os.fspath(dataset)!r} does not exist; nothing is downloaded, so save it there first."
            )
        folder = Path(dataset)
        splits = saved_splits(folder)
        if splits is None:
            return saved_dataset(folder), where, split
        name = _split(split, splits, where)
        return saved_dataset(folder, name), f"{where}, split {name}", None
    if isinstance(dataset, datasets.DatasetDict):
        name = _split(split, dataset, where)
        return dataset[name], f"{where}, split {name}", None
    if not isinstance(dataset, datasets.Dataset):
        raise BadInput(
            f"{type(dataset).__name__} cannot be read in any order; pass a datasets.Dataset (not a streamed one), or "
            "the folder that save_to_disk wrote."
        )
    return dataset, where, split


def _split(given: str | None, splits: Collection[str], where: str) -> str:
    if given is None or given not in splits:
        raise BadInput(f"{where} has the splits {', '.join(map(repr, splits))}; say which: split='test'.")
    return given


def _frame(table: Any, columns: Sequence[str]) -> Any:
    import pandas as pd

    if not columns:
        return pd.DataFrame(index=range(len(table)))
    return table.select_columns(list(columns)).with_format("arrow")[:].to_pandas(ignore_metadata=True)


def _cells_of(
    table: Any, name: str, column: Columns, kind: KindLike | None, root: Any
) -> tuple[Cells, KindLike | None, str]:
    """Return a modality's cells, its declaration and a note on how it is decoded."""
    import datasets

    listed = [column] if isinstance(column, str) else list(column)
    feature = table.features[listed[0]] if len(listed) == 1 else None
    if isinstance(feature, datasets.Image | datasets.Audio):
        if kind is None:
            rate = getattr(feature, "sampling_rate", None)
            grey = getattr(feature, "mode", None) in ("L", "I;16")
            kind = "image" + (f",mode={feature.mode}" if grey else "")
            if isinstance(feature, datasets.Audio):
                kind = "audio" + (f",sample_rate={rate}" if rate else "")
        made, decoder = decoder_of(name, kind)
        if made.kind not in ("image", "audio"):
            raise BadInput(f"modality {name!r} is declared as {made.kind}, but its column holds encoded files.")
        # Undecoded, the column is a struct of bytes and path.
        cells = ArrowCells(name, table.cast_column(listed[0], type(feature)(decode=False)), listed[0], decoder, root)
        here = np.flatnonzero(cells.recorded)[:1]
        cells.read(here)
        return cells, decoder.described(made), decoder.said
    if feature is None or (isinstance(feature, datasets.Value | datasets.ClassLabel) and _number(feature)):
        frame = _frame(table, listed)
        kind = table_kinds(frame, {name: column}, {} if kind is None else {name: kind}).get(name)
        return Held(make_column(name, frame_values(frame, name, column))), kind, ""
    if isinstance(feature, datasets.Value) and not feature.dtype.endswith("string"):
        raise BadInput(f"modality {name!r}: column {listed[0]!r} holds {feature.dtype}, which no modality has.")
    declared = parse_kind(name, kind) if isinstance(kind, str) else kind  # arrays: nothing is decoded
    return ArrowCells(name, table, listed[0], None, None), declared, ""


def _number(feature: Any) -> bool:
    return str(feature.dtype).startswith(("int", "uint", "float", "bool"))
