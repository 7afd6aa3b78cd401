"""A data set from WebDataset tar shards, read by offset: no package is needed, and no member is ever unpickled."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mmaudit.data.cells import Cells, Chosen, Held
from mmaudit.data.columns import is_missing, make_column
from mmaudit.data.decoding import MAX_BYTES, Decoder, decoder_of
from mmaudit.data.infer import KindLike
from mmaudit.data.keys import natural_ids, split_rows
from mmaudit.data.shards import Index, Place, find_shards, index_shards, read_place
from mmaudit.data.streamed import StreamedData
from mmaudit.data.tasks import class_cells, is_retrieval, parse_task, with_names
from mmaudit.errors import BadInput
from mmaudit.given import number
from mmaudit.types import Array, BoolArray, IntArray, Task

IMAGES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm")
SOUNDS = ("wav", "flac", "ogg", "mp3", "aiff")
_LONGEST_FIELD = 1 << 20
_FIRST_RECORDS = 64


def read_webdataset(
    shards: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    modalities: Mapping[str, str],
    target: str | None,
    task: Task | str,
    *,
    kinds: Mapping[str, KindLike] | None = None,
    ids: str | None = None,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    split: str | None = None,
    names: Sequence[str] | None = None,
    whole: bool = False,
) -> StreamedData:
    """Read a data set from WebDataset shards; headers are read once, contents on request and in any order.

    Args:
        shards: a .tar file, `shard-{000..009}.tar`, `*.tar`, a folder of .tar files, or a list of these. Not
            compressed.
        modalities: modality name to the ending of its files, such as `jpg`; several endings as `jpg;png`; or to a field
            of a JSON member, such as `json.caption`, which holds text or numbers.
        target: ending of a member that holds one number or class name (`cls`, `txt`), or a field (`json.label`). Class
            labels written as text are read as those of a CSV, see `read_table`: `01` and `00_1` are names.
        kinds: modality name to kind, with options for decoding as in `decoder_of`; endings of images, sounds and text
            files say it themselves; .npy members need theirs.
        ids: field or ending of unique ids, whole numbers where all are plainly written as such; left out: the samples'
            keys, with the shard's name before them where a key occurs in several shards.
        groups, cluster, split: fields or endings; a group is named as its field.
        task, names: as in `FrameData`.
        whole: as in `StreamedData`.

    A sample that lacks a member, a field that is null, empty text in a field: not recorded.

    Raises:
        BadInput: no such shard, a damaged or compressed one, an ending that no sample has, or anything that
            `StreamedData` refuses.
    """
    index = index_shards(find_shards(shards))
    n = len(index.keys)
    fields = Fields(index)
    rows = np.arange(n)
    if split is not None:
        column = split.partition("=")[0] if "=" in split else "json.split"
        known = [column]
        chosen = split if "=" in split else f"{column}={split}"
        rows = split_rows(chosen, known, lambda name: fields.column(name, name), "the shards")
    truth: Any = None
    if target is not None:
        truth = _truth(fields.column(target, "the target")[rows], task, names)
    elif not is_retrieval(task):
        raise BadInput("target is missing; name the member or field that holds it: target='cls' or 'json.label'.")
    cells: dict[str, Cells] = {}
    declared: dict[str, KindLike] = {}
    notes: list[str] = []
    for name, ending in modalities.items():
        base, kind, note = _cells_of(index, fields, name, ending, (kinds or {}).get(name))
        cells[name] = base if len(rows) == n else Chosen(base, rows)
        declared |= {} if kind is None else {name: kind}
        notes += [f"{name} {note}"] if note else []
    return StreamedData(
        cells,
        truth,
        with_names(task, names) if isinstance(task, Task) else parse_task(task, truth, names),
        kinds=declared,
        ids=_keys(index)[rows] if ids is None else natural_ids(fields.column(ids, "ids")[rows]),
        groups={name: fields.column(name, f"group {name!r}")[rows] for name in groups},
        cluster=None if cluster is None else fields.column(cluster, "cluster")[rows].tolist(),
        source="; ".join(
            [f"{len(index.paths)} shards from {index.paths[0].name}", *([f"rows {split}"] if split else []), *notes]
        ),
        whole=whole,
    )


class MemberCells:
    """The members of one ending, one per sample at most."""

    def __init__(self, name: str, index: Index, places: Mapping[int, Place], decoder: Decoder) -> None:
        self._modality = name
        self._paths = index.paths
        self._decoder = decoder
        self._places = np.full((len(index.keys), 3), -1, np.int64)
        for row, place in places.items():
            self._places[row] = place

    @property
    def recorded(self) -> BoolArray:
        """bool[n]: the sample has the member."""
        found: BoolArray = self._places[:, 0] >= 0
        return found

    def traits(self) -> Iterator[str]:
        """Shard, offset and size of each member."""
        yield from (f"{shard} {offset} {size}" for shard, offset, size in self._places.tolist())

    def read(self, positions: IntArray) -> Sequence[Any]:
        """Return the decoded members."""
        return [self._one(row) for row in positions.tolist()]

    def _one(self, row: int) -> Any:
        shard, offset, size = self._places[row].tolist()
        if shard < 0:
            return None
        name = f"of sample {row} in {self._paths[shard].name}"
        if size > MAX_BYTES:
            raise BadInput(
                f"modality {self._modality!r}: the file {name} has {size:,} bytes; at most {MAX_BYTES:,} are read."
            )
        return self._decoder.decode(read_place(self._paths, (shard, offset, size)), name)


class Fields:
    """Small members that hold a target, an id or other single values; each JSON member is parsed once."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._parsed: list[dict[str, Any]] | None = None

    def column(self, name: str, who: str) -> Array:
        """Return one value per sample as an object array; None where there is none."""
        head, dot, key = name.partition(".")
        ending = "json" if head == "json" and dot else name.lower()
        if ending not in self._index.places:
            raise BadInput(
                f"{who}: no sample has a member ending in {ending!r}; there are "
                f"{', '.join(sorted(self._index.places)[:12])}."
            )
        if ending == "json" and dot:
            values = [record.get(key) for record in self._records()]
            if all(x is None for x in values):
                known = sorted(self.names())
                raise BadInput(f"{who}: no JSON member has {key!r}; the first ones have {', '.join(known[:12])}.")
        else:
            values = [self._text(ending, row, who) for row in range(len(self._index.keys))]
        out = np.empty(len(values), dtype=object)
        out[:] = [None if isinstance(x, str) and not x else x for x in values] if values else []
        return out

    def names(self) -> list[str]:
        """Fields of the first JSON members, in order of appearance."""
        return list(dict.fromkeys(name for record in self._records()[:_FIRST_RECORDS] for name in record))

    def _text(self, ending: str, row: int, who: str) -> str | None:
        place = self._index.places[ending].get(row)
        if place is None:
            return None
        if place[2] > _LONGEST_FIELD:
            raise BadInput(f"{who}: the {ending} member of {self._index.keys[row]!r:.200} is no single value.")
        try:
            return read_place(self._index.paths, place).decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise BadInput(
                f"{who}: the {ending} member of {self._index.keys[row]!r:.200} is not UTF-8 text."
            ) from error

    def _records(self) -> list[dict[str, Any]]:
        if self._parsed is None:
            self._parsed = []
            for row, key in enumerate(self._index.keys):
                text = self._text("json", row, "JSON")
                try:
                    record = json.loads(text) if text else {}
                except (ValueError, RecursionError) as error:
                    raise BadInput(f"the json member of {key!r:.200} is not JSON: {error}.") from error
                if not isinstance(record, dict):
                    raise BadInput(f"the json member of {key!r:.200} is no object with fields.")
                self._parsed.append(record)
        return self._parsed


