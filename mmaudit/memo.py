"""Nothing is encoded twice: features by the identity of the array that they were made of, or put together by row."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mmaudit.models import TwoStage
from mmaudit.outputs import Float32Array
from mmaudit.repeats import Repeats
from mmaudit.timing import Timing
from mmaudit.types import Array, Batch, BoolArray


class EncodingMemo:
    """Encodings of one batch by the identity of the encoded array: an array seen again is not encoded again.

    Clean arrays are kept for the batch's life; of the others the last few, which serve the subsets that share a
    stand-in.
    """

    def __init__(self, encode: Callable[[str, Batch], Any], clean: Batch, timing: Timing | None = None) -> None:
        self.make = encode
        self.clean = clean
        self.timing = timing or Timing()
        self.kept: dict[tuple[str, int, int], tuple[Any, Array, BoolArray]] = {}
        self.recent: OrderedDict[tuple[str, int, int], tuple[Any, Array, BoolArray]] = OrderedDict()

    def encode(self, modality: str, batch: Batch) -> Any:
        """Features of a modality, from memory where this very array was encoded before."""
        array, present = batch.inputs[modality], batch.present[modality]
        # The arrays are held beside their features: an id is only unique while its object lives.
        key = (modality, id(array), id(present))
        for memory in (self.kept, self.recent):
            if key in memory:
                return memory[key][0]
        features, rows = self._made(modality, batch)
        _count(self.timing.encoded_rows, modality, rows)
        entry = (features, array, present)
        if array is self.clean.inputs[modality] and present is self.clean.present[modality]:
            self.kept[key] = entry
        else:
            self.recent[key] = entry
            if len(self.recent) > 2 * len(batch.inputs):
                self.recent.popitem(last=False)
        return features

    def _made(self, modality: str, batch: Batch) -> tuple[Any, int]:
        """Features of a modality, and how many rows were encoded for them."""
        return self.make(modality, batch), len(batch)

    def known(self, modality: str) -> Iterator[tuple[Any, Array, BoolArray]]:
        """Features of a modality that are at hand, with the values and marks they were made of; the newest first."""
        for memory in (self.recent, self.kept):
            yield from (entry for key, entry in reversed(memory.items()) if key[0] == modality)


class FeatureMemo(EncodingMemo):
    """A two-stage model that encodes nothing twice.

    Where a condition leaves some rows of a column as they are and gives the others what was encoded before (a modality
    missing at a rate), and the stage can `blend`, the features are put together by row. That is bit for bit what
    encoding the column gives, as a row's features depend on that row alone; the boundary was only found if they do.
    Rows that a column holds several times are encoded once, where there are `repeats`.
    """

    def __init__(
        self,
        stage: TwoStage,
        modalities: Sequence[str],
        clean: Batch,
        timing: Timing | None = None,
        repeats: Repeats | None = None,
    ) -> None:
        super().__init__(stage.encode, clean, timing)
        self.stage = stage
        self.modalities = modalities
        self.repeats = repeats
        self._whole = False
        self._blend: Callable[[Any, Any, BoolArray], Any] | None = getattr(stage, "blend", None)

    def predict(self, batch: Batch, changed: dict[str, BoolArray] | None = None) -> Float32Array:
        """What the model answers to the batch: missing encodings, then fusion.

        Args:
            batch: the clean one, or that under a condition.
            changed: per modality `bool[n]`, the rows whose value differs from the clean one's, where that is known:
                only then features are put together by row.
                None for the control that must go the whole way again, every row of it.
        """
        self._whole = changed is None
        features = {name: self._features(name, batch, (changed or {}).get(name)) for name in self.modalities}
        self.timing.fused_rows += len(batch)
        return self.stage.fuse(features, batch)

    def _features(self, modality: str, batch: Batch, changed: BoolArray | None) -> Any:
        if (
            self._blend is not None
            and changed is not None
            and batch.inputs[modality] is not self.clean.inputs[modality]
        ):
            features = self._blended(modality, batch, changed)
            if features is not None:
                _count(self.timing.blended_rows, modality, len(batch))
                return features
        return self.encode(modality, batch)

    def _made(self, modality: str, batch: Batch) -> tuple[Any, int]:
        if self.repeats is None or self._whole:
            return super()._made(modality, batch)
        return self.repeats.encode(modality, batch)

    def _blended(self, modality: str, batch: Batch, changed: BoolArray) -> Any:
        """Features of a column of clean and known rows; None where it is no such column."""
        values, present = batch.inputs[modality], batch.present[modality]
        # A text's features may depend, in their last bits, on the length that the batch's longest one sets.
        if values.dtype == object or present is not self.clean.present[modality]:
            return None
        original = self.clean.inputs[modality]
        clean = next((f for f, v, p in self.known(modality) if v is original and p is present), None)
        if clean is None or not _equal(values, original, ~changed):
            return None
        if not changed.any():
            return clean
        for features, other, marks in self.known(modality):
            if other is values:
                return None  # encoded as it is
            if marks is present and _equal(values, other, changed):
                assert self._blend is not None
                return self._blend(clean, features, changed)
        return None


def _equal(left: Array, right: Array, rows: BoolArray) -> bool:
    """Whether two columns hold the same bytes in these rows; at least one is compared before all are."""
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    index = np.flatnonzero(rows)
    return all(left[some].tobytes() == right[some].tobytes() for some in (index[:1], index[1:]))


def _count(counts: dict[str, int], modality: str, rows: int) -> None:
    counts[modality] = counts.get(modality, 0) + rows
