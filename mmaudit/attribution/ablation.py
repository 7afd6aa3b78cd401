"""What the explained output loses when one modality is replaced by its stand-in; needs answers alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mmaudit.answering import to_logits
from mmaudit.attribution.baselines import Baselines
from mmaudit.attribution.explained import explained, explained_weights, target_scale
from mmaudit.attribution.parts import Part
from mmaudit.data import Dataset
from mmaudit.models import Model
from mmaudit.probes import Source
from mmaudit.types import Array, Batch, FloatArray, IntArray, Task

BATCH_ROWS = 64


def ablate_by_answers(
    data: Dataset,
    model: Model,
    source: Source,
    baselines: Baselines,
    positions: IntArray,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Part], int]:
    """Ablate each modality of each sample by asking the model.

    Returns:
        Parts, and how many samples were left out because an answer is not finite.
    """
    parts: list[Part] = []
    left_out, scale = 0, target_scale(data.task, data.target)
    for start in range(0, len(positions), BATCH_ROWS):
        some = positions[start : start + BATCH_ROWS]
        batch = data.rows(some)
        stand_ins = {name: baselines.values(source, name, batch) for name in model.modalities}
        clean = _logits(model, data.task, batch)
        weights = explained_weights(data.task, np.nan_to_num(clean), scale)
        without = {
            name: explained(_logits(model, data.task, batch.replace({name: stand_ins[name]})), weights)
            for name in model.modalities
        }
        baseline = explained(_logits(model, data.task, batch.replace(stand_ins)), weights)
        part = ablation(some, explained(clean, weights), without, baseline)
        parts.append(part)
        left_out += len(some) - len(part.positions)
        if progress:
            progress(start + len(some), len(positions))
    return parts, left_out


def ablation(positions: IntArray, output: FloatArray, without: Mapping[str, FloatArray], baseline: FloatArray) -> Part:
    """Return the rows with finite outputs: per modality f(x) − f(x without it)."""
    rows = np.flatnonzero(np.isfinite([output, baseline, *without.values()]).all(axis=0))
    lost = {name: (output - values)[rows] for name, values in without.items()}
    return Part(positions[rows], lost, {name: np.abs(x) for name, x in lost.items()}, output[rows], baseline[rows])


def _logits(model: Model, task: Task, batch: Batch) -> Array:
    rows = model.predict(batch)
    with np.errstate(invalid="ignore"):
        return to_logits(rows, model.outputs, task)
