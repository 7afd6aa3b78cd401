"""Modalities that do not belong together."""

from __future__ import annotations

from collections.abc import Iterator

from mmaudit.errors import BadInput
from mmaudit.probes.base import Declined, Scope, probe, probes
from mmaudit.probes.source import Source
from mmaudit.types import Batch, Condition


def _grid(scope: Scope) -> Iterator[Condition | Declined]:
    if len(scope.modalities) < 2:
        yield Declined("mismatch", scope.names, "one modality alone cannot mismatch another")
        return
    for pool in scope.pools:
        if pool != "random" and scope.task.kind != "classification":
            reason = f"donors {pool.replace('_', ' ')} need classes; the task is {scope.task.kind}"
            yield Declined("mismatch", scope.names, reason)
            continue
        for name in scope.names:
            for repeat in range(scope.repeats):
                yield probes.get("mismatch").condition((name,), options=(("pool", pool),), repeat=repeat)


@probe("mismatch", family="mismatch", grid=_grid)
def mismatch(batch: Batch, condition: Condition, source: Source) -> Batch:
    """One modality of another sample, the rest and the target as they were.

    The donor is any other sample (`random`), one of the same class (`within_class`: what remains is whether the model
    checks the pairing beyond the class) or one of another class (`across_class`: the modalities contradict each
    other). A row without donor (its modality absent, or the only one of its class) stays as it is.
    """
    pool = condition.option("pool")
    if pool is None:
        raise BadInput(f"{condition.label} has no option 'pool'; give one, such as ('pool', 'random').")
    return batch.replace(
        {m: source.exchange(m, batch, source.donors(condition, m, batch, pool)) for m in condition.modalities}
    )
