"""Simple features of a modality's samples, of one length: what plain models and distances read."""

from __future__ import annotations

import numpy as np

from mmaudit.distances import ngrams
from mmaudit.probes import canonical
from mmaudit.types import Array, FloatArray, IntArray, Modality

# Images are averaged to this many cells a side, time series and spectra to this many segments.
CELLS, SEGMENTS, CHANNELS, WIDEST = 12, 24, 16, 512
GUESSED, DECLARED = 20, 256  # distinct values that count as categories in a column, see `category_limits`


def features(values: Array, modality: Modality) -> FloatArray:
    """Return simple features, `float64[n, d]`, of the same length for every sample of a modality.

    Texts: hashed letter n-grams. Images: means over a 12 × 12 grid. Audio and series: mean and spread over 24
    segments of time, and 24 bands of the logarithmic spectrum. Others: the values themselves, at most 512 of them.
    """
    if modality.kind == "text":
        return ngrams(values)
    table = np.stack([_one(np.asarray(v), modality) for v in values])
    return np.asarray(np.nan_to_num(table, nan=0.0, posinf=0.0, neginf=0.0))


def category_limits(modality: Modality, columns: int) -> IntArray:
    """Return `int64[columns]`: the most distinct values that count as categories in each number; 0: it is an amount.

    Categories have no order, so each value deserves a number of its own. Declared columns (`Modality.categorical`) have
    up to 256; where nothing is declared, columns of whole numbers may be codes and have up to 20.

    Args:
        modality: of any kind; only tables have categories.
        columns: numbers per sample, or `WIDEST` of them as `features` chooses.
    """
    found = np.zeros(columns, np.int64)
    if modality.kind != "tabular" or (modality.categorical is not None and modality.ragged):
        return found
    if modality.categorical is None:
        found[:] = GUESSED if np.dtype(modality.dtype).kind in "iub" else 0
        return found
    width = int(np.prod(np.array(modality.shape, np.int64)))
    chosen = np.arange(width) if width == columns else _chosen(width)
    found[np.isin(chosen, modality.categorical)] = DECLARED
    return found


def _chosen(width: int) -> IntArray:
    """Which of too many numbers stand for all."""
    return np.linspace(0, width - 1, WIDEST).astype(np.int64)


def _one(value: Array, modality: Modality) -> FloatArray:
    if modality.kind == "image":
        x = canonical.forward(value[None], modality)[0].astype(np.float64)
        return _segments(np.moveaxis(_segments(x, CELLS), 1, 0), CELLS).ravel()
    x = value.astype(np.float64)
    if modality.kind in ("audio", "series"):
        axis = modality.time_axis or 0
        x = np.moveaxis(x, axis, 0) if x.shape[axis] else np.zeros((1, *np.delete(x.shape, axis)))
        x = x.reshape(len(x), -1)[:, :CHANNELS]
        power = np.log1p(np.square(np.abs(np.fft.rfft(x, axis=0))))
        mean, square = _segments(x, SEGMENTS), _segments(np.square(x), SEGMENTS)
        spreads = np.sqrt(np.maximum(square - np.square(mean), 0))
        return np.concatenate([mean, spreads, _segments(power, SEGMENTS)]).ravel()
    flat = x.ravel()
    if modality.ragged:
        flat = np.concatenate([flat, np.zeros(max(0, WIDEST - len(flat)))])
    return flat if len(flat) <= WIDEST else flat[_chosen(len(flat))]


def _segments(x: FloatArray, count: int) -> FloatArray:
    """Means of `count` stretches of the first axis; a short axis repeats its values."""
    edges = np.linspace(0, len(x), count + 1)
    start = np.minimum(edges[:-1].astype(np.int64), len(x) - 1)
    end = np.maximum(np.ceil(edges[1:]).astype(np.int64), start + 1)
    total = np.concatenate([np.zeros((1, *x.shape[1:])), np.cumsum(x, axis=0)])
    return np.asarray((total[end] - total[start]) / (end - start).reshape(-1, *[1] * (x.ndim - 1)))
