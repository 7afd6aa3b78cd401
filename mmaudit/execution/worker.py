"""Who answers shards: a model, its data and the run, in whatever process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import cast

from mmaudit.answering import Answerer
from mmaudit.data import Dataset
from mmaudit.errors import StaleRun
from mmaudit.execution.answering_run import AnsweringRun
from mmaudit.execution.job import Job
from mmaudit.execution.staging import CHECK_ROWS, source_of, spread, staged
from mmaudit.models import Model, Retriever, TwoStage, as_model
from mmaudit.place import remove_folder
from mmaudit.probes import Source
from mmaudit.retrieval import Border
from mmaudit.retrieval.border import FOLDER
from mmaudit.store import Run
from mmaudit.timing import Timing
from mmaudit.types import CLEAN, Condition


class Worker:
    """Answers shards of a run.

    Args:
        run, data, model, source: what to run.
        stage: the model's two-stage view, or None.
        rows: most samples per forward pass.
        advance: called with the answers (samples × conditions) that are new.

    Attributes:
        timing: what it spent so far.
    """

    def __init__(
        self,
        run: Run,
        data: Dataset,
        model: Model | Retriever,
        source: Source,
        stage: TwoStage | None,
        rows: int,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        self.run = AnsweringRun.of(run)
        self.run.start(None)
        self.data, self.model, self.source, self.stage, self.rows = data, model, source, stage, rows
        self.timing = Timing()
        self.advance = advance or _nothing

    @classmethod
    def of(cls, job: Job) -> Worker:
        """Make a worker of what was sent to this process.

        Raises:
            StaleRun: the model that is made here is another than the one that was checked.
        """
        model = job.model
        if job.make_model is not None:
            model = as_model(job.make_model())
            if model.fingerprint != job.fingerprint:
                raise StaleRun(
                    f"model {model.name!r} made in a worker has fingerprint {model.fingerprint}, the one that was "
                    f"checked has {job.fingerprint}: its code, weights or library versions differ there."
                )
        whole = cast(Model, model)
        batch = job.data.rows(spread(len(job.data), CHECK_ROWS)) if job.staged else None
        stage = staged(whole, batch)[0] if batch is not None else None
        source = source_of(job.data, job.statistics, whole)
        return cls(Run.open(job.folder), job.data, model, source, stage, job.batch_rows)

    def answer(self, shard: int, portions: Sequence[int]) -> None:
        """Answer a shard of these portions, all of the same samples, under their conditions, and write its files."""
        run = self.run
        if max(portions) >= len(run.portions):  # planned since this worker opened the run
            run.header.update(Run.open(run.folder).header)
        run.start(shard)
        try:
            conditions = [c for i in portions for c in run.portions[i].conditions]
            if self.border is not None:
                run.start(None)
                # There already, unless another process keeps them where this one cannot see them.
                self.border.prepare(conditions, _nothing)
                run.start(shard)
            positions = run.shards(portions[0])[shard]
            answers = self._answerer.shard(self.data, positions, conditions, self.rows, self.advance)
            whole = iter(answers)
            for i in portions:
                run.write_shard(shard, i, [next(whole) for _ in run.portions[i].conditions])
        finally:
            run.start(None)

    def make_bank(self, condition: Condition) -> None:
        """Make a condition's bank of candidates and the answers to all samples with it; of a retrieval only."""
        assert self.border is not None
        self.border.prepare([condition], _nothing)

    @cached_property
    def border(self) -> Border | None:
        """The border of a retrieval, its clean features made; None for other tasks."""
        border = self._border()
        if border is not None:
            border.prepare([CLEAN], _nothing)
        return border

    def close(self) -> None:
        """Remove the files on the way; when every shard is done, by whoever started it all."""
        border = self._border()
        if border is not None:
            border.close()
        if (self.run.folder / FOLDER).exists():
            remove_folder(self.run.folder / FOLDER)

    def _border(self) -> Border | None:
        if self.run.task.kind != "retrieval":
            return None
        model = cast(Retriever, self.model)
        return Border(self.run, self.data, model, self.source, self.rows, self.timing)

    @cached_property
    def _answerer(self) -> Answerer:
        return Answerer(self.run, cast(Model, self.model), self.stage, self.source, self.timing, self.border)


def _nothing(rows: int) -> None:
    del rows
