"""The executor that is none: this process does the work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mmaudit.execution.job import Job
from mmaudit.execution.seam import Crew, Done, Work
from mmaudit.execution.worker import Worker
from mmaudit.timing import Timing


@dataclass(frozen=True)
class InProcess:
    """Shards are answered here, one after the other: nothing is sent, started or waited for."""

    own_process = True

    @contextmanager
    def crew(self, job: Job) -> Iterator[Crew]:
        """Give a crew of one, which has its model already."""
        yield Alone(Worker.of(job))


class Alone:
    """A crew of this process."""

    started = True

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    @property
    def timing(self) -> Timing:
        """What was spent."""
        return self.worker.timing

    def do(self, works: Sequence[Work], done: Done) -> None:
        """Do every work, in order."""
        for work in works:
            done(work, work(self.worker))
