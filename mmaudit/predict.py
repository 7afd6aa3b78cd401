"""The border: run a model on every sample under every condition, and write its answers to the run."""

from __future__ import annotations

import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from mmaudit.data import Dataset
from mmaudit.errors import ContractBroken, MMAuditError
from mmaudit.models import Model, Retriever, TwoStage
from mmaudit.models.failure import raise_if_out_of_memory
from mmaudit.outputs import ConditionOutputs, Float32Array, joined_donors, total_received
from mmaudit.probes import Source, probes
from mmaudit.probes.proof import moved
from mmaudit.probes.received import Received
from mmaudit.retrieval import Border
from mmaudit.store import Run
from mmaudit.timing import Timing
from mmaudit.types import Array, Batch, BoolArray, Condition, Task

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
    """
    timing = Timing()
    started = time.perf_counter()
    increments = run.increments
    total = run.n * len(run.conditions)
    done = 0
    step = min(batch_rows, _rows_that_fit(data))
    lacking = [[i for i in range(len(increments)) if not run.is_done(s, i)] for s in range(len(run.shards()))]
    border = None
    if run.task.kind == "retrieval":
        border = Border(run, data, cast(Retriever, model), source, step, timing)
        asked = [c for i in sorted({i for todo in lacking for i in todo}) for c in increments[i]]
        total += border.rows_before(asked)

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            if progress:
                progress(done, total)

        border.prepare(asked, advance)
    worker = _Worker(run, cast(Model, model), stage, source, timing, border)
    for shard, (positions, todo) in enumerate(zip(run.shards(), lacking, strict=True)):
        done += len(positions) * sum(len(c) for i, c in enumerate(increments) if i not in todo)
        conditions = [c for i in todo for c in increments[i]]
        parts: list[list[ConditionOutputs]] = []
        for start in range(0, len(positions) if todo else 0, step):
            tick = time.perf_counter()
            batch = data.rows(positions[start : start + step])
            timing.reading += time.perf_counter() - tick
            parts.append(worker.run(batch, conditions))
            done += len(batch) * len(conditions)
            if progress:
                progress(done, total)
        joined = iter([_join(p) for p in zip(*parts, strict=True)])
        for i in todo:
            run.write_shard(shard, i, [next(joined) for _ in increments[i]])
    if border:
        border.close()
    timing.total = time.perf_counter() - started
    return timing


class _Worker:
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

    def run(self, clean: Batch, conditions: Sequence[Condition]) -> list[ConditionOutputs]:
        features = None
        if self.stage and not self.border:
            features = FeatureMemo(self.stage, self.model.modalities, clean, self.timing)
        received = Received(self.source, clean)
        return [self.answer(clean, condition, features, received) for condition in conditions]

    def answer(
        self, clean: Batch, condition: Condition, features: FeatureMemo | None, received: Received
    ) -> ConditionOutputs:
        tick = time.perf_counter()
        probe = None if condition.family == "clean" else probes.get(condition.probe)
        batch = probe.apply(clean, condition, self.source) if probe else clean
        donor = probe.donors(clean, condition, self.source) if probe and probe.donors else None
        changed, distance = self.proof(clean, batch, condition)
        digest = received.digest(batch)
        tock = time.perf_counter()
        self.timing.probing += tock - tick
        if self.border:
            return ConditionOutputs(self.border.answers(batch, condition), changed, distance, digest, donor)
        outputs = self.outputs(batch, condition, features)
        self.timing.model += time.perf_counter() - tock
        return ConditionOutputs(outputs, changed, distance, digest, donor)

    def outputs(self, batch: Batch, condition: Condition, features: FeatureMemo | None) -> Float32Array:
        width = self.run_folder.task.width
        forward = features.predict if features else self.model.predict
        try:
            rows = _checked(forward(batch), len(batch), width)
        except (MMAuditError, MemoryError):
            raise
        except Exception as error:
            raise_if_out_of_memory(error, len(batch))
            rows = self.one_by_one(batch, condition, width)
        # Before the conversion too: clipping would turn an infinite probability into a sure answer.
        usable = np.asarray(np.isfinite(rows).all(axis=1))
        logits = to_logits(np.where(usable[:, None], rows, 0), self.model.outputs, self.run_folder.task)
        logits[~(usable & np.isfinite(logits).all(axis=1))] = np.nan
        return logits

    def one_by_one(self, batch: Batch, condition: Condition, width: int) -> Float32Array:
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
        return np.concatenate([self.one_by_one(batch.take(h), condition, width) for h in halves])

    def proof(
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


class EncodingMemo:
    """Encodings of one batch by the identity of the encoded array: an array seen again is not encoded again.

    Clean arrays are kept for the batch's life; of the others the last few, which serve the subsets that share a
    stand-in.
    """

    def __init__(self, encode: Callable[[str, Batch], Any], clean: Batch, timing: Timing | None = None) -> None:
        self.make = encode
        self.clean = clean
        self.timing = timing or Timing()
        self.kept: dict[tuple[str, int, int], tuple[Any, Array, BoolArray]] = {}
        self.recent: OrderedDict[tuple[str, int, int], tuple[Any, Array, BoolArray]] = OrderedDict()

    def encode(self, modality: str, batch: Batch) -> Any:
        """Features of a modality, from memory where this very array was encoded before."""
        array, present = batch.inputs[modality], batch.present[modality]
        # The arrays are held beside their features: an id is only unique while its object lives.
        key = (modality, id(array), id(present))
        for memory in (self.kept, self.recent):
            if key in memory:
                return memory[key][0]
        features = self.make(modality, batch)
        self.timing.encoded_rows[modality] = self.timing.encoded_rows.get(modality, 0) + len(batch)
        entry = (features, array, present)
        if array is self.clean.inputs[modality] and present is self.clean.present[modality]:
            self.kept[key] = entry
        else:
            self.recent[key] = entry
            if len(self.recent) > 2 * len(batch.inputs):
                self.recent.popitem(last=False)
        return features


class FeatureMemo(EncodingMemo):
    """A two-stage model that encodes nothing twice."""

    def __init__(self, stage: TwoStage, modalities: Sequence[str], clean: Batch, timing: Timing | None = None) -> None:
        super().__init__(stage.encode, clean, timing)
        self.stage = stage
        self.modalities = modalities

    def predict(self, batch: Batch) -> Float32Array:
        """What the model answers to the batch: missing encodings, then fusion."""
        features = {name: self.encode(name, batch) for name in self.modalities}
        self.timing.fused_rows += len(batch)
        return self.stage.fuse(features, batch)


def shard_rows(n: int, bytes_per_row: int = 1) -> int:
    """Samples per shard: about 64 files for large data, so that reading a condition back opens few files.

    Fewer where one sample's answers under all conditions are large: a shard's are held until it is written.
    """
    fit = max(64, MAX_SHARD_BYTES // bytes_per_row)
    return min(max(1024, -(-n // 64)), 16_384, fit)


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


def _checked(rows: Array, n: int, width: int) -> Array:
    if np.shape(rows) != (n, width):
        raise ContractBroken("model", "output shape", f"gave outputs of shape {np.shape(rows)}, expected {(n, width)}")
    return rows


def _rows_that_fit(data: Dataset) -> int:
    """Rows of the widest modality within the limit; a ragged or text modality is judged by the first sample."""
    first = data.rows(np.zeros(1, np.int64))
    widest = max(np.asarray(first.inputs[m.name][0]).nbytes for m in data.modalities)
    return max(1, MAX_BATCH_BYTES // max(widest, 1))


def _join(parts: Sequence[ConditionOutputs]) -> ConditionOutputs:
    def each(pick: Callable[[ConditionOutputs], Mapping[str, Array]]) -> dict[str, Array]:
        return {name: np.concatenate([pick(p)[name] for p in parts]) for name in pick(parts[0])}

    return ConditionOutputs(
        np.concatenate([p.outputs for p in parts]),
        each(lambda p: p.changed),
        each(lambda p: p.moved),
        total_received(p.received for p in parts),
        joined_donors([p.donor for p in parts]),
    )
