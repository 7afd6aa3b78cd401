"""What an audit checks itself with: a probe that must change nothing, and one that must leave no information."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmaudit.probes.base import probe, probes
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.types import Batch, Condition


def _identity_grid(scope: Scope) -> Iterator[Condition | Declined]:
    yield probes.get("identity").condition(scope.together)


@probe("identity", family="control", grid=_identity_grid, source="negative control")
def identity(batch: Batch, condition: Condition, source: Source) -> Batch:
    """Equal copies of all modalities: predictions must equal the clean ones.

    The arrays are new objects, so nothing remembered of the clean pass is reused and the whole path runs again.
    """
    return batch.replace({m: batch.inputs[m].copy() for m in condition.modalities})


def _destroy_grid(scope: Scope) -> Iterator[Condition | Declined]:
    for repeat in range(scope.repeats):
        yield probes.get("destroy").condition(scope.together, repeat=repeat)


@probe("destroy", family="control", grid=_destroy_grid, source="positive control")
def destroy(batch: Batch, condition: Condition, source: Source) -> Batch:
    """Every modality of a different other sample: scores must reach the chance floor.

    Each modality is permuted over the whole data set by its own permutation, value and presence together, so that
    nothing tells about the target, not even which modalities are absent, nor about each other; yet each modality on
    its own looks exactly as it always does. A data set needs more samples than modalities for donors to differ.
    """
    inputs, present = {}, {}
    for index, m in enumerate(condition.modalities):
        if m == source.data.task.target_modality and not source.data.presence(m).all():
            # Who is a candidate stays as it is: only those that were recorded are exchanged.
            inputs[m] = source.exchange(m, batch, source.donors(condition, m, batch, "random"))
            continue
        donors = source.strangers(condition, batch, index + 1)
        inputs[m] = source.exchange(m, batch, donors)
        recorded = np.where(donors < 0, batch.present[m], source.data.presence(m)[donors])
        if not np.array_equal(recorded, batch.present[m]):
            present[m] = recorded
    return batch.replace(inputs, present)
