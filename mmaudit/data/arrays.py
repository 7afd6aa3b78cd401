"""A data set from arrays and lists in memory, or memory-mapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from mmaudit.data.checks import (
    check_cluster,
    check_groups,
    check_ids,
    check_lengths,
    check_positions,
    check_present,
    check_target,
)
from mmaudit.data.columns import make_column
from mmaudit.data.fingerprint import content_fingerprint
from mmaudit.data.held import Held
from mmaudit.data.infer import KindLike, declared_kinds, describe
from mmaudit.data.retrieval import require_task_modalities
from mmaudit.data.scan import check_recorded, find_present
from mmaudit.data.tasks import is_retrieval, parse_task
from mmaudit.errors import BadInput
from mmaudit.types import Array, Batch, BoolArray, IntArray, Modality, Task


class ArrayData(Held):
    """Samples given as one array or list per modality. A `Dataset`.

    Args:
        inputs: modality name to values: an array or tensor of numbers [n, …]; strings; a list of arrays of differing
            shapes, None where not recorded; or `Indexed` around one of these. Arrays are used in place, never changed;
            `numpy.load(…, mmap_mode="r")` keeps them on disk.
        target: class numbers or names [n]; 0/1 [n, labels]; or numbers [n] or [n, dims]. For retrieval what right
            candidates share with the query, such as a class id [n]; None: every sample is one of its own.
        task: a `Task`, or text as for the shell: see `parse_task`.
        modalities: descriptions that cannot be read off the values (range of float images, sample rate, …); any may be
            left out. Shape `()` is filled in from the values.
        kinds: shorter way to declare: modality name to kind, e.g. `{"voice": "audio,sample_rate=8000"}`, or
            `{"person": "tabular,categorical=0+3"}` for the columns that hold category codes; see `parse_kind`.
        ids: unique integers or strings [n]; numbered from 0 if left out. Pass your own when rows may be reordered.
        groups: columns to report by; name to values [n].
        cluster: what dependent samples share [n]; the bootstrap then resamples whole clusters.
        present: modality name to bool [n]; False: not recorded. None, or a numeric row wholly NaN, means the same.
        candidates: retrieval only, positions [n, K] of each query's candidates, its own among them; None for all
            samples (or those of its batch: `Task.retrieval`).
        source: where the data came from, for people.

    Raises:
        BadInput: anything that would make an audit wrong or fail later; names modality, sample id and remedy.
    """

    def __init__(
        self,
        inputs: Mapping[str, Any],
        target: Any,
        task: Task | str,
        *,
        modalities: Sequence[Modality] | None = None,
        kinds: Mapping[str, KindLike] | None = None,
        ids: Any | None = None,
        groups: Mapping[str, Any] | None = None,
        cluster: Any | None = None,
        present: Mapping[str, Any] | None = None,
        candidates: Any | None = None,
        source: str = "",
    ) -> None:
        if not isinstance(inputs, Mapping) or not inputs:
            raise BadInput("inputs must be a mapping of at least one modality name to its values.")
        declared = declared_kinds(tuple(inputs), modalities, kinds)
        unknown = [name for name in present or () if name not in inputs]
        if unknown:
            raise BadInput(
                f"present names {unknown[0]!r}, which is no input; inputs are {', '.join(map(repr, inputs))}."
            )
        self._columns = {name: make_column(name, given) for name, given in inputs.items()}
        lengths = {f"input {name!r}": len(c) for name, c in self._columns.items()}
        own = target is None and is_retrieval(task)
        n = check_lengths(lengths if own else lengths | {"target": _length(target)})
        self.modalities: tuple[Modality, ...] = tuple(
            describe(name, column, declared.get(name)) for name, column in self._columns.items()
        )
        self.task = parse_task(task, target) if isinstance(task, str) else task
        require_task_modalities(self.task, self.modalities)
        self.ids = check_ids(ids, n)
        self.target = check_target(self.task, target, self.ids)
        self.groups: Mapping[str, Array] = check_groups(groups, n)
        self.cluster = check_cluster(cluster, self.ids)
        self.source = source
        self._present: dict[str, BoolArray] = {}
        for modality in self.modalities:
            said = check_present(modality.name, (present or {}).get(modality.name), n)
            found = find_present(modality, self._columns[modality.name], said, self.ids)
            check_recorded(modality.name, found)
            found.setflags(write=False)
            self._present[modality.name] = found
        self.candidates = self._among(candidates)

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the whole content: `sha256:…`."""
        return content_fingerprint(self)

    def values(self, modality: str, positions: IntArray) -> Array:
        """Return one modality of some rows; values of rows that were not recorded are 0, "" or zeros."""
        chosen = check_positions(positions, len(self))
        return self._columns[modality].take(chosen, self.presence(modality)[chosen])

    def rows(self, positions: IntArray) -> Batch:
        """Read some rows, see `Dataset`. Arrays are copies: what a model does to them never reaches yours."""
        chosen = check_positions(positions, len(self))
        present = {name: column[chosen] for name, column in self._present.items()}
        inputs = {name: column.take(chosen, present[name]) for name, column in self._columns.items()}
        return Batch(inputs, present, self.target[chosen], self.ids[chosen], chosen)


def _length(target: Any) -> int:
    try:
        return len(target)
    except TypeError as error:
        raise BadInput(f"target is a single value ({target!r:.60}); expected one target per sample.") from error
