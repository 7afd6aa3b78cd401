"""The folder that `datasets` saves a data set in, opened without its own loader: that follows whatever names it finds.

    FOLDER/state.json                  {"_data_files": [{"filename": "data-00000-of-00001.arrow"}, …], …}
    FOLDER/dataset_info.json           {"features": {…}, …}
    FOLDER/data-00000-of-00001.arrow   Arrow's stream format

or, where it has splits, `FOLDER/dataset_dict.json`, {"splits": ["train", …]}, and such a folder for each.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from mmaudit.data.confined import Root
from mmaudit.data.decoding import MAX_BYTES
from mmaudit.errors import BadInput

_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"


def saved_splits(folder: Path) -> list[str] | None:
    """Return the names of the splits that a folder holds; None where it is one data set without any.

    Raises:
        BadInput: the file that names them cannot be read, or names what is no folder in this one.
    """
    if (folder / _STATE).exists() or not (folder / _SPLITS).exists():
        return None
    splits = _json(Root(folder), _SPLITS).get("splits")
    if not isinstance(splits, list) or not all(isinstance(s, str) and s and Path(s).name == s for s in splits):
        raise BadInput(f"{_SPLITS} in {folder.name!r} has no list of splits, folders within it; write it anew.")
    return splits


def saved_dataset(folder: Path, split: str = "") -> Any:
    """Return the `datasets.Dataset` that a folder holds: memory-mapped, of files that lie in the folder itself.

    Args:
        folder: what the user named.
        split: one of `saved_splits`, where it has some.

    Raises:
        BadInput: a file is missing, damaged or leads out of the folder.
    """
    import datasets

    if split:
        Root(folder).find(f"{split}/{_STATE}", f"split {split!r:.200}")  # raises where it leads out of the folder
    folder /= split
    root = Root(folder)
    state, info = _json(root, _STATE), _json(root, _INFO)
    given = state.get("_data_files")
    if not isinstance(given, list) or not given or not all(isinstance(x, dict) for x in given):
        raise BadInput(f"{_STATE} in {folder.name!r} names no data files; write the folder anew with save_to_disk.")
    files = [_checked(root, x.get("filename")) for x in given]
    try:
        features = info.get("features")
        about = datasets.DatasetInfo(features=None if features is None else datasets.Features.from_dict(features))
        parts = [datasets.Dataset.from_file(file, info=about.copy()) for file in files]
        return parts[0] if len(parts) == 1 else datasets.concatenate_datasets(parts)
    except Exception as error:  # whatever `datasets` makes of odd features
        raise _unreadable(folder.name, error) from error


def _json(root: Root, name: str) -> dict[str, Any]:
    where = f"folder {Path(root.path).name!r}"
    try:
        found = json.loads(root.read(name, where, MAX_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadInput):
            raise BadInput(
                f"{where} is no readable Hugging Face data set ({error}); write it with save_to_disk."
            ) from error
        raise _unreadable(f"{Path(root.path).name}/{name}", error) from error
    if not isinstance(found, dict):
        raise BadInput(f"{name} in {where} holds no table; write the folder anew with save_to_disk.")
    return found


def _checked(root: Root, name: Any) -> str:
    """The path of a data file of the folder, looked through: Arrow itself trusts the offsets that a file states."""
    import pyarrow as pa

    where = f"folder {Path(root.path).name!r}"
    if not isinstance(name, str) or (found := root.find(name, where)) is None:
        raise BadInput(f"{where} has no data file {name!r:.200}; copy it again, or write it anew with save_to_disk.")
    path: str = found[0]
    try:
        with pa.memory_map(path) as source, pa.ipc.open_stream(source) as reader:
            copy.deepcopy(reader.schema)  # the names of fields, at any depth, have to be text
            for batch in reader:
                batch.validate(full=True)
    except Exception as error:  # a foreign extension type runs Python of its own
        raise _unreadable(f"{Path(root.path).name}/{name:.200}", error) from error
    return path


def _unreadable(what: str, error: Exception) -> BadInput:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return BadInput(f"{what!r} is no readable Hugging Face data set ({reason}); write it with save_to_disk.")
