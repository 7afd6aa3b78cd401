"""A model's two-stage view, found and proved on a batch: here and again in every worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from mmaudit.data import Dataset
from mmaudit.data.statistics import ModalityStatistics
from mmaudit.models import Differentiable, Model, TwoStage
from mmaudit.probes import Source
from mmaudit.types import Batch, IntArray

CHECK_ROWS = 32


def staged(model: Model, batch: Batch) -> tuple[TwoStage | None, str]:
    """Return the model's two-stage view, if it has one that proves itself on this batch, and how it came about."""
    if not hasattr(model, "predict"):
        return None, "encoders and a score of their features: each modality is encoded once for all that leave it alone"
    find_stage: Callable[[Batch], tuple[TwoStage | None, str]] | None = getattr(model, "stage", None)
    if find_stage is not None:
        return find_stage(batch)
    if isinstance(model, TwoStage):
        return model, "two-stage, as the model declares"
    return None, "run whole: the model offers no encode and fuse"


def spread(n: int, count: int) -> IntArray:
    """At most `count` positions, evenly spaced over n samples."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(np.int64))


def source_of(data: Dataset, statistics: Mapping[str, ModalityStatistics | None], model: Model) -> Source:
    """Return what probes draw from: the data set, and the model's gradient where it has one."""
    gradient = partial(model.gradient, task=data.task) if isinstance(model, Differentiable) else None
    return Source(data, statistics, gradient)
