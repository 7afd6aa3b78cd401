"""Splits: what a reference trains on, chooses its checkpoint on, and is audited on never overlap.

That is so for what is trained here. The audited model's frozen encoders may have been trained on the rows held out; see
`optimism.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mmaudit.crossfit.folds import grouped_folds, strata, units
from mmaudit.data import Dataset
from mmaudit.data.checks import some_samples
from mmaudit.data.dataset import Subset
from mmaudit.data.scan import BLOCK_BYTES
from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray, IntArray, Modality, Task

FEWEST_TRAINING, FEWEST_VALIDATION = 8, 4
# With fewer different rows, or one that makes up more than this share, values are codes, which nobody copied.
FEWEST_VALUES, LARGEST_SHARE = 50, 0.05
# Where more than this share of the training rows have the values of another one, values are codes or bits, and equal
# rows are no sign of a copy.
REPEATING = 0.05
# Values that repeat by nature do so in both data sets. Where one repeats more than so many times as often as the other,
# its rows were duplicated (over-sampled, merged twice), and that says nothing about the values.
COMPARABLE = 2.0


def split(data: Dataset, *, validation: float = 0.2, seed: int = 0) -> tuple[IntArray, IntArray]:
    """Return positions of the training rows and of the validation rows of a user's training data.

    Clusters (`data.cluster`) stay whole, and copies of a row stay together: rows of equal values in all modalities, as
    over-sampling leaves them; of a retrieval, also rows of one identity. Not so where values are codes, or identities
    classes, of which a few make up the data. Classes are spread evenly, and within a class the values of the group
    columns, as far as whole clusters allow. Both are sorted; every row is in exactly one of the two.

    Args:
        data: the training data; no row of it may be audited (`require_disjoint`).
        validation: share of rows to choose checkpoints and hyper-parameters on, in (0, 1). Whole clusters may make it
            larger or smaller.
        seed: of the random choice.

    Raises:
        BadInput: too few rows or clusters, or a part of one class, or in which no target varies.
    """
    if not 0 < validation < 1:
        raise BadInput(f"validation is {validation}; expected the share of rows to hold out, between 0 and 1.")
    n = len(data)
    needed = max(ceil(FEWEST_TRAINING / (1 - validation)), ceil(FEWEST_VALIDATION / validation))
    if n < needed:
        raise BadInput(
            f"the training data has {n} samples; holding out {validation:.0%} of them for validation needs at least "
            f"{needed}."
        )
    unit = _joined(units(data.cluster, n), _digests(data, [(m, True) for m in data.modalities]))
    if data.task.kind == "retrieval":
        unit = _joined(unit, np.asarray(data.target).astype("S"))
    clusters = int(unit.max()) + 1
    if clusters < 2:
        raise BadInput(
            f"all {n:,} training samples are of one cluster ({str(np.asarray(data.cluster)[0])!r}), so none can be "
            "held out for validation; give training data of at least 2 clusters."
        )
    share = Fraction(validation).limit_denominator(max(20, ceil(1 / min(validation, 1 - validation))))
    parts = min(max(share.denominator, 2), clusters)
    held = min(max(1, round(validation * parts)), parts - 1)
    fold = grouped_folds(unit, _strata(data, clusters), parts, seed)
    # Folds of whole clusters differ in size: those nearest to the share wanted are held out.
    size = np.bincount(fold, minlength=parts)
    chosen = np.argsort(np.abs(size - n * validation / held), kind="stable")[:held]
    out = np.isin(fold, chosen)
    training, valid = np.flatnonzero(~out), np.flatnonzero(out)
    require_variation(data.task, data.target[training], "training", clusters < n)
    require_variation(data.task, data.target[valid], "validation", clusters < n)
    return training, valid


def _joined(unit: IntArray, value: Array) -> IntArray:
    """Return the units, those that have a row of equal value in common as one; as they are where values are codes.

    Args:
        unit: `int64[n]`.
        value: `bytes[n]`; b"" equals nothing.
    """
    _, first, inverse = np.unique(value, return_index=True, return_inverse=True)
    there, count = value != b"", int(unit.max()) + 1
    links = coo_array((there[there], (unit[there], unit[first[inverse]][there])), shape=(count, count))
    fewer, of_unit = connected_components(links, directed=False)
    merged = of_unit[unit]
    largest = max(int(np.bincount(merged).max()), 1)
    if fewer == count or fewer < FEWEST_VALUES or largest > max(LARGEST_SHARE * len(unit), np.bincount(unit).max()):
        return unit
    return np.asarray(merged, np.int64)


def _strata(data: Dataset, clusters: int) -> IntArray:
    found = np.zeros(len(data), np.int64) if data.task.kind == "retrieval" else strata(data.target)
    if clusters < len(data):
        return found
    # Rows are dealt in this order, so within a class the groups are spread too.
    for name in sorted(data.groups):
        _, code = np.unique(data.groups[name], return_inverse=True)
        _, found = np.unique(found * (int(code.max()) + 1) + code, return_inverse=True)
        found = found.astype(np.int64)
    return found


def require_variation(task: Task, target: Array, part: str, clustered: bool = False) -> None:
    """Raise `BadInput` where nothing can be learned from a part's targets, because they are all the same."""
    if task.kind == "retrieval":
        return
    remedy = (
        "clusters stay whole, and these hold too few of the others; give more clusters of each"
        if clustered
        else "give more samples of the others"
    )
    if task.kind == "classification":
        found = np.unique(target)
        if len(found) < 2:
            name = task.names[int(found[0])]
            raise BadInput(
                f"the {part} part, {len(target):,} samples, is of one class ({name!r}), so a reference method has "
                f"nothing to learn; {remedy}."
            )
        return
    rows = np.asarray(target, np.float64).reshape(len(target), -1)
    if not np.any(rows != rows[0]):
        what = "label" if task.kind == "multilabel" else "target"
        raise BadInput(
            f"the {part} part, {len(target):,} samples, has the same {what} everywhere, so a reference method has "
            f"nothing to learn; {remedy}."
        )


