"""Missing for a reason: absence that depends on another modality (MAR), on the value itself or on the target (MNAR).

Rubin's (1976) mechanisms, one modality at a time, at the same rates as `missing_rate` (MCAR) and by the same random
numbers, so that the three curves differ by the mechanism alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import scipy.optimize
import scipy.special

from mmaudit.errors import BadInput
from mmaudit.probes.base import probe, probes
from mmaudit.probes.scope import Declined, Scope
from mmaudit.probes.source import Source
from mmaudit.probes.summary import summary, target_summary
from mmaudit.probes.withhold import baseline_of, first_baseline, no_baseline, rate_of, withhold
from mmaudit.types import Batch, BoolArray, Condition, FloatArray, Modality

SLOPE = 2.0
"""Change of the log-odds of being missing per standard deviation of what it depends on: the odds grow by e² ≈ 7.4."""

ITSELF, TARGET = "itself", "target"
_SOURCE = "Rubin 1976; logistic, its intercept solved for the rate, as in Muzellec et al. 2020"


def propensity(score: FloatArray, intercept: float) -> FloatArray:
    """Return the probability of being missing per sample: 1 / (1 + exp(−intercept − SLOPE · score))."""
    return np.asarray(scipy.special.expit(intercept + SLOPE * score), np.float64)


def intercept_for(score: FloatArray, rate: float) -> float:
    """Return the intercept for which the mean of `propensity` over `score` is `rate`, exact to 1e-12.

    So the expected share of missing samples is the rate. The intercept grows with the rate: whatever sample is missing
    at one rate is missing at every higher one. Infinite for rates of 0 and 1.
    """
    aim = float(scipy.special.logit(rate))
    if not np.isfinite(aim) or not len(score):
        return aim
    # Sorted, so that the sum rounds the same way whatever the order of the data set.
    push = SLOPE * np.sort(score)
    low, high = aim - push[-1] - 1, aim - push[0] + 1
    return float(scipy.optimize.brentq(lambda a: scipy.special.expit(a + push).mean() - rate, low, high, xtol=1e-13))


def _conditions(
    scope: Scope, name: str, modality: Modality, options: tuple[tuple[str, str], ...]
) -> Iterator[Condition | Declined]:
    baseline = first_baseline(scope, (modality,))
    if baseline is None:
        yield Declined(name, (modality.name,), no_baseline((modality.name,)))
        return
    for repeat in range(scope.repeats):
        for rate in sorted(set(scope.rates)):
            chosen = (("baseline", baseline), *options)
            yield probes.get(name).condition((modality.name,), float(rate), chosen, repeat)


def _mar_grid(scope: Scope) -> Iterator[Condition | Declined]:
    if len(scope.names) < 2:
        yield Declined("missing_mar", scope.names, "absence needs another modality to depend on, and there is none")
        return
    for modality in scope.modalities:
        others = [m for m in scope.together if m != modality.name]
        # One that every sample has says more; where all have gaps, the first will do.
        driver = next((m for m in others if m not in scope.incomplete), others[0])
        yield from _conditions(scope, "missing_mar", modality, (("mechanism", "mar"), ("by", driver)))


def _mar_lost(batch: Batch, condition: Condition, source: Source) -> dict[str, BoolArray]:
    driver = condition.option("by")
    if driver is None or driver in condition.modalities:
        raise BadInput(f"{condition.label}: option 'by' is {driver!r}; give the name of another modality.")
    return _depending_on(batch, condition, source, {m: summary(source, driver) for m in condition.modalities})


@probe(
    "missing_mar",
    family="missing",
    grid=_mar_grid,
    unit="share of samples",
    source=_SOURCE,
    withheld=_mar_lost,
)
def missing_mar(batch: Batch, condition: Condition, source: Source) -> Batch:
    """One modality absent depending on another that is there (missing at random, MAR).

    Severity is the share that goes missing of the samples that recorded it, in [0, 1]; option `by` names the other
    modality. The log-odds of being missing grow by 2 per standard deviation of the other modality's summary (the length
    of a text, the brightness of an image, …: see `summary.py`), so at a rate of 50 % a sample one deviation above the
    middle misses it with probability 0.88, one below with 0.12. Where the other modality was not recorded, or is the
    same in all samples, the odds are those of the middle.
    """
    return withhold(batch, condition, source, _mar_lost(batch, condition, source))


def _mnar_grid(scope: Scope) -> Iterator[Condition | Declined]:
    for modality in scope.modalities:
        for by in (ITSELF, TARGET):
            if by == TARGET and scope.task.kind == "retrieval":
                yield Declined("missing_mnar", (modality.name,), "the target of a retrieval is a sample, not a value")
                continue
            yield from _conditions(scope, "missing_mnar", modality, (("mechanism", "mnar"), ("by", by)))


def _mnar_lost(batch: Batch, condition: Condition, source: Source) -> dict[str, BoolArray]:
    by = condition.option("by")
    if by not in (ITSELF, TARGET):
        raise BadInput(f"{condition.label}: option 'by' is {by!r}; give {ITSELF!r} or {TARGET!r}.")
    scores = {m: target_summary(source) if by == TARGET else summary(source, m) for m in condition.modalities}
    return _depending_on(batch, condition, source, scores)


@probe(
    "missing_mnar",
    family="missing",
    grid=_mnar_grid,
    unit="share of samples",
    source=_SOURCE,
    withheld=_mnar_lost,
)
def missing_mnar(batch: Batch, condition: Condition, source: Source) -> Batch:
    """One modality absent depending on its own value or on the target (missing not at random, MNAR).

    Severity is the share that goes missing of the samples that recorded it, in [0, 1]. Option `by` says what decides,
    with the same slope as in `missing_mar`. `itself`: the modality's own summary, so the longest texts, brightest
    images or loudest sounds are missing most. `target`: the truth, so the lowest values, the first classes or the
    samples with fewest labels are missing most: the test that was not ordered because the patient was well. Then its
    absence alone tells about the target, and a model that reads absence may come out better than under MCAR.
    """
    return withhold(batch, condition, source, _mnar_lost(batch, condition, source))


def _depending_on(
    batch: Batch, condition: Condition, source: Source, scores: dict[str, FloatArray]
) -> dict[str, BoolArray]:
    rate = rate_of(condition)
    lost: dict[str, BoolArray] = {}
    for m, score in scores.items():
        intercept = source.once((condition.key, m), partial(_intercept_of, source, m, score, rate))
        chance = propensity(score[batch.positions], intercept)
        lost[m] = source.uniforms(_at_random(condition, m), m, batch) < chance
    return lost


def _intercept_of(source: Source, modality: str, score: FloatArray, rate: float) -> float:
    """Solve over the samples which have the modality, and so could lose it."""
    return intercept_for(score[source.data.presence(modality)], rate)


def _at_random(condition: Condition, modality: str) -> Condition:
    """Return the condition of `missing_rate` whose random numbers this one shares."""
    options = (("baseline", baseline_of(condition)),)
    return probes.get("missing_rate").condition((modality,), condition.severity, options, condition.repeat)
