"""Audits that keep to a budget, and runs in memory, whose answers are all known, to spend one without a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from helpers.run_cases import Rowwise, dataset
from mmaudit import Report, audit
from mmaudit.budget import Budget
from mmaudit.header import modality_to_json
from mmaudit.outputs import ConditionOutputs
from mmaudit.predict import Progress
from mmaudit.samples_file import Samples
from mmaudit.spending import spend
from mmaudit.store import Run
from mmaudit.timing import Timing
from mmaudit.types import Array, Condition, Modality, Task

N = 900
SUITE = {"base": "standard", "analyses": ["emap"]}


def run(out: Path, suite: Any = SUITE, n: int = N, model: Any = None, **more: Any) -> Report:
    """Audit `n` samples, by default without a budget."""
    given = {"resamples": 100, "keep_samples": 4, **more}
    return audit(model or Rowwise(), dataset(n=n, seed=1), out=out, suite=suite, **given)


class Answered(Run):
    """A run that shows of its answers those that its portions say; nothing is measured yet.

    Args:
        task: what the answers mean.
        target: truth of each sample.
        outputs: by condition key, `float32[n, k]`; NaN where the model refuses.
        conditions: the plan, clean first.
        cluster: of each sample.
    """

    def __init__(
        self,
        task: Task,
        target: Array,
        outputs: Mapping[str, Array],
        conditions: Sequence[Condition],
        cluster: Array | None = None,
    ) -> None:
        names = sorted({m for c in conditions for m in c.modalities})
        super().__init__(
            Path("answered"),
            {
                "data": {"n": len(target)},
                "task": task.to_json(),
                "modalities": [modality_to_json(Modality(name, "tabular", (1,))) for name in names],
                "increments": [[c.to_json() for c in conditions]],
                "shard_rows": 2**20,
                "budget": Budget(1).to_json(),
                "portions": [],
            },
        )
        present = {name: np.ones(len(target), np.bool_) for name in names}
        self.__dict__["samples"] = Samples(np.arange(len(target)), target, {}, cluster, present)
        self.outputs = outputs

    def _save_header(self) -> None:
        pass

    def lacking(self, first: int = 0) -> Iterator[tuple[int, tuple[int, ...]]]:
        return iter(())

    def read(self, condition: Condition) -> ConditionOutputs:
        measured = np.zeros(self.n, np.bool_)
        measured[self.order[: self.count(condition)]] = True
        outputs = np.where(measured[:, None], self.outputs[condition.key], np.float32(np.nan))
        changed = {m.name: measured for m in self.modalities}
        moved = {m.name: np.ones(self.n, np.float32) for m in self.modalities}
        return ConditionOutputs(outputs, changed, moved, measured=None if measured.all() else measured)


def spent(run: Answered, limit: Budget) -> list[int]:
    """Spend a budget on it; the samples under each condition."""

    def answers(told: Progress | None, first: int) -> Timing:
        return Timing()

    run.header["budget"] = limit.to_json()
    spend(run, limit, answers)
    return run.counts
