"""Nothing is encoded twice: features by the identity of the array that they were made of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from mmaudit.models import TwoStage
from mmaudit.outputs import Float32Array
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
        features = self.make(modality, batch)
        self.timing.encoded_rows[modality] = self.timing.encoded_rows.get(modality, 0) + len(batch)
        entry = (features, array, present)
        if array is self.clean.inputs[modality] and present is self.clean.present[modality]:
            self.kept[key] = entry
        else:
            self.recent[key] = entry
            if len(self.recent) > 2 * len(batch.inputs):
                self.recent.popitem(last=False)
        return features


class FeatureMemo(EncodingMemo):
    """A two-stage model that encodes nothing twice."""

    def __init__(self, stage: TwoStage, modalities: Sequence[str], clean: Batch, timing: Timing | None = None) -> None:
        super().__init__(stage.encode, clean, timing)
        self.stage = stage
        self.modalities = modalities

    def predict(self, batch: Batch) -> Float32Array:
        """What the model answers to the batch: missing encodings, then fusion."""
        features = {name: self.encode(name, batch) for name in self.modalities}
        self.timing.fused_rows += len(batch)
        return self.stage.fuse(features, batch)
