"""Groups and labels: is one site, speaker, label or target served worse, and is one hit harder?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmaudit.figures.base import (
    Cell,
    Column,
    Figure,
    Panel,
    Table,
    count_cell,
    loss,
    number_cell,
    p_cell,
    text_cell,
    value_cell,
    words,
)
from mmaudit.figures.dots import FULL, PHONE, Dot, Line, Row, Scale, dot_rows
from mmaudit.figures.marks import BLUE, DOTTED, MUTED, RED
from mmaudit.formats import count, estimate, factor, measure, number, shorten
from mmaudit.report import Measured, Report
from mmaudit.types import Score

CLEAN_SERIES, WORST_SERIES = "clean", "its worst condition"
GROUP_P = "Benjamini-Hochberg over the groups, conditions and metrics of this run that are scored by group"
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
        *worst_columns(GROUP_P, "group"),
    )
    figures = []
    for i, (column, names) in enumerate(groups.items(), 1):
        rows = [_group(report, column, name) for name in ("", *names)]
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
                panels(report, rows, title, f"groups by {shorten(column, 40)}", "all samples, clean"),
                Table(columns, tuple(_cells(report, r, rows[0].clean) for r in rows)),
            )
        )
    return tuple(figures)


@dataclass(frozen=True)
class Part:
    """A group, a label or a target: its score on clean data, and where it is hit hardest.

    Attributes:
        label: as it is shown.
        clean: its clean score; None where it has none.
        worst: the condition that hurts it most and its score there; None where no condition has a value.
        whole: whether it stands for all of them.
        numbers: printed beside it in the chart.
    """

    label: str
    clean: Score | None
    worst: tuple[Measured, Score] | None
    whole: bool = False
    numbers: str = ""

    def worst_cells(self) -> tuple[Cell, ...]:
        """Cells of `WORST_COLUMNS`."""
        condition, score = self.worst or (None, None)
        none = "no condition has a value"
        return (
            text_cell(words(condition.condition) if condition else none),
            value_cell(score) if score else number_cell(math.nan, reason=none),
            value_cell(score, "delta") if score else number_cell(math.nan, reason=none),
            p_cell(score) if score else number_cell(math.nan, reason=none),
        )

    def row(self) -> Row:
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
        return Row(shorten(self.label, 32), tuple(dots), self.numbers)


def worst_columns(p_note: str, whose: str) -> tuple[Column, ...]:
    """Columns of where it is hit hardest."""
    return (
        Column("worst condition", numeric=False),
        Column("there"),
        Column("change against clean", note=f"of the same {whose}"),
        Column("adjusted p", note=p_note),
    )


def hit_hardest(report: Report, scores: Iterable[tuple[Measured, Score | None]]) -> tuple[Measured, Score] | None:
    """The condition that hurts most, controls and the removal of every modality left out; None where none is known."""
    everything = {m["name"] for m in report.document["data"]["modalities"]}
    candidates = [
        (m, score)
        for m, score in scores
        # With nothing left every group is at chance, which says nothing about the group.
        if not (m.condition.probe == "missing" and set(m.condition.modalities) == everything)
        and m.condition.family not in ("clean", "control")
        and score is not None
        and math.isfinite(score.delta)
    ]
    return max(candidates, key=lambda e: loss(e[1]), default=None)


def _group(report: Report, column: str, group: str) -> Part:
    name = report.primary.name
    clean = report.score(report.clean, name, group)
    return Part(
        shorten(group[len(column) + 1 :], 60) if group else "all samples",
        clean,
        hit_hardest(report, ((m, report.score(m.key, name, group)) for m in report.conditions)),
        whole=not group,
        numbers=f"n = {count(clean.n)}" if clean is not None else "",
    )


def _cells(report: Report, part: Part, overall: Score | None) -> tuple[Cell, ...]:
    """The row of the table of groups."""
    clean = part.clean
    gap = clean.value - overall.value if clean is not None and overall is not None else math.nan
    return (
        text_cell(part.label),
        count_cell(clean.n) if clean is not None else number_cell(math.nan, reason="not measured for this group"),
        value_cell(clean),
        text_cell("") if part.whole else number_cell(gap, report.primary.unit, "one of the two is undefined", True),
        *part.worst_cells(),
    )


def panels(report: Report, parts: Sequence[Part], title: str, what: str, line: str) -> tuple[Panel, ...]:
    """Clean value and that where each is hit hardest, one row each; the first part is all of them together.

    Args:
        report: whose primary metric is drawn.
        parts: rows from top to bottom.
        title: the metric, for the axis.
        what: groups of what, in words: `groups by site`, `labels`.
        line: what the dotted line is.
    """
    rows = [part.row() for part in parts]
    if not any(r.dots for r in rows):
        return ()
    overall, unit = parts[0].clean, report.primary.unit
    lines: tuple[Line, ...] = ()
    if overall is not None and math.isfinite(overall.value):
        lines = (Line(factor(unit) * overall.value, line, DOTTED, MUTED),)
    known = [(p.clean.value, p.label) for p in parts[1:] if p.clean is not None and math.isfinite(p.clean.value)]
    alt = f"{len(parts) - 1} {what}; none has a clean value."
    if known:
        ends = (f"{label} {number(value, unit)}" for value, label in (min(known), max(known)))
        alt = f"Clean {title} of {len(known)} {what}, from {' to '.join(ends)}. All numbers are in the table."
    scale = Scale(title, lines)
    return (
        Panel("", alt, dot_rows(rows, STYLES, scale, width=FULL), "full", "wide"),
        Panel("", alt, dot_rows(rows, STYLES, scale, width=PHONE), "full", "narrow"),
    )
