"""One door to all readers: what a path is decides how it is read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmaudit.data.frame import Columns, read_parquet
from mmaudit.data.infer import KindLike
from mmaudit.data.npz import read_npz
from mmaudit.data.public import PUBLIC, read_public
from mmaudit.data.table import names_files, read_folder, read_table
from mmaudit.data.tables import TABLES
from mmaudit.data.tasks import is_retrieval
from mmaudit.errors import BadInput
from mmaudit.types import Task

if TYPE_CHECKING:
    from mmaudit.data.dataset import Dataset

_FORMS = (
    ".npz, .parquet, .csv, .tsv, .jsonl, .tar (WebDataset), .zarr, a folder of files with a table, a folder that "
    "Hugging Face datasets saved, or a public set as name:folder"
)


def read(
    path: str | os.PathLike[str],
    task: Task | str | None = None,
    *,
    kinds: Mapping[str, KindLike] | None = None,
    columns: Mapping[str, Columns] | None = None,
    target: Columns | None = None,
    ids: str | None = None,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    split: str | None = None,
    names: Sequence[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    whole: bool = False,
    trust: bool = False,
) -> Dataset:
    """Read a data set of any form that mmaudit knows.

    Args:
        path: an .npz file (`read_npz`), a table (`read_parquet`; `read_table` where it names files), .tar shards
            (`read_webdataset`), a zarr group (`read_zarr`), a folder of Hugging Face datasets (`HuggingFaceData`), a
            folder of files with a table (`read_folder`), or `name:folder` of a public set (`read_public`).
        task: what the targets mean; a file or public set may say it itself.
        kinds: modality name to kind; which inputs there are, and what they are.
        columns: modality name to its column, columns, pattern or ending, where it is not called as the modality is.
        root: folder that file names in a table, or paths in a Hugging Face data set, are resolved under.
        trust: let a public set that is published as a pickle be read.
        target, ids, groups, cluster, split, names, whole: as in the reader.

    Raises:
        BadInput: no such path, a form that is not known, or anything that the reader refuses.
    """
    text = os.fspath(path)
    public, colon, folder = text.partition(":")
    if colon and public in PUBLIC:
        return read_public(public, folder, split=split, modalities=kinds or None, trust=trust)
    for what, given in (("target", target), *((f"columns[{name!r}]", c) for name, c in (columns or {}).items())):
        if given is not None and not len(given):
            raise BadInput(f"{what}={given!r} names no column; give one, or leave it out.")
    suffix = Path(text.rstrip("/")).suffix
    shared: dict[str, Any] = {
        "kinds": kinds,
        "ids": ids,
        "groups": tuple(groups),
        "cluster": cluster,
        "split": split,
        "names": names,
    }
    if suffix == ".npz":
        if columns:
            raise BadInput("an .npz file has one array per modality; call the modality as its key is called.")
        key = target if target is None or isinstance(target, str) else target[0]
        return read_npz(path, task, modalities=list(kinds) if kinds else None, target=key, **shared)
    tar = suffix == ".tar" or "*" in text or "{" in text
    if not tar and not Path(text).exists():
        raise BadInput(f"data {text!r} does not exist.")
    form = "shards" if tar else form_of(Path(text), suffix)
    if not kinds:
        raise BadInput(
            "--modality missing: the data do not say what their columns are for; give name=kind of each input."
        )
    if task is None:
        raise BadInput("--task missing: classification, multilabel, regression or retrieval:a->b.")
    if target is None and form in ("table", "folder", "shards") and not is_retrieval(task):
        raise BadInput("--target missing: the data do not say what their columns are for; name the one of the targets.")
    wanted: dict[str, Columns] = {name: (columns or {}).get(name, name) for name in kinds}
    if form == "table":
        return _table(Path(text), wanted, target, task, root, whole, shared)
    if form == "folder":
        place: Any = {} if root is None else {"root": root}
        return read_folder(text, wanted, target, task, whole=whole, **shared, **place)
    if form == "datasets":
        from mmaudit.data.huggingface import HuggingFaceData

        return HuggingFaceData(text, wanted, target, task, root=root, whole=whole, **shared)
    single = {name: column if isinstance(column, str) else column[0] for name, column in wanted.items()}
    one = target if target is None or isinstance(target, str) else target[0]
    if form == "zarr":
        from mmaudit.data.zarr import read_zarr

        return read_zarr(text, single, one, task, whole=whole, **shared)
    from mmaudit.data.webdataset import read_webdataset

    return read_webdataset(text, single, one, task, whole=whole, **shared)


def form_of(path: Path, suffix: str) -> str:
    """Return what lies at an existing path: table, zarr, datasets, shards or folder."""
    if suffix in TABLES and path.is_file():
        return "table"
    if suffix == ".zarr" or (path.is_dir() and any((path / x).exists() for x in ("zarr.json", ".zgroup"))):
        return "zarr"
    if path.is_dir():
        if any((path / x).exists() for x in ("dataset_dict.json", "state.json")):
            return "datasets"
        inside = {x.suffix for x in path.iterdir()}
        return "shards" if ".tar" in inside and not inside & set(TABLES) else "folder"
    raise BadInput(f"data file {os.fspath(path)!r} ends in {suffix!r}; mmaudit reads {_FORMS}.")


def _table(
    path: Path,
    wanted: dict[str, Columns],
    target: Columns | None,
    task: Task | str,
    root: Any,
    whole: bool,
    shared: Any,
) -> Dataset:
    if path.suffix in (".parquet", ".pq") and root is None and not names_files(path, wanted, shared["kinds"]):
        return read_parquet(path, wanted, target, task, **shared)
    return read_table(path, wanted, target, task, root=root, whole=whole, **shared)
