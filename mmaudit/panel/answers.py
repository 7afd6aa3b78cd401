"""Metrics of every model of a panel under every condition, with replicates on shared resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from mmaudit.comparison import Measured, measure, nothing
from mmaudit.errors import BadInput
from mmaudit.metrics import Metric, Predictions, Resamples
from mmaudit.metrics.predictions import Rarest
from mmaudit.outputs import ConditionOutputs
from mmaudit.store import Run
from mmaudit.threads import workers
from mmaudit.types import CLEAN, BoolArray, Condition, FloatArray

# What measuring a condition takes at its peak, and what all that are measured at a time may take.
BYTES_PER_ROW = 100
BYTES_PER_OUTPUT = 60
BYTES = 256 * 2**20

NO_SAMPLE = "no sample has an answer from the audited model and from every seed"


@dataclass(frozen=True, eq=False)
class Paired:
    """One metric of one method and of the audited model, on the same samples and resamples.

    Attributes:
        seeds: `float64[S, 1 + B]`, the estimate of each seed, then its replicates.
        audited: `float64[1 + B]`, the audited model's.
        w: the resamples of these samples.
        chance: `float64[1 + B]`, chance level on them; one NaN where there is none.
        reason: why it is undefined; empty otherwise.
        rarest: of metrics in which all classes weigh alike, see `Measured.rarest`.
    """

    seeds: FloatArray
    audited: FloatArray
    w: Resamples
    chance: FloatArray = field(default_factory=lambda: np.full(1, np.nan))
    reason: str = ""
    rarest: Rarest | None = None

    @property
    def bound(self) -> float:
        """How far a share may be from one that no replicate leaves (`Measured.bound`)."""
        return Measured(self.audited, self.w, rarest=self.rarest).bound

    @property
    def units(self) -> int:
        """Independent units that interval and p go by (`Measured.units`)."""
        return Measured(self.audited, self.w, rarest=self.rarest).units

    @property
    def floor(self) -> float:
        """Chance level on these samples."""
        return float(self.chance[0])

    @property
    def n(self) -> int:
        """Samples."""
        return self.w.n

    @property
    def mean(self) -> FloatArray:
        """`float64[1 + B]`: mean over the seeds; where all are equal just that, which their sum may miss by 1 ulp."""
        equal = (self.seeds == self.seeds[0]).all(axis=0)
        return np.asarray(np.where(equal, self.seeds[0], self.seeds.mean(axis=0)))


@dataclass(eq=False)
class Reader:
    """Answers of the audited model and of the seeds of every method, measured on the samples they share.

    A sample counts for a method where the audited model and every seed of that method answered it, on clean data and
    under the condition. So differences are paired, and no model is better for leaving out what is hard.

    Attributes:
        run: of the audited model.
        members: per method the runs of its seeds, at least one each.
        w: resamples of all samples.
    """

    run: Run
    members: Mapping[str, Sequence[Run]]
    w: Resamples
    base: dict[str, BoolArray] = field(default_factory=dict)
    _known: dict[tuple[str, str, bytes], Measured] = field(default_factory=dict)

    def __post_init__(self) -> None:
        clean = self.run.read(CLEAN).answered
        if not clean.any():
            errors = self.run.folder / "errors"
            raise BadInput(f"the model answered no sample on clean data; {errors} has its traceback.")
        for name, runs in self.members.items():
            self.base[name] = np.logical_and.reduce([clean, *(r.read(CLEAN).answered for r in runs)])
        self.base[""] = clean

    def all_of(self, metric: Metric, conditions: Sequence[Condition]) -> dict[tuple[str, str], Paired]:
        """Measure a metric under conditions; by method (empty: the audited model alone) and key of the condition."""
        with ThreadPoolExecutor(self._threads()) as pool:
            found = list(pool.map(lambda c: self._condition(metric, c), conditions))
        return {(name, c.key): p for c, each in zip(conditions, found, strict=True) for name, p in each.items()}

    def _threads(self) -> int:
        per_row = BYTES_PER_ROW + BYTES_PER_OUTPUT * self.run.task.width
        return max(1, min(workers(), BYTES // (self.run.n * per_row)))

    def _condition(self, metric: Metric, condition: Condition) -> dict[str, Paired]:
        answers = self.run.read(condition)
        rows = self.base[""] & answers.answered
        mine = self._measure(self.run, metric, condition, rows, answers)
        found = {"": Paired(mine.values[None], mine.values, mine.w, mine.chance, mine.reason, mine.rarest)}
        for name, runs in self.members.items():
            found[name] = self._method(metric, condition, runs, self.base[name] & rows, answers)
        return found

    def _method(
        self, metric: Metric, condition: Condition, runs: Sequence[Run], rows: BoolArray, audited: ConditionOutputs
    ) -> Paired:
        seeds: list[Measured] = []
        for run in runs:
            answers = run.read(condition)
            if (rows & answers.answered).sum() < rows.sum():
                # Rare: then all answers are read once to know the samples they share, and once more to measure.
                rows = np.logical_and.reduce([rows, *(r.read(condition).answered for r in runs)])
                seeds = [self._measure(r, metric, condition, rows, r.read(condition)) for r in runs]
                break
            seeds.append(self._measure(run, metric, condition, rows, answers))
        mine = self._measure(self.run, metric, condition, rows, audited)
        reason = next((m.reason for m in (mine, *seeds) if m.reason), "")
        return Paired(np.stack([m.values for m in seeds]), mine.values, mine.w, mine.chance, reason, mine.rarest)

    def _measure(
        self, run: Run, metric: Metric, condition: Condition, rows: BoolArray, answers: ConditionOutputs
    ) -> Measured:
        # The audited model is measured once for all methods that share its samples.
        key = (condition.key, metric.name, b"" if rows.all() else np.packbits(rows).tobytes())
        if run is self.run and key in self._known:
            return self._known[key]
        w = self.w if rows.all() else self.w.take(rows)
        if not rows.any():
            return nothing(w, NO_SAMPLE)
        predictions = self._predictions(answers, rows)
        is_clean = condition.key == CLEAN.key
        chance = metric.chances(predictions.task, predictions.target, w) if is_clean else None
        found = measure(metric, predictions, w, chance=chance)
        if run is self.run:
            self._known[key] = found
        return found

    def _predictions(self, answers: ConditionOutputs, rows: BoolArray) -> Predictions:
        outputs, target = answers.outputs, self.run.samples.target
        if not rows.all():
            outputs, target = outputs[rows], target[rows]
        return Predictions(self.run.task, outputs, target)

    def mean_of(
        self, row_value: Callable[[ConditionOutputs], FloatArray], condition: Condition, rows: BoolArray
    ) -> dict[str, Paired]:
        """Measure the mean of a value of every sample over some rows; the value is NaN where there is no answer.

        Args:
            row_value: from answers to all samples to `float64[n]`.
            condition: under which they were given.
            rows: `bool[n]`.
        """
        mine = row_value(self.run.read(condition))
        found = {}
        for name, runs in {"": (), **self.members}.items():
            values = np.stack([mine, *(row_value(r.read(condition)) for r in runs)])
            shared = rows & self.base[name] & np.isfinite(values).all(axis=0)
            w = self.w.take(shared)
            if not shared.any():
                empty = np.full((max(len(runs), 1), 1 + w.replicates), np.nan)
                found[name] = Paired(empty, empty[0], w, reason=NO_SAMPLE)
                continue
            all_values = np.stack([np.concatenate([[v.mean()], w.mean(v)]) for v in values[:, shared]])
            found[name] = Paired(all_values[1:] if runs else all_values, all_values[0], w)
        return found
