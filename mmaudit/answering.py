"""What a model answers to a batch under each condition, and the proof of what the condition did to it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mmaudit.data import Dataset
from mmaudit.errors import ContractBroken, MMAuditError
from mmaudit.memo import FeatureMemo
from mmaudit.models import Model, TwoStage
from mmaudit.models.failure import raise_if_out_of_memory
from mmaudit.outputs import ConditionOutputs, Float32Array, joined_donors, total_received
from mmaudit.probes import Source, probes
from mmaudit.probes.proof import moved
from mmaudit.probes.received import Received
from mmaudit.retrieval import Border
from mmaudit.store import Run
from mmaudit.timing import Timing
from mmaudit.types import Array, Batch, BoolArray, Condition, IntArray, Task


class Answerer:
    """Applies conditions to a batch and keeps what they have in common."""

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
        for start in range(0, len(positions), rows):
            tick = time.perf_counter()
            batch = data.rows(positions[start : start + rows])
            self.timing.reading += time.perf_counter() - tick
            parts.append(self.run(batch, conditions))
            advance(len(batch) * len(conditions))
        return [joined(part) for part in zip(*parts, strict=True)]

    def run(self, clean: Batch, conditions: Sequence[Condition]) -> list[ConditionOutputs]:
        """Return the answers to a clean batch under each of these conditions, in their order."""
        features = None
        if self.stage and not self.border:
            features = FeatureMemo(self.stage, self.model.modalities, clean, self.timing)
        received = Received(self.source, clean)
        return [self._answer(clean, condition, features, received) for condition in conditions]

    def _answer(
        self, clean: Batch, condition: Condition, features: FeatureMemo | None, received: Received
    ) -> ConditionOutputs:
        tick = time.perf_counter()
        probe = None if condition.family == "clean" else probes.get(condition.probe)
        batch = probe.apply(clean, condition, self.source) if probe else clean
        donor = probe.donors(clean, condition, self.source) if probe and probe.donors else None
        changed, distance = self._proof(clean, batch, condition)
        digest = received.digest(batch)
        tock = time.perf_counter()
        self.timing.probing += tock - tick
        if self.border:
            return ConditionOutputs(self.border.answers(batch, condition), changed, distance, digest, donor)
        outputs = self._outputs(batch, condition, features)
        self.timing.model += time.perf_counter() - tock
        return ConditionOutputs(outputs, changed, distance, digest, donor)

    def _outputs(self, batch: Batch, condition: Condition, features: FeatureMemo | None) -> Float32Array:
        width = self.run_folder.task.width
        forward = features.predict if features else self.model.predict
        try:
            rows = _checked(forward(batch), len(batch), width)
        except (MMAuditError, MemoryError):
            raise
        except Exception as error:
            raise_if_out_of_memory(error, len(batch))
            rows = self._one_by_one(batch, condition, width)
        # Before the conversion too: clipping would turn an infinite probability into a sure answer.
        usable = np.asarray(np.isfinite(rows).all(axis=1))
        logits = to_logits(np.where(usable[:, None], rows, 0), self.model.outputs, self.run_folder.task)
        logits[~(usable & np.isfinite(logits).all(axis=1))] = np.nan
        return logits

    def _one_by_one(self, batch: Batch, condition: Condition, width: int) -> Float32Array:
        """Answers where the model answers, NaN where it raises, found by halving; the first traceback is kept."""
        try:
            return _checked(self.model.predict(batch), len(batch), width)
        except (MMAuditError, MemoryError):
            raise
        except Exception:
            if len(batch) == 1:
                if not self.run_folder.error(condition):
                    self.run_folder.write_error(condition, traceback.format_exc())
                return np.full((1, width), np.nan, np.float32)
        half = len(batch) // 2
        halves = (slice(None, half), slice(half, None))
        return np.concatenate([self._one_by_one(batch.take(h), condition, width) for h in halves])

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


def joined(parts: Sequence[ConditionOutputs]) -> ConditionOutputs:
    """The answers to all samples from those to parts of them, in order."""

    def each(pick: Callable[[ConditionOutputs], Mapping[str, Array]]) -> dict[str, Array]:
        return {name: np.concatenate([pick(p)[name] for p in parts]) for name in pick(parts[0])}

    return ConditionOutputs(
        np.concatenate([p.outputs for p in parts]),
        each(lambda p: p.changed),
        each(lambda p: p.moved),
        total_received(p.received for p in parts),
        joined_donors([p.donor for p in parts]),
    )


def _checked(rows: Array, n: int, width: int) -> Array:
    if np.shape(rows) != (n, width):
        raise ContractBroken("model", "output shape", f"gave outputs of shape {np.shape(rows)}, expected {(n, width)}")
    return rows
