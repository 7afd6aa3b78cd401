"""What workers do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from mmaudit.execution.worker import Worker


@dataclass(frozen=True)
class Ready:
    """Have a model: the first thing that is asked of a worker."""

    said: ClassVar[str] = "starting"
    timed: ClassVar[bool] = False

    def __call__(self, worker: Worker) -> None:
        """Nothing is left to do: whoever calls this made the worker."""


@dataclass(frozen=True)
class AnswerShard:
    """Answer a shard of some portions of the run, all of the same samples, and write its files."""

    shard: int
    portions: tuple[int, ...]
    timed: ClassVar[bool] = True

    @property
    def said(self) -> str:
        """The shard, by its place."""
        return f"shard {self.shard}"

    def __call__(self, worker: Worker) -> None:
        """Do it."""
        worker.answer(self.shard, self.portions)


@dataclass(frozen=True)
class MakeBank:
    """Make the candidates of a condition that touches the target modality of a retrieval, and the answers with them."""

    key: str
    label: str
    timed: ClassVar[bool] = True

    @property
    def said(self) -> str:
        """The condition, by its label."""
        return f"the candidates under {self.label}"

    def __call__(self, worker: Worker) -> None:
        """Do it."""
        worker.make_bank(worker.run.condition(self.key))
