"""Which conditions and groups a requirement means, and what it names that no run has."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mmaudit.formats import shorten
from mmaudit.gate.policy import Requirement
from mmaudit.types import Condition

# A longer name is nothing that someone mistyped, and comparing it letter by letter takes long.
LONGEST_GUESS = 200
LABEL = 120
_NONE: Mapping[str, str] = MappingProxyType({})
APART = ("clean", "control")
"""Families that patterns do not mean: they are no perturbations, and are looked at where they are named."""


@dataclass(frozen=True)
class Planned:
    """A condition under the key that scores call it by."""

    key: str
    condition: Condition


@dataclass(frozen=True)
class Selected:
    """What was found.

    Attributes:
        conditions: in plan order.
        lacking: one sentence for each name of the requirement that nothing matches.
    """

    conditions: tuple[Planned, ...]
    lacking: tuple[str, ...]


def select(requirement: Requirement, measured: Sequence[Planned], declined: Mapping[str, str] = _NONE) -> Selected:
    """Return the conditions that have everything the requirement names; each name must mean at least one of them.

    Positions are stricter: every severity curve that the other keys select must have all of them.

    Args:
        requirement: of conditions.
        measured: the run's conditions, in plan order.
        declined: by probe, why the run does not have (all of) its conditions.
    """
    labels = {p.condition.label for p in measured}
    usual = [p for p in measured if _apart(p.condition, requirement) and _plain_keys(p.condition, requirement)]
    sorts: tuple[tuple[str, Sequence[str], Callable[[Condition, str], bool]], ...] = (
        ("condition", requirement.conditions, lambda c, name: named(c.label, name, labels)),
        ("family", requirement.families, lambda c, name: c.family == name),
        ("probe", requirement.probes, lambda c, name: matches(name, c.probe)),
    )
    chosen = usual
    for _, names, has in sorts:
        chosen = [p for p in chosen if not names or any(has(p.condition, name) for name in names)]
    lacking = []
    for key, names, has in sorts:
        known = {"condition": labels, "family": {p.condition.family for p in measured}}.get(
            key, {p.condition.probe for p in measured}
        )
        lacking += [
            f"no measured condition matches {key} = {_quoted(name)}{_also(requirement, key)}"
            + (_declined(name, declined) or nearest(name, known))
            for name in names
            if not any(has(p.condition, name) for p in chosen)
        ]
    # Where nothing is left a name is at fault, and was told above, or all of them together, which is told below.
    if requirement.positions and chosen:
        lacking += _positions_lacking(requirement, chosen)
        chosen = [p for p in chosen if p.condition.position in requirement.positions]
    if not chosen and not lacking:
        lacking.append(f"no measured condition matches {_said(requirement)}")
    return Selected(tuple(chosen), tuple(lacking))


def _apart(condition: Condition, requirement: Requirement) -> bool:
    """Whether a condition may be meant: clean data and controls only where they are named."""
    if condition.family not in APART:
        return True
    return condition.label in requirement.conditions or condition.family in requirement.families


def _plain_keys(c: Condition, r: Requirement) -> bool:
    """Whether a condition has the modalities, options and severity that are asked for."""
    if r.modalities is not None and set(c.modalities) != set(r.modalities):
        return False
    if any(c.option(name) != value for name, value in r.options):
        return False
    if r.severity_from is None and r.severity_to is None:
        return True
    if c.severity is None:
        return False
    return (r.severity_from is None or c.severity >= r.severity_from) and (
        r.severity_to is None or c.severity <= r.severity_to
    )


def _positions_lacking(requirement: Requirement, chosen: Iterable[Planned]) -> list[str]:
    curves: dict[str, dict[int, Condition]] = {}
    for p in chosen:
        if p.condition.position is not None:
            curves.setdefault(p.condition.stream, {})[p.condition.position] = p.condition
    out = []
    for places in curves.values():
        if missing := [str(k) for k in requirement.positions if k not in places]:
            curve = next(iter(places.values())).label.rsplit("@", 1)[0]
            out.append(f"{shorten(curve, LABEL)} was not measured at position {', '.join(missing)}")
    return out or ([] if curves else [f"no measured condition matches {_said(requirement)}"])


def named(label: str, name: str, labels: set[str]) -> bool:
    """Whether a name means a label; a name that is a label means that one alone, whatever `*` it holds."""
    return label == name if name in labels else matches(name, label)


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern with `*` (anything) and `?` (one character) fits a text; all else, `[` too, means itself.

    Takes at most len(pattern) · len(text) steps, whatever the pattern.
    """
    i = j = 0
    star, after = -1, 0
    while j < len(text):
        if i < len(pattern) and pattern[i] == "*":
            star, after, i = i, j, i + 1
        elif i < len(pattern) and pattern[i] in ("?", text[j]):
            i, j = i + 1, j + 1
        elif star >= 0:
            after += 1
            i, j = star + 1, after
        else:
            return False
    return all(c == "*" for c in pattern[i:])


def nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion to end a sentence with: `; did you mean 'clean'?`, or nothing."""
    short = [k for k in known if len(k) <= LONGEST_GUESS]
    near = difflib.get_close_matches(name, short, n=1, cutoff=0.6) if len(name) <= LONGEST_GUESS else []
    return f"; did you mean {_quoted(near[0])}?" if near else ""


def _declined(name: str, declined: Mapping[str, str]) -> str:
    """Why a probe was not run, where the plan says so."""
    reason = next((why for probe, why in declined.items() if matches(name, probe)), "")
    return f" (declined: {shorten(reason, 2 * LABEL)})" if reason else ""


def _also(requirement: Requirement, key: str) -> str:
    """What else the requirement asks of a condition, for a message about one of its keys."""
    others = [part for part in _parts(requirement) if not part.startswith(f"{key} ")]
    return f" with {', '.join(others)}" if others else ""


def _said(requirement: Requirement) -> str:
    return ", ".join(_parts(requirement))


def _parts(r: Requirement) -> list[str]:
    listed = (("condition", r.conditions), ("family", r.families), ("probe", r.probes), ("modalities", r.modalities))
    parts = [f"{key} = {' or '.join(map(_quoted, names))}" for key, names in listed if names]
    parts += [f"{name} = {_quoted(value)}" for name, value in r.options]
    parts += [f"positions = {list(r.positions)}"] if r.positions else []
    parts += [f"severity from {r.severity_from:g}"] if r.severity_from is not None else []
    return parts + ([f"severity to {r.severity_to:g}"] if r.severity_to is not None else [])


def _quoted(name: str) -> str:
    return f"'{shorten(name, LABEL)}'"


# ---- groups


@dataclass(frozen=True)
class Groups:
    """Groups that a requirement means: `column=value`, `""` for all samples; too small ones, and names unknown."""

    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


def groups_of(requirement: Requirement, columns: Mapping[str, Mapping[str, int]]) -> Groups:
    """Return the groups that a requirement means.

    Args:
        requirement: with its groups.
        columns: samples by value, for each group column.
    """
    if not requirement.groups:
        return Groups(("",))
    counts = {f"{column}={value}": n for column, values in columns.items() for value, n in values.items()}
    names: list[str] = []
    lacking = []
    for asked in requirement.groups:
        if asked in columns:
            names += [f"{asked}={value}" for value in columns[asked]]
        elif asked in counts:
            names.append(asked)
        else:
            lacking.append(f"the run has no group {_quoted(asked)}{nearest(asked, [*columns, *counts])}")
    small = [name for name in dict.fromkeys(names) if counts[name] < requirement.smallest_group]
    kept = tuple(name for name in dict.fromkeys(names) if name not in small)
    if not kept and not lacking:
        lacking.append(f"every group has fewer than {requirement.smallest_group} samples")
    said = tuple(f"{shorten(name, LABEL)} ({counts[name]} samples)" for name in small)
    return Groups(kept, said, tuple(lacking))
