"""What the rest of the package needs of a data set, and what can be done with any of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mmaudit.data.checks import check_groups, check_lengths, check_positions, check_target
from mmaudit.data.columns import Column
from mmaudit.data.fingerprint import subset_fingerprint
from mmaudit.data.retrieval import among, check_candidates, require_task_modalities
from mmaudit.data.scan import check_recorded, find_present
from mmaudit.errors import BadInput
from mmaudit.types import Array, Batch, BoolArray, IntArray, Modality, Task


@runtime_checkable
class Dataset(Protocol):
    """Samples of several modalities with their truth: n rows, read some at a time, in any order.

    Ids, target, groups, cluster and presence are held in memory (a few bytes per sample); the modalities' values are
    read by `rows` only, so a data set may be larger than memory. `ArrayData`, `read_npz`, `FrameData`,
    `read_parquet` and `TorchData` make one; any object with these attributes is one (`check` says what it lacks).
    A data set for retrieval may have `candidates`, int64[n, K], the positions of each query's (−1: none), too.

    Values of a sample that was not recorded are 0, "" or an array of zeros; no NaN or infinity ever leaves `rows`.
    """

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The inputs, at least one, of unique names."""

    @property
    def task(self) -> Task:
        """What a target and an output row mean."""

    @property
    def ids(self) -> Array:
        """Stable, unique sample ids, int64[n] or str[n]: a sample's perturbation depends on its id."""

    @property
    def target(self) -> Array:
        """The truth: int64[n] (classification; retrieval: what right candidates share), int8[n, labels] (multilabel) or
        float64[n, dims] (regression).
        """

    @property
    def groups(self) -> Mapping[str, Array]:
        """Columns to report by, such as site or speaker: name to str[n]. May be empty."""

    @property
    def cluster(self) -> Array | None:
        """What samples that are not independent share (patient, speaker), int64[n] or str[n]; None: all independent."""

    @property
    def fingerprint(self) -> str:
        """Identity of the content: `sha256:…`, or `sampled:…` where only some rows are read. Cheap when asked again."""

    def __len__(self) -> int:
        """Number of samples n."""

    def presence(self, modality: str) -> BoolArray:
        """Return bool[n]: whether the modality was recorded for each sample. Raises `UnknownName`."""

    def rows(self, positions: IntArray) -> Batch:
        """Read the samples at these positions (any order, repeats allowed).

        Text and ragged modalities come as one-dimensional object arrays, others as arrays [rows, *shape].
        Raises `BadInput` for a position outside [0, n).
        """


def values(data: Dataset, modality: str, positions: IntArray) -> Array:
    """Return one modality of some rows, without reading the others where the data set can."""
    read = getattr(data, "values", None)
    out: Array = data.rows(positions).inputs[modality] if read is None else read(modality, positions)
    return out


def subset(data: Dataset, positions: Any) -> Subset:
    """Return a data set of some rows, in the order given; ids, and so perturbations, stay the same.

    Raises:
        BadInput: no rows, a row twice, a position outside the data set, one class or a modality nowhere recorded.
    """
    return Subset(data, positions)


