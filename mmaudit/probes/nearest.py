"""The most similar other sample of a modality: the hardest donor, a different value that looks nearly the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmaudit.data.dataset import values
from mmaudit.kernels import neighbours
from mmaudit.probes import canonical
from mmaudit.probes.received import row_digests
from mmaudit.randomness import stream_key, uniforms
from mmaudit.types import Array, IntArray, Modality

if TYPE_CHECKING:
    from mmaudit.data.statistics import ModalityStatistics
    from mmaudit.probes.source import Source

# Longer samples are sketched to this many numbers, which keeps squared distances to about 4 %.
WIDTH = 1024
CANDIDATES = 20_000
LEAST_CANDIDATES = 1000
# Comparisons spent on a data set; beyond it fewer candidates are looked at.
PAIRS = 400_000_000
_BLOCK_BYTES = 2**24


def nearest_donors(source: Source, name: str, keys: neighbours.UIntArray) -> IntArray:
    """Return for every sample of the data set the position of the one whose `name` is most similar; -1 for none.

    Similar: least Euclidean distance between values standardised per dimension by the source's statistics; samples
    that differ in shape by one number each, the smaller filled up with the mean. Texts: most character 3-grams in
    common, by cosine. Samples longer than 1,024 numbers, and all that differ in shape, are compared by a random
    sketch of that length, so that the nearest is the nearest up to about 4 % of its squared distance.

    A sample with exactly the same value is not a donor, as nothing would change; of several equally near the one
    with the lowest id key is taken. Up to 20,000 samples that recorded the modality, all are compared; of larger data
    sets the candidates are a random subset by id, of 20,000 or as few as 400 million comparisons allow, at least
    1,000. Similarity is the only criterion: whether classes agree plays no part.
    """
    modality = source.modality(name)
    rows = np.flatnonzero(source.data.presence(name))
    table = np.full(len(source.data), -1, np.int64)
    if len(rows) < 2:
        return table
    most = min(CANDIDATES, max(LEAST_CANDIDATES, PAIRS // len(rows)))
    chosen = rows
    if len(rows) > most:
        drawn = uniforms(stream_key("nearest", name), keys[rows])
        chosen = rows[np.argsort(drawn, kind="stable")[:most]]
    blocks = [(part, *_read(source, modality, part)) for part in _blocks(modality, chosen)]
    positions = np.concatenate([part for part, _, _ in blocks])
    vectors = np.concatenate([v for _, v, _ in blocks])
    digests = np.concatenate([d for _, _, d in blocks])
    del blocks
    # Of equal values the one with the lowest key stands for all; the order is that of the digests, not of the rows.
    order = np.lexsort((keys[positions], digests))
    order = order[np.concatenate(([True], digests[order][1:] != digests[order][:-1]))]
    positions, vectors, digests = positions[order], vectors[order], digests[order]
    for part in _blocks(modality, rows):
        mine, own = _read(source, modality, part)
        found = neighbours.nearest(mine, own, vectors, digests, keys[positions])
        table[part[found >= 0]] = positions[found[found >= 0]]
    return table


def _blocks(modality: Modality, rows: IntArray) -> list[IntArray]:
    sizes = [size for size in modality.shape if size is not None]
    step = 256 if modality.ragged else max(1, min(4096, _BLOCK_BYTES // (4 * max(1, int(np.prod(sizes))))))
    return [rows[i : i + step] for i in range(0, len(rows), step)]


def _read(source: Source, modality: Modality, rows: IntArray) -> tuple[neighbours.FloatRows, neighbours.UIntArray]:
    array = values(source.data, modality.name, rows)
    return _vectors(array, modality, source.statistics.get(modality.name)), row_digests(array)


def _vectors(array: Array, modality: Modality, statistics: ModalityStatistics | None) -> neighbours.FloatRows:
    """Return float32 [n, d ≤ 1024] whose distances are those of the samples."""
    if modality.kind == "text":
        return neighbours.ngrams([str(text) for text in array.tolist()], WIDTH)
    mean, std = (np.zeros(()), np.ones(())) if statistics is None else (statistics.mean, statistics.std)
    if array.dtype == object:
        rows = [_standard(np.asarray(x)[None], mean, std, modality) for x in array]
        return np.concatenate(
            [
                neighbours.sketch(r, *neighbours.columns(np.shape(x), WIDTH), WIDTH)
                for r, x in zip(rows, array, strict=True)
            ]
        )
    flat = _standard(array, mean, std, modality)
    if flat.shape[1] <= WIDTH:
        return flat
    return np.asarray(neighbours.sketch(flat, *neighbours.columns(array.shape[1:], WIDTH), WIDTH))


def _standard(array: Array, mean: Array, std: Array, modality: Modality) -> neighbours.FloatRows:
    dtype = canonical.working_dtype(array.dtype)
    if array.dtype == object or np.ndim(mean) != array.ndim - 1:
        mean, std = np.asarray(np.mean(mean)), np.asarray(np.sqrt(np.mean(np.square(std))))
    scale = np.where(std > 0, std, 1.0).astype(dtype)
    flat = ((array.astype(dtype) - np.asarray(mean, dtype)) / scale).reshape(len(array), -1)
    return np.ascontiguousarray(flat, np.float32)
