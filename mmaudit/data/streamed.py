"""A data set whose values stay where they are stored until they are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mmaudit.data.cells import Cells
from mmaudit.data.checks import (
    check_cluster,
    check_groups,
    check_ids,
    check_lengths,
    check_positions,
    check_present,
    check_target,
)
from mmaudit.data.columns import is_missing, make_column, objects, sample_array
from mmaudit.data.fingerprint import content_fingerprint, sampled_fingerprint
from mmaudit.data.held import Held
from mmaudit.data.infer import KindLike, declared_kinds, describe, parse_kind
from mmaudit.data.items import item_column
from mmaudit.data.retrieval import require_task_modalities
from mmaudit.data.scan import check_recorded, find_present
from mmaudit.data.tasks import parse_task
from mmaudit.errors import BadInput
from mmaudit.kernels.positions import spread
from mmaudit.types import Array, Batch, BoolArray, IntArray, Modality, Task

_LOOKED_AT = 64
_BLOCK = 64


class StreamedData(Held):
    """Samples whose values are read on request, from `Cells` per modality. A `Dataset`; readers make it.

    Args:
        cells: modality name to its cells.
        target, task, ids, groups, cluster, present, candidates, source: as in `ArrayData`.
        kinds: modality name to kind or `Modality`, where the values leave a choice.
        whole: read every value once now: what cannot be decoded or does not fit is found before the first forward pass,
            values that are wholly NaN count as not recorded, sizes that differ anywhere make the modality ragged, and
            the fingerprint covers all content (`sha256:…`, the same as that of `ArrayData` with these values). False:
            64 evenly spaced samples are read now; the fingerprint covers these, ids, targets, presence and what the
            store tells of every value without reading it, such as the sizes of files (`sampled:…`). What is found
            wrong later is a `BadInput` then. Columns in memory, such as the numbers of a table, are looked through for
            NaN in any case.

    Raises:
        BadInput: anything that would make an audit wrong or fail later; names modality, sample id and remedy.
    """

    def __init__(
        self,
        cells: Mapping[str, Cells],
        target: Any,
        task: Task | str,
        *,
        kinds: Mapping[str, KindLike] | None = None,
        ids: Any | None = None,
        groups: Mapping[str, Any] | None = None,
        cluster: Any | None = None,
        present: Mapping[str, Any] | None = None,
        candidates: Any | None = None,
        source: str = "",
        whole: bool = False,
    ) -> None:
        if not cells:
            raise BadInput("the data set has no modalities; name at least one input.")
        self._cells = dict(cells)
        declared = declared_kinds(tuple(cells), None, kinds)
        lengths = {f"input {name!r}": len(c.recorded) for name, c in cells.items()}
        n = check_lengths(lengths if target is None else lengths | {"target": len(target)})
        self.ids = check_ids(ids, n)
        self._sample = spread(np.arange(n), _LOOKED_AT)
        self._present: dict[str, BoolArray] = {}
        self.modalities: tuple[Modality, ...] = ()
        for name, stored in self._cells.items():
            said = check_present(name, (present or {}).get(name), n) & stored.recorded
            check_recorded(name, said)
            modality = _described(name, stored, said, declared.get(name))
            if whole:
                modality, said = _looked_through(modality, stored, said, self.ids, declared.get(name))
                check_recorded(name, said)
            said.setflags(write=False)
            self._present[name] = said
            self.modalities += (modality,)
        self._by_name = {m.name: m for m in self.modalities}
        self.task = parse_task(task, target) if isinstance(task, str) else task
        require_task_modalities(self.task, self.modalities)
        self.target = check_target(self.task, target, self.ids)
        self.groups: Mapping[str, Array] = check_groups(groups, n)
        self.cluster = check_cluster(cluster, self.ids)
        self.source = source
        self.candidates = self._among(candidates)
        self._whole = whole

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the content: `sha256:…` with `whole`, else `sampled:…`."""
        if self._whole:
            return content_fingerprint(self)
        traits = (trait for name in self._cells for trait in self._cells[name].traits())
        return sampled_fingerprint(self, self._sample, traits)

    def values(self, modality: str, positions: IntArray) -> Array:
        """Return one modality of some rows; the others are not read."""
        chosen = check_positions(positions, len(self))
        said = self.presence(modality)[chosen]
        described, ids = self._by_name[modality], self.ids[chosen]
        read = self._cells[modality].read(chosen[said])
        items: list[Any] = [None] * len(chosen)
        for row, item in zip(np.flatnonzero(said).tolist(), read, strict=True):
            items[row] = item
        column = item_column(described, items, said, ids)
        found = find_present(described, column, said, ids)
        if not np.array_equal(found, said):
            lost = ids[int(np.flatnonzero(found != said)[0])].item()
            raise BadInput(
                f"modality {modality!r} was not recorded for sample id {lost!r}, but counts as present; read the data "
                "with whole=True, which finds out for every sample, or leave the cell empty."
            )
        return column.stored

    def rows(self, positions: IntArray) -> Batch:
        """Read some rows, see `Dataset`."""
        chosen = check_positions(positions, len(self))
        inputs = {name: self.values(name, chosen) for name in self._cells}
        present = {name: column[chosen] for name, column in self._present.items()}
        return Batch(inputs, present, self.target[chosen], self.ids[chosen], chosen)