def _cells_of(
    index: Index, fields: Fields, name: str, ending: str, kind: KindLike | None
) -> tuple[Cells, KindLike | None, str]:
    if ending.startswith("json."):
        values = fields.column(ending, f"modality {name!r}").tolist()
        if all(x is None or (isinstance(x, int | float) and not isinstance(x, bool)) for x in values):
            values = [None if x is None else [x] for x in values]  # a table of one column, as of any other reader
        return Held(make_column(name, values)), kind, ""
    endings = [part.strip().lower() for part in ending.split(";")]
    places = {row: place for part in reversed(endings) for row, place in index.places.get(part, {}).items()}
    if not places:
        raise BadInput(
            f"modality {name!r}: no sample has a member ending in {' or '.join(endings)}; there are "
            f"{', '.join(sorted(index.places)[:12])}."
        )
    last = endings[0].rpartition(".")[2]
    usual = "image" if last in IMAGES else "audio" if last in SOUNDS else "text" if last in ("txt", "text") else None
    if kind is None and usual is None:
        raise BadInput(f"modality {name!r}: say what its .{endings[0]} members are: kinds={{{name!r}: 'embedding'}}.")
    made, decoder = decoder_of(name, kind if kind is not None else usual or "")
    cells = MemberCells(name, index, places, decoder)
    cells.read(np.flatnonzero(cells.recorded)[:1])
    return cells, decoder.described(made), decoder.said


def _keys(index: Index) -> Array:
    if len(set(index.keys)) == len(index.keys):
        return np.array(index.keys, np.str_)
    shards = [index.paths[shard].stem for shard in index.shard]
    return np.array([f"{shard}/{key}" for shard, key in zip(shards, index.keys, strict=True)], np.str_)


def _truth(values: Array, task: Task | str, names: Sequence[str] | None) -> Array:
    """Return targets written as text (`cls` members) as numbers where they are; lists of numbers as rows.

    Class labels go by the rule of `class_cells`, as in a CSV; all else stays as it is.
    """
    items = values.tolist()
    if any(is_missing(x) for x in items):
        return values
    if all(isinstance(x, str) for x in items):
        kind = task.kind if isinstance(task, Task) else task.partition(":")[0]
        if kind == "retrieval":
            return natural_ids(values)
        try:
            read = class_cells(items, task, names) if kind == "classification" else [number(x) for x in items]
        except ValueError:
            return values
        return values if read == items else np.array(read)
    if all(isinstance(x, list) for x in items):
        try:
            return np.array(items)
        except ValueError as error:
            raise BadInput(f"the target's lists differ in length: {error}.") from error
    return values
