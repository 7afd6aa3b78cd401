"""What a batch holds several times is encoded once: one picture of several questions, a stand-in that all rows share.

A row's features depend on that row alone, but for their last bits: a matrix product may round otherwise in a batch of
another size or at another place of it. So fewer rows are encoded only where that is proven to give the same bits, on
one batch of the data that every process takes, for each modality and size. Answers are then the same bytes with and
without, whichever process gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmaudit.models import TwoStage
from mmaudit.types import Array, Batch, BoolArray, IntArray

SMALLEST = 4  # rows of a pass
QUICK = 64  # numbers of a row that are compared before all are


class Repeats:
    """Encodes batches of one size, each different row of a modality once where that is proven to be the same.

    Only stages that can `take` rows of features and say what is `alike` (see `StagedTorch`) are spared rows, and only
    of arrays: a text's features may depend on the longest one beside it.

    Args:
        stage: the model's encoders.
        rows: samples of a full batch; others are encoded whole.
        sample: gives the batch of that many rows on which sizes are proven, the same in every process.
    """

    def __init__(self, stage: TwoStage, rows: int, sample: Callable[[], Batch]) -> None:
        self._encode = stage.encode
        self._take: Callable[[Any, int, IntArray], Any] | None = getattr(stage, "take", None)
        self._alike: Callable[[str, Batch, list[IntArray]], bool] | None = getattr(stage, "alike", None)
        self.rows, self._sample = rows, sample
        self._proven: dict[tuple[str, int], bool] = {}

    def encode(self, modality: str, batch: Batch) -> tuple[Any, int]:
        """Return the features of all rows, and how many rows went through the encoder."""
        values = batch.inputs[modality]
        if self._take is not None and len(batch) == self.rows and values.dtype != object:
            found = different(values, batch.present[modality])
            size = smallest_pass(len(found[0]), self.rows)
            if size < self.rows and self._is_proven(modality, size):
                first = np.resize(found[0], size)
                features = self._take(self._encode(modality, batch.take(first)), size, found[1])
                if features is not None:
                    return features, size
        return self._encode(modality, batch), len(batch)

    def _is_proven(self, modality: str, size: int) -> bool:
        """Whether all rows of the sample have the same bits in passes of this size, at other places."""
        if (modality, size) not in self._proven:
            assert self._alike is not None
            batch = self._sample()
            order = np.random.default_rng(0).permutation(len(batch))
            passes = [np.resize(order[start : start + size], size) for start in range(0, len(order), size)]
            enough = len(batch) == self.rows and len(different(*_column(batch, modality))[0]) > 1
            self._proven[modality, size] = enough and self._alike(modality, batch, passes)
        return self._proven[modality, size]


def different(values: Array, present: BoolArray) -> tuple[IntArray, IntArray]:
    """Return the first row of each kind of equal rows, in order, and which of these each row equals.

    Args:
        values: `[n, …]`, no objects; rows are equal that hold the same bytes.
        present: `bool[n]`; a row that is not present equals none that is.
    """
    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    step = max(1, flat.shape[1] // QUICK)
    quick = np.ascontiguousarray(flat[:, ::step])
    places, number = _numbered(quick, present)
    # Where most rows differ at a glance there is nothing to be spared, and the glance is enough.
    if step == 1 or 2 * len(places) > len(values):
        return places, number
    return _numbered(flat, present)


def _numbered(rows: Array, present: BoolArray) -> tuple[IntArray, IntArray]:
    known: dict[tuple[bytes, bool], int] = {}
    number = [known.setdefault((r.tobytes(), p), len(known)) for r, p in zip(rows, present.tolist(), strict=True)]
    found = np.array(number, np.int64)
    return np.unique(found, return_index=True)[1].astype(np.int64), found


def smallest_pass(count: int, rows: int) -> int:
    """The smallest of rows, rows / 2, rows / 4, … that holds `count` rows: few sizes, so that each is proven once."""
    size = rows
    while size % 2 == 0 and size // 2 >= max(count, SMALLEST):
        size //= 2
    return size


def _column(batch: Batch, modality: str) -> tuple[Array, BoolArray]:
    return batch.inputs[modality], batch.present[modality]
