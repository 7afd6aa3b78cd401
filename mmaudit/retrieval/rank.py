"""From scores to answers: the rank of the right candidate among all, without ever holding all scores at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mmaudit.errors import ContractBroken
from mmaudit.kernels.retrieval import take_all, take_right
from mmaudit.retrieval.bank import Bank, Group
from mmaudit.threads import over_rows
from mmaudit.types import (
    ANSWER_COLUMNS,
    FIRST,
    HIGHER,
    LOG_FIRST,
    LOG_RIGHT,
    TIED,
    TIED_RIGHT,
    Array,
    BoolArray,
    IntArray,
)

Float32Array = npt.NDArray[np.float32]
Score = Callable[[Mapping[str, Array], Array, Mapping[str, BoolArray]], Array]
"""Scores `[q, c]` of c candidates for q queries: features by query modality, candidates' features, presence."""

# A block's scores, and its candidates' features as float64.
BLOCK_SCORES = 2**22
BLOCK_BYTES = 16 * 2**20
# Scores that are remembered from the first look to the second; of more, those of right candidates are made twice.
KEPT_SCORES = 2**23
_PARALLEL = 2**16


class Features(Protocol):
    """Features of all samples of a data set, wherever they lie."""

    @property
    def usable(self) -> BoolArray:
        """`bool[n]`: whether a sample has features; the others' rows mean nothing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample's features."""

    def read(self, positions: IntArray) -> Float32Array:
        """Return the features of some samples, `float32[rows, *shape]`."""


class Ranker:
    """Answers queries against a bank.

    Args:
        score: see `Score`.
        bank: who is whose candidate.
        block: most candidates that are scored at once; None for as many as fit 16 MiB.
    """

    def __init__(self, score: Score, bank: Bank, block: int | None = None) -> None:
        self.score = score
        self.bank = bank
        self.block = block

    def answers(
        self, query: Mapping[str, Array], present: Mapping[str, BoolArray], positions: IntArray, candidates: Features
    ) -> Float32Array:
        """Return `float32[q, 6]`, an answer row per query (see `mmaudit.types`).

        NaN where no right candidate has features, or a score is not finite. A wrong candidate without features is
        found last.

        Args:
            query: per query modality the features, first axis the query.
            present: per query modality `bool[q]`.
            positions: `int64[q]`, the queries' places in the data set.
            candidates: features of the target modality.
        """
        out = np.full((len(positions), ANSWER_COLUMNS), np.nan, np.float32)
        for group in self.bank.groups(positions):
            if len(group.candidates):
                asked = {m: x[group.rows] for m, x in query.items()}
                there = {m: x[group.rows] for m, x in present.items()}
                out[group.rows] = self._group(asked, there, positions[group.rows], group, candidates)
        return out

    def _group(
        self,
        query: Mapping[str, Array],
        present: Mapping[str, BoolArray],
        positions: IntArray,
        group: Group,
        candidates: Features,
    ) -> Float32Array:
        q = len(positions)
        own = self.bank.identity[positions]
        blocks = list(self._blocks(q, len(group.candidates), candidates.shape))
        keep = q * len(group.candidates) <= KEPT_SCORES
        kept: dict[int, Float32Array] = {}
        bad = np.zeros(q, np.bool_)

        def scored(block: slice) -> Float32Array:
            if block.start not in kept:
                scores = self._scores(query, present, candidates.read(group.candidates[block]), q)
                if not keep:
                    return scores
                kept[block.start] = scores
            return kept[block.start]

        def fold(work: Callable[..., None], block: slice, *state: Array) -> None:
            scores, at = scored(block), group.candidates[block]
            allowed = np.zeros((0, 0), np.bool_) if group.allowed is None else group.allowed[:, block]
            about = (self.bank.identity[at], at, candidates.usable[at])

            def some(a: int, b: int) -> None:
                rows = slice(a, b)
                named = about if work is take_all else (about[0], about[2])
                chosen = allowed[rows] if len(allowed) else allowed
                work(scores[rows], chosen, own[rows], *named, *(x[rows] for x in state), bad[rows])

            over_rows(some, q, parallel=scores.size > _PARALLEL)

        best = np.full(q, -np.inf, np.float32)
        tied_right = np.zeros(q, np.int64)
        peak_right, total_right = np.full(q, -np.inf), np.zeros(q)
        for block in blocks:
            # The whole block, as in the second look: the same scores to the last bit, whatever scores them.
            if np.isin(self.bank.identity[group.candidates[block]], own).any():
                fold(take_right, block, best, tied_right, peak_right, total_right)
        higher, tied, first = np.zeros(q, np.int64), np.zeros(q, np.int64), np.full(q, -1, np.int64)
        peak, total = np.full(q, -np.inf), np.zeros(q)
        for block in blocks:
            fold(take_all, block, best, higher, tied, first, peak, total)
        out = np.empty((q, ANSWER_COLUMNS), np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            out[:, [HIGHER, TIED, TIED_RIGHT, FIRST]] = np.stack([higher, tied, tied_right, first], axis=1)
            whole = peak + np.log(total)
            out[:, LOG_RIGHT] = np.minimum(peak_right + np.log(total_right) - whole, 0.0)
            out[:, LOG_FIRST] = np.minimum(peak - whole, 0.0)
        out[bad | (tied_right == 0)] = np.nan
        return out.astype(np.float32)

    def _blocks(self, q: int, c: int, shape: tuple[int, ...]) -> Iterator[slice]:
        step = self.block
        if step is None:
            step = max(64, min(BLOCK_SCORES // max(q, 1), BLOCK_BYTES // (8 * max(1, int(np.prod(shape))))))
        for start in range(0, c, step):
            yield slice(start, min(start + step, c))

    def _scores(
        self, query: Mapping[str, Array], present: Mapping[str, BoolArray], candidates: Float32Array, q: int
    ) -> Float32Array:
        scores = np.asarray(self.score(query, candidates, present))
        if scores.shape != (q, len(candidates)):
            raise ContractBroken(
                "model",
                "score shape",
                f"gave scores of shape {list(scores.shape)} for {q} queries and {len(candidates)} candidates, expected "
                f"{[q, len(candidates)]}",
            )
        return np.ascontiguousarray(scores, np.float32)
