"""The border: run a model on every sample under every condition, and write its answers to the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import numpy as np

from mmaudit.answering import Answerer
from mmaudit.data import Dataset
from mmaudit.models import Model, Retriever, TwoStage
from mmaudit.probes import Source
from mmaudit.retrieval import Border
from mmaudit.store import Run
from mmaudit.timing import Timing

BATCH_ROWS = 256
MAX_BATCH_BYTES = 64 * 2**20
MAX_SHARD_BYTES = 256 * 2**20

Progress = Callable[[int, int], None]


def predict(
    run: Run,
    data: Dataset,
    model: Model | Retriever,
    source: Source,
    *,
    stage: TwoStage | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Progress | None = None,
) -> Timing:
    """Write every shard that the run does not have yet.

    Each sample is read once, and its clean encodings are computed once for every condition that leaves the modality
    alone. Killed at any moment, a second call makes the missing shards and ends with the same bytes.

    Args:
        run: where to write; hold its folder by `folder.writing` if another process might write too.
        data, model, source: what to run; `source` offers donors and statistics to the probes.
        stage: the model's two-stage view, or None to run it whole.
        batch_rows: most samples per forward pass; fewer where samples are large (64 MiB per modality).
        progress: called with (conditions × samples done, in total); of a retrieval the banks that are made before
            count, too.
    """
    timing = Timing()
    started = time.perf_counter()
    increments = run.increments
    total = run.n * len(run.conditions)
    done = 0
    step = min(batch_rows, _rows_that_fit(data))
    lacking = [[i for i in range(len(increments)) if not run.is_done(s, i)] for s in range(len(run.shards()))]

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        if progress:
            progress(done, total)

    border = None
    if run.task.kind == "retrieval":
        border = Border(run, data, cast(Retriever, model), source, step, timing)
        asked = [c for i in sorted({i for todo in lacking for i in todo}) for c in increments[i]]
        total += border.rows_before(asked)
        border.prepare(asked, advance)
    worker = Answerer(run, cast(Model, model), stage, source, timing, border)
    for shard, (positions, todo) in enumerate(zip(run.shards(), lacking, strict=True)):
        done += len(positions) * sum(len(c) for i, c in enumerate(increments) if i not in todo)
        conditions = [c for i in todo for c in increments[i]]
        whole = iter(worker.shard(data, positions, conditions, step, advance) if todo else ())
        for i in todo:
            run.write_shard(shard, i, [next(whole) for _ in increments[i]])
    if border:
        border.close()
    timing.total = time.perf_counter() - started
    return timing


def shard_rows(n: int, bytes_per_row: int = 1) -> int:
    """Samples per shard: about 64 files for large data, so that reading a condition back opens few files.

    Fewer where one sample's answers under all conditions are large: a shard's are held until it is written.
    """
    fit = max(64, MAX_SHARD_BYTES // bytes_per_row)
    return min(max(1024, -(-n // 64)), 16_384, fit)


def _rows_that_fit(data: Dataset) -> int:
    """Rows of the widest modality within the limit; a ragged or text modality is judged by the first sample."""
    first = data.rows(np.zeros(1, np.int64))
    widest = max(np.asarray(first.inputs[m.name][0]).nbytes for m in data.modalities)
    return max(1, MAX_BATCH_BYTES // max(widest, 1))
