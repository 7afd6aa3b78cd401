"""Why a condition is in one run only, in words."""

from __future__ import annotations

from collections.abc import Sequence

from mmaudit.compared.result import Side
from mmaudit.formats import shorten
from mmaudit.store import Run
from mmaudit.types import Condition

LONGEST_NAME = 40


def why_absent(condition: Condition, runs: Sequence[Run], sides: Sequence[Side]) -> str:
    """Say why a condition that one of two runs has cannot be compared.

    Args:
        condition: in the plan of one of them.
        runs, sides: both.
    """
    lacking = 0 if all(c.key != condition.key for c in runs[0].conditions) else 1
    name = shorten(sides[lacking].name, LONGEST_NAME)
    foreign = [m for m in condition.modalities if m not in sides[lacking].modalities]
    if foreign:
        return f"{name} has no modality {shorten(foreign[0], LONGEST_NAME)!r}"
    there = next((c for c in runs[lacking].conditions if _place(c) == _place(condition)), None)
    if there is None:
        return f"{name} was not measured under it"
    if there.modalities != condition.modalities:
        order = shorten(", ".join(there.modalities), LONGEST_NAME)
        return f"{name} has it with its modalities in another order ({order}), so with other draws; audit it anew"
    if there.version != condition.version:
        return f"{name} has version {there.version} of this probe, the other run version {condition.version}"
    return f"{name} has it at severity {_severity(there)}, the other run at {_severity(condition)}"


def _place(c: Condition) -> tuple[object, ...]:
    """What the same condition of another version, or on another scale of severities, has in common with it."""
    return c.probe, frozenset(c.modalities), c.options, c.repeat, c.position if c.position is not None else c.severity


def _severity(c: Condition) -> str:
    return "none" if c.severity is None else f"{c.severity:.4g} {shorten(c.unit, 20)}".strip()
