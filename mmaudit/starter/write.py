"""Write the adapter and the configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmaudit.errors import BadInput
from mmaudit.starter.fill import adapter, configuration, script
from mmaudit.starter.models import Named, named
from mmaudit.starter.roles import TRAINING, Roles, roles
from mmaudit.starter.stored import stored

if TYPE_CHECKING:
    from mmaudit.data import Dataset

ADAPTER, CONFIG, SCRIPT = "audit_model.py", "audit.toml", "audit_predictions.py"


@dataclass(frozen=True)
class Written:
    """What `start` wrote.

    Attributes:
        folder: where; commands are run there.
        files: the files' names.
        seen: one line per thing that was read off data and model.
        open: what could not be seen and is left to be said, in the files.
        next: the command to run then.
    """

    folder: Path
    files: tuple[str, ...]
    seen: tuple[str, ...]
    open: tuple[str, ...] = field(default=())
    next: str = "mmaudit doctor --config audit.toml"


def start(
    kind: str | None,
    model: str | None,
    data: str,
    out: Path,
    given: Mapping[str, Any],
    *,
    force: bool = False,
) -> Written:
    """Look at model and data, and write `audit_model.py` and `audit.toml`.

    Args:
        kind: one of `KINDS`; `None` where `model` shows it.
        model: as for `mmaudit audit`, or a model file, folder or address; `None` writes a stand-in to be replaced.
        data: the data file, as for `mmaudit audit`.
        out: folder to write into; made if it is not there.
        given: options of the data that the user said (`target`, `task`, `modality`, …), and `outputs`, `weights`.
        force: replace files that are there.

    Raises:
        BadInput: files are there already, or something that is needed cannot be seen; says which option tells it.
    """
    what = named(kind, model)
    seen = _look(data, given)
    from mmaudit import options

    rows = options.read(data if "://" in data else Path(data), seen.options)  # type: ignore[arg-type]
    files = _files(what, seen, rows, data, out, given)
    if not force and (there := [name for name in files if (out / name).exists()]):
        raise BadInput(f"{out / there[0]} exists; --force replaces it, --out FOLDER writes elsewhere.")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
    written = Written(out, tuple(files), tuple(_facts(what, seen, rows)), tuple(_missing(files)))
    return replace(written, next=f"python {SCRIPT}") if what.kind == "precomputed" else written


def _look(data: str, given: Mapping[str, Any]) -> Roles:
    """What the data show, beside what the user said. Of a public set its reader knows all there is."""
    from mmaudit import options
    from mmaudit.data.reading import form_of
    from mmaudit.data.table import table_of
    from mmaudit.data.tables import TABLES
    from mmaudit.starter.columns import columns

    told = {k: v for k, v in given.items() if k not in ("outputs", "weights")}
    for key, form in (("modality", "name=kind"), ("columns", "name=column,column")):
        if key in told:
            told[key] = options.table(told[key], f"--{key}", form)
    path = Path(data)
    if path.suffix == ".npz" or (path.is_file() and path.suffix in TABLES):
        return roles(columns(path), told, table=path.suffix != ".npz", where=path.name)
    if path.suffix != ".tar" and not path.exists():
        return Roles(dict(told))  # a public set; or nothing, which the reader says
    form = "shards" if path.suffix == ".tar" else form_of(path, path.suffix)
    if form == "folder":
        return roles(columns(path / table_of(path)), told, table=True, where=path.name)
    found = stored(form, path)
    seen = roles(found.columns, told, table=not found.single, where=path.name)
    return _apart(_renamed(seen, found.called, told), found.splits)


def _renamed(seen: Roles, called: Mapping[str, str], told: Mapping[str, Any]) -> Roles:
    """Modalities by names of their own where their columns are endings of files, or fields of a JSON member."""
    if "modality" in told or not called:
        return seen
    kinds: dict[str, str] = seen.options["modality"]
    names = {column: called.get(column, column) for column in kinds}
    notes = {f"modality.{old}": f"modality.{new}" for old, new in names.items()}
    options = seen.options | {
        "modality": {names[column]: kind for column, kind in kinds.items()},
        "columns": {new: old for old, new in names.items() if new != old},
    }
    return replace(seen, options=options, notes={notes.get(k, k): note for k, note in seen.notes.items()})


def _apart(seen: Roles, splits: Mapping[str, int]) -> Roles:
    """Name the part to audit where parts are stored apart: `test`, else the last; and the one to train on."""
    if not splits or "split" in seen.options:
        return seen
    seen.options["split"] = "test" if "test" in splits else list(splits)[-1]
    seen.notes["split"] = f"rows to audit; there are {', '.join(f'{name} ({n:,})' for name, n in splits.items())}"
    if "train" in splits and seen.options["split"] != "train" and "train" not in seen.options:
        seen.options["train_split"] = "train"
        seen.notes["train_split"] = TRAINING
    return seen


def _files(what: Named, seen: Roles, rows: Dataset, data: str, out: Path, given: Mapping[str, Any]) -> dict[str, str]:
    if what.kind == "precomputed":
        return {SCRIPT: script(what, rows, out, given, seen, beneath(data, out))}
    files: dict[str, str] = {}
    spec = what.spec
    if what.kind != "model":
        files[ADAPTER] = adapter(what, rows, out, given, seen.options)
        spec = "audit_model:make"
    files[CONFIG] = configuration(spec, seen, beneath(data, out))
    return files


def beneath(path: str, out: Path) -> str:
    """A path as seen from `out`, where the commands are run; an address stays as it is."""
    if "://" in path:
        return path
    try:
        return Path(os.path.relpath(path, out)).as_posix()
    except ValueError:  # on another drive
        return Path(path).resolve().as_posix()


def _facts(what: Named, seen: Roles, rows: Dataset) -> list[str]:
    without = ", a table of its answers" if what.kind == "precomputed" else ", an untrained stand-in to be replaced"
    lines = [f"model: {what.kind}" + (f", {what.spec}" if what.spec else without)]
    lines.append(f"data: {len(rows):,} samples, {rows.task.said}")
    lines += [f"modality {m.name}: {m.kind}, {m.dtype} {list(m.shape) or ''}".rstrip() for m in rows.modalities]
    lines += [
        f"{key}: {_short(seen.options[key])}" for key in ("target", "split", "group", "cluster") if key in seen.options
    ]
    return lines


def _short(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _missing(files: Mapping[str, str]) -> list[str]:
    """Lines of the files that ask for something."""
    found = []
    for name, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if "NotImplementedError" in line or "REPLACE" in line:
                found.append(f"{name}:{number}: {line.strip().removeprefix('raise NotImplementedError')}")
            elif "check" in line and "=" in line:
                found.append(f"{name}:{number}: {line.strip()}")
    return found
