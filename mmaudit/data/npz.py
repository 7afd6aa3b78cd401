"""A data set from a NumPy .npz file, without ever running code that a file may carry."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data.arrays import ArrayData
from mmaudit.data.columns import Indexed
from mmaudit.data.infer import KindLike
from mmaudit.data.keys import IDS, TARGETS, cell_text, find_target, need, split_rows
from mmaudit.data.retrieval import among
from mmaudit.data.tasks import is_retrieval, parse_task, with_names
from mmaudit.errors import BadInput
from mmaudit.types import Array, Modality, Task

# Keys with a role of their own; they are never taken for a modality.
_RESERVED = (*TARGETS, *IDS, "split", "cluster", "classes", "task", "candidates")


def read_npz(
    path: str | os.PathLike[str],
    task: Task | str | None = None,
    *,
    modalities: Sequence[str | Modality] | None = None,
    kinds: Mapping[str, KindLike] | None = None,
    target: str | None = None,
    ids: str | None = None,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    split: str | None = None,
    names: Sequence[str] | None = None,
) -> ArrayData:
    """Read a data set from an .npz file (`numpy.savez`); `allow_pickle` is always off.

    Args:
        path: the file. Its arrays are read into memory; for larger data use `ArrayData` on memory-mapped .npy files.
        task: `Task` or text as in `parse_task`; may be left out where the file has a text under the key `task`.
        modalities: keys to use as inputs, or a `Modality` where its description cannot be read off the values. Left
            out: every key with one row per sample, except those with a role below.
        kinds: key to kind, as in `ArrayData`, e.g. `{"audio": "audio,sample_rate=8000"}`.
        target: key of the target; left out: the one of `target`, `label`, `labels`, `y`; for a retrieval none, as
            every sample is one of its own.
        ids: key of the sample ids; left out: `id`, `ids` or `sample_id`, else the row number in the file.
        groups: keys of columns to report by.
        cluster: key of what dependent samples share; left out: `cluster`, where the file has it.
        split: rows to keep: `test` (where key `split` is "test") or `key=value`. Ids stay those of the whole file.
        names: classes, labels or dimensions in the order of the outputs; left out: the key `classes`, if any, where
            the target was left out too.

    Further keys: `candidates` (integers [n, K], a retrieval's candidates per query, as rows of the file; −1 for fewer);
    `present.NAME` (bool [n]) says where modality NAME was recorded; `NAME.index` (integers [n]) says
    which row of `NAME` each sample has, for values that samples share. `ArrayData.source` says which keys were taken
    and which were not.

    Raises:
        BadInput: not an .npz file, a damaged or pickled one, a missing key, or anything that `ArrayData` refuses.
    """
    where = Path(path).name
    arrays = _Npz(path)
    known = arrays.names
    if task is None and "task" in known and arrays["task"].size == 1:
        task = arrays["task"].item()
    retrieval = isinstance(task, Task | str) and is_retrieval(task)
    target_key = target if target is not None or retrieval else find_target(known, where)
    ids = ids if ids is not None else next((key for key in IDS if key in known), None)
    cluster = cluster if cluster is not None else ("cluster" if "cluster" in known else None)
    lists = "candidates" if retrieval and "candidates" in known else None
    roles = [*groups, *(key for key in (target_key, ids, cluster, lists) if key is not None)]
    need(roles, known, where)
    if retrieval and modalities is None:
        modalities = (parse_task(task) if isinstance(task, str) else task).names  # type: ignore[union-attr]
    n = len(np.atleast_1d(arrays[target_key])) if target_key is not None else _samples(arrays, modalities or (), where)
    given = modalities if modalities is not None else _inputs(arrays, n, roles, where)
    inputs = [m if isinstance(m, str) else m.name for m in given]
    need(inputs, known, where)
    rows = np.arange(n) if split is None else split_rows(split, known, arrays.__getitem__, where)
    truth = None if target_key is None else _rows(arrays, target_key, rows, n, where)
    indexed = {key: f"{key}.index" for key in inputs if f"{key}.index" in known}
    presence = {key: f"present.{key}" for key in inputs if f"present.{key}" in known}

    def column(key: str) -> Array:
        return _rows(arrays, key, rows, n, where)

    used = {*inputs, *roles, *indexed.values(), *presence.values(), *(["split"] if split is not None else [])}
    idle = [key for key in known if key not in used and key not in ("classes", "task")]
    return ArrayData(
        {k: Indexed(arrays[k], column(indexed[k])) if k in indexed else column(k) for k in inputs},
        truth,
        _task(task, truth, names, arrays, target is None and not retrieval, where),
        modalities=[m for m in given if isinstance(m, Modality)],
        kinds=kinds,
        ids=rows if ids is None else column(ids),
        groups={key: column(key) for key in groups},
        cluster=None if cluster is None else column(cluster),
        present={k: column(key) for k, key in presence.items()},
        candidates=None if lists is None else among(_rows(arrays, lists, np.arange(n), n, where), rows, n),
        source=f"{where}: modalities {', '.join(inputs)}; target {target_key or 'the sample itself'}"
        + (f"; rows {split}" if split is not None else "")
        + (f"; not used: {', '.join(idle)}" if idle else ""),
    )


class _Npz:
    """The arrays of a file, each read when first asked for."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._read: dict[str, Array] = {}
        try:
            with zipfile.ZipFile(self._path) as archive:
                files = [info.filename for info in archive.infolist()]
        except FileNotFoundError as error:
            raise BadInput(f"file {os.fspath(path)!r} does not exist.") from error
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            if _is_one_array(self._path):
                raise BadInput(
                    f"file {os.fspath(path)!r} is a .npy file, which holds one array; put it into an .npz beside the "
                    "others with numpy.savez(path, name=array, …)."
                ) from error
            raise BadInput(
                f"file {os.fspath(path)!r} is not a readable .npz file ({error}); write it with "
                "numpy.savez(path, name=array, …), and copy it again if it was cut short."
            ) from error
        self.names = [name.removesuffix(".npy") for name in files if name.endswith(".npy")]

    def __getitem__(self, key: str) -> Array:
        if key not in self._read:
            try:
                # NumPy takes long for long headers that are none; those of plain arrays have 118 letters.
                limits: dict[str, Any] = {"allow_pickle": False, "max_header_size": 1_000}
                with self._path.open("rb") as raw, np.load(raw, **limits) as archive:
                    self._read[key] = _array(archive[key])
            except (ValueError, pickle.UnpicklingError) as error:
                if "pickle" in str(error).lower():
                    raise BadInput(
                        f"key {key!r} of {self._path.name} is pickled (an object array), and unpickling can run any "
                        f"code; save it again as {key}.astype('U') where it holds strings, as numpy.stack({key}) where "
                        "it holds arrays of one shape."
                    ) from error
                raise BadInput(f"key {key!r} of {self._path.name} cannot be read: {error}.") from error
            except MemoryError as error:
                raise BadInput(
                    f"key {key!r} of {self._path.name} says that it needs more memory than there is ({error}); the "
                    "file is damaged, or too large for read_npz: use ArrayData on memory-mapped .npy files."
                ) from error
            except Exception as error:  # an array's header is read as Python text: whatever the tokenizer raises
                raise BadInput(f"key {key!r} of {self._path.name} is damaged: {error}; copy the file again.") from error
        return self._read[key]


def _array(found: Any) -> Array:
    """What a member holds; ValueError where it is no array, or one of letters that are none."""
    if not isinstance(found, np.ndarray):
        raise ValueError("it is no array")
    if found.dtype.kind == "U" and found.size and found.dtype.itemsize:
        code = np.dtype(np.uint32).newbyteorder("=" if found.dtype.isnative else "S")
        if (np.ascontiguousarray(found).view(code) > 0x10FFFF).any():
            raise ValueError("its texts hold letters that do not exist")
    return found


def _inputs(arrays: _Npz, n: int, roles: Sequence[str], where: str) -> list[str]:
    """Return every key with one row per sample and no other role."""
    found: list[str] = []
    for key in arrays.names:
        if key in roles or key in _RESERVED or key.startswith("present.") or key.endswith(".index"):
            continue
        shape = arrays[key].shape
        if f"{key}.index" not in arrays.names and (not shape or shape[0] != n):
            continue
        if len(shape) == 1 and arrays[key].dtype.kind != "U":
            raise BadInput(
                f"{where}: key {key!r} holds one number per sample, which is no modality by itself; name the "
                f"modalities to read, modalities=[…], out of {', '.join(map(repr, arrays.names))}."
            )
        found.append(key)
    if not found:
        raise BadInput(f"{where} has no key with {n:,} rows to use as a modality; it has {', '.join(arrays.names)}.")
    return found


def _samples(arrays: _Npz, modalities: Sequence[str | Modality], where: str) -> int:
    """Return how many samples there are, from the modalities alone."""
    names = [m if isinstance(m, str) else m.name for m in modalities]
    need(names, arrays.names, where)
    name = names[0]
    return len(np.atleast_1d(arrays[f"{name}.index" if f"{name}.index" in arrays.names else name]))


def _rows(arrays: _Npz, key: str, rows: Array, n: int, where: str) -> Array:
    values = arrays[key]
    if values.ndim == 0 or len(values) != n or (len(rows) and rows[-1] >= n):
        raise BadInput(f"{where}: key {key!r} has shape {list(values.shape)}; expected {n:,} rows, as the target has.")
    return values if len(rows) == n else values[rows]


def _task(
    task: Task | str | None,
    target: Array | None,
    names: Sequence[str] | None,
    arrays: _Npz,
    own_target: bool,
    where: str,
) -> Task:
    if isinstance(task, Task):
        return with_names(task, names)
    text: Any = task
    if not isinstance(text, str):
        raise BadInput(
            f"{where}: the task is not given; say task='classification', 'multilabel' or 'regression' "
            "(in the shell: --task classification)."
        )
    # The file's class names belong to the file's own target, not to another column that the caller chose.
    if names is None and own_target and "classes" in arrays.names and not text.startswith("regression"):
        try:
            names = [cell_text(x) for x in np.atleast_1d(arrays["classes"]).tolist()]
        except MemoryError:
            raise BadInput(f"{where}: array 'classes' is too large to hold the names of classes.") from None
    return parse_task(text, target, names)


def _is_one_array(path: Path) -> bool:
    """Whether this is a .npy file, whatever it is called."""
    try:
        with path.open("rb") as file:
            return file.read(6) == b"\x93NUMPY"
    except OSError:
        return False