@dataclass(frozen=True, eq=False)
class Shared:
    """What training data and audited samples have in common.

    Attributes:
        training: positions in the training data of rows that are audited too, sorted.
        audited: positions of the audited samples that are in the training data too, sorted.
        clusters: values of the cluster column that occur in both, as text, sorted.
        natural: equal rows say nothing here, since values repeat as often within the training data and within the
            audited data; the first two attributes then hold only rows that are known to be the same.
        excused: how many audited samples have the values of a training row and are not in `audited`, because values
            are `natural`.
    """

    training: IntArray
    audited: IntArray
    clusters: tuple[str, ...]
    natural: bool
    excused: int = 0

    @property
    def note(self) -> str:
        """What a reader must know of equal rows that were let pass; empty where there are none."""
        if not self.excused:
            return ""
        return (
            f"{self.excused:,} audited samples have the values of a training row; values repeat as often within "
            "either data set, so that was taken for chance, not for copies"
        )


def shared(train: Dataset, audited: Dataset) -> Shared:
    """Return what two data sets have in common: rows of equal values in all modalities, of whatever id, and clusters.

    Rows are compared by 128 bits of digest over all modalities both have, read a few MiB at a time. Two subsets of one
    data set are compared by their positions as well. Rows in which nothing is recorded are not compared.

    Where values are codes or bits, equal rows are no copies. They are taken for that where rows repeat within the
    training data, no less than half as often as an audited row is found there, and within the audited data at a
    comparable rate, measured on equally many rows. Rows equal in values and id are copies all the same. Copies hide
    where both data sets were duplicated alike before, or where most rows of both are one and the same (empty, say).

    Raises:
        BadInput: they have no modality in common, or differ in what a modality is.
    """
    both = _common(train, audited)
    mine, theirs = _digests(train, both), _digests(audited, both)
    same_train = np.isin(mine, theirs) & (mine != b"")
    same_audited = np.isin(theirs, mine) & (theirs != b"")
    natural = _natural(mine, theirs, float(same_audited.mean()))
    matched = same_audited
    if natural:
        same_train, same_audited = _same_ids(train, audited, mine, theirs)
    if train.fingerprint == audited.fingerprint:
        same_train[:], same_audited[:] = True, True
    elif isinstance(train, Subset) and isinstance(audited, Subset) and _one_base(train, audited):
        same_train |= np.isin(train.base_positions, audited.base_positions)
        same_audited |= np.isin(audited.base_positions, train.base_positions)
    clusters: set[str] = set()
    if train.cluster is not None and audited.cluster is not None:
        clusters = {str(x) for x in np.intersect1d(_text(train.cluster), _text(audited.cluster))}
    excused = int((matched & ~same_audited).sum())
    return Shared(np.flatnonzero(same_train), np.flatnonzero(same_audited), tuple(sorted(clusters)), natural, excused)


