"""A number held against a limit becomes a check; so does what cannot be held against anything."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mmaudit.formats import readable, shorten
from mmaudit.gate.decide import decide, snapped
from mmaudit.gate.policy import Bound, Measure
from mmaudit.gate.result import Check, Kind
from mmaudit.gate.wording import LABEL, claim, verdict

KINDS: dict[Measure, Kind] = {
    "min": "value",
    "max": "value",
    "max_drop": "drop",
    "max_lost": "lost",
    "max_regression": "regression",
    "max_drop_growth": "growth",
}


@dataclass(frozen=True)
class Number:
    """What a limit is held against.

    Attributes:
        about: label of the condition or estimate.
        condition: its key.
        metric, group, n, unit, value, low, high: as in `Score`.
        better: direction of goodness of the metric.
        reason: why there is no value.
        grain: rounding error of a number that is a difference; see `snapped`.
    """

    about: str
    condition: str
    metric: str
    group: str
    n: int
    unit: str
    better: str = ""
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    reason: str = ""
    grain: float = 0.0


def held(bound: Bound, number: Number, place: str) -> Check:
    """Hold a number against a limit.

    Args:
        bound: the limit.
        number: in the direction of the limit: of a drop, more is worse.
        place: where it was measured, in words.
    """
    low, high = (snapped(end, bound.limit, number.grain) for end in (number.low, number.high))
    outcome = decide(low, high, bound.limit, upper=bound.upper)
    if outcome is None:
        undefined = "its value is not defined" if math.isnan(number.value) else "it has no interval to decide by"
        return unusable(bound, number, place, number.reason or undefined)
    if slip := _slip(bound, number.unit):
        return unusable(bound, number, place, slip)
    said = claim(bound, number.metric, place, low, high, number.value, number.unit, number.better)
    said += verdict(outcome, bound, number.value, low, high)
    return replace(_blank(bound, number), outcome=outcome, sentence=f"{said}.")


def unusable(bound: Bound, number: Number, place: str, reason: str) -> Check:
    """Say why a number cannot be held against a limit: it fails, whatever it is."""
    said = f"{readable(number.metric)} {place} cannot be checked: {shorten(reason.rstrip('.'), 4 * LABEL)}."
    return replace(_blank(bound, number), sentence=said, reason=reason)


def missing(problem: str) -> Check:
    """Stand for something that the run does not have: it fails."""
    said = problem if problem.endswith("?") else f"{problem}."
    return Check("policy", "fail", said, about=problem, reason=problem)


def _blank(bound: Bound, number: Number) -> Check:
    return Check(
        KINDS[bound.measure],
        "fail",
        "",
        about=number.about,
        condition=number.condition,
        metric=number.metric,
        group=number.group,
        limit=bound.limit,
        upper=bound.upper,
        value=number.value,
        low=number.low,
        high=number.high,
        n=number.n,
        unit=number.unit,
    )


def _slip(bound: Bound, unit: str) -> str:
    """A limit in percent where shares are meant would let everything pass."""
    if bound.measure == "max_lost" or unit != "share" or abs(bound.limit) <= 1:
        return ""
    return f"{bound.measure} = {bound.limit:g} is beyond any share; for 5 % write 0.05"