class Subset:
    """Some rows of another data set; see `subset`."""

    def __init__(self, data: Dataset, positions: Any) -> None:
        self.base = data
        self.base_positions = check_positions(positions, len(data))
        if not len(self.base_positions):
            raise BadInput("the subset is empty: 0 samples chosen; choose at least 2, of different targets.")
        if len(np.unique(self.base_positions)) < len(self.base_positions):
            raise BadInput("the subset holds a sample twice; sample ids must be unique, so choose each row once.")
        self.modalities = data.modalities
        self.task = data.task
        self.ids: Array = data.ids[self.base_positions]
        self.target = check_target(data.task, data.target[self.base_positions], self.ids)
        self.groups: Mapping[str, Array] = {name: x[self.base_positions] for name, x in data.groups.items()}
        self.cluster = None if data.cluster is None else data.cluster[self.base_positions]
        self.candidates = among(getattr(data, "candidates", None), self.base_positions, len(data))
        for modality in data.modalities:
            check_recorded(modality.name, self.presence(modality.name))

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the whole data set and of the choice and order of rows."""
        return subset_fingerprint(self.base.fingerprint, self.base_positions)

    def __len__(self) -> int:
        return len(self.base_positions)

    def presence(self, modality: str) -> BoolArray:
        """Return bool[n], see `Dataset`."""
        return self.base.presence(modality)[self.base_positions]

    def values(self, modality: str, positions: IntArray) -> Array:
        """Return one modality of some rows."""
        return values(self.base, modality, self.base_positions[check_positions(positions, len(self))])

    def rows(self, positions: IntArray) -> Batch:
        """Read some rows, see `Dataset`; positions are places in the subset."""
        chosen = check_positions(positions, len(self))
        batch = self.base.rows(self.base_positions[chosen])
        return Batch(batch.inputs, batch.present, batch.target, batch.ids, chosen)

    def subset(self, positions: Any) -> Subset:
        """Return some rows of these rows."""
        return Subset(self.base, self.base_positions[check_positions(positions, len(self))])


_NEEDED = ("modalities", "task", "ids", "target", "groups", "cluster", "fingerprint", "presence", "rows", "__len__")


def check(data: Any) -> None:
    """Check any data set, also one of the user's own making, before it is used.

    Whole columns are checked completely, the modalities' values on the first and the last row.

    Raises:
        BadInput: an attribute is missing, or a column, a description or a row contradicts the others.
    """
    lacking = [name for name in _NEEDED if name not in dir(data)]
    if lacking:
        raise BadInput(
            f"{type(data).__name__} is not a data set: it has no {', '.join(lacking)}; make one with "
            "ArrayData, read_npz, FrameData, read_parquet or TorchData."
        )
    names = [m.name for m in data.modalities]
    if not names:
        raise BadInput("the data set has no modalities; expected at least one input.")
    if len(set(names)) < len(names):
        raise BadInput(f"modality names are not unique: {', '.join(map(repr, names))}.")
    n = check_lengths({"data set": len(data), "ids": len(data.ids), "target": len(data.target)})
    require_task_modalities(data.task, data.modalities)
    _same_form("ids", data.ids, _unique_ids(data.ids, n))
    _same_form("target", data.target, check_target(data.task, data.target, data.ids))
    check_groups(data.groups, n)
    if data.cluster is not None:
        check_lengths({"data set": n, "cluster": len(data.cluster)})
    for name in names:
        present = data.presence(name)
        if present.dtype != np.bool_ or present.shape != (n,):
            raise BadInput(f"presence({name!r}) is {present.dtype} {list(present.shape)}; expected bool [{n}].")
        check_recorded(name, present)
    if data.task.kind == "retrieval":
        check_candidates(data.task, getattr(data, "candidates", None), data.presence(data.task.target_modality))
    _check_rows(data, np.array([0, n - 1]))


def _unique_ids(ids: Array, n: int) -> Array:
    from mmaudit.data.checks import check_ids

    return check_ids(ids, n)


def _same_form(what: str, given: Array, wanted: Array) -> None:
    same_kind = given.dtype == wanted.dtype or (wanted.dtype.kind == "U" and given.dtype.kind in "UO")
    if not same_kind or given.shape != wanted.shape:
        raise BadInput(
            f"{what} is {given.dtype} {list(given.shape)}; expected {wanted.dtype} {list(wanted.shape)} in a data set."
        )


def _check_rows(data: Dataset, positions: IntArray) -> None:
    batch = data.rows(positions)
    if set(batch.inputs) != {m.name for m in data.modalities} or set(batch.present) != set(batch.inputs):
        raise BadInput(
            f"rows() gives inputs {sorted(batch.inputs)} and present {sorted(batch.present)}; expected every modality."
        )
    for what, got, wanted in (
        ("ids", batch.ids, data.ids[positions]),
        ("target", batch.target, data.target[positions]),
        ("positions", batch.positions, positions),
        *((f"present[{m.name!r}]", batch.present[m.name], data.presence(m.name)[positions]) for m in data.modalities),
    ):
        if not np.array_equal(got, wanted):
            raise BadInput(f"rows({positions.tolist()}) gives {what} {got!r}, but the column says {wanted!r}.")
    for modality in data.modalities:
        check_inputs(modality, batch.inputs[modality.name], batch.present[modality.name], batch.ids)


def check_inputs(modality: Modality, inputs: Array, present: BoolArray, ids: Array) -> None:
    """Check that some rows of one modality are as it describes them, and usable.

    Raises:
        BadInput: wrong container, shape or dtype, or NaN, infinite or out-of-range values in a recorded row.
    """
    who = f"modality {modality.name!r}"
    if modality.kind == "text" or modality.ragged:
        if inputs.dtype != object or inputs.shape != (len(ids),):
            raise BadInput(f"{who}: rows come as {inputs.dtype} {list(inputs.shape)}; expected object [{len(ids)}].")
        for row, value in enumerate(inputs):
            good = isinstance(value, str) if modality.kind == "text" else fits(modality, value)
            if not good:
                raise BadInput(f"{who}: sample id {ids[row].item()!r} is {_form(value)}; expected {_wanted(modality)}.")
    elif inputs.shape[:1] != (len(ids),) or not fits(modality, inputs[0]):
        raise BadInput(f"{who}: rows are {_form(inputs[0])} each; expected {_wanted(modality)}.")
    form = "text" if modality.kind == "text" else "ragged" if modality.ragged else "dense"
    still = find_present(modality, Column(form, inputs, np.zeros(len(ids), np.bool_)), present, ids)  # type: ignore[arg-type]
    if not np.array_equal(still, present):
        lost = int(np.flatnonzero(still != present)[0])
        raise BadInput(f"{who} is NaN for sample id {ids[lost].item()!r}, which is marked as present.")


def fits(modality: Modality, value: Any) -> bool:
    """Whether one sample has the modality's dtype and shape (None matches any size)."""
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.name != modality.dtype:
        return False
    pairs = zip(modality.shape, value.shape, strict=False)
    return len(value.shape) == len(modality.shape) and all(a is None or a == b for a, b in pairs)


def _form(value: Any) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray | np.generic) else type(value).__name__


def _wanted(modality: Modality) -> str:
    if modality.kind == "text":
        return "str"
    return f"{modality.dtype} {['any' if size is None else size for size in modality.shape]}"
