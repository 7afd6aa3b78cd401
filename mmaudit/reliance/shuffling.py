"""What is lost when a modality comes from another sample: permutation importance, the perceptual score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mmaudit.estimates import Estimate, estimator
from mmaudit.kernels.bootstrap import ratio
from mmaudit.reliance.found import NO_BOUNDS, Found, found, nothing
from mmaudit.reliance.table import Values, shuffle_conditions
from mmaudit.types import CLEAN, Condition

PERCEPTUAL = estimator(
    "perceptual_score",
    family="reliance",
    unit="primary",
    summary="value on clean data minus value with the modality of another sample; normalised=model: as a share of the "
    "clean value, normalised=task: of what a perfect model has above the best answer that reads nothing",
    source="Gat, Schwartz and Schwing 2021; permutation importance, Breiman 2001",
)


def perceptual_scores(values: Values) -> Iterator[Found]:
    """Yield the perceptual score of each modality that the run exchanged between samples, plain and normalised twice.

    v is the run's value metric, P = v(clean) − mean over repeats of v(modality of another sample). The donor is drawn
    from the whole data set and never the row itself (pool `random` of the probe `mismatch`, one cycle through all
    samples), so no row keeps its own value by chance. `normalised=model` is P / v(clean), undefined unless v(clean) is
    above 0. `normalised=task` is P / (best possible v − v of the best answer that reads nothing), which makes tasks
    with other class shares comparable.
    """
    for name, conditions in _by_modality(values).items():
        yield from _scores(values, name, conditions)


def grouped_scores(values: Values) -> Iterator[Found]:
    """Yield the plain perceptual score in each group."""
    for group in values.groups:
        for name, conditions in _by_modality(values).items():
            yield _plain(values, name, conditions, group)


def _by_modality(values: Values) -> dict[str, list[Condition]]:
    found: dict[str, list[Condition]] = {}
    for condition in shuffle_conditions(values.run.conditions):
        if len(condition.modalities) == 1:
            found.setdefault(condition.modalities[0], []).append(condition)
    return {name: found[name] for name in values.players if name in found}


def _plain(values: Values, name: str, conditions: list[Condition], group: str = "") -> Found:
    unit = values.metric.unit_of(values.task)
    w = values.w.take(values.groups[group]) if group else values.w
    about = Estimate(PERCEPTUAL, (name,), group=group, unit=unit)
    clean, shuffled = values.of(CLEAN, group), values.mean(conditions, group)
    if clean is None or shuffled is None:
        reasons = [values.reasons[c.key] for c in conditions if c.key in values.reasons]
        return nothing(about, w, reasons[0] if reasons else "no value on these samples")
    width = values.metric.range[1] - values.metric.range[0]
    within = (-width, width) if np.isfinite(width) else NO_BOUNDS
    share = within if np.isfinite(width) and values.metric.unit == "share" else None
    reason = values.reasons.get(CLEAN.key, "")
    return found(
        about,
        clean - shuffled,
        w,
        within=within,
        per_sample=share,
        test=True,
        reason=reason,
        endless=within == NO_BOUNDS,
    )


def _scores(values: Values, name: str, conditions: list[Condition]) -> Iterator[Found]:
    plain = _plain(values, name, conditions)
    yield plain
    clean = values.of(CLEAN)
    if clean is None:
        return
    best = max(values.sign * end for end in values.metric.range)
    room = best - values.chance()
    for how, whole, why in (
        ("model", clean, "the clean value is not above 0, so there is no share of it"),
        (
            "task",
            np.broadcast_to(room, clean.shape),
            "the metric has no best value above that of an answer that reads nothing",
        ),
    ):
        about = Estimate(PERCEPTUAL, (name,), (("normalised", how),), unit="share")
        if plain.estimate.reason or not (np.isfinite(whole[0]) and whole[0] > 0):
            yield nothing(about, values.w, plain.estimate.reason or why)
            continue
        made = found(about, ratio(plain.values, np.maximum(whole, 0.0)), values.w, test=False)
        if not np.ptp(plain.values) > 0:
            ends = plain.estimate.low / whole[0], plain.estimate.high / whole[0]
            made = Found(replace(made.estimate, low=float(ends[0]), high=float(ends[1])), made.values)
        yield made
