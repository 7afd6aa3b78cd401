"""The seam between an audit and whoever does its work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from mmaudit.timing import Timing

if TYPE_CHECKING:
    from mmaudit.execution.job import Job
    from mmaudit.execution.worker import Worker


class Work(Protocol):
    """Something that a worker does; pickled with little else than its own fields.

    Doing it a second time, by another worker, must leave the same files: a worker may die before it says that it is
    done.
    """

    @property
    def said(self) -> str:
        """What it is, for messages: "shard 3"."""

    @property
    def timed(self) -> bool:
        """Whether a worker that takes much longer for it than others did is taken to hang."""

    def __call__(self, worker: Worker) -> Any:
        """Do it; what it returns is sent back and should be small."""


Done = Callable[[Work, Any], None]
"""Called with a work that is done and what it returned."""


class Crew(Protocol):
    """Workers of one audit."""

    @property
    def started(self) -> bool:
        """Whether workers run that have their model: another work costs no start."""

    @property
    def timing(self) -> Timing:
        """What all its workers spent, those that are gone among them."""

    def do(self, works: Sequence[Work], done: Done) -> None:
        """Have every work done, in any order; `done` is called here, in this thread, for one after the other.

        Raises:
            MMAuditError: what a work raised, as it would have here; other works may be undone.
            ContractBroken: a work was lost with every worker that tried it; names all that is missing.
        """


class Executor(Protocol):
    """A way of getting workers."""

    @property
    def own_process(self) -> bool:
        """Whether its workers are this very process, so that nothing has to be sent."""

    def crew(self, job: Job) -> AbstractContextManager[Crew]:
        """Give workers for a run; they are gone when the context ends, also where it ends by an exception.

        Raises:
            BadInput: model or data cannot be sent to another process; says what to do.
            MissingExtra: the package that it needs is not installed.
        """