def _natural(mine: Array, theirs: Array, found: float) -> bool:
    """Whether the values repeat by nature, given the digests and the share of audited rows that training rows equal."""
    train, audited = _counts(mine), _counts(theirs)
    # Rows drawn independently have a twin among the training rows about as often as those have among themselves.
    repeated = _with_twin(train, 1.0)
    if repeated <= REPEATING or found > 2 * repeated:
        return False
    fewer = min(train.sum(), audited.sum()) - 1
    rates = [_with_twin(c, fewer / max(1, c.sum() - 1)) for c in (train, audited)]
    return 0 < max(rates) <= COMPARABLE * min(rates)


def _counts(digests: Array) -> IntArray:
    """How often each value occurs."""
    return np.unique(digests[digests != b""], return_counts=True)[1].astype(np.int64)


def _with_twin(counts: IntArray, share: float) -> float:
    """Expected share of rows with an equal one among a random `share` of the other rows."""
    return float((counts * (1 - (1 - share) ** (counts - 1.0))).sum() / max(1, counts.sum()))


def _same_ids(train: Dataset, audited: Dataset, mine: Array, theirs: Array) -> tuple[BoolArray, BoolArray]:
    """Which rows equal one of the same id in the other data set.

    None where ids are mere row numbers: most equal ids then stand for different values, but for those equal by chance.
    """
    same_train, same_audited = np.zeros(len(mine), np.bool_), np.zeros(len(theirs), np.bool_)
    _, here, there = np.intersect1d(_text(train.ids), _text(audited.ids), return_indices=True)
    equal = (mine[here] == theirs[there]) & (mine[here] != b"")
    values, counts = np.unique(mine[mine != b""], return_counts=True)
    times = dict(zip(values.tolist(), counts.tolist(), strict=True))
    chance = sum(times.get(value, 0) for value in theirs.tolist()) / (len(mine) * len(theirs))
    if equal.any() and equal.mean() > (1 + chance) / 2:
        same_train[here[equal]], same_audited[there[equal]] = True, True
    return same_train, same_audited


