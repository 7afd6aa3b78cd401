"""Modalities that do not belong together: another sample's value, in all samples or some, or an outdated one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.probes.base import probe, probes
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.types import Batch, Condition, IntArray

BY_CLASS = ("within_class", "across_class")


def alone(name: str, scope: Scope) -> Iterator[Declined]:
    """Yield the refusal of a probe that needs other modalities, where there are none."""
    if len(scope.modalities) < 2:
        yield Declined(name, scope.names, "one modality alone cannot mismatch another")


def _grid(scope: Scope) -> Iterator[Condition | Declined]:
    yield from alone("mismatch", scope)
    for pool in scope.pools if len(scope.modalities) > 1 else ():
        if pool in BY_CLASS and scope.task.kind != "classification":
            reason = f"donors {pool.replace('_', ' ')} need classes; the task is {scope.task.kind}"
            yield Declined("mismatch", scope.names, reason)
            continue
        for name in scope.names:
            for repeat in range(1 if pool == "nearest" else scope.repeats):
                yield probes.get("mismatch").condition((name,), options=(("pool", pool),), repeat=repeat)


@probe("mismatch", family="mismatch", grid=_grid, source="permutation of one modality between samples")
def mismatch(batch: Batch, condition: Condition, source: Source) -> Batch:
    """One modality of another sample, the rest and the target as they were.

    The donor is any other sample (`random`), one of the same class (`within_class`: what remains is whether the model
    checks the pairing beyond the class), one of another class (`across_class`: the modalities contradict each
    other), or the one most similar in this modality (`nearest`: the hardest to tell from the right one; drawn from
    nothing, so never repeated; see `nearest.py`). A row without donor (its modality absent, or the only one of its
    class) stays as it is.
    """
    pool = condition.option("pool")
    if pool is None:
        raise BadInput(f"{condition.label} has no option 'pool'; give one, such as ('pool', 'random').")
    return batch.replace(
        {m: source.exchange(m, batch, source.donors(condition, m, batch, pool)) for m in condition.modalities}
    )


def _share_grid(scope: Scope) -> Iterator[Condition | Declined]:
    yield from alone("mismatch_share", scope)
    for name in scope.names if len(scope.modalities) > 1 else ():
        for repeat in range(scope.repeats):
            for share in sorted(set(scope.shares)):
                yield probes.get("mismatch_share").condition((name,), float(share), repeat=repeat)


@probe(
    "mismatch_share",
    family="mismatch",
    grid=_share_grid,
    unit="share of samples",
    source="permutation of one modality between samples",
)
def mismatch_share(batch: Batch, condition: Condition, source: Source) -> Batch:
    """One modality of another sample, in a random share of the samples.

    Severity is the share, in [0, 1]. Samples and donors are the same at every share: who is exchanged at 25 % is also
    exchanged at 50 %, and at 1 this is `mismatch` with the pool `random` and the same repeat.
    """
    share = condition.severity
    assert share is not None  # a probe with a unit has one
    if share > 1:
        raise BadInput(f"{condition.label}: severity {share} is above 1; it is a share of the samples.")
    inputs = {}
    for m in condition.modalities:
        whole = probes.get("mismatch").condition((m,), options=(("pool", "random"),), repeat=condition.repeat)
        donors = source.donors(whole, m, batch, "random")
        chosen = source.uniforms(condition, m, batch) < share
        inputs[m] = source.exchange(m, batch, np.where(chosen, donors, -1).astype(np.int64))
    return batch.replace(inputs)


def _stale_grid(scope: Scope) -> Iterator[Condition | Declined]:
    yield from alone("stale_order", scope)
    for name in scope.names if len(scope.modalities) > 1 else ():
        for lag in sorted(set(scope.lags)):
            if scope.longest is not None and lag >= scope.longest:
                reason = f"no sample has one {lag} before it: the data set, or its largest cluster, has {scope.longest}"
                yield Declined("stale_order", (name,), reason)
                continue
            yield probes.get("stale_order").condition((name,), float(lag))


@probe(
    "stale_order",
    family="mismatch",
    grid=_stale_grid,
    unit="samples",
    source="mmaudit",
    by_order=True,
    not_monotone="a value that is no longer this sample's own is as far away as any other",
)
def stale_order(batch: Batch, condition: Condition, source: Source) -> Batch:
    """One modality as it was k samples before: an outdated record, a sensor that lags behind.

    Severity is k, a whole number of samples. Order is that of the data set's rows; where the data set has clusters
    (recordings, patients), it is the order within the cluster. Samples without the modality are not counted; the first
    k of a data set or cluster keep their own value. It means something only where rows that follow each other were
    recorded one after the other, and alone among probes it changes with the order of the rows.
    """
    lag = condition.severity
    assert lag is not None  # a probe with a unit has one
    if lag != int(lag):
        raise BadInput(f"{condition.label}: severity {lag} must be a whole number of samples.")
    inputs = {m: source.exchange(m, batch, _lagging(source, m, batch, int(lag))) for m in condition.modalities}
    return batch.replace(inputs)


def _lagging(source: Source, modality: str, batch: Batch, lag: int) -> IntArray:
    return np.where(batch.present[modality], source.previous(modality, batch, lag), -1)
