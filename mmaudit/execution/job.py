"""What a worker needs before its first shard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mmaudit.data import Dataset
from mmaudit.data.statistics import ModalityStatistics
from mmaudit.models import Model, Retriever


@dataclass(frozen=True, eq=False)
class Job:
    """A run, and what its shards are answered with.

    Attributes:
        folder: of the run; planned, its header written.
        data: the audited data set.
        model: checked; what a worker gets where nothing makes another.
        fingerprint: of the model.
        statistics: per modality, what stand-ins and noise use; None for text.
        staged: whether the model's two-stage view proved itself here.
        batch_rows: most samples per forward pass.
        make_model: makes the model in the worker, which is then not sent: an import path, files that lie there.
    """

    folder: Path
    data: Dataset
    model: Model | Retriever
    fingerprint: str
    statistics: Mapping[str, ModalityStatistics | None]
    staged: bool
    batch_rows: int
    make_model: Callable[[], object] | None = None
