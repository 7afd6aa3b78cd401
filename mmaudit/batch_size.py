"""How many rows a forward pass takes: as many as the device holds and gains by."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from mmaudit.data import Dataset
from mmaudit.errors import MMAuditError
from mmaudit.models import Model, Retriever, TwoStage
from mmaudit.models.failure import out_of_memory, raise_if_out_of_memory
from mmaudit.types import Batch

LEAST_ROWS = 16
MOST_ROWS = 4096
# A larger batch has to be faster by this share of the rows per second: memory for nothing helps nobody.
GAIN = 0.05
# Bytes of one modality in a batch: an audit holds several of them, clean and perturbed.
MOST_BYTES = 64 * 2**20
_TRIES = 3


def find_batch_rows(
    model: Model | Retriever,
    stage: TwoStage | None,
    data: Dataset,
    *,
    least: int = LEAST_ROWS,
    most: int = MOST_ROWS,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Return a number of rows per pass, found by trying: a power of two, or all rows of a small data set.

    Batches are doubled until the device runs out of memory, a modality of a batch passes 64 MiB, or rows per second
    grow by less than 5 %. The smallest batch within 5 % of the fastest is taken. After running out of memory, no more
    than a quarter of what failed: an audit holds encodings and inputs of several conditions at a time.

    What is found depends on the clock, so two audits may find different numbers. A run keeps the number it was started
    with, in `run.json`.

    Args:
        model: a model, or a retriever, whose encoders are tried.
        stage: the model's two-stage view, or None.
        data: whose first rows are tried.
        least, most: rows to begin with, and not to pass.
        clock: seconds.

    Raises:
        BadInput: the device runs out of memory on one row.
        Exception: what the model raises for other reasons.
    """
    speed: dict[int, float] = {}
    rows, limit = min(least, len(data)), min(most, len(data))
    while rows <= limit:
        batch = data.rows(np.arange(rows))
        if speed and _widest(batch) > MOST_BYTES:
            break
        try:
            seconds = _seconds(_pass(model, stage, batch), clock)
        except (MMAuditError, MemoryError):
            raise
        except Exception as error:
            raise_if_out_of_memory(error, rows)
            if not out_of_memory(error):
                raise
            seconds = math.inf
        if math.isinf(seconds):
            _release(model)
            if speed:
                limit = max(min(speed), rows // 4)
                break
            rows = limit = max(1, rows // 4)
            continue
        before = max(speed.values(), default=0.0)
        # A clock that did not move says nothing of the speed: then a larger batch is tried.
        speed[rows] = rows / seconds if seconds > 0 else math.inf
        if speed[rows] < (1 + GAIN) * before:
            break
        if rows == limit:
            break
        rows = min(2 * rows, limit)
    fitting = {rows: found for rows, found in speed.items() if rows <= limit}
    fastest = max(fitting.values())
    return min(rows for rows, found in fitting.items() if found >= (1 - GAIN) * fastest)


def _pass(model: Model | Retriever, stage: TwoStage | None, batch: Batch) -> Callable[[], Any]:
    """A function that sends the batch through the model once."""
    if isinstance(model, Retriever) and not hasattr(model, "predict"):
        retriever = model
        return lambda: [retriever.encode(name, batch) for name in retriever.modalities]
    if stage is None:
        whole = cast(Model, model)
        return lambda: whole.predict(batch)
    return lambda: stage.fuse({name: stage.encode(name, batch) for name in model.modalities}, batch)


def _seconds(once: Callable[[], Any], clock: Callable[[], float]) -> float:
    """The shortest of a few passes; the first one is not counted: kernels are chosen and memory is taken in it."""
    once()
    found: list[float] = []
    for _ in range(_TRIES):
        tick = clock()
        once()
        found.append(clock() - tick)
    return min(found)


def _widest(batch: Batch) -> int:
    return max(x.nbytes if x.dtype != object else sum(np.asarray(v).nbytes for v in x) for x in batch.inputs.values())


def _release(model: object) -> None:
    release: Callable[[], None] | None = getattr(model, "release_memory", None)
    if release is not None:
        release()
