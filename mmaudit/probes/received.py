"""Digest of what a model received: proof that two conditions fed it the same, or did not."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from mmaudit.kernels.digest import UIntArray, digest_rows, digest_sum
from mmaudit.randomness import stream_key
from mmaudit.types import Array, Batch, BoolArray

if TYPE_CHECKING:
    from mmaudit.probes.source import Source


class Received:
    """Digests batches: every value and presence mark of every modality, by sample id.

    The digest of a condition is the sum, modulo 2⁶⁴, of those of its batches: the same for any batch size or order.
    The arrays of the clean batch, which most conditions share, are read once.
    """

    def __init__(self, source: Source, clean: Batch) -> None:
        self._keys = source.keys(clean)
        self._clean = {name: (clean.inputs[name], clean.present[name]) for name in clean.inputs}
        self._known = {name: self._digest(name, *pair) for name, pair in self._clean.items()}

    def digest(self, batch: Batch) -> int:
        """Return the digest of a batch with the rows of the clean one, in [0, 2⁶⁴)."""
        total = 0
        for name, array in batch.inputs.items():
            present = batch.present[name]
            values, marks = self._clean[name]
            same = array is values and present is marks
            total += self._known[name] if same else self._digest(name, array, present)
        return total % 2**64

    def _digest(self, name: str, array: Array, present: BoolArray) -> int:
        salt = np.uint64(stream_key("received", name))
        return int(digest_sum(row_digests(array), self._keys, present, salt))


def row_digests(array: Array) -> UIntArray:
    """Return `uint64[n]`: a digest of each row's bytes; of its UTF-8 where rows are text."""
    if array.dtype.kind not in "OU":
        return _of_bytes(array)
    texts = len(array) and isinstance(array[0], str)
    return np.array([_of_text(x) if texts else int(_of_bytes(np.asarray(x)[None])[0]) for x in array], np.uint64)


def _of_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _of_bytes(array: Array) -> UIntArray:
    rows = np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)
    whole = rows.shape[1] - rows.shape[1] % 8
    words = np.ascontiguousarray(rows[:, :whole]).view(np.uint64)
    return np.asarray(digest_rows(words, np.ascontiguousarray(rows[:, whole:])))
