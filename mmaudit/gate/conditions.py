"""Requirements on metrics: of conditions, and of the robustness summaries over several of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mmaudit.formats import readable, shorten
from mmaudit.gate.decide import rounding
from mmaudit.gate.holding import Number, held, missing, unusable
from mmaudit.gate.policy import AGAINST, Bound, Requirement
from mmaudit.gate.result import Check
from mmaudit.gate.selection import named, nearest, select
from mmaudit.gate.subject import Subject
from mmaudit.gate.wording import LABEL, where
from mmaudit.types import Score

_OF_CLEAN = "clean data is what is compared with, so nothing drops or is lost there; give min or max"


def of_conditions(requirement: Requirement, subject: Subject, metric: str, groups: Sequence[str]) -> Iterator[Check]:
    """Hold a metric of every condition that a requirement means, in every group, against its limits."""
    found = select(requirement, subject.planned, subject.declined)
    yield from map(missing, found.lacking)
    bounds = [bound for bound in requirement.bounds if bound.measure not in AGAINST]
    for planned in found.conditions:
        unsound = subject.unsound(planned.key)
        for group in groups:
            score = subject.score(planned.key, metric, group)
            if score is None:
                why = "it was not measured for this group" if group else "it was not measured under this condition"
                score = Score(planned.key, planned.condition.label, metric, group, reason=why)
            for bound in bounds:
                clean = planned.condition.family == "clean" and bound.measure in ("max_drop", "max_lost")
                yield _check(bound, requirement, score, where(score.label, group), _OF_CLEAN if clean else unsound)


def of_summaries(requirement: Requirement, subject: Subject, metric: str) -> Iterator[Check]:
    """Hold a metric that sums up several conditions (a family, a severity curve) against the limits."""
    rows = [s for s in subject.metrics[metric] if not s.group]
    labels = {s.label for s in rows}
    others = ("families", "probes", "positions", "options", "groups", "severity_from", "severity_to", "modalities")
    if not requirement.conditions or any(getattr(requirement, key) not in ((), None) for key in others):
        names = ", ".join(dict.fromkeys(s.label for s in rows))
        said = f"{readable(metric)} sums up several conditions; name what it sums up by condition alone"
        yield missing(f"{said}: one of {shorten(names, 4 * LABEL)}")
        return
    for name in requirement.conditions:
        found = [s for s in rows if named(s.label, name, labels)]
        if not found:
            yield missing(f"{readable(metric)} is of no '{shorten(name, LABEL)}'{nearest(name, labels)}")
        for score in found:
            for bound in requirement.bounds:
                yield _check(bound, requirement, score, f"over {shorten(score.label, LABEL)}")


def _check(bound: Bound, requirement: Requirement, score: Score, place: str, unsound: str = "") -> Check:
    number = _number(bound, score)
    why = unsound or _wrong_way(bound, requirement, score.better)
    return unusable(bound, number, place, why) if why else held(bound, number, place)


def _number(bound: Bound, score: Score) -> Number:
    """What a limit speaks of: the value, the drop or the share lost, each with its interval."""
    about = (score.label, score.condition, score.metric, score.group, score.n)
    unit = (score.unit, score.better)
    if bound.measure in ("min", "max"):
        return Number(*about, *unit, score.value, score.low, score.high, score.reason)
    if bound.measure == "max_lost":
        return Number(
            *about, "share", score.better, score.lost, score.lost_low, score.lost_high, score.reason or _no_loss(score)
        )
    value, low, high = worsening(score.better, score.delta, score.delta_low, score.delta_high)
    reason = score.reason or (_no_drop(score) if bound.measure == "max_drop" else "it is compared with no previous run")
    grain = rounding(score.value, score.value - score.delta)
    return Number(*about, *unit, value, low, high, reason, grain)


def worsening(better: str, delta: float, low: float, high: float) -> tuple[float, float, float]:
    """A difference and its interval in the direction of badness: positive is worse; NaN without a direction."""
    if better == "higher":
        return -delta, -high, -low
    return (delta, low, high) if better == "lower" else (math.nan, math.nan, math.nan)


def _no_drop(score: Score) -> str:
    if score.better == "neither":
        return "no direction of it is good, so it cannot drop; give min or max"
    if not score.against:
        return "it has no difference from clean data: it sums up conditions, or compares with clean data already"
    return "its difference from clean data is not defined"


def _no_loss(score: Score) -> str:
    if score.better == "neither" or not score.against:
        return _no_drop(score)
    if math.isnan(score.floor):
        return "it has no chance level; give max_drop"
    return "on clean data it is not above chance, so there is nothing to lose"


def _wrong_way(bound: Bound, requirement: Requirement, better: str) -> str:
    """A lone limit on the good side is a slip: everything bad would pass."""
    given = {b.measure for b in requirement.bounds}
    good = {"higher": "max", "lower": "min"}.get(better)
    if bound.measure != good or {"min", "max"} <= given:
        return ""
    other = "min" if good == "max" else "max"
    return f"{better} is better, so {good} alone would only forbid being good; give {other}, or both"
