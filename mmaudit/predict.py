"""The border: run a model on every sample under every condition, and write its answers to the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from mmaudit.data import Dataset
from mmaudit.execution import AnswerShard, Crew, MakeBank, Work, Worker
from mmaudit.execution.answering_run import settle
from mmaudit.models import Model, Retriever, TwoStage
from mmaudit.place import is_local
from mmaudit.probes import Source
from mmaudit.store import Run
from mmaudit.timing import Timing
from mmaudit.types import Condition

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
    crew: Crew | None = None,
    first: int = 0,
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
        crew: workers in other processes that answer the shards; None: this process does.
        first: portions before it are known to be done.

    Returns:
        Where the time went: `total` by the clock, the rest summed over all workers.
    """
    started = time.perf_counter()
    before = Timing() if crew is None else crew.timing
    lacking = list(run.lacking(first))
    works = [AnswerShard(shard, todo) for shard, todo in lacking]
    sizes = {work: run.answers(*each) for work, each in zip(works, lacking, strict=True)}
    total = sum(run.counts)
    done = total - sum(sizes.values())

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        if progress:
            progress(done, total)

    here = Worker(run, data, model, source, stage, fitting_rows(data, batch_rows), advance)
    if run.task.kind == "retrieval" and works:
        asked = {c.key: c for _, todo in lacking for i in todo for c in run.portions[i].conditions}
        banks = [c for c in asked.values() if run.task.target_modality in c.modalities]
        total += len(data) * (1 + len(banks))
        _make_banks(here, banks, crew, advance)
    if crew is None:
        for work in works:
            work(here)
    else:
        crew.do(works, lambda work, _: advance(sizes[cast(AnswerShard, work)]))
    settle(run)
    here.close()
    timing = here.timing
    if crew is not None:
        timing.add(crew.timing.since(before))
    timing.total = time.perf_counter() - started
    return timing


def _make_banks(here: Worker, banks: Sequence[Condition], crew: Crew | None, advance: Callable[[int], None]) -> None:
    """Make what the answers of a retrieval are made of: clean features here, then the banks, each on its own."""
    n = here.run.n
    _ = here.border
    advance(n)
    works: list[Work] = [MakeBank(c.key, c.label) for c in banks]
    if crew is None:
        for work in works:
            work(here)
            advance(n)
    elif is_local(here.run.folder):
        crew.do(works, lambda *_: advance(n))
    else:  # each worker has files of its own on the way, and makes them when it answers
        advance(n * len(banks))


def fitting_rows(data: Dataset, batch_rows: int) -> int:
    """Return `batch_rows`, or fewer where samples are large."""
    return min(batch_rows, _rows_that_fit(data))


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
