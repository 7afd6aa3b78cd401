"""What a fusion costs at prediction time, beside the audited model's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmaudit.models import TwoStage
from mmaudit.reference.trained import Trained
from mmaudit.types import Batch

REPEATS = 15


def fusion_microseconds(trained: Trained, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> float:
    """Median time of one trial's answer to rows whose features are there, in µs per row."""
    module = trained.loaded(trained.usable[0])

    def run() -> None:
        with torch.inference_mode():
            module(inputs, present)

    return _microseconds(run, len(next(iter(present.values()))))


def audited_microseconds(stage: TwoStage | None, batch: Batch, modalities: tuple[str, ...]) -> float:
    """The same of the audited model's fusion; NaN where it is not two-stage."""
    if stage is None:
        return float("nan")
    features: dict[str, Any] = {m: stage.encode(m, batch) for m in modalities}
    return _microseconds(lambda: stage.fuse(features, batch), len(batch))


def _microseconds(call: Callable[[], Any], rows: int) -> float:
    taken = []
    for attempt in range(REPEATS + 3):
        started = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if attempt >= 3:  # the first ones warm up
            taken.append(time.perf_counter() - started)
    return float(np.median(taken)) * 1e6 / rows
