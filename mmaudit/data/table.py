"""A data set from a table whose cells name files: a folder of files with a CSV, or Parquet with path columns."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmaudit.data.cells import Cells, FileCells, Held
from mmaudit.data.columns import is_missing, make_column
from mmaudit.data.decoding import TextDecoder, decoder_of
from mmaudit.data.frame import Columns, frame_cells, frame_target, frame_values, table_kinds
from mmaudit.data.infer import KindLike
from mmaudit.data.keys import natural_ids, need, split_rows
from mmaudit.data.streamed import StreamedData
from mmaudit.data.tables import DELIMITED, TABLES, column_types, load_table
from mmaudit.data.tasks import class_cells, is_retrieval, parse_task, with_names
from mmaudit.errors import BadInput
from mmaudit.types import Modality, Task

if TYPE_CHECKING:
    import pandas as pd

_USUAL = tuple(f"metadata{suffix}" for suffix in TABLES)
_FIELD = re.compile(r"\{([^{}]*)\}")


def read_table(
    path: str | os.PathLike[str],
    modalities: Mapping[str, Columns],
    target: Columns | None,
    task: Task | str,
    *,
    kinds: Mapping[str, KindLike] | None = None,
    root: str | os.PathLike[str] | None = None,
    files: Sequence[str] = (),
    ids: str | None = None,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    split: str | None = None,
    names: Sequence[str] | None = None,
    whole: bool = False,
) -> StreamedData:
    """Read a data set from a CSV, TSV, JSON-lines or Parquet file whose cells may name files, read on request.

    Args:
        path: the table, by its ending `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.pq`. Text is UTF-8. In CSV and TSV only
            the empty cell is missing: `NA` and `null` are text. Class labels there are names (`01` and `1` are two
            classes), unless all are plain numbers: these are class numbers, counted from 0.
        modalities: modality name to its column, or columns of numbers; or to a pattern with columns in braces, such as
            `posters/{imdb_id}.jpeg`.
        kinds: modality name to kind, with options for decoding as in `decoder_of`, such as `image,size=224x224`. A
            column of strings that is declared `image` or `audio` names files of these; declared `series`,
            `embedding` or `tabular`, it names .npy files. Undeclared, it is text. Categorical columns of a table may
            be called by their names, as in `FrameData`.
        root: the folder that file names are resolved under; left out: the table's own. Names that lead out of it, by
            `..`, an absolute path or a symbolic link, are refused.
        files: text modalities whose column names text files, rather than holding the text itself.
        target, task, ids, groups, cluster, split, names: as in `FrameData`.
        whole: as in `StreamedData`: read every file once now.

    An empty cell, or a named file that does not exist, was not recorded. Of a modality of several columns a row must be
    empty as a whole or not at all; one that is not is refused when it is read. A column of whole numbers with empty
    cells is float64.

    Raises:
        BadInput: the table cannot be read, lacks a column, names a file outside the root, or none that exists; or
            anything that `StreamedData` refuses.
    """
    import pandas as pd

    where = Path(path).name
    patterns = {name: column for name, column in modalities.items() if isinstance(column, str) and "{" in column}
    listed = [c for n, x in modalities.items() if n not in patterns for c in ([x] if isinstance(x, str) else x)]
    inside = [field for pattern in patterns.values() for field in _FIELD.findall(pattern)]
    targets = [target] if isinstance(target, str) else list(target or ())
    others = [*groups, *(name for name in (ids, cluster) if name is not None)]
    wanted = list(dict.fromkeys([*listed, *inside, *targets, *others, *_split_column(split)]))
    kinds = dict(kinds or {})
    texts = {c for n, c in modalities.items() if isinstance(c, str) and (n in files or _kind(kinds.get(n)) == "text")}
    # Labels are text like ids: `01` is not the class of `1`. What is an input too stays the number it may be.
    kind = task.kind if isinstance(task, Task) else task.partition(":")[0]
    labels = [name for name in targets if kind == "classification" and name not in listed]
    frame = load_table(path, wanted, {*others, *inside, *_split_column(split), *texts, *labels})
    if Path(path).suffix in DELIMITED:
        read = {name: class_cells(frame[name].tolist(), task, names) for name in labels}
        frame = frame.assign(**{name: pd.Series(cells, frame.index, dtype=object) for name, cells in read.items()})
    return frame_data(
        frame,
        modalities,
        target,
        task,
        kinds=kinds,
        root=Path(path).parent if root is None else root,
        files=files,
        ids=ids,
        groups=groups,
        cluster=cluster,
        split=split,
        names=names,
        source=where,
        whole=whole,
    )


def read_folder(
    folder: str | os.PathLike[str], *arguments: Any, table: str | None = None, **options: Any
) -> StreamedData:
    """Read a data set from a folder of files with a table that names them; all else as in `read_table`.

    Args:
        folder: holds the table; file names in it are relative to the folder.
        arguments, options: of `read_table` after `path`: `modalities`, `target`, `task`, ….
        table: name of the table within the folder; left out: `metadata.csv` (`.tsv`, `.jsonl`, `.parquet`), else the
            only table there.

    Raises:
        BadInput: there is no such folder, no table or more than one in it, or anything that `read_table` refuses.
    """
    path = Path(folder)
    return read_table(path / (table or table_of(path)), *arguments, **{"root": path, **options})


def table_of(folder: Path) -> str:
    """Return the name of the table in a folder of files: `metadata.csv` (…), else the only one.

    Raises:
        BadInput: there is no such folder, no table or more than one in it.
    """
    if not folder.is_dir():
        raise BadInput(f"folder {os.fspath(folder)!r} does not exist.")
    found = sorted(x.name for x in folder.iterdir() if x.suffix in TABLES)
    usual = [name for name in _USUAL if name in found]
    if len(usual) != 1 and len(found) != 1:
        came = f"has {', '.join(map(repr, found[:6]))}" if found else f"has no file ending in {', '.join(TABLES)}"
        raise BadInput(f"folder {os.fspath(folder)!r} {came}; name the table of its samples: table='metadata.csv'.")
    return usual[0] if len(usual) == 1 else found[0]


def frame_data(
    frame: pd.DataFrame,
    modalities: Mapping[str, Columns],
    target: Columns | None,
    task: Task | str,
    *,
    root: str | os.PathLike[str],
    kinds: Mapping[str, KindLike] | None = None,
    files: Sequence[str] = (),
    ids: str | None = None,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    split: str | None = None,
    names: Sequence[str] | None = None,
    source: str = "data frame",
    whole: bool = False,
) -> StreamedData:
    """Return a data set from a data frame whose cells may name files; arguments as in `read_table`."""
    if not isinstance(modalities, Mapping) or not modalities:
        raise BadInput("modalities must map at least one modality name to its column or columns.")
    unknown = [name for name in [*(kinds or {}), *files] if name not in modalities]
    if unknown:
        raise BadInput(f"{unknown[0]!r} is declared, but is no modality; they are {', '.join(map(repr, modalities))}.")
    known = [str(column) for column in frame.columns]
    frame = frame.set_axis(known, axis=1)
    kinds = table_kinds(frame, modalities, kinds)
    rows = np.arange(len(frame))
    if split is not None:
        rows = split_rows(split, known, lambda name: frame[name].to_numpy(dtype=object), source)
        frame = frame.iloc[rows]
    truth = None if target is None and is_retrieval(task) else frame_target(frame, target or [])
    if (
        names is None
        and target is not None
        and not isinstance(target, str)
        and isinstance(task, str)
        and len(target) > 1
    ):
        names = list(target)
    cells: dict[str, Cells] = {}
    declared: dict[str, KindLike] = {}
    notes: list[str] = []
    for name, column in modalities.items():
        kind = kinds.get(name)
        cells[name], made, note = _cells_of(frame, name, column, kind, name in files, root)
        declared |= {} if made is None else {name: made}
        notes += [note] if note else []
    return StreamedData(
        cells,
        truth,
        with_names(task, names) if isinstance(task, Task) else parse_task(task, truth, names),
        kinds=declared,
        ids=rows if ids is None else natural_ids(frame_cells(frame[ids])),
        groups={name: frame_cells(frame[name]) for name in groups},
        cluster=None if cluster is None else frame_cells(frame[cluster]).tolist(),
        source="; ".join([source, *([f"rows {split}"] if split is not None else []), *notes]),
        whole=whole,
    )


def _cells_of(
    frame: pd.DataFrame, name: str, column: Columns, kind: KindLike | None, is_file: bool, root: Any
) -> tuple[Cells, KindLike | None, str]:
    """Return a modality's cells, its declaration and a note on how its files are read."""
    if isinstance(column, str) and "{" in column:
        values: Any = _filled(frame, column)
        is_file = True
    else:
        need([column] if isinstance(column, str) else column, list(frame.columns), "the table")
        values = frame_values(frame, name, column)
    strings = isinstance(values, list) and any(isinstance(x, str) for x in values)
    if isinstance(values, list) and any(isinstance(x, bytes | dict) for x in values[:64]):
        raise BadInput(
            f"modality {name!r}: the cells hold encoded bytes; open the table with Hugging Face datasets, "
            "HuggingFaceData(datasets.Dataset.from_parquet(path), …), which decodes them."
        )
    if not strings or not (is_file or _kind(kind) not in (None, "text")):
        return Held(make_column(name, values)), kind, ""
    if kind is None:
        raise BadInput(f"modality {name!r} is made of files; say of what kind, kinds={{{name!r}: 'image'}}.")
    if _kind(kind) == "tabular":
        _refuse_text(name, column, values)
    made, decoder = decoder_of(name, kind)
    paths = [None if is_missing(x) or x == "" else str(x) for x in values]
    cells = FileCells(name, root, paths, decoder)
    if not isinstance(decoder, TextDecoder):
        made = _first_read(cells, made, decoder)
    notes = [decoder.said] if decoder.said else []
    notes += [f"{cells.absent_files:,} named files are absent"] if cells.absent_files else []
    return cells, made, f"{name} {', '.join(notes)}" if notes else ""


