"""Mismatch by degrees: curves over how many samples are exchanged, how far images are displaced, how old values are."""

from __future__ import annotations

from mmaudit.figures.base import Figure, primary_title, variant
from mmaudit.figures.severity import (
    Curve,
    capital,
    curve_panel,
    curve_points,
    curve_table,
    ordered,
    severity_axis,
    severity_panel,
    shared_limits,
)
from mmaudit.formats import shorten
from mmaudit.report import Report
from mmaudit.types import Condition


def misalignment(report: Report) -> tuple[Figure, ...]:
    """One figure: the primary metric against the degree of a mismatch: how many samples, how far, how long ago.

    Time shifts have two directions and a chart of their own, `tolerance`.
    """
    groups: dict[tuple[str, tuple[str, ...]], dict[str, Curve]] = {}
    for c, score in curve_points(report):
        if c.family == "mismatch" and c.option("direction") is None:
            groups.setdefault((c.probe, c.modalities), {}).setdefault(variant(c), []).append((c, score))
    for (probe, modalities), curves in groups.items():
        if probe == "mismatch_share":
            for curve in curves.values():
                curve += _everyone(report, modalities, curve[0][0].repeat)
    if not groups:
        return ()
    limits = shared_limits(report, (s for curves in groups.values() for curve in curves.values() for _, s in curve))
    panels = []
    for (probe, modalities), curves in groups.items():
        name = " + ".join(shorten(m, 22) for m in modalities)
        if probe != "mismatch_share":
            panels.append(severity_panel(report, probe, name, curves, limits))
            continue
        placed = {k: [(_percent(c), c, s) for c, s in ordered(v)] for k, v in curves.items()}
        x = severity_axis(f"{name} of another sample (% of samples)", [0, 25, 50, 75, 100], {}, [0, 100])
        panels.append(curve_panel(report, f"mismatch in some samples · {name}", placed, x, limits))
    rows = [p for curves in groups.values() for curve in curves.values() for p in ordered(curve)]
    caption = (
        f"{capital(primary_title(report))} against the degree of a mismatch; the shaded band is the 95 % interval. "
        "Samples that get another one's value at a low share also get it, from the same one, at every higher share."
    )
    return (Figure("misalignment", "Mismatch by degrees", caption, tuple(panels), curve_table(report, rows)),)


def _everyone(report: Report, modalities: tuple[str, ...], repeat: int) -> Curve:
    """The end of a curve over shares: every sample exchanged, which is the condition `mismatch`."""
    for m in report.conditions:
        c, score = m.condition, report.score(m.key, report.primary.name)
        whole = c.probe == "mismatch" and c.option("pool") == "random" and c.repeat == repeat
        if whole and c.modalities == modalities and score is not None:
            return [(c, score)]
    return []


def _percent(c: Condition) -> float:
    return 100.0 if c.severity is None else 100 * c.severity