def require_disjoint(train: Dataset, audited: Dataset, *, shared_clusters: bool = False) -> Shared:
    """Return what training data and audited samples share, which may be equal values that say nothing (`Shared.note`).

    Raises `BadInput` where audited samples, or clusters of them, are in the training data; see `shared`.

    Args:
        train: what references are to be trained on.
        audited: the samples of the run.
        shared_clusters: allow clusters in both, for a split that leaves them together on purpose (new recordings of the
            same speakers), or cluster columns whose equal values mean different things.
    """
    found = shared(train, audited)
    if len(found.audited):
        twin = train.ids[found.training[0]].item()
        raise BadInput(
            f"{len(found.audited):,} of {len(audited):,} audited samples are in the training data too: "
            f"{some_samples(audited.ids, found.audited)} (in the training data {twin!r} is such a row); "
            "a reference trained on them would look better than it is. Leave them out of the training data: "
            f"{len(found.training):,} of its {len(train):,} rows."
        )
    if found.clusters and not shared_clusters:
        names = ", ".join(map(repr, found.clusters[:3]))
        more = f" and {len(found.clusters) - 3:,} more" if len(found.clusters) > 3 else ""
        raise BadInput(
            f"{len(found.clusters):,} clusters are both in the training data and among the audited samples ({names}"
            f"{more}); a reference could recognise them. Leave them out of the training data, or allow shared clusters "
            "where the audited model was trained on the same split, or equal values mean different clusters."
        )
    return found


def without(train: Dataset, audited: Dataset) -> IntArray:
    """Return positions of the training rows that are not audited and whose cluster is not; see `shared`."""
    found = shared(train, audited)
    keep = np.ones(len(train), np.bool_)
    keep[found.training] = False
    if found.clusters:
        keep &= ~np.isin(_text(np.asarray(train.cluster)), np.array(found.clusters))
    return np.flatnonzero(keep)


def _one_base(train: Subset, audited: Subset) -> bool:
    return train.base is audited.base or train.base.fingerprint == audited.base.fingerprint


def _text(values: Array) -> Array:
    return np.asarray(values).astype(np.str_)


def _common(train: Dataset, audited: Dataset) -> list[tuple[Modality, bool]]:
    """Modalities of both, and whether both hold the same dtype."""
    others = {m.name: m for m in audited.modalities}
    both = []
    for m in train.modalities:
        other = others.get(m.name)
        if other is None:
            continue
        if other.kind != m.kind:
            raise BadInput(
                f"modality {m.name!r} is {m.kind} in the training data and {other.kind} in the audited data."
            )
        both.append((m, m.dtype == other.dtype))
    if not both:
        raise BadInput(
            "training data and audited samples have no modality in common: "
            f"{', '.join(m.name for m in train.modalities)} and {', '.join(others)}."
        )
    return both


def _digests(data: Dataset, both: list[tuple[Modality, bool]]) -> Array:
    """Return `S16[n]`, one digest per row; empty where none of the modalities was recorded."""
    names = {m.name for m, _ in both}
    per_row = sum(row_bytes(m) for m in data.modalities)
    step = max(1, BLOCK_BYTES // max(1, per_row))
    found = []
    for start in range(0, len(data), step):
        batch = data.rows(np.arange(start, min(start + step, len(data))))
        states = [hashlib.blake2b(digest_size=16) for _ in range(len(batch))]
        for modality, exact in both:
            present = batch.present[modality.name]
            values = batch.inputs[modality.name]
            for row, state in enumerate(states):
                state.update(b"\1" if present[row] else b"\0")
                if present[row]:
                    _update(state, values[row], exact)
        there = np.any([batch.present[name] for name in names], axis=0)
        found.append(np.array([s.digest() if t else b"" for s, t in zip(states, there, strict=True)], "S16"))
    return np.concatenate(found)


def _update(state: Any, value: Any, exact: bool) -> None:
    if isinstance(value, str):
        content = value.encode("utf-8", "surrogatepass")
        state.update(len(content).to_bytes(8, "little") + content)
        return
    array = np.asarray(value)
    if not exact:
        array = array.astype(np.float64)
    if array.dtype.kind == "f":
        array = array + array.dtype.type(0)  # 0.0 and -0.0 are one number
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    state.update(repr(little.shape).encode())
    state.update(little.tobytes())


def row_bytes(modality: Modality) -> int:
    """Roughly the bytes of one sample, to read a few MiB at a time."""
    sizes = [n for n in modality.shape if n is not None]
    return 4096 if len(sizes) < max(1, len(modality.shape)) else int(np.prod(sizes)) * np.dtype(modality.dtype).itemsize
