"""Proof that a condition did something: which rows it changed, and how far they moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmaudit.errors import BadInput
from mmaudit.kernels import distance
from mmaudit.types import Array, BoolArray, Modality

if TYPE_CHECKING:
    from mmaudit.data.statistics import ModalityStatistics


def moved(
    clean: Array, new: Array, modality: Modality, statistics: ModalityStatistics | None = None
) -> tuple[BoolArray, npt.NDArray[np.float32]]:
    """Return per row whether it changed, `bool[n]`, and how far it moved, `float32[n]`.

    Numbers: root mean square difference over the sample's values, in units of the modality's σ (one number, the root
    mean square of the per-dimension σ; 1 where σ is 0 or unknown): about √2 for a sample that another one replaced.
    Samples of different shapes are compared with the smaller filled up with zeros. NaN where a value is not finite.
    Text: Levenshtein distance over the length of the longer text, in [0, 1], of the first 512 characters of each;
    `changed` looks at the whole text.
    """
    n = len(clean)
    if len(new) != n:
        raise BadInput(f"modality {modality.name!r}: {len(new)} rows cannot be compared with {n}.")
    if new is clean:
        return np.zeros(n, np.bool_), np.zeros(n, np.float32)
    if modality.kind == "text":
        return _text(clean, new)
    if clean.dtype == object or new.dtype == object:
        changed, rms = _ragged(clean, new)
    else:
        changed, rms = distance.rms_rows(_flat(clean), _flat(new))
    return changed, (rms / _sigma(statistics)).astype(np.float32)


def _sigma(statistics: ModalityStatistics | None) -> float:
    if statistics is None:
        return 1.0
    sigma = float(np.sqrt(np.mean(np.square(statistics.std))))
    return sigma if sigma > 0 else 1.0


def _flat(array: Array) -> Array:
    """Return rows as contiguous vectors of a type the kernel has."""
    if array.dtype.kind == "b" or array.dtype == np.float16:
        array = array.astype(np.float32)
    return np.ascontiguousarray(array.reshape(len(array), -1))


def _ragged(clean: Array, new: Array) -> tuple[BoolArray, npt.NDArray[np.float64]]:
    changed, rms = np.zeros(len(clean), np.bool_), np.zeros(len(clean))
    for i in range(len(clean)):
        a, b = np.asarray(clean[i]), np.asarray(new[i])
        if a is b:
            continue
        if a.shape != b.shape:
            changed[i] = True
            a, b = _same_shape(a, b)
        differs, distances = distance.rms_rows(_flat(a[None]), _flat(b[None]))
        changed[i] |= differs[0]
        rms[i] = distances[0]
    return changed, rms


def _same_shape(a: Array, b: Array) -> tuple[Array, Array]:
    if a.ndim != b.ndim:
        a, b = a.ravel(), b.ravel()
    shape = np.maximum(a.shape, b.shape)
    return tuple(np.pad(x, [(0, more) for more in shape - x.shape]) for x in (a, b))  # type: ignore[return-value]


def _text(clean: Array, new: Array) -> tuple[BoolArray, npt.NDArray[np.float32]]:
    changed = np.array([a != b for a, b in zip(clean.tolist(), new.tolist(), strict=True)], dtype=np.bool_)
    far = np.zeros(len(clean), np.float32)
    rows = np.flatnonzero(changed)
    if len(rows):
        far[rows] = distance.normalised_levenshtein(clean[rows].tolist(), new[rows].tolist())
    return changed, far
