"""Which column is the target, which are modalities, which tell what belongs together: read off names and values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmaudit.data.keys import IDS, TARGETS
from mmaudit.data.tasks import is_retrieval
from mmaudit.errors import BadInput
from mmaudit.starter.columns import Column

_CLUSTERS = (
    "cluster",
    "patient",
    "subject",
    "speaker",
    "person",
    "user",
    "author",
    "video",
    "session",
    "scene",
    "site",
)
FIELD = "json."
"""What stands before the name of a field of a JSON member, in shards."""
_OWN = ("split", f"{FIELD}split", "classes", "task", "candidates")
TRAINING = "training rows: their means are among the stand-ins for a missing modality"
_AUDIO = re.compile(r"audio|sound|speech|voice|wav", re.IGNORECASE)
_SERIES = re.compile(r"series|signal|ecg|eeg|imu|accel|sensor", re.IGNORECASE)
_EMBEDDING = re.compile(r"emb|feat|hidden|latent|vector", re.IGNORECASE)
_MOST_CODES = 20  # distinct values of a column that may hold category codes
_LONGEST_EXAMPLE = 30  # letters
_FEWEST = 30  # samples in a group that can be judged: the groups' own rule


@dataclass
class Roles:
    """What is seen in a data file.

    Attributes:
        options: keys of audit.toml and their values, as `mmaudit audit` takes them.
        notes: per key why it has this value, or what to check.
        left: columns that have no role, and why, for a comment.
        possible: keys that could be set, and to what, for lines that are commented out.
        own_target: the reader finds the target itself, and the classes' names with it; naming it would lose them.
    """

    options: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    possible: dict[str, tuple[Any, str]] = field(default_factory=dict)
    own_target: bool = False


def roles(found: Sequence[Column], given: Mapping[str, Any], *, table: bool, where: str) -> Roles:
    """Give every column a role.

    Args:
        found: the columns.
        given: options that the user said; they stay as they are.
        table: whether single numbers make a table together (Parquet, CSV); else they are no modality (.npz).
        where: the file's name, for messages.

    Raises:
        BadInput: no target, or no modality, can be seen; names the option that says it.
    """
    names = {c.name: c for c in found}
    seen = Roles(dict(given))
    _target(seen, names, given, where, table)
    said = [*_said(given.get("group", ())), given.get("cluster"), given.get("ids"), seen.options.get("target")]
    taken = {*_OWN, *_split(said)}
    _splits(seen, names, given)
    if "ids" not in given and (own := next((n for n in IDS if n in names), None)):
        taken.add(own)
        if table:  # .npz files are read with it anyway
            seen.options["ids"] = own
    if "cluster" in names:
        taken.add("cluster")
        seen.options.setdefault("cluster", "cluster")
        seen.notes.setdefault("cluster", "samples with equal values belong together and are resampled together")
    rest = [
        c for c in found if c.name not in taken and not c.name.startswith("present.") and not c.name.endswith(".index")
    ]
    rows = names[str(seen.options["target"]).split(",")[0]].rows if seen.options.get("target") else rest[0].rows
    if seen.own_target:
        seen.possible["target"] = (seen.options.pop("target"), "found by its name, its classes in 'classes'")
    _groups(seen, rest, rows, given)
    if "modality" not in given:
        others = {*seen.options.get("group", ()), seen.possible.get("cluster", ("", ""))[0]}
        plain = [c for c in rest if c.name not in others]
        shared = {n.removesuffix(".index") for n in names if n.endswith(".index")}
        _modalities(seen, plain, rows, table, shared)
    if not seen.options.get("modality"):
        raise BadInput(f"{where} has no column that could be a modality; name them: --modality name=kind.")
    return seen


def _target(seen: Roles, names: Mapping[str, Column], given: Mapping[str, Any], where: str, table: bool) -> None:
    if is_retrieval(given.get("task")):
        return
    if "target" not in given:
        likely = [n for n in names if n.removeprefix(FIELD) in TARGETS or n == "cls"]
        if len(likely) != 1:
            raise BadInput(
                f"{where}: which column is the target? --target NAME says it; it has {', '.join(map(repr, names))}."
            )
        seen.options["target"] = likely[0]
        seen.notes["target"] = "taken from its name"
        if "classes" in names and not table:
            # The file names its classes; they are read with the target that the reader finds itself.
            seen.own_target = True
    wanted = str(seen.options["target"]).split(",")
    if lacking := [n for n in wanted if n not in names]:
        raise BadInput(f"{where} has no {lacking[0]!r}; it has {', '.join(map(repr, names))}.")
    if "task" in given or "task" in names:
        return
    column = names[wanted[0]]
    binary = len(column.values) and set(column.values) <= {0, 1}
    if len(wanted) > 1 or column.shape:
        both = column.form in ("integer", "bool") if column.shape else binary
        seen.options["task"] = "multilabel" if both else "regression"
    elif column.form == "number" or (column.form == "integer" and not column.values):
        seen.options["task"] = "regression"
    elif column.form == "integer" and min(column.values) == 0 and "classes" not in names:
        # A split may lack a class, so the number of outputs is said.
        seen.options["task"] = f"classification:{max(column.values) + 1}"
    else:
        seen.options["task"] = "classification"
    kinds = f", {len(column.values)} distinct values" if column.values else ""
    seen.notes["task"] = f"taken from the target: {column.said}{kinds}"


def _splits(seen: Roles, names: Mapping[str, Column], given: Mapping[str, Any]) -> None:
    column = names.get("split") or names.get(f"{FIELD}split")
    if column is None or "split" in given or not column.values:
        return
    told = ", ".join(f"{value} ({count:,})" for value, count in column.values.items())
    if "test" in column.values:
        seen.options["split"] = "test"
        seen.notes["split"] = f"rows to audit; the values are {told}"
        if "train" in column.values and "train" not in given:
            seen.options["train_split"] = "train"
            seen.notes["train_split"] = TRAINING
    else:
        seen.possible["split"] = (f"split={next(iter(column.values))}", f"all rows are audited; the values are {told}")


def _groups(seen: Roles, rest: Sequence[Column], rows: int, given: Mapping[str, Any]) -> None:
    if "group" not in given:
        few = [
            c.name
            for c in rest
            if c.scalar and c.rows == rows and c.form in ("text", "bool") and 2 <= len(c.values) <= 20
            and c.words < 2 and not c.files and rows / len(c.values) >= _FEWEST
        ]  # fmt: skip
        if few:
            seen.options["group"] = few
            seen.notes["group"] = "few distinct values: every finding is looked for in each of them, too"
    if "cluster" not in seen.options and (likely := _shared(rest, rows)):
        seen.possible["cluster"] = (likely, "if samples with equal values belong together, say so")


def _shared(rest: Sequence[Column], rows: int) -> str | None:
    """The column whose name says best that samples share something."""
    found = [c.name for c in rest if c.scalar and c.rows == rows and c.form in ("text", "integer")]
    for word in (*_CLUSTERS, "_id"):
        for name in found:
            if word in name.lower():
                return name
    return None


def _modalities(seen: Roles, rest: Sequence[Column], rows: int, table: bool, shared: set[str]) -> None:
    kinds: dict[str, str] = {}
    numbers: list[str] = []
    for column in rest:
        if column.rows != rows and column.name not in shared:
            seen.left[column.name] = f"{column.rows:,} rows, the target has {rows:,}"
        elif column.files:
            kinds[column.name] = column.files
            if column.dtype == "text":
                seen.notes[f"modality.{column.name}"] = "names of files, below the table's folder; or say root"
        elif column.form == "text" and column.scalar and column.words <= 1 and not column.values:
            seen.left[column.name] = "one word, nearly always another: names of samples or files?"
        elif kind := _kind(column):
            kinds[column.name], note = kind
            if note:
                seen.notes[f"modality.{column.name}"] = note
        elif column.scalar and column.form in ("integer", "number") and not re.search(r"(^|_)(id|index)$", column.name):
            numbers.append(column.name)
        else:
            seen.left[column.name] = f"{column.said}: no kind of modality can be seen in it"
    if table and numbers:
        name = "table" if "table" not in kinds else "numbers"
        kinds[name] = "tabular"
        seen.options["columns"] = {name: numbers}
        seen.notes[f"modality.{name}"] = "the columns of numbers, side by side" + _codes(rest, numbers)
    else:
        seen.left |= dict.fromkeys(numbers, "one number per sample is no modality by itself")
    seen.options["modality"] = kinds


def _codes(rest: Sequence[Column], numbers: Sequence[str]) -> str:
    """How to declare category codes, by the example of some columns that may hold them; empty where none may."""
    few = [c.name for c in rest if c.name in numbers and c.form == "integer" and 2 <= len(c.values) <= _MOST_CODES]
    shown: list[str] = []
    for name in few:
        if not set(name) & set(',+="') and len("+".join([*shown, name])) <= _LONGEST_EXAMPLE:
            shown.append(name)
    return f"; if they hold category codes: tabular,categorical={'+'.join(shown)}" if shown else ""


def _kind(column: Column) -> tuple[str, str] | None:
    """Kind as `--modality` takes it, and what to check about it."""
    if column.form == "text":
        return ("text", "") if column.scalar and column.dtype == "text" else None
    dims = len(column.shape)
    if column.scalar or column.form in ("other", "bool"):
        return None
    guessed = "taken from its name; check it"
    if dims == 1 and _AUDIO.search(column.name):
        return "audio", f'{guessed}, and add the rate in Hz, as "audio,sample_rate=16000"'
    if dims <= 2 and _SERIES.search(column.name):
        return "series", guessed
    if dims <= 2 and _EMBEDDING.search(column.name):
        return "embedding", guessed
    if dims == 1:
        whole = column.form == "integer"
        return "tabular", "whole numbers; columns of category codes: tabular,categorical=0+3, or =none" if whole else ""
    if column.form == "list":
        return None
    channels = column.shape[-1] in (1, 3) or column.shape[0] in (1, 3)
    if dims == 3 and channels:
        return _image(column, "HWC" if column.shape[-1] in (1, 3) else "CHW")
    if dims == 2:
        return _image(column, "HW") if column.dtype == "uint8" else ("series", "two axes: series or image? check it")
    return None


def _image(column: Column, layout: str) -> tuple[str, str]:
    if column.dtype == "uint8":
        return "image", ""
    for low, high in ((0, 1), (-1, 1), (0, 255)):
        if low <= column.low and column.high <= high:
            return f"image,layout={layout},range={low}..{high}", "the range that its values lie in; check it"
    if column.low != column.low:
        return f"image,layout={layout}", "say its range, as range=0..1"
    return (
        f"image,layout={layout},range={column.low:g}..{column.high:g}",
        "its values are not 0..1: undo a normalisation",
    )


def _said(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _split(names: Sequence[Any]) -> set[str]:
    return {part for name in names if name for part in str(name).split(",")}
