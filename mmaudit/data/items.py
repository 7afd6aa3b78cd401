"""The items of a torch data set: which part is which, and columns of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from mmaudit.data.columns import Column, as_array, is_missing, objects, sample_array
from mmaudit.data.dataset import fits
from mmaudit.data.keys import TARGETS
from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray, Modality


class Parts:
    """Takes items apart into inputs by modality, and a target.

    Args:
        modalities: names of the inputs.
        names: what the parts are called, in order; None for the modalities, then the target.
        target_given: whether items may lack the target, because the caller has it.
    """

    def __init__(self, modalities: tuple[str, ...], names: tuple[str, ...] | None, target_given: bool = False) -> None:
        self._modalities = modalities
        self._target_given = target_given
        self._names = names
        lacking = [name for name in modalities if names is not None and name not in names]
        if lacking:
            raise BadInput(
                f"names {list(names or ())} lack modality {lacking[0]!r}; name every part of an item in order."
            )

    def split(self, item: Any, position: int) -> tuple[dict[str, Any], Any]:
        """Return inputs by modality, and the target; None where the item has none that can be told."""
        who = f"item {position} of the torch data set"
        pair = isinstance(item, tuple | list) and len(item) == 2
        if pair and isinstance(item[0], Mapping):
            found, target = dict(item[0]), item[1]
        elif isinstance(item, Mapping) or self._named(item):
            found = dict(item if isinstance(item, Mapping) else item._asdict())
            target = found.get(self._target(found))
        elif isinstance(item, tuple | list):
            flat = (*item[0], item[1]) if pair and self._nested(item[0]) else tuple(item)
            found = dict(zip(self._called(flat, who), flat, strict=True))
            target = found.get(self._target(found))
        else:
            raise BadInput(f"{who} is a {type(item).__name__}; expected a mapping or a tuple.")
        lacking = [name for name in self._modalities if name not in found]
        if lacking:
            raise BadInput(f"{who} has no {lacking[0]!r}; it has {', '.join(map(str, found))}.")
        return {name: found[name] for name in self._modalities}, target

    def _named(self, item: Any) -> bool:
        """Whether it is a named tuple whose fields are the modalities, in whatever order."""
        return self._names is None and set(self._modalities) <= set(getattr(item, "_fields", ()))

    def _nested(self, first: Any) -> bool:
        inputs = len(self._modalities) if self._names is None else len(self._names) - 1
        return isinstance(first, tuple | list) and len(first) == inputs

    def _called(self, flat: Sequence[Any], who: str) -> tuple[str, ...]:
        names = self._names or (*self._modalities, "target")
        if self._names is None and self._target_given and len(flat) == len(self._modalities):
            names = self._modalities
        if len(names) != len(flat):
            raise BadInput(
                f"{who} has {len(flat)} parts, expected {len(names)}: {', '.join(names)}; say what the parts are "
                "with names=(…)."
            )
        return names

    def _target(self, found: Collection[str]) -> str | None:
        others = [x for x in (self._names or found) if x in found and x not in self._modalities]
        usual = [x for x in others if x in TARGETS]
        if len(usual) == 1:
            return usual[0]
        return others[0] if len(others) == 1 and self._names is not None else None


def target_value(target: Any, position: int) -> Any:
    """Return an item's target as text, number or list of numbers; None is refused, naming the item."""
    if is_missing(target):
        raise BadInput(
            f"item {position} of the torch data set has no target; it is looked for under {', '.join(TARGETS)} or as a "
            "tuple's last part. Say what the parts are with names=(…), or pass target=."
        )
    return target if isinstance(target, str) else as_array(target, f"target of item {position}").tolist()


def item_column(modality: Modality, items: Sequence[Any], said: BoolArray, ids: Array) -> Column:
    """Return one modality of some items as the description has it; what was not recorded becomes 0, "" or zeros.

    Raises:
        BadInput: an item of another type, dtype or shape; names modality and sample id.
    """
    absent = np.array([is_missing(x) for x in items], dtype=np.bool_) | ~said
    nothing: Any = ""
    if modality.numeric:
        nothing = np.zeros([1 if size is None else size for size in modality.shape], modality.dtype)
    rows: list[Any] = []
    for item, gone, sample in zip(items, absent, ids.tolist(), strict=True):
        rows.append(nothing if gone else _value(modality, item, sample))
    if modality.kind == "text":
        return Column("text", objects(rows), absent, blank=nothing)
    if modality.ragged:
        return Column("ragged", objects(rows), absent, blank=nothing)
    dense = np.stack(rows) if rows else np.zeros((0, *nothing.shape), modality.dtype)
    return Column("dense", dense, absent)


def _value(modality: Modality, item: Any, sample: Any) -> Any:
    who = f"modality {modality.name!r}, sample id {sample!r}"
    if modality.kind == "text":
        if not isinstance(item, str):
            raise BadInput(
                f"{who}: {type(item).__name__} came, expected str; text stays text until the model reads it."
            )
        return str(item)
    value = sample_array(item, who)
    if not fits(modality, value):
        wanted = ["any" if size is None else size for size in modality.shape]
        raise BadInput(
            f"{who}: {value.dtype} {list(value.shape)} came, expected {modality.dtype} {wanted}; every sample must be "
            "as described (declare None for an axis that differs)."
        )
    return value.copy() if modality.ragged else value
