"""Answers of trained references to the very batches that the audited model answered.

Every sample is read and perturbed once for all references and seeds, and encoded once where they share frozen features.
That the batches are the same is proven, not assumed: the digest of what the audited model received is stored in its run
and compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from mmaudit.data import Dataset
from mmaudit.errors import StaleRun
from mmaudit.memo import EncodingMemo
from mmaudit.outputs import ConditionOutputs, opened, read_group
from mmaudit.predict import Progress, predict
from mmaudit.probes import Source, probes
from mmaudit.probes.received import Received
from mmaudit.reference.inputs import Inputs
from mmaudit.reference.retriever import ReferenceRetriever
from mmaudit.reference.trained import Trained
from mmaudit.store import Run
from mmaudit.types import Array, Batch, BoolArray, Condition, FloatArray


@dataclass(frozen=True, eq=False)
class Member:
    """A trained reference and where its answers go.

    Attributes:
        trained: the method, trained.
        runs: one per usable trial, in the order of `Trained.usable`.
        centre, scale: `float64[k]`, of the regression target; 0 and 1 for other tasks.
    """

    trained: Trained
    runs: Sequence[Run]
    centre: FloatArray
    scale: FloatArray

    def answer(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Array:
        """Return `float32[usable trials, n, k]` from features of all modalities."""
        names = self.trained.parts.modalities
        found = self.trained.outputs({m: features[m] for m in names}, {m: present[m] for m in names})
        outputs = found[self.trained.usable].float().cpu().numpy()
        return np.asarray(outputs * self.scale + self.centre, np.float32)


def answer(
    run: Run,
    data: Dataset,
    source: Source,
    inputs: Inputs,
    members: Sequence[Member],
    *,
    batch_rows: int,
    progress: Progress | None = None,
) -> None:
    """Write what every member answers to every sample under every condition of the run; finished shards are kept.

    References are told what is missing: under a condition of the family `missing` what it withholds is marked absent,
    whether or not the stand-in equals the value that was there, and no stand-in takes its place. A probe of somebody
    else's that does not say what it withholds (`Probe.withheld`) is taken to withhold what it changed. References of a
    retrieval read the stand-ins, as the audited model.

    Args:
        run: the audited model's, complete.
        data, source: of the audit.
        inputs: what the references' encoders are given.
        members: trained references.
        batch_rows: most samples at a time.
        progress: called with (conditions × samples done, in total).

    Raises:
        StaleRun: a perturbed batch is not the one that the audited model received.
    """
    if run.task.kind == "retrieval":
        _retrieve(run, data, source, inputs, members, batch_rows, progress)
        return
    done, total = 0, sum(run.counts)
    for shard, portion in run.pieces():
        if lacking := [m for m in members if not all(r.is_done(shard, portion) for r in m.runs)]:
            _answer_shard(run, data, source, inputs, lacking, shard, portion, batch_rows)
        done += run.answers(shard, [portion])
        if progress:
            progress(done, total)


def _answer_shard(
    run: Run,
    data: Dataset,
    source: Source,
    inputs: Inputs,
    members: Sequence[Member],
    shard: int,
    portion: int,
    batch_rows: int,
) -> None:
    positions, conditions = run.shards(portion)[shard], run.portions[portion].conditions
    names = [m.name for m in run.modalities]
    file = opened(run.file(shard, portion))
    stored = [read_group(file, group, names) for group in range(len(conditions))]
    received = [0] * len(conditions)
    parts: list[list[list[Array]]] = [[[] for _ in conditions] for _ in members]
    for start in range(0, len(positions), batch_rows):
        rows = slice(start, start + batch_rows)
        clean = data.rows(positions[rows])
        digests = Received(source, clean)
        memo = EncodingMemo(inputs.one, clean)
        known: dict[bytes, list[Array]] = {}
        for c, condition in enumerate(conditions):
            batch = (
                clean if condition.family == "clean" else probes.get(condition.probe).apply(clean, condition, source)
            )
            received[c] = (received[c] + digests.digest(batch)) % 2**64
            if condition.family == "missing":
                # Whatever stands in for what is missing, a reference that is told so sees the same.
                says = probes.get(condition.probe).withheld
                changed = {m: stored[c].changed[m][rows] for m in condition.modalities}
                told = _told(clean, says(clean, condition, source) if says else changed)
                key = b"".join(told.present[m].tobytes() for m in inputs.modalities)
                if key not in known:
                    known[key] = _answers(members, inputs, memo, clean, told)
                each = known[key]
            else:
                each = _answers(members, inputs, memo, batch, batch)
            for place, answers in enumerate(each):
                parts[place][c].append(answers)
    for c, condition in enumerate(conditions):
        _require_received(run, condition, stored[c].received, received[c])
    for place, member in enumerate(members):
        outputs = [np.concatenate(p, axis=1) for p in parts[place]]
        for i, member_run in enumerate(member.runs):
            found = [
                ConditionOutputs(_usable(outputs[c][i]), s.changed, s.moved, s.received, s.donor)
                for c, s in enumerate(stored)
            ]
            member_run.write_shard(shard, portion, found)


def _require_received(run: Run, condition: Condition, then: int | None, now: int | None) -> None:
    """Raise `StaleRun` where a condition gives other batches than the audited model received; None was not recorded."""
    if then is not None and then != now:
        raise StaleRun(
            f"{run.folder}: condition {condition.label!r} does not give now what the audited model received, so "
            "references could not be compared with it. Audit again with this version, data and training data."
        )


def _answers(members: Sequence[Member], inputs: Inputs, memo: EncodingMemo, batch: Batch, told: Batch) -> list[Array]:
    """What every member answers to a batch's values, of which `told` says what is there."""
    features = {m: memo.encode(m, batch) for m in inputs.modalities}
    present = inputs.present(told)
    return [member.answer(features, present) for member in members]


def _retrieve(
    audited: Run,
    data: Dataset,
    source: Source,
    inputs: Inputs,
    members: Sequence[Member],
    batch_rows: int,
    progress: Progress | None,
) -> None:
    """Let every member rank the candidates; each has embeddings of its own, so they go one after the other."""
    pairs = [(m, place, run) for m in members for place, run in zip(m.trained.usable, m.runs, strict=True)]
    for number, (member, place, run) in enumerate(pairs):
        about = run.header["model"]
        model = ReferenceRetriever(member.trained.one(place), inputs, about["name"], about["fingerprint"])

        def step(done: int, total: int, number: int = number) -> None:
            if progress:
                progress(number * total + done, len(pairs) * total)

        predict(run, data, model, source, batch_rows=batch_rows, progress=step)
        for condition in audited.conditions:
            _require_received(audited, condition, audited.read(condition).received, run.read(condition).received)


def _told(clean: Batch, withheld: Mapping[str, BoolArray]) -> Batch:
    """The clean batch with what was taken away marked absent."""
    return clean.replace(present={m: clean.present[m] & ~rows for m, rows in withheld.items()})


def _usable(outputs: Array) -> Array:
    """Rows that are not finite as NaN throughout: no answer."""
    good = np.asarray(np.isfinite(outputs).all(axis=1))
    return outputs if good.all() else np.where(good[:, None], outputs, np.nan).astype(np.float32)
