"""Modalities as a template speaks of them."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from mmaudit.starter.models import Named
from mmaudit.types import Modality, Task


@dataclass(frozen=True)
class Input:
    """A modality: its name, an identifier like it, what the model gets, and how that has to be prepared.

    `prepare` is `"text"`, `"ragged"` or empty; `size` is how many numbers a sample has once prepared.
    """

    name: str
    slug: str
    said: str
    kind: str
    dtype: str
    prepare: str
    size: int


def inputs_of(modalities: Sequence[Modality]) -> list[Input]:
    """Describe the modalities of a data set, under identifiers that differ."""
    found: list[Input] = []
    for modality in modalities:
        name = slug(modality.name)
        while name in {m.slug for m in found}:
            name += "_"
        prepare = "text" if modality.kind == "text" else "ragged" if modality.ragged else ""
        size = {"text": 256, "ragged": 3}.get(prepare) or prod(d or 1 for d in modality.shape)
        found.append(Input(modality.name, name, _said(modality), modality.kind, modality.dtype, prepare, size))
    return found


def order(what: Named, names: list[str]) -> list[str]:
    """The modalities in the order of the parameters, where these are called the same."""
    called = getattr(what.found, "forward", what.found if what.kind == "function" else None)
    if called is None:
        return names
    try:
        parameters = list(inspect.signature(called).parameters)
    except (TypeError, ValueError):  # compiled code
        return names
    return [p for p in parameters if p in names] if set(names) <= set(parameters) else names


def scale(what: Named, task: Task) -> str:
    """The scale of outputs that is usual for such a model; the file says to check it."""
    if task.kind == "regression":
        return "values"
    return "logits" if what.kind in ("torch", "onnx", "transformers") else "probabilities"


def slug(name: str) -> str:
    """An identifier that looks like the name."""
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()[:40] or "x"
    return f"x_{plain}" if plain[0].isdigit() or keyword.iskeyword(plain) else plain


def _said(modality: Modality) -> str:
    if modality.kind == "text":
        return "text, an array of str"
    shape = ", ".join("?" if d is None else str(d) for d in modality.shape)
    parts = [f"{modality.kind}, {modality.dtype} [n, {shape}]"]
    if modality.layout:
        parts.append(f"layout {modality.layout}")
    if modality.range:
        parts.append(f"{modality.range[0]:g} to {modality.range[1]:g}")
    if modality.sample_rate:
        parts.append(f"{modality.sample_rate:g} Hz")
    if modality.categorical:
        parts.append(f"category codes in columns {', '.join(map(str, modality.categorical))}")
    return ", ".join(parts)
