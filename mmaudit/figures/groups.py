"""Groups: is one site, speaker or device served worse, and is one hit harder?"""

from __future__ import annotations

import math

from mmaudit.figures.base import (
    Cell,
    Column,
    Figure,
    Panel,
    Table,
    count_cell,
    loss,
    number_cell,
    text_cell,
    value_cell,
    words,
)
from mmaudit.figures.dots import FULL, PHONE, Dot, Line, Row, Scale, dot_rows
from mmaudit.figures.marks import BLUE, DOTTED, MUTED, RED
from mmaudit.formats import count, estimate, factor, measure, number, shorten
from mmaudit.report import Measured, Report
from mmaudit.types import Score

CLEAN_SERIES, WORST_SERIES = "clean", "worst condition of the group"
STYLES = {CLEAN_SERIES: (BLUE, "circle"), WORST_SERIES: (RED, "square")}


def group_effects(report: Report) -> tuple[Figure, ...]:
    """One figure per group column: each group's clean value and its value where it is hit hardest, with intervals."""
    metric = report.primary
    groups: dict[str, dict[str, None]] = {}
    # A column's name, and a group's, may hold "=" themselves: the columns that the report names decide.
    columns_of = sorted(report.document["data"].get("groups", {}), key=len, reverse=True)
    for s in report.rows:
        if s.group and s.metric == metric.name:
            known = (c for c in columns_of if s.group.startswith(f"{c}="))
            groups.setdefault(next(known, s.group.partition("=")[0]), {})[s.group] = None
    title = measure(metric.name, metric.unit, metric.better)
    columns = (
        Column("group", numeric=False),
        Column("n"),
        Column(f"clean {title}"),
        Column("against all samples", note="difference of the clean values; no interval is worked out for it"),
        Column("worst condition", numeric=False),
        Column("there"),
        Column("change against clean", note="of the same group"),
    )
    figures = []
    for i, (column, names) in enumerate(groups.items(), 1):
        rows = [_Group(report, column, name) for name in ("", *names)]
        caption = (
            f"{title[:1].upper()}{title[1:]} of each group, clean and under the condition that hurts it most "
            "(controls and the removal of every modality left out), with 95 % intervals. The dotted line is the clean "
            "value of all samples. Each group is compared with itself when clean."
        )
        figures.append(
            Figure(
                f"groups-{i}",
                f"By {shorten(column, 60)}",
                caption if i == 1 else "",
                _panels(report, column, rows, title),
                Table(columns, tuple(r.cells(report) for r in rows)),
            )
        )
    return tuple(figures)


class _Group:
    """A group's scores: clean, and where it is hit hardest."""

    def __init__(self, report: Report, column: str, group: str) -> None:
        name = report.primary.name
        self.label = shorten(group[len(column) + 1 :], 60) if group else "all samples"
        self.everyone = not group
        self.clean = report.score(report.clean, name, group)
        self.overall = report.score(report.clean, name)
        everything = {m["name"] for m in report.document["data"]["modalities"]}
        candidates: list[tuple[Measured, Score]] = []
        for m in report.conditions:
            # With nothing left every group is at chance, which says nothing about the group.
            if m.condition.probe == "missing" and set(m.condition.modalities) == everything:
                continue
            score = report.score(m.key, name, group)
            if m.condition.family not in ("clean", "control") and score is not None and math.isfinite(score.delta):
                candidates.append((m, score))
        self.worst = max(candidates, key=lambda e: loss(e[1]), default=None)

    def cells(self, report: Report) -> tuple[Cell, ...]:
        """The row of the table."""
        clean, overall, unit = self.clean, self.overall, report.primary.unit
        gap = clean.value - overall.value if clean is not None and overall is not None else math.nan
        worst = self.worst
        return (
            text_cell(self.label),
            count_cell(clean.n) if clean is not None else number_cell(math.nan, reason="not measured for this group"),
            value_cell(clean),
            text_cell("") if self.everyone else number_cell(gap, unit, "one of the two is undefined", change=True),
            text_cell(words(worst[0].condition) if worst else "no condition has a value"),
            value_cell(worst[1] if worst else None),
            value_cell(worst[1] if worst else None, "delta"),
        )

    def row(self, report: Report) -> Row:
        """The row of the chart."""
        dots = []
        for series, score, what in (
            (CLEAN_SERIES, self.clean, "clean"),
            (WORST_SERIES, self.worst[1] if self.worst else None, words(self.worst[0].condition) if self.worst else ""),
        ):
            if score is not None and math.isfinite(score.value):
                by, text = factor(score.unit), estimate(score.value, score.low, score.high, score.unit)
                tip = f"{self.label}, {what}: {text}"
                dots.append(Dot(series, by * score.value, by * score.low, by * score.high, tip=tip))
        numbers = f"n = {count(self.clean.n)}" if self.clean is not None else ""
        return Row(shorten(self.label, 32), tuple(dots), numbers)


def _panels(report: Report, column: str, groups: list[_Group], title: str) -> tuple[Panel, ...]:
    rows = [g.row(report) for g in groups]
    if not any(r.dots for r in rows):
        return ()
    overall, unit = groups[0].overall, report.primary.unit
    lines: tuple[Line, ...] = ()
    if overall is not None and math.isfinite(overall.value):
        lines = (Line(factor(unit) * overall.value, "all samples, clean", DOTTED, MUTED),)
    known = [g for g in groups[1:] if g.clean is not None and math.isfinite(g.clean.value)]
    alt = f"{len(groups) - 1} groups by {shorten(column, 40)}; none has a clean value."
    if known:
        best, worst = (
            f(known, key=lambda g: g.clean.value if g.clean is not None else 0.0)  # known ones have a value
            for f in (max, min)
        )
        ends = (f"{g.label} {number(g.clean.value, unit)}" for g in (worst, best) if g.clean is not None)
        alt = f"Clean {title} of {len(known)} groups by {shorten(column, 40)}, from {' to '.join(ends)}. " + (
            "All numbers are in the table."
        )
    scale = Scale(title, lines)
    return (
        Panel("", alt, dot_rows(rows, STYLES, scale, width=FULL), "full", "wide"),
        Panel("", alt, dot_rows(rows, STYLES, scale, width=PHONE), "full", "narrow"),
    )