def _refuse_text(name: str, column: Columns, values: Sequence[Any]) -> None:
    """Refuse a column of numbers that some cell made text: its numbers name no files."""
    written = [(row, x) for row, x in enumerate(values) if isinstance(x, str)]
    odd = [(row, x) for row, x in written if not _finite(x)]
    if len(odd) < len(written):
        said = f"row {odd[0][0]} has {odd[0][1]!r:.60}" if odd else "its cells are quoted or stored as text"
        raise BadInput(
            f"modality {name!r} is declared tabular, but its column {column!r} is text: {said}. Leave cells without a "
            "value empty, or encode words as numbers."
        )


def _finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _first_read(cells: Cells, made: Modality, decoder: Any) -> Modality:
    """Decode one file: what its decoding settles, such as the sample rate, is part of the description."""
    here = np.flatnonzero(cells.recorded)[:1]
    if len(here):
        cells.read(here)
    described: Modality = decoder.described(made)
    return described


def _filled(frame: pd.DataFrame, pattern: str) -> list[str | None]:
    """Fill columns into a pattern; a row with a missing cell names no file."""
    fields = _FIELD.findall(pattern)
    need(fields, list(frame.columns), "the table")
    columns = {field: frame_cells(frame[field]).tolist() for field in fields}
    made: list[str | None] = []
    for row in range(len(frame)):
        values = {field: column[row] for field, column in columns.items()}
        gone = any(is_missing(x) or x == "" for x in values.values())
        made.append(None if gone else _FIELD.sub(lambda found, values=values: str(values[found[1]]), pattern))  # type: ignore[misc]
    return made


def names_files(path: str | os.PathLike[str], modalities: Mapping[str, Columns], kinds: Mapping[str, KindLike]) -> bool:
    """Whether a Parquet table's cells name files of some modality: strings that are declared to be something else."""
    types = column_types(path)
    for name, column in modalities.items():
        if not isinstance(column, str):
            continue
        pattern = "{" in column and column not in types
        if pattern or (types.get(column) == "text" and _kind(kinds.get(name)) != "text"):
            return True
    return False


def _split_column(split: str | None) -> list[str]:
    return [] if split is None else [split.partition("=")[0] if "=" in split else "split"]


def _kind(kind: KindLike | None) -> str | None:
    return kind.kind if isinstance(kind, Modality) else None if kind is None else kind.partition(",")[0].strip()
