"""A run as whoever answers its shards sees it: tracebacks are kept by shard, so that it does not matter who was first.

Of the tracebacks of a condition a run keeps one. In one process that is the first; with many, the first in time would
be another in every audit. So each shard's lie beside it, under a name that starts with a dot, written before the shard
is: a shard that is done has its tracebacks. When all are done, `settle` keeps those of the lowest shard.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmaudit.folder import make_folder, write_atomically
from mmaudit.outputs import ConditionOutputs
from mmaudit.store import Run
from mmaudit.types import Condition


class AnsweringRun(Run):
    """The run, with `shard` being answered; None: what is done once for all shards, whose tracebacks come first."""

    shard: int | None = None

    @classmethod
    def of(cls, run: Run) -> AnsweringRun:
        """The same run; its header is shared."""
        return cls(run.folder, run.header)

    def start(self, shard: int | None) -> None:
        """Say which shard tracebacks are to belong to from now on."""
        self.shard = shard
        self._raised: dict[str, str] = {}

    def error(self, condition: Condition) -> str:
        """Return the traceback kept of this shard under a condition, or an empty string."""
        return super().error(condition) if self.shard is None else self._raised.get(condition.key, "")

    def write_error(self, condition: Condition, text: str) -> None:
        """Keep a traceback of this shard."""
        if self.shard is None:
            super().write_error(condition, text)
        else:
            self._raised[condition.key] = text

    def write_shard(self, shard: int, portion: int, results: Sequence[ConditionOutputs]) -> None:
        """Write a shard's answers, after its tracebacks under the conditions of that portion."""
        keys = [c.key for c in self.portions[portion].conditions]
        for key in [key for key in keys if key in self._raised]:
            make_folder(self.folder / "errors")
            file = self.folder / "errors" / f".{key}.{portion:06d}.{shard:06d}.txt"
            write_atomically(file, self._raised[key].encode("utf-8", "backslashreplace"))
        super().write_shard(shard, portion, results)


def settle(run: Run) -> None:
    """Keep of every condition's tracebacks the one of the lowest shard, where the run has none yet.

    To be called when every shard is done; killed at any moment and called again, it ends with the same files.
    """
    folder = run.folder / "errors"
    if not folder.is_dir():
        return
    for file in sorted(folder.glob(".*.txt"), key=lambda path: path.name):
        key = file.name[1:].split(".")[0]
        kept = folder / f"{key}.txt"
        if not kept.exists():
            write_atomically(kept, file.read_bytes())
        file.unlink(missing_ok=True)
