"""A data set from a zarr group: one array per modality, read chunk by chunk on request."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data.cells import Cells, Chosen
from mmaudit.data.columns import is_missing
from mmaudit.data.infer import KindLike
from mmaudit.data.keys import IDS, find_target, need, split_rows
from mmaudit.data.streamed import StreamedData
from mmaudit.data.tasks import is_retrieval, parse_task, with_names
from mmaudit.errors import BadInput, MissingExtra
from mmaudit.types import Array, BoolArray, IntArray, Task

_MOST_COUNTED = 10_000


def read_zarr(
    path: str | os.PathLike[str],
    modalities: Sequence[str] | Mapping[str, str],
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
    """Read a data set from a zarr group (format 2 or 3; a folder or a .zip). Needs the `zarr` extra.

    Args:
        path: the group. Its arrays have one row per sample; chunks of few rows make reading in any order cheap.
        modalities: names of the arrays that are inputs, or modality name to array name.
        target: array of the target; left out: the one of `target`, `label`, `labels`, `y`.
        kinds: modality name to kind, as in `ArrayData`.
        ids: array of unique ids; left out: `id`, `ids` or `sample_id`, else the row number.
        groups, cluster, split: arrays, as in `read_npz`.
        task, names: as in `FrameData`.
        whole: as in `StreamedData`. It also counts the chunks of the arrays named here (up to 10,000 each, not in
            shards), and warns where some are not stored: they read as the fill value, mostly 0.

    Booleans are 0 and 1. Further arrays: `present.NAME` (bool [n]) says where modality NAME was recorded; `NAME.length`
    (integers [n]) says how many entries of each sample's first axis count: the rest is padding, cut off, which makes
    the modality ragged.

    Raises:
        BadInput: no zarr group, a missing array, one that is pickled, or anything that `StreamedData` refuses.
        MissingExtra: `zarr` is not installed.
    """
    (group, known), where = opened_group(path), Path(path).name
    wanted = dict(modalities) if isinstance(modalities, Mapping) else {name: name for name in modalities}
    if not wanted:
        raise BadInput("modalities is empty; name at least one array that is an input.")
    if target is None and not is_retrieval(task):
        target = find_target(known, where)
    ids = ids if ids is not None else next((key for key in IDS if key in known), None)
    roles = [*groups, *(key for key in (target, ids, cluster) if key is not None)]
    need([*wanted.values(), *roles], known, where)

    def column(key: str) -> Array:
        return _column(group, key, n, where)

    first = checked_array(group, next(iter(wanted.values())), where)
    n = int(first.shape[0]) if first.ndim else 0
    if n > 2**30:  # said by a few bytes of metadata, whatever there is
        raise BadInput(f"{where} states {n:,} samples, which is more than can be audited; its metadata are damaged.")
    rows = np.arange(n) if split is None else split_rows(split, known, column, where)
    truth = None if target is None else column(target)[rows]
    cells: dict[str, Cells] = {}
    for name, key in wanted.items():
        length = column(f"{key}.length") if f"{key}.length" in known else None
        base = ZarrCells(name, checked_array(group, key, where), n, length)
        cells[name] = base if len(rows) == n else Chosen(base, rows)
    used = dict.fromkeys([*wanted.values(), *roles]) if whole else ()
    notes = [note for key in used if (note := _unstored(group, key, where))]
    lacking = [k for k in kinds or () if k not in wanted]
    if lacking:
        raise BadInput(f"kinds names {lacking[0]!r}, which is no modality; they are {', '.join(map(repr, wanted))}.")
    return StreamedData(
        cells,
        truth,
        with_names(task, names) if isinstance(task, Task) else parse_task(task, truth, names),
        kinds=kinds,
        ids=rows if ids is None else column(ids)[rows],
        groups={key: column(key)[rows] for key in groups},
        cluster=None if cluster is None else column(cluster)[rows].tolist(),
        present={name: column(f"present.{k}")[rows] for name, k in wanted.items() if f"present.{k}" in known},
        source="; ".join([where, *([f"rows {split}"] if split is not None else []), *notes]),
        whole=whole,
    )


class ZarrCells:
    """One array of a zarr group, a row per sample; cut to each sample's own length where that is known."""

    def __init__(self, name: str, array: Any, n: int, length: Array | None) -> None:
        if array.ndim == 0 or array.shape[0] != n:
            raise BadInput(f"modality {name!r}: its array has shape {list(array.shape)}; expected {n:,} rows.")
        if length is not None and (
            array.ndim < 2 or length.dtype.kind not in "iu" or length.min() < 0 or length.max() > array.shape[1]
        ):
            raise BadInput(
                f"modality {name!r}: its lengths must be whole numbers from 0 to the length of the array's second "
                f"axis; the array has shape {list(array.shape)}."
            )
        self._array = array
        self._length = length

    @property
    def recorded(self) -> BoolArray:
        """bool[n]: False where the length is 0."""
        return np.ones(self._array.shape[0], np.bool_) if self._length is None else self._length > 0

    def traits(self) -> Iterator[str]:
        """How the array is stored, and the samples' lengths."""
        yield f"{list(self._array.shape)} {self._array.dtype}"
        yield from () if self._length is None else map(str, self._length.tolist())

    def read(self, positions: IntArray) -> Sequence[Any]:
        """Return the rows; each chunk that holds some of them is read once."""
        if not len(positions):
            return []
        unique, back = np.unique(positions, return_inverse=True)
        try:
            block = np.asarray(self._array.oindex[unique])
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, ArithmeticError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise BadInput(f"zarr array {self._array.path!r} cannot be read ({reason}); copy it again.") from error
        if block.dtype.kind == "b":
            block = block.astype(np.uint8)
        if block.dtype.kind in "TOU":
            return [None if is_missing(x) else str(x) for x in block[back].tolist()]
        items = [block[row] for row in back.tolist()]
        if self._length is None:
            return items
        return [
            item[:size] if size else None for item, size in zip(items, self._length[positions].tolist(), strict=True)
        ]


