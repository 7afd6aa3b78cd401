"""What a check found, in words: the number with its interval, beside the limit."""

from __future__ import annotations

import math

from mmaudit.formats import MINUS, NBSP, change_unit, digits, factor, interval, number, readable, shorten, shown_unit
from mmaudit.gate.policy import Bound
from mmaudit.gate.result import Outcome

LABEL = 120
MOST_DECIMALS = 6


def where(label: str, group: str) -> str:
    """`under image.gaussian_blur[photo]@3, group age=old`."""
    said = "on clean data" if label == "clean" else f"under {shorten(label, LABEL)}"
    return f"{said}, group {shorten(group, LABEL)}" if group else said


def claim(
    bound: Bound, metric: str, place: str, low: float, high: float, value: float, unit: str, better: str = ""
) -> str:
    """What was measured, and what is asked: one clause each."""
    name = readable(metric)
    moved = bound.measure not in ("min", "max", "max_lost")
    text = quantity(value, low, high, unit, bound.limit, change=moved)
    if bound.measure in ("min", "max"):
        found = f"{name} {place} is {text}"
    elif bound.measure == "max_drop":
        found = f"{name} {'rises' if better == 'lower' else 'drops'} by {text} {place}"
    elif bound.measure == "max_lost":
        found = f"{name} loses {text} of what it has above chance {place}"
    elif bound.measure == "max_regression":
        found = f"{name} {place} is worse than in the previous run by {text}"
    else:
        drop = "rise" if better == "lower" else "drop"
        found = f"the {drop} of {name} {place} has grown since the previous run by {text}"
    side = "at most" if bound.upper else "at least"
    return f"{found}; {side} {limit(bound.limit, unit, change=moved)} is {'allowed' if bound.upper else 'required'}"


def verdict(outcome: Outcome, bound: Bound, value: float, low: float, high: float) -> str:
    """Why it is undecided, and how many more samples would do; else nothing."""
    if outcome != "undecided":
        return ""
    end = high if bound.upper else low
    if math.isnan(end):
        return ", which an interval with no end on that side leaves open"
    said = ", which the interval leaves open"
    room, half = abs(bound.limit - value), abs(end - value)
    inside = value < bound.limit if bound.upper else value > bound.limit
    if not inside or room <= 0:
        return said
    # The half-width of an interval falls with the square root of the number of samples, the bound of what no sample was
    # seen to do with their number itself: such an interval ends at the value, or lies evenly around no change.
    exact = value in (low, high) or (value == 0 and low == -high)
    times = half / room if exact else (half / room) ** 2
    more = f"{max(times, 1.1):.1f}" if times < 10 else f"{times:,.0f}" if times < 1e4 else "more than 10,000"
    return f"{said} (about {more} times as many samples would settle it, if the value stays)"


def quantity(value: float, low: float, high: float, unit: str, beside: float, *, change: bool) -> str:
    """A number with unit and interval, to as many decimals as tell its ends from the limit."""
    places = digits(unit, value, low, high)
    while places < MOST_DECIMALS and any(_same(end, beside, unit, places) for end in (low, high)):
        places += 1
    text = number(value, unit, change=change, decimals=places)
    return f"{text} {interval(low, high, unit, places) or _open(low, high, unit, places)}".strip()


def limit(value: float, unit: str, *, change: bool) -> str:
    """A limit as the policy's author would write it: `5 pp`."""
    name = change_unit(unit) if change else shown_unit(unit)
    text = format(abs(value) * factor(unit), ".10g")
    text = (MINUS if value < 0 else "") + text
    return f"{text}{NBSP}{name}" if name else text


def _same(end: float, beside: float, unit: str, places: int) -> bool:
    """Whether two different numbers look the same."""
    if math.isnan(end) or end == beside:
        return False
    return f"{end * factor(unit):.{places}f}" == f"{beside * factor(unit):.{places}f}"


def _open(low: float, high: float, unit: str, places: int) -> str:
    """An interval of which one end is unknown; empty where both are."""
    if math.isnan(low) and math.isnan(high):
        return ""
    ends = [number(x * factor(unit), decimals=places) for x in (low, high)]
    return f"[{ends[0]},{NBSP}{ends[1]}]"
