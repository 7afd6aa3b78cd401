"""What predictors are given: training samples with their answers, and questions, which have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmaudit.types import Array, BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers that stand for one modality.

    Attributes:
        values: `float32[n, d]`, finite.
        codes: `int64[d]`, the most distinct values that count as categories in a column; 0: it is an amount. See
            `mmaudit.simple_features.category_limits`.
        block: `int64[d]`, which columns belong together, numbered from 0; blocks are given the same weight.
        alike: `bool[blocks]`, whether a block's columns have one unit (pixels, counts), so that sizes can be compared.
    """

    values: Array
    codes: IntArray
    block: IntArray
    alike: BoolArray

    @classmethod
    def of(cls, blocks: Sequence[Array], alike: Sequence[bool], codes: IntArray | None = None) -> Table:
        """Join blocks of columns, each `[n, d]`; no `codes`: none names categories."""
        block = np.repeat(np.arange(len(blocks)), [b.shape[1] for b in blocks])
        values = np.concatenate([np.asarray(b, np.float32) for b in blocks], axis=1)
        codes = np.zeros(len(block), np.int64) if codes is None else codes
        return cls(values, codes, block, np.asarray(alike, np.bool_))

    def take(self, rows: Array) -> Table:
        """Return some rows, as a copy."""
        return replace(self, values=self.values[rows])


@dataclass(frozen=True, eq=False)
class Questions:
    """Rows without answers: all that a predictor is ever asked with.

    Attributes:
        rows: `int64[n]`, numbers of the rows, by which a predictor knows those that it was trained on.
        tables: by modality.
    """

    rows: IntArray
    tables: Mapping[str, Table]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows with their answers.

    Attributes:
        questions: the rows.
        answers: by `of` (`data`, `decision`): `int64[n]` classes, `int8[n, labels]` or `float64[n, dims]`.
        unit: `int64[n]`, the cluster of each row.
    """

    questions: Questions
    answers: Mapping[str, Array]
    unit: IntArray

    def __len__(self) -> int:
        return len(self.unit)

    def take(self, rows: Array) -> Samples:
        """Return some rows with their answers, as copies."""
        return Samples(self.ask(rows), {of: y[rows] for of, y in self.answers.items()}, self.unit[rows])

    def ask(self, rows: Array) -> Questions:
        """Return some rows without their answers, as copies."""
        tables = {m: t.take(rows) for m, t in self.questions.tables.items()}
        return Questions(self.questions.rows[rows], tables)
