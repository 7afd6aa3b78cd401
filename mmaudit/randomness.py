"""One sample, one generator: every random draw depends on (stream, modality, sample id) alone.

No global state and no order of calls: the same sample is perturbed the same way whatever the batch size, shard,
worker or executor. Generators are Philox 4×64 (Salmon et al., SC 2011), keyed with 128 bits of digest.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from mmaudit.kernels.philox import philox_uniforms
from mmaudit.types import Array, FloatArray

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


def _digest64(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
