"""Mean and standard deviation of each modality, and the most frequent category codes: what stand-ins are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmaudit.data.dataset import Dataset, values
from mmaudit.data.scan import BLOCK_BYTES
from mmaudit.errors import BadInput, UnknownName
from mmaudit.kernels.positions import spread
from mmaudit.types import Array, FloatArray, IntArray, Modality


@dataclass(frozen=True, eq=False)
class ModalityStatistics:
    """Mean and standard deviation (population, ddof = 0) of a numeric modality over the samples that have it.

    Attributes:
        mean, std: float64 of the shape that `statistics_shape` gives: one sample's, as a rule.
        mode: float64 [columns], in the columns that are declared `categorical` the most frequent code (the smallest
            of equally frequent ones), NaN in the others; None where no column is.
    """

    mean: FloatArray
    std: FloatArray
    mode: FloatArray | None = None

    @property
    def typical(self) -> FloatArray:
        """What stands for a value that is missing: the mean; in categorical columns, which have none, the mode."""
        return self.mean if self.mode is None else np.where(np.isnan(self.mode), self.mean, self.mode)

    @cached_property
    def colour(self) -> Array:
        """`float32`: the mean of each channel of images [H, W, C]; the mean itself where it is one number."""
        mean = np.asarray(self.mean, np.float32)
        return np.asarray(mean.mean((0, 1)) if mean.ndim else mean)


def statistics_shape(modality: Modality) -> tuple[int, ...]:
    """Return the shape of a modality's mean and σ; it broadcasts with every sample.

    One sample's shape, so that each place has its own. Where samples differ in shape: () for one pair over all values;
    but of series whose length alone differs, one pair per channel: (1, C) for the layout TC, (C, 1) for CT.
    """
    if not modality.ragged:
        return tuple(size for size in modality.shape if size is not None)
    channels = _channel_axis(modality)
    return () if channels is None else tuple(1 if size is None else size for size in modality.shape)


def _channel_axis(modality: Modality) -> int | None:
    """The axis of a ragged series' sample along which its fixed number of channels lies; None where there is none."""
    if modality.kind != "series" or modality.time_axis is None or len(modality.shape) != 2:
        return None
    channels = 1 - modality.time_axis
    return channels if modality.shape[channels] is not None else None


def statistics(data: Dataset, modality: str, limit: int = 20_000) -> ModalityStatistics | None:
    """Return mean and standard deviation of one modality, and the modes of its categorical columns; None for text.

    Over at most `limit` samples, evenly spaced among those in which the modality was recorded. Streamed: blocks of a
    few MiB are merged by the pairwise update of Chan, Golub & LeVeque (1983), float64 throughout.

    Raises:
        UnknownName: no such modality.
        BadInput: `limit` is below 1.
    """
    if modality not in [m.name for m in data.modalities]:
        raise UnknownName("modality", modality, [m.name for m in data.modalities])
    return _collect(data, [modality], limit)[modality]


def all_statistics(data: Dataset, limit: int = 20_000) -> dict[str, ModalityStatistics | None]:
    """Return `statistics` of every modality; modalities recorded in the same samples are read together."""
    return _collect(data, [m.name for m in data.modalities], limit)


class _Moments:
    """Count, mean and sum of squared deviations of a modality's values seen so far, and how often which code occurs."""

    def __init__(self, modality: Modality) -> None:
        self.modality = modality
        self.count = 0
        self.mean: FloatArray = np.zeros(())
        self.squares: FloatArray = np.zeros(())
        self.codes: dict[int, Counter[float]] = {column: Counter() for column in modality.categorical or ()}

    def add(self, samples: Array) -> None:
        rows = self._rows(samples).astype(np.float64)
        n = len(rows)
        mean = rows.mean(axis=0)
        squares = np.square(rows - mean).sum(axis=0)
        total = self.count + n
        delta = mean - self.mean
        # With nothing seen before, the weights make this exactly the block's own moments.
        self.squares = self.squares + squares + np.square(delta) * (self.count * n / total)
        self.mean = self.mean + delta * (n / total)
        self.count = total
        for column, counts in self.codes.items():
            found, times = np.unique(rows[:, column], return_counts=True)
            counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))

    def _rows(self, samples: Array) -> Array:
        """What is averaged over, along the first axis: samples; of ragged ones single values, or times of a series."""
        if not self.modality.ragged:
            return samples
        channels = _channel_axis(self.modality)
        if channels is None:
            return np.concatenate([x.ravel() for x in samples])
        return np.concatenate([np.moveaxis(x, channels, -1) for x in samples])

    def result(self) -> ModalityStatistics:
        mean, std = np.asarray(self.mean), np.asarray(np.sqrt(self.squares / self.count))
        shape = statistics_shape(self.modality)
        return ModalityStatistics(mean.reshape(shape), std.reshape(shape), self._mode())

    def _mode(self) -> FloatArray | None:
        if not self.codes:
            return None
        mode = np.full(self.mean.shape, np.nan)
        for column, counts in self.codes.items():
            mode[column] = min(counts, key=lambda code, times=counts: (-times[code], code))  # type: ignore[misc]
        return mode


def _collect(data: Dataset, names: Sequence[str], limit: int) -> dict[str, ModalityStatistics | None]:
    if limit < 1:
        raise BadInput(f"limit is {limit}; statistics need at least 1 sample.")
    table: dict[str, ModalityStatistics | None] = dict.fromkeys(names)
    together: dict[bytes, tuple[IntArray, list[Modality]]] = {}
    for modality in data.modalities:
        if modality.name in names and modality.numeric:
            positions = spread(np.flatnonzero(data.presence(modality.name)), limit)
            together.setdefault(positions.tobytes(), (positions, []))[1].append(modality)
    for positions, modalities in together.values():
        moments = {m.name: _Moments(m) for m in modalities}
        # Blocks depend on the data alone, so the sums round in the same way every time.
        step = min(_rows_per_block(m) for m in modalities)
        for start in range(0, len(positions), step):
            chosen = positions[start : start + step]
            if len(modalities) == 1:
                inputs: Mapping[str, Array] = {modalities[0].name: values(data, modalities[0].name, chosen)}
            else:
                inputs = data.rows(chosen).inputs
            for m in modalities:
                moments[m.name].add(inputs[m.name])
        table |= {name: found.result() for name, found in moments.items()}
    return table


def _rows_per_block(modality: Modality) -> int:
    if modality.ragged:
        return 64
    sizes = [size for size in modality.shape if size is not None]
    return max(1, BLOCK_BYTES // (8 * max(1, int(np.prod(sizes)))))
