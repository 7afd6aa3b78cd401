"""The mean of each class of a modality, over the whole data set."""

from __future__ import annotations

import numpy as np

from mmaudit.data.scan import BLOCK_BYTES
from mmaudit.errors import NotApplicable
from mmaudit.probes.source import Source
from mmaudit.types import FloatArray, Modality, Task


def declines(modality: Modality, task: Task) -> str | None:
    """Return why a modality has no class means, or None where it has."""
    if task.kind != "classification":
        return f"class means need classes; the task is {task.kind}"
    if not modality.numeric:
        return f"{modality.name!r} is text, which has no mean"
    if modality.ragged:
        return f"samples of {modality.name!r} differ in shape, so they have no mean"
    return None


def class_means(source: Source, name: str) -> FloatArray:
    """Return `float64[classes, …]`: the mean of each class over the samples that recorded the modality.

    A class without any such sample has NaN. Read once, in blocks, in an order that sample ids decide: the same bits
    whatever the order of the data set's rows.

    Raises:
        NotApplicable: the task is not classification, or the modality is text or ragged.
    """
    modality = source.modality(name)
    if reason := declines(modality, source.data.task):
        raise NotApplicable(reason)
    return source.once(("class means", name), lambda: _collect(source, modality))


def _collect(source: Source, modality: Modality) -> FloatArray:
    shape = tuple(size for size in modality.shape if size is not None)
    sums = np.zeros((source.data.task.width, *shape))
    counts = np.zeros(len(sums), np.int64)
    positions = source.recorded(modality.name)
    step = max(1, BLOCK_BYTES // (8 * max(1, int(np.prod(shape)))))
    for start in range(0, len(positions), step):
        chosen = positions[start : start + step]
        classes = source.data.target[chosen]
        rows = source.values(modality.name, chosen).astype(np.float64)
        for c in np.unique(classes).tolist():
            own = rows[classes == c]
            sums[c] += own.sum(axis=0)
            counts[c] += len(own)
    each = counts.reshape(-1, *(1,) * len(shape)).astype(np.float64)
    means: FloatArray = np.divide(sums, each, out=np.full(sums.shape, np.nan), where=each > 0)
    return means
