"""One number per sample and modality: what a modality's absence can depend on.

Absence that depends on the data (MAR, MNAR) needs something to depend on. Any modality gets a scalar here, cheap,
deterministic, and read in one pass: the length of a text, the brightness of an image, the loudness of a sound, the
first principal component of a table or an embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
import scipy.stats

from mmaudit.data.scan import BLOCK_BYTES
from mmaudit.probes.source import Source
from mmaudit.types import Array, FloatArray, Modality

# Samples, and numbers in all of them, that principal directions are taken from.
_SAMPLES, _NUMBERS = 1024, 2**23


def summary(source: Source, name: str) -> FloatArray:
    """Return `float64[N]`: one number per sample of the data set, as normal scores; 0 where it was not recorded.

    The number itself, by kind:
        text: characters.
        image, spectrogram: mean value (brightness, level).
        audio: root mean square of the deviation from the sample's own mean (loudness).
        series: root mean square of the standardised values (activity); where samples differ in shape, as for audio.
        tabular, embedding: the score on the first principal component of the standardised columns, from up to 1,024
            samples; the sign makes the largest loading positive. Where samples differ in shape: how many values.
    """
    return source.once(("summary", name), lambda: _summary(source, source.modality(name)))


def target_summary(source: Source) -> FloatArray:
    """Return `float64[N]`: normal scores of the target, the larger the lower it is.

    Of the class's number (classification), of how many labels apply (multilabel), of the mean over dimensions
    (regression): so the first classes, the fewest labels and the smallest values, which stand for "nothing found"
    wherever they are ordered at all, have the highest scores.
    """

    def build() -> FloatArray:
        target = source.data.target.astype(np.float64)
        return normal_scores(-(target.mean(axis=1) if target.ndim > 1 else target))

    return source.once("target summary", build)


def normal_scores(x: FloatArray) -> FloatArray:
    """Return van der Waerden's normal scores Φ⁻¹(rank / (n + 1)), ties at their mean rank, with mean 0 and variance 1.

    Only the order of `x` counts, so an outlier does not decide for all others. All 0 where all values are equal.
    """
    if not len(x) or (x == x[0]).all():
        return np.zeros(len(x))
    scores = scipy.special.ndtri(scipy.stats.rankdata(x) / (len(x) + 1))
    # Sorted, so that mean and deviation round the same way whatever the order of the data set.
    ordered = np.sort(scores)
    return np.asarray((scores - ordered.mean()) / ordered.std(), np.float64)


def _summary(source: Source, modality: Modality) -> FloatArray:
    # Scores go by order alone, so the data set can be read as it lies.
    positions = np.sort(source.recorded(modality.name))
    measure = _measure(source, modality)
    found = np.empty(len(positions))
    step = _rows_per_block(modality)
    for start in range(0, len(positions), step):
        found[start : start + step] = measure(source.values(modality.name, positions[start : start + step]))
    out = np.zeros(len(source.data))
    out[positions] = normal_scores(found)
    return out


def _rows_per_block(modality: Modality) -> int:
    if modality.kind == "text" or modality.ragged:
        return 512
    return max(1, BLOCK_BYTES // (np.dtype(modality.dtype).itemsize * max(1, _width(modality))))


def _measure(source: Source, modality: Modality) -> Callable[[Array], FloatArray]:
    """Return the function that gives one number per row of an array of samples."""
    if modality.kind == "text":
        return lambda texts: np.array([len(str(text)) for text in texts.tolist()], np.float64)
    if modality.kind in ("tabular", "embedding"):
        return _size if modality.ragged else _component(source, modality)
    if modality.kind == "image" or modality.spectrogram:
        return _each(lambda x: x.mean())
    known = source.statistics.get(modality.name)
    if modality.kind == "audio" or modality.ragged or known is None:
        return _each(lambda x: x.std())
    scale = np.divide(1, known.std, out=np.zeros(known.std.shape), where=known.std > 0)
    return _each(lambda x: np.sqrt(np.mean(np.square((x - known.mean) * scale))))


def _each(of: Callable[[FloatArray], Any]) -> Callable[[Array], FloatArray]:
    return lambda rows: np.array([of(np.asarray(row, np.float64)) if np.size(row) else 0.0 for row in rows], np.float64)


def _size(rows: Array) -> FloatArray:
    return np.array([np.size(row) for row in rows], np.float64)


def _component(source: Source, modality: Modality) -> Callable[[Array], FloatArray]:
    """Return the score on the first principal component of the standardised columns of some samples."""
    width = _width(modality)
    positions = source.recorded(modality.name)
    # In an order that ids decide, so the choice does not hang on how the data set is stored.
    most = int(np.clip(_NUMBERS // max(1, width), 16, _SAMPLES))
    some = positions[np.unique(np.linspace(0, len(positions) - 1, min(len(positions), most)).astype(np.int64))]
    x = _rows(source.values(modality.name, some))
    mean, std = x.mean(axis=0), x.std(axis=0)
    scale = np.divide(1, std, out=np.zeros(width), where=std > 0)
    direction = scale * _first_direction((x - mean) * scale)

    def score(rows: Array) -> FloatArray:
        # Row by row the same sum whatever the block: no matrix product, which rounds by its shape.
        return np.asarray(np.sum((_rows(rows) - mean) * direction, axis=1))

    return score


def _first_direction(z: FloatArray) -> FloatArray:
    """Return the unit vector of largest variance of centred rows, its largest entry positive; zeros for no variance."""
    tall = len(z) >= z.shape[1]
    values, vectors = np.linalg.eigh(z.T @ z if tall else z @ z.T)
    if values[-1] <= 0:
        return np.zeros(z.shape[1])
    direction = vectors[:, -1] if tall else z.T @ vectors[:, -1]
    direction /= np.linalg.norm(direction)
    return np.asarray(direction * np.sign(direction[np.argmax(np.abs(direction))]))


def _width(modality: Modality) -> int:
    return int(np.prod([size or 1 for size in modality.shape]))


def _rows(samples: Array) -> FloatArray:
    return samples.reshape(len(samples), -1).astype(np.float64)
