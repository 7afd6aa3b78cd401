"""Scores of the subsets of modalities, as lattice and baseline chart need them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from mmaudit.formats import shorten
from mmaudit.report import Report
from mmaudit.types import Score

Subset = frozenset[str]
Nodes = dict[Subset, Score]


def modality_names(report: Report) -> tuple[str, ...]:
    """The data set's modalities, in its order."""
    return tuple(m["name"] for m in report.document["data"]["modalities"])


def subsets(report: Report) -> dict[str, Nodes]:
    """Per missing baseline: the primary score of each present subset; the whole set is the clean condition."""
    everything = frozenset(modality_names(report))
    clean = report.score(report.clean, report.primary.name)
    found: dict[str, Nodes] = {}
    for m in report.conditions:
        c = m.condition
        score = report.score(m.key, report.primary.name)
        if c.family != "missing" or c.severity is not None or c.repeat or score is None:
            continue
        found.setdefault(c.option("baseline") or "as defined", {})[everything - set(c.modalities)] = score
    if clean is not None:
        for nodes in found.values():
            nodes[everything] = clean
    return found


def ordered(nodes: Nodes, names: Sequence[str]) -> list[tuple[Subset, Score]]:
    """Subsets by size, then in the order of the modalities."""
    order = {s: i for k in range(len(names) + 1) for i, s in enumerate(map(frozenset, combinations(names, k)))}
    return sorted(nodes.items(), key=lambda e: (len(e[0]), order.get(e[0], 0)))


def steps(nodes: Nodes, names: Sequence[str]) -> list[tuple[Subset, Subset]]:
    """Pairs of measured subsets of which the second has one modality more."""
    known = [s for s, _ in ordered(nodes, names)]
    return [(a, b) for a in known for b in known if len(b) == len(a) + 1 and a < b]


def named(s: Subset, names: Sequence[str], limit: int = 24) -> str:
    """A subset in words."""
    return " + ".join(shorten(n, limit) for n in names if n in s) if s else "nothing"


def gain(report: Report, small: Score, large: Score) -> tuple[float, float, float]:
    """What the larger subset adds, with the paired interval where the report has one."""
    paired = report.score(large.condition, large.metric, against=small.condition)
    if paired is not None:
        return paired.delta, paired.delta_low, paired.delta_high
    if large.condition == report.clean and math.isfinite(small.delta):
        return -small.delta, -small.delta_high, -small.delta_low
    return large.value - small.value, math.nan, math.nan


def apart(a: Score, b: Score, low: float = math.nan, high: float = math.nan) -> bool:
    """Whether two scores differ beyond their paired interval, or without one beyond their own intervals (cautious)."""
    if math.isfinite(low) and math.isfinite(high):
        return low > 0 or high < 0
    return a.high < b.low or b.high < a.low