def opened_group(path: str | os.PathLike[str]) -> tuple[Any, list[str]]:
    """Return the group and the names of its arrays."""
    try:
        import zarr
    except ImportError:
        raise MissingExtra("zarr", "zarr") from None
    if not Path(path).exists():
        raise BadInput(f"zarr group {os.fspath(path)!r} does not exist.")
    try:
        group = zarr.open_group(os.fspath(path), mode="r")
        return group, sorted(group.array_keys())
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BadInput(f"{os.fspath(path)!r} is no readable zarr group ({reason}).") from error


def checked_array(group: Any, key: str, where: str) -> Any:
    """Return an array whose values can be read without unpickling anything."""
    try:
        array = group[key]
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BadInput(f"{where}: array {key!r} cannot be opened ({reason}).") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on writing a type that format 3 has not settled; this reads
        stored = json.dumps(array.metadata.to_dict(), default=str).lower()
    if "pickle" in stored:
        raise BadInput(
            f"{where}: array {key!r} is pickled, and unpickling can run any code; store it as numbers or strings."
        )
    return array


def _unstored(group: Any, key: str, where: str) -> str:
    """Warn of an array's chunks that are not stored, and return how many that are, in words; empty if none."""
    array = checked_array(group, key, where)
    try:
        # Of an array in shards zarr's versions count differently; and the time grows with the square of the chunks.
        if array.shards is not None or array.nchunks > _MOST_COUNTED:
            return ""
        lost = array.nchunks - array.nchunks_initialized
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, ArithmeticError):
        return ""  # reading it tells what is wrong
    if lost < 1:
        return ""
    found = f"{lost:,} of {array.nchunks:,} chunks of {key!r} are not stored"
    warnings.warn(
        f"{where}: {found}; their values read as {array.fill_value} and count as recorded. zarr leaves out chunks that "
        "hold nothing else, so this may be as it should; if the group was not copied as a whole, copy it again.",
        stacklevel=3,
    )
    return found


def _column(group: Any, key: str, n: int, where: str) -> Array:
    array = checked_array(group, key, where)
    if not array.ndim or array.shape[0] != n:
        raise BadInput(
            f"{where}: array {key!r} has shape {list(array.shape)}; expected {n:,} rows, as the modalities have."
        )
    values = np.asarray(array[:])
    return values.astype(object) if values.dtype.kind == "T" else values
