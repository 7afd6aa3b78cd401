"""One sample, one generator: every random draw depends on (stream, modality, sample id) alone.

No global state and no order of calls: the same sample is perturbed the same way whatever the batch size, shard,
worker or executor. Generators are Philox 4×64 (Salmon et al., SC 2011), keyed with 128 bits of digest.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from mmaudit.kernels.philox import box_muller, philox_fill, philox_uniforms
from mmaudit.types import Array, FloatArray, IntArray

UIntArray = npt.NDArray[np.uint64]


def id_keys(ids: Array) -> UIntArray:
    """Return `uint64[n]`: 64 bits per sample id (integers as they are, strings by digest)."""
    if ids.dtype.kind in "iu":
        return ids.astype(np.int64).view(np.uint64)
    return np.array([_digest64(str(i)) for i in ids.tolist()], dtype=np.uint64)


def stream_key(stream: str, modality: str, purpose: str = "") -> int:
    """Return 64 bits for a condition's stream and a modality; `purpose` separates independent draws."""
    return _digest64("\x1f".join((stream, modality, purpose)))


def generator(stream: int, id_key: int) -> np.random.Generator:
    """Return the generator of one sample under one stream."""
    return np.random.Generator(np.random.Philox(key=np.array([stream, id_key], dtype=np.uint64)))


def uniforms(stream: int, keys: UIntArray) -> FloatArray:
    """Return one uniform in [0, 1) per sample: the first draw of each sample's `generator`, vectorised."""
    return np.asarray(philox_uniforms(np.uint64(stream), keys))


class Draws:
    """Random numbers of some samples under one condition and modality; row i depends on sample i's id alone.

    They are the same at every severity, and for any choice or order of the samples. Calls with the same `purpose`
    give the same numbers again; different purposes are independent.

    Args:
        stream: the condition's.
        modality: what is perturbed.
        keys: `uint64[n]`, what stands for each sample's id.
    """

    def __init__(self, stream: str, modality: str, keys: UIntArray) -> None:
        self._stream = stream
        self._modality = modality
        self.keys = keys

    def streams(self, purpose: str = "") -> tuple[np.uint64, UIntArray]:
        """Return the two halves of each sample's Philox key, for kernels that draw by themselves."""
        return np.uint64(stream_key(self._stream, self._modality, purpose)), self.keys

    def uniform(self, count: int, purpose: str = "") -> FloatArray:
        """Return `float64[n, count]` in [0, 1): the first `count` draws of each sample's `generator`."""
        return self.ragged(np.full(len(self.keys), count, np.int64), purpose).reshape(len(self.keys), count)

    def ragged(self, counts: IntArray, purpose: str = "") -> FloatArray:
        """Return `float64[sum(counts)]` in [0, 1): each sample's first `counts[i]` draws, joined."""
        ends = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        return np.asarray(philox_fill(*self.streams(purpose), ends))

    def normal(self, count: int, purpose: str = "") -> npt.NDArray[np.float32]:
        """Return `float32[n, count]` of N(0, 1), made of each sample's uniforms by the Box-Muller transform."""
        return np.asarray(box_muller(self.uniform(count + count % 2, purpose))[:, :count])

    def part(self, start: int, end: int) -> Draws:
        """Return the draws of samples `start` to `end`."""
        return Draws(self._stream, self._modality, self.keys[start:end])


def _digest64(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
