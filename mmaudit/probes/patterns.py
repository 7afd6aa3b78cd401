"""Absence as it occurs in the data itself: the presence patterns of other samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmaudit.probes.base import probe, probes
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.probes.withhold import first_baseline, no_baseline, rate_of, withhold
from mmaudit.types import Batch, BoolArray, Condition

NAME = "missing_pattern"


def _grid(scope: Scope) -> Iterator[Condition | Declined]:
    gaps = [m for m in scope.modalities if m.name in scope.incomplete]
    names = tuple(sorted(m.name for m in gaps))
    if not gaps:
        yield Declined(NAME, scope.names, "every sample has every modality, so the data show no pattern of absence")
        return
    baseline = first_baseline(scope, gaps)
    if baseline is None:
        yield Declined(NAME, names, no_baseline(names))
        return
    options: tuple[tuple[str, str], ...] = (("baseline", baseline),)
    if len(gaps) == len(scope.modalities):
        options = (*options, ("keep", "one"))
    for repeat in range(scope.repeats):
        yield probes.get(NAME).condition(names, 1.0, options, repeat)


def _lost(batch: Batch, condition: Condition, source: Source) -> dict[str, BoolArray]:
    share = rate_of(condition)
    donors = source.strangers(condition, batch, 1)
    hit = (donors >= 0) & (source.uniforms(condition, "", batch, "hit") < share)
    lost = {m: hit & ~source.data.presence(m)[donors] for m in condition.modalities}
    if condition.option("keep") == "one":
        left = np.any([batch.present[m] & ~lost[m] for m in condition.modalities], axis=0)
        lost = {m: rows & left for m, rows in lost.items()}
    return lost


@probe(
    NAME,
    family="missing",
    grid=_grid,
    withheld=_lost,
    unit="share of samples with another's pattern",
    source="the data's own missingness, permuted over samples; mmaudit",
)
def missing_pattern(batch: Batch, condition: Condition, source: Source) -> Batch:
    """What another random sample lacks is taken away, all of it together: the data's own patterns of absence.

    Severity is the share of samples, in [0, 1], that get another's pattern. Patterns go round by one permutation of the
    whole data set without fixed points, so at 1 each is handed out exactly as often as it occurs in the data: with its
    dependence between modalities, but without any on the values. Nothing is invented: a sample that lacks a modality
    still lacks it, and one that was complete has exactly the other's pattern. `condition.modalities` are those that
    some samples lack.

    Where no modality is complete (option `keep` is `one`), a sample that would be left with none keeps what it has.
    """
    return withhold(batch, condition, source, _lost(batch, condition, source))
