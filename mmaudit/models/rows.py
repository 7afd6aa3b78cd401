"""Rows of a batch: the first ones, other values in place of them, groups by what is present."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from mmaudit.types import Array, Batch, BoolArray, IntArray


def head(batch: Batch, limit: int) -> Batch:
    """Return the first rows, at most `limit`."""
    return batch if len(batch) <= limit else batch.take(slice(limit))


def copied(batch: Batch) -> Batch:
    """Return a batch that shares nothing with the given one."""
    return copy.deepcopy(batch)


def everywhere(batch: Batch, present: bool) -> BoolArray:
    """Return a mask of one value for all rows."""
    return np.full(len(batch), present)


def same(left: Array, right: Array) -> bool:
    """Whether two columns hold the same values, NaN equal to NaN; text and ragged columns are compared row by row."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.dtype == object:
        return all(
            np.array_equal(np.asarray(a), np.asarray(b), equal_nan=np.asarray(a).dtype.kind == "f")
            for a, b in zip(left, right, strict=True)
        )
    return np.array_equal(left, right, equal_nan=left.dtype.kind == "f")


def foreign(values: Array) -> Array:
    """Return other values of the same modality: each row gets the value of the row half a batch away.

    They are legal values, whatever the modality. Where all rows hold the same value, zeros, ones or other text are
    returned instead, so the result always differs from `values`.
    """
    rolled = np.roll(np.arange(len(values)), len(values) // 2)
    other = values[rolled]
    if not same(other, values):
        return other
    if values.dtype.kind in "OUST":
        other = np.empty(len(values), dtype=object)
        for row, value in enumerate(values):
            if isinstance(value, str) or value is None:
                other[row] = "" if value else "other"
            else:
                other[row] = np.zeros_like(value) if np.any(value) else np.ones_like(value)
        return other
    return np.zeros_like(values) if np.any(values) else np.ones_like(values)


def filled(values: Array, present: BoolArray) -> Array:
    """Return the column with absent rows holding the first present row's value; needs at least one present row."""
    if present.all():
        return values
    rows = np.where(present, np.arange(len(present)), int(np.argmax(present)))
    return values[rows]


def patterns(batch: Batch, modalities: Sequence[str]) -> list[tuple[tuple[str, ...], IntArray]]:
    """Group rows by which modalities are present: a list of (names present, row numbers), each row in one group."""
    if not len(batch):
        return [(tuple(modalities), np.arange(0))]
    masks = np.stack([batch.present[name] for name in modalities], axis=1)
    kinds, group = np.unique(masks, axis=0, return_inverse=True)
    group = group.reshape(-1)
    # Complete rows first: their output tells the width of the others.
    return [
        (
            tuple(name for name, there in zip(modalities, kinds[i], strict=True) if there),
            np.flatnonzero(group == i),
        )
        for i in reversed(range(len(kinds)))
    ]
