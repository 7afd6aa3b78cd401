"""A data set from a map-style torch Dataset. Needs no torch: items are indexed, tensors become arrays by themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mmaudit.data.checks import check_cluster, check_groups, check_ids, check_lengths, check_positions, check_present
from mmaudit.data.checks import check_target as checked_target
from mmaudit.data.columns import is_missing, make_column
from mmaudit.data.fingerprint import sampled_fingerprint
from mmaudit.data.held import Held
from mmaudit.data.infer import describe
from mmaudit.data.items import Parts, item_column, target_value
from mmaudit.data.scan import check_recorded, find_present
from mmaudit.data.tasks import is_retrieval, parse_task
from mmaudit.errors import BadInput
from mmaudit.kernels.positions import spread
from mmaudit.types import Array, Batch, BoolArray, IntArray, Modality, Task

_SAMPLED = 64
_READ_TWICE = 4
_BLOCK = 64


class TorchData(Held):
    """Samples of any object with `len(dataset)` and `dataset[i]`, read when asked for. A `Dataset`.

    Args:
        dataset: items are mappings from part name to value; or tuples (x1, x2, …, y) or ((x1, x2, …), y). Values are
            tensors, arrays, images, str; None where a modality was not recorded. An item must be the same each time it
            is read: switch random augmentation off.
        modalities: the inputs, in the order of a tuple's parts: a `Modality` (shape `()` is filled in from the items;
            ragged axes must be declared as None), or just a name where the values leave no doubt.
        task: `Task`, or text as in `parse_task`.
        names: what the parts of an item are called, in order, e.g. `("image", "length", "text", "label")`; parts that
            are neither a modality nor the target are skipped. Left out: the modalities, then the target. For
            mappings, only needed where the target is not under `target`, `label`, `labels` or `y`.
        ids, groups, cluster: as in `ArrayData`.
        target: the target column, if at hand. Without it, every item is read once now: targets are collected, every
            value is checked and presence is found out. With it, only 64 evenly spaced items are read now, and
            an item that is found wrong later is a `BadInput` then. Without it each item of a retrieval is one of its
            own, and needs no target.
        candidates: as in `ArrayData`.
        present: modality name to bool [n]; with `target`, needed for modalities that are not recorded everywhere.

    Raises:
        BadInput: an item that cannot be read, changes from one reading to the next, or does not fit its description.
    """

    def __init__(
        self,
        dataset: Any,
        modalities: Sequence[Modality | str],
        task: Task | str,
        *,
        names: Sequence[str] | None = None,
        ids: Any | None = None,
        groups: Mapping[str, Any] | None = None,
        cluster: Any | None = None,
        target: Any | None = None,
        present: Mapping[str, Any] | None = None,
        candidates: Any | None = None,
    ) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise BadInput(
                f"{type(dataset).__name__} has no length or cannot be indexed; an audit reads samples in any order, so "
                "pass a map-style torch Dataset (not an IterableDataset or DataLoader)."
            )
        declared = {m if isinstance(m, str) else m.name: None if isinstance(m, str) else m for m in modalities}
        if not declared or len(declared) < len(modalities):
            raise BadInput("modalities must be at least one Modality or name, each name once.")
        unknown = [name for name in present or () if name not in declared]
        if unknown:
            raise BadInput(f"present names {unknown[0]!r}, which is no modality; they are {', '.join(declared)}.")
        n = check_lengths({"torch data set": len(dataset)})
        self._dataset = dataset
        own = target is None and is_retrieval(task)
        self._parts = Parts(tuple(declared), tuple(names) if names is not None else None, target is not None or own)
        self.ids = check_ids(ids, n)
        # With both ends: errors are about item 0 where that will do, and what is appended or cut off is noticed.
        self._sample = np.union1d(spread(np.arange(1, n - 1), _SAMPLED - 2), [0, n - 1])
        self.modalities: tuple[Modality, ...] = self._described(declared)
        self._present = {name: check_present(name, (present or {}).get(name), n) for name in declared}
        self._known = False
        truth: Any = target if target is not None else self._read_all(own)
        self._known = True
        self.task = parse_task(task, truth) if isinstance(task, str) else task
        self.target = checked_target(self.task, truth, self.ids)
        self.groups: Mapping[str, Array] = check_groups(groups, n)
        self.cluster = check_cluster(cluster, self.ids)
        for name, column in self._present.items():
            check_recorded(name, column)
            column.setflags(write=False)
        self.candidates = self._among(candidates)
        self._check_repeatable()

    @cached_property
    def fingerprint(self) -> str:
        """Identity of ids, target, groups, presence and 64 evenly spaced items: `sampled:…`."""
        return sampled_fingerprint(self, self._sample)

    def rows(self, positions: IntArray) -> Batch:
        """Read some items, see `Dataset`."""
        chosen = check_positions(positions, len(self))
        items = [self._item(i) for i in chosen.tolist()]
        inputs, present = self._assemble([inputs for inputs, _ in items], chosen)
        return Batch(inputs, present, self.target[chosen], self.ids[chosen], chosen)

    def _item(self, position: int) -> tuple[dict[str, Any], Any]:
        try:
            item = self._dataset[position]
        except Exception as error:
            raise BadInput(
                f"the torch data set raised {type(error).__name__} for item {position}: {error}; "
                "every item from 0 to len − 1 must be readable."
            ) from error
        return self._parts.split(item, position)

    def _read_all(self, own: bool) -> list[Any] | None:
        """Read every item once: return the targets, if there are any, and narrow presence to what is really there."""
        targets: list[Any] = []
        for start in range(0, len(self), _BLOCK):
            positions = np.arange(start, min(start + _BLOCK, len(self)))
            items = [self._item(i) for i in positions.tolist()]
            if not own:
                targets += [target_value(item[1], int(p)) for item, p in zip(items, positions, strict=True)]
            _, found = self._assemble([inputs for inputs, _ in items], positions)
            for name, column in found.items():
                self._present[name][positions] = column
        return None if own else targets

    def _assemble(
        self, items: Sequence[Mapping[str, Any]], positions: IntArray
    ) -> tuple[dict[str, Array], dict[str, BoolArray]]:
        inputs: dict[str, Array] = {}
        present: dict[str, BoolArray] = {}
        ids = self.ids[positions]
        for modality in self.modalities:
            said = self._present[modality.name][positions]
            column = item_column(modality, [item[modality.name] for item in items], said, ids)
            found = find_present(modality, column, said, ids)
            if self._known and not np.array_equal(found, said):
                lost = ids[int(np.flatnonzero(found != said)[0])].item()
                raise BadInput(
                    f"modality {modality.name!r} was not recorded for sample id {lost!r}, but counts as present; pass "
                    "present=, or leave out target= so that every item is looked at first."
                )
            inputs[modality.name] = column.stored if found.all() else column.take(np.arange(len(items)), found)
            present[modality.name] = found
        return inputs, present

    def _described(self, declared: Mapping[str, Modality | None]) -> tuple[Modality, ...]:
        """Complete the descriptions from the evenly spaced items."""
        items = [self._item(i)[0] for i in np.union1d(0, spread(self._sample, 16)).tolist()]
        made: list[Modality] = []
        for name, given in declared.items():
            seen = [item[name] for item in items if not is_missing(item[name])]
            if seen:
                found = describe(name, make_column(name, seen), given)
                # A few items of equal shape do not make a declared ragged axis fixed.
                ragged = given is not None and given.ragged
                made.append(dataclasses.replace(found, shape=tuple(given.shape)) if ragged and given else found)
            elif given is not None and (given.kind == "text" or given.shape):
                made.append(given)
            else:
                raise BadInput(
                    f"modality {name!r} is missing in every item looked at; declare it with shape and dtype."
                )
        return tuple(made)

    def _check_repeatable(self) -> None:
        """Read a few items twice: an item that changes would be audited as if the probe had changed it."""
        chosen = spread(self._sample, _READ_TWICE)
        first, second = self.rows(chosen).inputs, self.rows(chosen).inputs
        for name in first:
            for row, (a, b) in enumerate(zip(first[name], second[name], strict=True)):
                if not np.array_equal(a, b):
                    raise BadInput(
                        f"modality {name!r} of item {chosen[row]} differs between two readings; "
                        "switch random augmentation off, an audit needs the same sample each time."
                    )
