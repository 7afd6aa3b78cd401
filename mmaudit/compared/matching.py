"""Which samples of two runs are the same: by id and target, in any order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmaudit.formats import count
from mmaudit.samples_file import Samples
from mmaudit.store import Run
from mmaudit.types import CANDIDATES, RIGHT, Array, IntArray

SMALLEST_SHARE = 0.5
"""Runs are paired where at least this share of the smaller one's samples is in both."""


@dataclass(frozen=True, eq=False)
class Matched:
    """The samples of two runs that take part in their comparison.

    Attributes:
        first, other: `int64[n]`, positions in either run; where paired entry i of both is the same sample, in the
            first run's order. Else all samples of either.
        paired: whether they are the same samples.
        reason: why they are not; empty where they are.
        refused: why no number can be compared at all; empty otherwise.
        remarks: what a reader must know.
    """

    first: IntArray
    other: IntArray
    paired: bool
    reason: str = ""
    refused: str = ""
    remarks: tuple[str, ...] = ()


def matched(first: Run, other: Run) -> Matched:
    """Find the samples that both runs hold, and judge whether they are the same."""
    a, b = first.samples, other.samples
    mine, its = _shared(a.ids, b.ids)
    smaller = min(len(a), len(b))
    reason = ""
    if not len(mine):
        reason = "no sample id is in both runs"
    elif len(mine) < SMALLEST_SHARE * smaller:
        reason = f"only {count(len(mine))} of {count(smaller)} sample ids are in both runs"
    elif differ := _targets_that_differ(a.target[mine], b.target[its]):
        what = "another truth (identity, candidates)" if first.task.kind == "retrieval" else "another target"
        reason = f"{count(differ)} of {count(len(mine))} sample ids in both runs have {what}: not the same samples"
    if reason:
        return Matched(np.arange(len(a)), np.arange(len(b)), False, reason, _refused(first, a, b))
    return Matched(mine, its, True, remarks=tuple(_remarks(first, other, mine, its)))


def _shared(mine: Array, its: Array) -> tuple[IntArray, IntArray]:
    """Positions of the ids that are in both, in the order of the first."""
    if mine.dtype.kind in "iu" and its.dtype.kind in "iu":
        one, two = mine, its
    else:
        one, two = mine.astype(str), its.astype(str)
    _, a, b = np.intersect1d(one, two, assume_unique=True, return_indices=True)
    order = np.argsort(a)
    return np.asarray(a[order], np.int64), np.asarray(b[order], np.int64)


def _targets_that_differ(a: Array, b: Array) -> int:
    if a.shape[1:] != b.shape[1:]:
        return len(a)
    return int((a != b).reshape(len(a), -1).any(axis=1).sum())


def _refused(first: Run, a: Samples, b: Samples) -> str:
    """Ranks among other numbers of candidates are not comparable, whatever the samples."""
    if first.task.kind != "retrieval":
        return ""
    banks = [{(int(row[CANDIDATES]), int(row[RIGHT])) for row in np.unique(s.target, axis=0)} for s in (a, b)]
    if banks[0] == banks[1]:
        return ""
    sizes = [f"{count(min(bank)[0])} to {count(max(bank)[0])}" for bank in banks]
    return f"ranks among {sizes[0]} and among {sizes[1]} candidates cannot be compared"


def _remarks(first: Run, other: Run, mine: IntArray, its: IntArray) -> list[str]:
    said = []
    a, b = first.samples, other.samples
    if len(mine) < max(len(a), len(b)):
        said.append(
            f"{count(len(mine))} samples are in both runs and take part, of {count(len(a))} and {count(len(b))}"
        )
    if first.task.bank and not (np.array_equal(mine, np.arange(len(a))) and np.array_equal(its, np.arange(len(b)))):
        said.append("the samples are in another order, so the batches hold other candidates")
    if a.cluster is not None and b.cluster is not None and _cut_otherwise(a.cluster[mine], b.cluster[its]):
        said.append("the runs name different clusters; those of the first are resampled")
    return said


def _cut_otherwise(a: Array, b: Array) -> bool:
    """Whether two columns divide the samples into different clusters, whatever they call them."""
    one = np.unique(a.astype(str), return_inverse=True)[1].reshape(-1)
    two = np.unique(b.astype(str), return_inverse=True)[1].reshape(-1)
    both = len(np.unique(np.stack([one, two], axis=1), axis=0))
    return not both == one.max() + 1 == two.max() + 1
