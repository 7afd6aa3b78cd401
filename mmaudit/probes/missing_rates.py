"""All modalities missing at one shared rate, as the literature on missing modalities tests its models."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmaudit.probes.base import probe, probes
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.probes.withhold import first_baseline, no_baseline, rate_of, withhold
from mmaudit.types import Batch, BoolArray, Condition, FloatArray, IntArray

NAME = "missing_rate_shared"


def highest_rate(recorded: int) -> float:
    """Return the highest shared rate that leaves one of `recorded` modalities: (k − 1) / k."""
    return (recorded - 1) / recorded if recorded else 0.0


def realised_rate(rate: float, recorded: int) -> float:
    """Return the expected share of a sample's `recorded` modalities that is missing at a shared rate.

    That is the rate itself, up to `highest_rate`, from where on every sample keeps exactly one.
    """
    return min(rate, highest_rate(recorded))


def _grid(scope: Scope) -> Iterator[Condition | Declined]:
    if len(scope.names) < 2:
        yield Declined(NAME, scope.names, "one modality alone shares its rate with no other; 'missing_rate' runs it")
        return
    baseline = first_baseline(scope, scope.modalities)
    if baseline is None:
        yield Declined(NAME, scope.names, no_baseline(scope.names))
        return
    # Above the highest rate nothing more goes missing: rates beyond it are run once, as what they come to.
    rates = sorted({min(float(rate), highest_rate(len(scope.names))) for rate in scope.rates})
    for repeat in range(scope.repeats):
        for rate in rates:
            yield probes.get(NAME).condition(scope.together, rate, (("baseline", baseline), ("keep", "one")), repeat)


def _lost(batch: Batch, condition: Condition, source: Source) -> dict[str, BoolArray]:
    rate = rate_of(condition)
    names = condition.modalities
    recorded = np.stack([batch.present[m] for m in names])
    count = recorded.sum(axis=0)
    kept = _kept(source.uniforms(condition, "", batch, "keep"), recorded)
    # 0 where one modality or none is recorded: then there is nothing that could go.
    chance = np.divide(rate * count, count - 1, out=np.zeros(len(count)), where=count > 1)
    return {m: (source.uniforms(condition, m, batch) < chance) & (kept != place) for place, m in enumerate(names)}


@probe(
    NAME,
    family="missing",
    grid=_grid,
    withheld=_lost,
    unit="share of samples",
    source="CPM-Nets (Zhang et al. 2019), GCNet (Lian et al. 2023): shared missing rate, one modality kept",
)
def missing_rate_shared(batch: Batch, condition: Condition, source: Source) -> Batch:
    """Every modality absent from the same share of the samples, at least one left in each.

    Severity is the missing rate η = 1 − Σ recorded / (samples × modalities), in [0, 1]. In every sample one modality,
    drawn at random, is kept; each of the other M − 1 goes with probability η M / (M − 1). So each modality is missing
    in exactly a share η of the samples (in expectation) up to η = (M − 1) / M, where each sample has one modality left;
    a higher severity gives the same. Given that one is kept, the others go independently of each other. What is
    missing at one rate is missing at every higher one.

    A sample that recorded k < M modalities is treated as one of k: it keeps one of those, loses a share
    min(η, (k − 1) / k) of them, and nothing where k = 1.
    """
    return withhold(batch, condition, source, _lost(batch, condition, source))


def _kept(u: FloatArray, recorded: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> IntArray:
    """Return per sample the place of one of its recorded modalities, `bool[modalities, n]`, uniformly by `u`."""
    rank = np.cumsum(recorded, axis=0) - 1
    wanted = (u * recorded.sum(axis=0)).astype(np.int64)
    return np.asarray(np.argmax(recorded & (rank == wanted), axis=0), np.int64)
