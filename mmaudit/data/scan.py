"""Look through the values of a modality once: which samples were recorded, and is every recorded value usable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmaudit.data.checks import some_samples
from mmaudit.data.columns import Column
from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray, Modality

BLOCK_BYTES = 4 << 20


@dataclass(eq=False)
class _Faults:
    """Per stored row, what is wrong with it."""

    all_nan: BoolArray
    part_nan: BoolArray
    infinite: BoolArray
    outside: BoolArray


def find_present(modality: Modality, column: Column, given: BoolArray, ids: Array) -> BoolArray:
    """Return bool[n]: recorded according to `given`, and not None, and not wholly NaN.

    Rows that are not recorded may hold anything. Memory: a few MiB, whatever the size of the column.

    Raises:
        BadInput: a recorded row is partly NaN, infinite or outside `modality.range`; names modality and sample.
    """
    present = given & column.recorded()
    if column.form == "text":
        return present
    faults = _scan(column, modality.range)
    if faults is None:
        return present
    present &= ~_of_samples(column, faults.all_nan)
    complaints = (
        (
            faults.part_nan,
            "is NaN in part{at} for {who}; impute it, or make the whole row NaN or None to mark it as not recorded.",
        ),
        (
            faults.infinite,
            "is infinite{at} for {who}; correct it, or make the whole row NaN to mark it as not recorded.",
        ),
        (faults.outside, "is outside its range {range}{at} for {who}; correct the values, or declare the true range."),
    )
    for wrong, complaint in complaints:
        rows = np.flatnonzero(present & _of_samples(column, wrong))
        if len(rows):
            sample = column.stored[rows[0] if column.index is None else column.index[rows[0]]]
            place = _first_fault(sample, modality.range)
            text = complaint.format(at=f" (first at {place})", who=some_samples(ids, rows), range=modality.range)
            raise BadInput(f"modality {modality.name!r} {text}")
    return present


def wholly_nan(column: Column) -> BoolArray:
    """Return bool[n], True where all numbers of a sample are NaN; text has none."""
    faults = None if column.form == "text" else _scan(column, None)
    return np.zeros(len(column), np.bool_) if faults is None else _of_samples(column, faults.all_nan)


def _first_fault(sample: Array, bounds: tuple[float, float] | None) -> str:
    """Say where in a sample its first bad value is, and which: `[3]: nan`."""
    low, high = bounds or (-np.inf, np.inf)
    place = np.argwhere(~(np.isfinite(sample) & (sample >= low) & (sample <= high)))[0]
    return f"{place.tolist()}: {sample[tuple(place)]}"


def check_recorded(name: str, present: BoolArray) -> None:
    """Raise `BadInput` where a modality is absent from every sample."""
    if not present.any():
        raise BadInput(f"modality {name!r} is absent from all {len(present):,} samples; leave it out of the data set.")


def _of_samples(column: Column, stored: BoolArray) -> BoolArray:
    return stored if column.index is None else stored[column.index]


def _scan(column: Column, bounds: tuple[float, float] | None) -> _Faults | None:
    """Return the faults per stored row, None where there are none (the usual case, decided from extremes alone)."""
    if _always_in_range(column.dtype, bounds):
        return None
    low, high = bounds or (-np.inf, np.inf)
    m = len(column.stored)
    faults: _Faults | None = None
    step = 1 if column.form == "ragged" else block_rows(column.stored)
    for start in range(0, m, step):
        block = np.asarray(column.stored[start]) if column.form == "ragged" else column.stored[start : start + step]
        least, most = float(block.min()), float(block.max())
        if np.isfinite(least) and np.isfinite(most) and low <= least and most <= high:
            continue
        if faults is None:
            faults = _Faults(*(np.zeros(m, np.bool_) for _ in range(4)))
        rows = np.asarray(block).reshape(1 if column.form == "ragged" else len(block), -1)
        span = slice(start, start + len(rows))
        nan = np.isnan(rows)
        faults.all_nan[span] = nan.all(axis=1)
        faults.part_nan[span] = nan.any(axis=1) & ~faults.all_nan[span]
        faults.infinite[span] = np.isinf(rows).any(axis=1)
        faults.outside[span] = ((rows < low) | (rows > high)).any(axis=1)
    return faults


def _always_in_range(dtype: str, bounds: tuple[float, float] | None) -> bool:
    if dtype[0] not in "iu":
        return False
    info = np.iinfo(dtype)
    return bounds is None or (bounds[0] <= info.min and info.max <= bounds[1])


def block_rows(values: Array) -> int:
    """Return how many rows of a dense array make a block of about 4 MiB, at least 1."""
    per_row = max(1, values.dtype.itemsize * int(np.prod(values.shape[1:])))
    return max(1, BLOCK_BYTES // per_row)
