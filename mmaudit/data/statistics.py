"""Mean and standard deviation of each modality: what a mean stand-in and noise are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmaudit.data.dataset import Dataset, values
from mmaudit.data.scan import BLOCK_BYTES
from mmaudit.errors import BadInput, UnknownName
from mmaudit.types import Array, FloatArray, IntArray, Modality


@dataclass(frozen=True, eq=False)
class ModalityStatistics:
    """Mean and standard deviation (population, ddof = 0) of a numeric modality over the samples that have it.

    Attributes:
        mean, std: float64 of one sample's shape; of shape () over all values where samples differ in shape.
    """

    mean: FloatArray
    std: FloatArray


def statistics(data: Dataset, modality: str, limit: int = 20_000) -> ModalityStatistics | None:
    """Return mean and standard deviation of one modality, None for text.

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
    """Count, mean and sum of squared deviations of rows seen so far."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: FloatArray = np.zeros(())
        self.squares: FloatArray = np.zeros(())

    def add(self, rows: FloatArray) -> None:
        n = len(rows)
        mean = rows.mean(axis=0)
        squares = np.square(rows - mean).sum(axis=0)
        total = self.count + n
        delta = mean - self.mean
        # With nothing seen before, the weights make this exactly the block's own moments.
        self.squares = self.squares + squares + np.square(delta) * (self.count * n / total)
        self.mean = self.mean + delta * (n / total)
        self.count = total

    def result(self) -> ModalityStatistics:
        return ModalityStatistics(np.asarray(self.mean), np.asarray(np.sqrt(self.squares / self.count)))


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
        moments = {m.name: _Moments() for m in modalities}
        # Blocks depend on the data alone, so the sums round in the same way every time.
        step = min(_rows_per_block(m) for m in modalities)
        for start in range(0, len(positions), step):
            chosen = positions[start : start + step]
            if len(modalities) == 1:
                inputs: Mapping[str, Array] = {modalities[0].name: values(data, modalities[0].name, chosen)}
            else:
                inputs = data.rows(chosen).inputs
            for m in modalities:
                rows = inputs[m.name]
                flat = np.concatenate([x.ravel() for x in rows]) if m.ragged else rows
                moments[m.name].add(flat.astype(np.float64))
        table |= {name: found.result() for name, found in moments.items()}
    return table


def spread(positions: IntArray, limit: int) -> IntArray:
    """Return at most `limit` of `positions`, evenly spaced, the first and the last among them."""
    if len(positions) <= limit:
        return positions.astype(np.int64)
    places = np.linspace(0, len(positions) - 1, limit).round().astype(np.int64)
    return positions[places].astype(np.int64)


def _rows_per_block(modality: Modality) -> int:
    if modality.ragged:
        return 64
    sizes = [size for size in modality.shape if size is not None]
    return max(1, BLOCK_BYTES // (8 * max(1, int(np.prod(sizes)))))
