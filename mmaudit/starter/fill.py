"""Fill the templates. Names come from data files, so they go into code as literals and into comments without quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmaudit.errors import BadInput
from mmaudit.starter import files
from mmaudit.starter.described import inputs_of, order, scale, slug
from mmaudit.starter.models import Named
from mmaudit.starter.roles import Roles

if TYPE_CHECKING:
    from jinja2 import Environment

    from mmaudit.data import Dataset
    from mmaudit.types import Task

_LONGEST = 100
_SCALES = {
    "logits": 'logits (before softmax or sigmoid) or "probabilities"; check it, mmaudit does not guess',
    "probabilities": 'probabilities or "logits" (before softmax or sigmoid); check it, mmaudit does not guess',
    "values": "numbers in the target's unit",
}
_NOTES = {
    "data": "seen from this folder",
    "train": "the same file",
    "ids": "stable names of samples",
}
_READING = {"modality": "kinds", "group": "groups"}
_READS = ("task", "target", "modality", "columns", "ids", "group", "cluster", "split")
_KEYS = ("data", "target", "task", "ids", "group", "cluster", "split", "train", "train_split")


def adapter(what: Named, rows: Dataset, out: Path, given: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return the text of `audit_model.py`.

    Raises:
        BadInput: this sort of model has no adapter for the data's task.
    """
    task, inputs = rows.task, inputs_of(rows.modalities)
    if task.kind == "retrieval" and what.kind in ("sklearn", "function"):
        raise BadInput(f"--kind {what.kind} answers with a row per sample; the task is {task.said}: use --kind torch.")
    module, _, attribute = what.spec.partition(":")
    located = what.kind in ("onnx", "transformers") or what.spec.endswith(".skops")
    spec = _seen_from(what.spec, out) if located else what.spec
    outputs = given.get("outputs") or scale(what, task)
    return _environment().get_template(f"{what.kind}.py.j2").render(
        title=f"A {what.kind} model for mmaudit.",
        spec=_literal(spec) if spec else "",
        module=module,
        attribute=attribute,
        beside=_beside(what, out),
        modalities=inputs,
        prepared=[m for m in inputs if m.prepare],
        words=any(m.prepare == "text" for m in inputs),
        order=order(what, [m.name for m in inputs]),
        task=task,
        names=_clean(", ".join(task.names)),
        classes=_classes(what, task),
        frame=what.kind == "sklearn" and hasattr(what.found, "feature_names_in_"),
        skops=what.spec.endswith(".skops"),
        outputs=outputs,
        scales=_SCALES[outputs],
        weights=_literal(_seen_from(str(given["weights"]), out)) if given.get("weights") else "",
        label=_literal(_label(what)),
        **_of_files(what, rows),
    )  # fmt: skip


def configuration(model: str, seen: Roles, data: str) -> str:
    """Return the text of `audit.toml`."""
    options = {"model": model, **seen.options, "data": data}
    if "train_split" in options and "train" not in options:
        options["train"] = data
    notes = {**_NOTES, **seen.notes}
    return _environment().get_template("audit.toml.j2").render(
        options=options,
        model_note="make() in audit_model.py" if model.startswith("audit_model:") else "as you named it",
        said=[(k, options[k], _clean(notes.get(k, ""))) for k in _KEYS if k in options],
        possible=[(k, v, _clean(why)) for k, (v, why) in seen.possible.items()],
        left=seen.left,
        stem=slug(Path(data).stem),
        modality=[
            (name, kind, _clean(notes.get(f"modality.{name}", "")))
            for name, kind in dict(seen.options.get("modality", {})).items()
        ],
        columns=list(dict(seen.options.get("columns", {})).items()),
    )  # fmt: skip


def script(what: Named, rows: Dataset, out: Path, given: Mapping[str, Any], seen: Roles, data: str) -> str:
    """Return the text of `audit_predictions.py`."""
    outputs = given.get("outputs") or scale(what, rows.task)
    said = {_READING.get(k, k): v for k, v in seen.options.items() if k in _READS}
    spec = _seen_from(what.spec, out) if what.spec else "predictions.parquet"
    return _environment().get_template("precomputed.py.j2").render(
        modalities=inputs_of(rows.modalities),
        task=rows.task,
        spec=_literal(spec),
        data=_literal(data),
        reading=[(k, _python(v)) for k, v in said.items()],
        outputs=outputs,
        scales=_SCALES[outputs],
        stem=slug(Path(data).stem),
        label=_literal(_label(what) if what.spec else "precomputed answers"),
    )  # fmt: skip


def _python(value: Any) -> str:
    """A text, list or mapping of texts as Python."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_python(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_python, value)) + "]"
    return _literal(value) if isinstance(value, str) else repr(value)


def _label(what: Named) -> str:
    if not what.spec:
        return f"untrained {what.kind} stand-in"
    return what.spec.partition(":")[2] or Path(what.spec).resolve().stem


def _of_files(what: Named, rows: Dataset) -> dict[str, Any]:
    """What a model file says of itself."""
    if what.kind == "onnx":
        ports, matched = files.ports(Path(what.spec), [m.name for m in rows.modalities])
        return {"ports": ports, "matched": _python(matched) if matched else ""}
    if what.kind != "transformers":
        return {}
    adapter, home = files.hosted(Path(what.spec), rows.task)
    kinds = files.taken_for(rows.modalities)
    sounds = {m.name: m.sample_rate or 16000 for m in rows.modalities if m.kind == "audio"}
    places = " ".join("{" + name + "}" for name in sorted(kinds, key=lambda n: kinds[n] != "image"))
    return {
        "adapter": adapter,
        "home": home,
        "kinds": _python(kinds),
        "sounds": _python(sounds) if sounds else "",
        "prompt": _literal(f"{places} Answer:"),
    }


def _classes(what: Named, task: Task) -> str:
    """The classes' names: for models that are given words, and where an estimator's labels are in another order."""
    if what.kind == "transformers":
        return _python(task.names)
    known = [str(label) for label in getattr(what.found, "classes_", [])]
    if known and known != [str(i) for i in range(len(known))] and set(known) <= set(task.names):
        return _python(task.names)
    return ""


def _beside(what: Named, out: Path) -> str:
    """An expression for the folder of the user's module, where Python does not look by itself; else empty."""
    if what.beside is None or what.beside.resolve() == out.resolve():
        return ""
    return f"str(Path(__file__).parent / {_literal(_seen_from(str(what.beside), out))})"


def _seen_from(path: str, out: Path) -> str:
    from mmaudit.starter.write import beneath

    return beneath(path, out)


def _clean(text: str) -> str:
    """Text for a comment or a docstring: one line, nothing that ends or escapes it."""
    plain = "".join(c if c.isprintable() and c not in '\\"' else "'" if c == '"' else " " for c in str(text))
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def _literal(text: object) -> str:
    """A Python string in double quotes."""
    return json.dumps(str(text), ensure_ascii=True)


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=True).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = resources.files("mmaudit.starter")
    # What is written is Python and TOML: the filters below quote for these, HTML's escapes would be wrong.
    made = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=False,  # nosec B701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"python": _literal, "toml": _toml, "key": _key, "oneline": _clean}
    return made
