"""What a model answers to a batch under each condition, and the proof of what the condition did to it."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from mmaudit.data import Dataset
from mmaudit.errors import ContractBroken, MMAuditError
from mmaudit.feeding import ahead
from mmaudit.models import Model, TwoStage
from mmaudit.models.failure import raise_if_out_of_memory
from mmaudit.outputs import ConditionOutputs, Float32Array, joined
from mmaudit.passes import Fit, Passes, one_by_one
from mmaudit.probes import Source, probes
from mmaudit.probes.proof import moved
from mmaudit.probes.received import Received
from mmaudit.repeats import Repeats
from mmaudit.retrieval import Border
from mmaudit.store import Run
from mmaudit.threads import workers
from mmaudit.timing import Timing
from mmaudit.types import Array, Batch, BoolArray, Condition, IntArray, Task


@dataclass(frozen=True, eq=False)
class _Made:
    """A batch under a condition, and what the condition did to it."""

    batch: Batch
    changed: dict[str, BoolArray]
    moved: dict[str, Float32Array]
    received: int
    donor: IntArray | None


@dataclass(frozen=True, eq=False)
class _Task:
    """One condition of one batch; `made` is None where it takes the model, which one thread uses at a time."""

    clean: Batch
    received: Received
    condition: Condition
    made: _Made | None
    first: bool


class Answerer:
    """Applies conditions to batches and asks the model.

    Inputs are read and perturbed ahead on a thread of their own while the model runs, unless `MMAUDIT_THREADS` is 1
    and the model runs on the CPU. Answers do not depend on it.

    Attributes:
        fits: most samples per pass, once the device ran out of memory.
    """

    def __init__(
        self,
        run: Run,
        model: Model,
        stage: TwoStage | None,
        source: Source,
        timing: Timing,
        border: Border | None = None,
    ) -> None:
        self.run_folder = run
        self.model = model
        self.stage = stage
        self.source = source
        self.timing = timing
        self.border = border
        self.fits = Fit()
        self._repeats: Repeats | None = None
        # What a model measured of its device before belongs to others.
        _usage(model)

    def shard(
        self,
        data: Dataset,
        positions: IntArray,
        conditions: Sequence[Condition],
        rows: int,
        advance: Callable[[int], None],
    ) -> list[ConditionOutputs]:
        """Return the answers to the samples at these positions, read once, under each condition, in their order.

        Args:
            data: where the samples are.
            positions: which, `int64[n]`, at least one.
            conditions: in the order of the answers.
            rows: most samples per forward pass.
            advance: called with the answers (samples × conditions) that are new.
        """
        parts: list[list[ConditionOutputs]] = []
        repeats = self._repeats_of(data, rows)
        passes: Passes | None = None
        with self._ahead(self._tasks(data, positions, conditions, rows)) as tasks:
            for task in self._waited(tasks):
                if task.first:
                    parts.append([])
                    passes = None if self.border else self._passes(task.clean, repeats)
                parts[-1].append(self._answer(task, passes))
                if len(parts[-1]) == len(conditions):
                    advance(len(task.clean) * len(conditions))
        self._measure()
        return [joined(part) for part in zip(*parts, strict=True)]

    # ---- ahead of the model

    def _ahead(self, tasks: Iterator[_Task]) -> AbstractContextManager[Iterator[_Task]]:
        """The tasks as they are, or made on a thread of their own where that can gain anything."""
        if workers() > 1 or str(getattr(self.model, "device", "cpu")) != "cpu":
            return ahead(tasks, _bytes)
        return nullcontext(tasks)

    def _tasks(self, data: Dataset, positions: IntArray, conditions: Sequence[Condition], rows: int) -> Iterator[_Task]:
        preload: Callable[[str, Batch], None] | None = getattr(self.model, "preload", None)
        for start in range(0, len(positions), rows):
            tick = time.perf_counter()
            clean = data.rows(positions[start : start + rows])
            received = Received(self.source, clean)
            self.timing.reading += time.perf_counter() - tick
            brought: deque[Array] = deque(maxlen=2 * len(clean.inputs))
            for i, condition in enumerate(conditions):
                # Adversarial probes follow the model's gradient: they wait until the model is free.
                made = None if condition.family == "adversarial" else self._make(clean, condition, received)
                if preload and made and not self.border and not self.fits.rows:
                    self._preload(preload, clean, made, i == 0, brought)
                yield _Task(clean, received, condition, made, i == 0)

    def _preload(
        self, preload: Callable[[str, Batch], None], clean: Batch, made: _Made, first: bool, brought: deque[Array]
    ) -> None:
        """Let the model bring what it has to see to its device: what it has seen, or can put together, it has.

        `brought` holds what was brought last: stand-ins that subsets share are encoded once.
        """
        for name in self.model.modalities:
            values = made.batch.inputs[name]
            new = values is not clean.inputs[name] and bool(made.changed[name].all())
            if self.stage is None:
                preload(name, made.batch)
            elif first or (new and not any(values is known for known in brought)):
                brought.append(values)
                preload(name, made.batch)

    def _make(self, clean: Batch, condition: Condition, received: Received) -> _Made:
        tick = time.perf_counter()
        probe = None if condition.family == "clean" else probes.get(condition.probe)
        batch = probe.apply(clean, condition, self.source) if probe else clean
        donor = probe.donors(clean, condition, self.source) if probe and probe.donors else None
        changed, distance = self._proof(clean, batch, condition)
        digest = received.digest(batch)
        self.timing.probing += time.perf_counter() - tick
        return _Made(batch, changed, distance, digest, donor)

    def _waited(self, tasks: Iterator[_Task]) -> Iterator[_Task]:
        """The tasks, and how long the model waited for them."""
        while True:
            tick = time.perf_counter()
            task = next(tasks, None)
            self.timing.waiting += time.perf_counter() - tick
            if task is None:
                return
            yield task

    # ---- the model

    def _repeats_of(self, data: Dataset, rows: int) -> Repeats | None:
        """What spares rows of encoders; none on a device, where columns are brought as they are."""
        if self.stage is None or getattr(self.model, "preloads", False):
            return None
        if self._repeats is None or self._repeats.rows != rows:
            self._repeats = Repeats(self.stage, rows, lambda: data.rows(np.arange(min(rows, len(data)))))
        return self._repeats

    def _passes(self, clean: Batch, repeats: Repeats | None) -> Passes:
        width = self.run_folder.task.width
        return Passes(self.model, self.stage, clean, width, self.timing, self.fits, repeats)

    def _answer(self, task: _Task, passes: Passes | None) -> ConditionOutputs:
        made = task.made or self._make(task.clean, task.condition, task.received)
        if passes is None:
            assert self.border is not None
            outputs = self.border.answers(made.batch, task.condition)
        else:
            tick = time.perf_counter()
            outputs = self._outputs(made, task.condition, passes)
            self.timing.model += time.perf_counter() - tick
        return ConditionOutputs(outputs, made.changed, made.moved, made.received, made.donor)

    def _outputs(self, made: _Made, condition: Condition, passes: Passes) -> Float32Array:
        task = self.run_folder.task
        try:
            # The control's copies equal the clean arrays; they are there to go the whole way again.
            changed = None if condition.family == "control" else made.changed
            rows = passes.predict(made.batch, changed)
        except (MMAuditError, MemoryError):
            raise
        except Exception as error:
            raise_if_out_of_memory(error, len(made.batch))
            rows = one_by_one(self.model.predict, made.batch, task.width, lambda: self._keep(condition))
        # Before the conversion too: clipping would turn an infinite probability into a sure answer.
        usable = np.asarray(np.isfinite(rows).all(axis=1))
        logits = to_logits(np.where(usable[:, None], rows, 0), self.model.outputs, task)
        logits[~(usable & np.isfinite(logits).all(axis=1))] = np.nan
        return logits

    def _keep(self, condition: Condition) -> None:
        """Keep the first traceback of a condition."""
        if not self.run_folder.error(condition):
            self.run_folder.write_error(condition, traceback.format_exc())

    def _measure(self) -> None:
        seconds, peak = _usage(self.model)
        self.timing.device_seconds += seconds
        self.timing.device_bytes = max(self.timing.device_bytes, peak)

    def _proof(
        self, clean: Batch, batch: Batch, condition: Condition
    ) -> tuple[dict[str, BoolArray], dict[str, Float32Array]]:
        """How far each modality of each sample was moved; a probe that touches what it did not declare is refused."""
        changed: dict[str, BoolArray] = {}
        distance: dict[str, Float32Array] = {}
        for name, before in clean.inputs.items():
            after = batch.inputs[name]
            if after is before:
                changed[name] = np.zeros(len(clean), np.bool_)
                distance[name] = np.zeros(len(clean), np.float32)
            else:
                modality = self.source.modality(name)
                changed[name], distance[name] = moved(before, after, modality, self.source.statistics[name])
            withheld = clean.present[name] != batch.present[name]
            changed[name] |= withheld
            distance[name][withheld] = np.nan
            if name not in condition.modalities and changed[name].any():
                raise ContractBroken(
                    f"probe {condition.probe!r}", "declared modalities", f"changed {name!r}, which it does not declare"
                )
        return changed, distance


def to_logits(rows: Array, scale: str, task: Task) -> Float32Array:
    """Return `float32[n, k]`: probabilities as log p (classification) or log p − log(1 − p) (multilabel).

    Probabilities are clipped to float32's smallest normal number and its complement's resolution, so that 0 and 1
    stay finite. Logits and values pass through.
    """
    if scale != "probabilities":
        return np.array(rows, np.float32)
    p = np.clip(np.asarray(rows, np.float64), float(np.finfo(np.float32).tiny), 1.0)
    logits = np.log(p)
    if task.kind == "multilabel":
        logits -= np.log(np.clip(1.0 - p, 2.0**-53, 1.0))
    return logits.astype(np.float32)


def _usage(model: object) -> tuple[float, int]:
    """Seconds in which the model's device computed since it was last asked, and its highest memory; 0 if not known."""
    ask: Callable[[], tuple[float, int]] | None = getattr(model, "usage", None)
    return ask() if ask else (0.0, 0)


def _bytes(task: _Task) -> int:
    """What a task that waits for the model holds: the clean batch is counted once, with the first condition."""
    clean = task.clean
    total = sum(map(_size, clean.inputs.values())) if task.first else 0
    made = task.made.batch.inputs if task.made else {}
    return total + sum(_size(x) for name, x in made.items() if x is not clean.inputs[name])


def _size(array: Array) -> int:
    if array.dtype != object:
        return array.nbytes
    return sum(x.nbytes if isinstance(x, np.ndarray) else len(x) for x in array)
