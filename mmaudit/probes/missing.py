"""Modalities that are not there: every subset of them, and one of them at growing rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from mmaudit.probes import stand_in
from mmaudit.probes.base import probe, probes
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.probes.withhold import baseline_of, first_baseline, no_baseline, rate_of, withhold
from mmaudit.types import Batch, BoolArray, Condition


def present_subset(condition: Condition, modalities: Sequence[str]) -> tuple[str, ...]:
    """Return the names that a `missing` condition leaves in place, in the order of `modalities`; may be empty."""
    return tuple(m for m in modalities if m not in condition.modalities)


def _subsets(scope: Scope) -> Iterator[tuple[str, ...]]:
    """Yield what is removed, fewest first: all but nothing, or what is left out of the subsets asked for."""
    if scope.subsets is None:
        for size in range(1, len(scope.names) + 1):
            yield from combinations(scope.names, size)
        return
    asked = {tuple(m for m in scope.names if m not in present) for present in scope.subsets}
    # The empty tuple removes nothing: that is the clean condition.
    yield from sorted(asked - {()}, key=lambda removed: (len(removed), [scope.names.index(m) for m in removed]))


def _missing_grid(scope: Scope) -> Iterator[Condition | Declined]:
    for baseline in scope.baselines:
        if baseline == "native" and not scope.native:
            reason = "the model does not handle absent modalities itself, so something must stand in for them"
            yield Declined("missing", scope.names, reason)
            continue
        refused = {m.name: said for m in scope.modalities if (said := stand_in.declines(baseline, m))}
        for name, why in refused.items():
            yield Declined("missing", (name,), f"{why}; subsets without it are not run with baseline {baseline!r}")
        for removed in _subsets(scope):
            if refused.keys() & set(removed):
                continue
            for repeat in range(scope.repeats if baseline in stand_in.RANDOM else 1):
                yield probes.get("missing").condition(sorted(removed), options=(("baseline", baseline),), repeat=repeat)


def _from_everyone(batch: Batch, condition: Condition, source: Source) -> dict[str, BoolArray]:
    return {m: np.ones(len(batch), np.bool_) for m in condition.modalities}


@probe(
    "missing",
    family="missing",
    grid=_missing_grid,
    withheld=_from_everyone,
    source="all subsets of modalities (Ma et al. 2022); baselines: Covert, Lundberg and Lee 2021",
)
def missing(batch: Batch, condition: Condition, source: Source) -> Batch:
    """Modalities absent from every sample, all subsets of them.

    `condition.modalities` are those removed. Baseline `native` marks them as not present and leaves their arrays the
    same objects; the others put a stand-in in their place (see `stand_in.py`) and leave the marks as they are,
    because to the model the stand-in is a value like any other. Rows that lack the modality already stay as they are.
    Beyond 6 modalities the plan draws some of the subsets; see `subset_sampling.py`.
    """
    if baseline_of(condition) == "native":
        return batch.replace(present={m: source.nowhere(len(batch)) for m in condition.modalities})
    return batch.replace(
        {m: source.stand_in(baseline_of(condition), m, batch, condition.repeat) for m in condition.modalities}
    )


def _rate_grid(scope: Scope) -> Iterator[Condition | Declined]:
    for modality in scope.modalities:
        baseline = first_baseline(scope, (modality,))
        if baseline is None:
            yield Declined("missing_rate", (modality.name,), no_baseline((modality.name,)))
            continue
        for repeat in range(scope.repeats):
            for rate in sorted(set(scope.rates)):
                yield probes.get("missing_rate").condition(
                    (modality.name,), float(rate), (("baseline", baseline),), repeat
                )


def _lost(batch: Batch, condition: Condition, source: Source) -> dict[str, BoolArray]:
    rate = rate_of(condition)
    return {m: source.uniforms(condition, m, batch) < rate for m in condition.modalities}


@probe(
    "missing_rate",
    family="missing",
    grid=_rate_grid,
    withheld=_lost,
    unit="share of samples",
    source="missing rate η (Ma et al. 2022); completely at random (Rubin 1976)",
)
def missing_rate(batch: Batch, condition: Condition, source: Source) -> Batch:
    """One modality absent from a random share of the samples (missing completely at random, MCAR).

    Severity is the share, in [0, 1]. Each sample is missing or not by its own random number, so those missing at
    10 % are also missing at 30 %. Stands in: the first missing baseline that applies, `native` where the model can.
    """
    return withhold(batch, condition, source, _lost(batch, condition, source))
