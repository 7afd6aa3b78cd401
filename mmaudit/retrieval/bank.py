"""Which samples' targets are the candidates of which query, and which of them are right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmaudit.data import Dataset
from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray, IntArray

# Queries whose listed candidates are scored together: each is scored against the lists of all of them.
LISTED_TOGETHER = 32
# An answer row holds positions and ranks as float32, which is exact up to here.
MOST_SAMPLES = 2**24


@dataclass(frozen=True, eq=False)
class Group:
    """Queries that share their candidates.

    Attributes:
        rows: `int64[q]`, places of the queries among those asked about.
        candidates: `int64[c]`, positions in the data set, ascending.
        allowed: `bool[q, c]`, which of them belong to each query; None for all.
    """

    rows: IntArray
    candidates: IntArray
    allowed: BoolArray | None = None


class Bank:
    """The candidates of every query of a data set.

    A sample whose target modality was not recorded is no candidate.

    Args:
        data: a data set for retrieval: its task says whether candidates are all samples or those of a batch, its
            `candidates`, where it has them, which samples each query is given.

    Attributes:
        identity: `int64[n]`, what right candidates share with their query.
        recorded: `bool[n]`, whether a sample has the target modality.
    """

    def __init__(self, data: Dataset) -> None:
        if len(data) > MOST_SAMPLES:
            raise BadInput(
                f"the data set has {len(data):,} samples; ranks are kept exactly for up to {MOST_SAMPLES:,}. Audit a "
                "subset of it."
            )
        self.identity: IntArray = np.asarray(data.target, np.int64)
        self.recorded: BoolArray = data.presence(data.task.target_modality)
        self._batch = data.task.bank
        self._lists: IntArray | None = getattr(data, "candidates", None)
        self._all = np.flatnonzero(self.recorded)

    @cached_property
    def counts(self) -> IntArray:
        """`int64[n, 2]`: how many candidates each query has, and how many of them are right."""
        n = len(self.identity)
        if self._lists is not None:
            there = (self._lists >= 0) & self.recorded[self._lists]
            same = there & (self.identity[self._lists] == self.identity[:, None])
            return np.stack([there.sum(axis=1), same.sum(axis=1)], axis=1).astype(np.int64)
        batch = np.arange(n) // self._batch if self._batch else np.zeros(n, np.int64)
        number = np.unique(self.identity, return_inverse=True)[1].reshape(n)
        both = batch * (int(number.max()) + 1) + number
        candidates = np.bincount(batch, weights=self.recorded)[batch]
        kinds, place = np.unique(both, return_inverse=True)
        right = np.bincount(place.reshape(n), weights=self.recorded, minlength=len(kinds))[place.reshape(n)]
        return np.stack([candidates, right], axis=1).astype(np.int64)

    @property
    def truth(self) -> IntArray:
        """`int64[n, 3]`: what a run keeps about each query: identity, candidates, right ones among them."""
        return np.concatenate([self.identity[:, None], self.counts], axis=1)

    def groups(self, positions: IntArray) -> Iterator[Group]:
        """Yield the queries at these positions with their candidates, each query once."""
        if self._lists is not None:
            yield from self._listed(positions, self._lists)
        elif self._batch:
            batch = positions // self._batch
            for number in np.unique(batch):
                members = np.arange(number * self._batch, min((number + 1) * self._batch, len(self.identity)))
                yield Group(np.flatnonzero(batch == number), members[self.recorded[members]])
        else:
            yield Group(np.arange(len(positions)), self._all)

    def _listed(self, positions: IntArray, lists: Array) -> Iterator[Group]:
        for start in range(0, len(positions), LISTED_TOGETHER):
            rows = np.arange(start, min(start + LISTED_TOGETHER, len(positions)))
            mine = lists[positions[rows]]
            there = (mine >= 0) & self.recorded[mine]
            candidates = np.unique(mine[there])
            allowed = np.zeros((len(rows), len(candidates)), np.bool_)
            query, place = np.nonzero(there)
            allowed[query, np.searchsorted(candidates, mine[query, place])] = True
            yield Group(rows, candidates, allowed)
