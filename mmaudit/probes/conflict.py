"""Modalities that contradict each other, with both sides' classes known: which one does the model believe?"""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit.probes.base import probe, probes
from mmaudit.probes.mismatch import alone
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.types import Batch, Condition, IntArray


def _grid(scope: Scope) -> Iterator[Condition | Declined]:
    if scope.task.kind != "classification":
        reason = f"a conflict is one between classes, of which a sample has one; the task is {scope.task.kind}"
        yield Declined("conflict", scope.names, reason)
        return
    yield from alone("conflict", scope)
    for name in scope.names if len(scope.modalities) > 1 else ():
        for repeat in range(scope.repeats):
            yield probes.get("conflict").condition((name,), repeat=repeat)


def rivals(batch: Batch, condition: Condition, source: Source) -> IntArray:
    """Return per row the position of the sample of another class whose modality it gets; -1 for none."""
    return source.donors(condition, condition.modalities[0], batch, "across_class")


@probe(
    "conflict",
    family="conflict",
    grid=_grid,
    source="incongruent pairs, as in studies of the McGurk effect and of modality dominance",
    donors=rivals,
)
def conflict(batch: Batch, condition: Condition, source: Source) -> Batch:
    """One modality says class j, all others say class i.

    The modality comes from a random sample of another class (the pool `across_class`); the run keeps which, so that
    the answer can be told apart: class i (the modalities kept in place win), class j (the exchanged one wins), or
    neither. Each modality in turn is exchanged. With two modalities these are both sides of the one pair; with more,
    all others agree on class i and stand together, so a pair is never alone: what is measured is one against the rest.
    Several modalities of one donor against the rest is the same conflict seen from the other side.
    """
    donors = rivals(batch, condition, source)
    return batch.replace({m: source.exchange(m, batch, donors) for m in condition.modalities})