def _described(name: str, cells: Cells, said: BoolArray, declared: KindLike | None) -> Modality:
    """Complete the description from evenly spaced samples that have the modality."""
    rows = spread(np.flatnonzero(said), _LOOKED_AT)
    seen = [item for item in cells.read(rows) if not is_missing(item)]
    given = parse_kind(name, declared) if isinstance(declared, str) else declared
    if not seen:
        if given is None or not (given.kind == "text" or given.shape):
            raise BadInput(f"modality {name!r} is missing in every sample looked at; declare it with shape and dtype.")
        return given
    found = describe(name, make_column(name, _as_items(seen)), given)
    # A few samples of equal shape do not make a declared ragged axis fixed.
    return dataclasses.replace(found, shape=tuple(given.shape)) if given is not None and given.ragged else found


def _looked_through(
    modality: Modality, cells: Cells, said: BoolArray, ids: Array, declared: KindLike | None
) -> tuple[Modality, BoolArray]:
    """Read every value once; return the modality with the axes that differ as None, and what was really recorded."""
    found = said.copy()
    shape: tuple[int | None, ...] = modality.shape
    # A declared shape is a promise to be kept; one that was read off a few samples gives way.
    promised = isinstance(declared, Modality) and bool(declared.shape)
    for block in np.array_split(np.arange(len(ids)), max(1, -(-len(ids) // _BLOCK))):
        rows = block[said[block]]
        items = list(cells.read(rows))
        here = np.array([not is_missing(item) for item in items], dtype=np.bool_)
        if modality.numeric and not promised:
            for item, there in zip(items, here, strict=True):
                if there:
                    shape = _widened(shape, sample_array(item, f"modality {modality.name!r}").shape)
        open_shape = dataclasses.replace(modality, shape=shape)
        column = item_column(open_shape, items, here, ids[rows])
        found[rows] = find_present(open_shape, column, here, ids[rows])
    return dataclasses.replace(modality, shape=shape), found


def _widened(shape: tuple[int | None, ...], seen: tuple[int, ...]) -> tuple[int | None, ...]:
    if len(shape) != len(seen):
        return shape  # another number of axes: refused by item_column, which names the sample
    return tuple(a if a == b else None for a, b in zip(shape, seen, strict=True))


def _as_items(seen: Sequence[Any]) -> Any:
    """Return the values as one column; NumPy scalars (a table's single numbers) stay numbers."""
    return seen if isinstance(seen[0], str) else objects(np.asarray(x) for x in seen).tolist()
