"""Scores by group under one condition, as a chart and a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmaudit.app.parts import choose
from mmaudit.app.parts.sample_figures import NARROW, WIDE
from mmaudit.app.parts.view import Filter
from mmaudit.figures import Column, Figure, Panel, Table, words
from mmaudit.figures.base import count_cell, number_cell, p_cell, text_cell, value_cell
from mmaudit.figures.dots import FULL, PHONE, Dot, Line, Row, Scale, dot_rows
from mmaudit.figures.groups import GROUP_P
from mmaudit.figures.marks import BLUE, DOTTED, INK, MUTED, RED, SOLID
from mmaudit.formats import change, change_unit, count, estimate, factor, measure, readable, shorten
from mmaudit.report import Measured, Report

CLEAN, UNDER = "clean", "under the condition"
STYLES = {CLEAN: (BLUE, "circle"), UNDER: (RED, "square")}
CHANGE = "change"


def columns(report: Report, metric: str = "") -> dict[str, tuple[str, ...]]:
    """Per group column its groups, as `column=value`, that the metric was scored for on clean data."""
    name = metric or report.primary.name
    found: dict[str, dict[str, None]] = {}
    for s in report.rows:
        if s.group and s.metric == name and s.condition == report.clean:
            found.setdefault(s.group.partition("=")[0], {})[s.group] = None
    return {column: tuple(groups) for column, groups in found.items()}


def conditions(report: Report, chosen: Filter, groups: Sequence[str]) -> list[Measured]:
    """The conditions that were scored by group and that the filters leave."""
    name = chosen.metric or report.primary.name
    scored = {s.condition for s in report.rows if s.metric == name and s.group in set(groups)}
    return [m for m in choose.offered(report, chosen) if m.key in scored]


def under(report: Report, metric: str, measured: Measured, groups: Sequence[str]) -> Figure:
    """Each group on clean data and under a condition, and how far it moved; all samples first."""
    m = report.metrics.get(metric, report.primary)
    title = measure(m.name, m.unit, m.better)
    said = words(measured.condition)
    rows, moves, body = [], [], []
    for group in ("", *groups):
        label = shorten(group.partition("=")[2], 40) if group else "all samples"
        clean, here = (report.score(key, m.name, group) for key in (report.clean, measured.key))
        dots = []
        for series, s in ((CLEAN, clean), (UNDER, here)):
            if s is not None and math.isfinite(s.value):
                by, tip = factor(s.unit), f"{label}, {series}: {estimate(s.value, s.low, s.high, s.unit)}"
                dots.append(Dot(series, by * s.value, by * s.low, by * s.high, tip=tip))
        rows.append(Row(shorten(label, 32), tuple(dots), f"n = {count(clean.n)}" if clean is not None else ""))
        if here is not None and math.isfinite(here.delta):
            by, tip = factor(here.unit), f"{label}: {change(here.delta, here.delta_low, here.delta_high, here.unit)}"
            one = Dot(CHANGE, by * here.delta, by * here.delta_low, by * here.delta_high, tip=tip)
            moves.append(Row(shorten(label, 32), (one,)))
        body.append(
            (
                text_cell(label),
                count_cell(here.n) if here is not None else number_cell(math.nan, reason="not measured for this group"),
                value_cell(clean),
                value_cell(here),
                value_cell(here, "delta"),
                p_cell(here) if here is not None else number_cell(math.nan, reason="not measured for this group"),
            )
        )
    table = Table(
        (
            Column("group", numeric=False),
            Column("n"),
            Column(f"clean {title}"),
            Column(title, note=f"under {said}"),
            Column("change against clean", note="of the same group, paired"),
            Column("adjusted p", note=GROUP_P),
        ),
        tuple(body),
    )
    table = _without_empty(table)
    caption = (
        f"{readable(m.name)[:1].upper()}{readable(m.name)[1:]} of each group on clean data and under: {said}; then the "
        "paired change of each group against itself. 95 % intervals. Two groups differ in how hard they are hit where "
        "their changes' intervals lie apart."
    )
    return Figure("groups-under", "Under one condition", caption, _panels(rows, moves, title, m.unit, said), table)


def _without_empty(table: Table) -> Table:
    """Without columns of numbers that no row has."""
    keep = [i for i, c in enumerate(table.columns) if not c.numeric or any(r[i].value is not None for r in table.rows)]
    return Table(tuple(table.columns[i] for i in keep), tuple(tuple(r[i] for i in keep) for r in table.rows))


def _panels(rows: Sequence[Row], moves: Sequence[Row], title: str, unit: str, said: str) -> tuple[Panel, ...]:
    if not any(r.dots for r in rows):
        return ()
    panels = []
    for width, show in ((FULL, WIDE), (PHONE, NARROW)):
        alt = f"{title} of {len(rows) - 1} groups, clean and under {said}. All numbers are in the table."
        panels.append(Panel("", alt, dot_rows(rows, STYLES, Scale(title), width=width), "full", show))
        if moves:
            axis = f"change against clean ({change_unit(unit)})" if unit else "change against clean"
            overall = moves[0].dots[0].value if moves[0].label == "all samples" else math.nan
            lines = [Line(0.0, "", SOLID, INK)]
            lines += [Line(overall, "all samples", DOTTED, MUTED)] if math.isfinite(overall) else []
            picture = dot_rows(moves, {CHANGE: (RED, "square")}, Scale(axis, tuple(lines)), width=width, legend=False)
            alt = f"Change of each group under {said}. All numbers are in the table."
            panels.append(Panel("Change", alt, picture, "full", show))
    return tuple(panels)
