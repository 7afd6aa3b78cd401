"""Labels of a multilabel task, targets of a regression: which of them is served worse, and which breaks?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmaudit.figures.base import Cell, Column, Figure, Table, count_cell, loss, number_cell, text_cell, value_cell
from mmaudit.figures.groups import Part, hit_hardest, panels, worst_columns
from mmaudit.formats import count, measure, shorten
from mmaudit.report import Report
from mmaudit.types import Score

MOST_DRAWN = 20
"""Rows of the chart; the table has all."""

# Of one label a mean over labels is the metric itself.
NAMES = {"macro_f1": "F1"}
P_NOTE = "Benjamini-Hochberg over all labels or targets, conditions and metrics that are scored one by one"


def by_output(report: Report) -> tuple[Figure, ...]:
    """One figure: each label or target on clean data and under what hurts it most; the worst hit first."""
    scores: dict[str, dict[tuple[str, str], Score]] = {}
    positives: dict[str, int | None] = {}
    for row in report.outputs:
        scores.setdefault(row.output, {})[row.score.condition, row.score.metric] = row.score
        positives.setdefault(row.output, row.positives)
    primary = report.primary
    labels = report.document["task"]["kind"] == "multilabel"
    if not any((report.clean, primary.name) in known for known in scores.values()):
        return ()
    whole = Part(
        f"mean over {'labels' if labels else 'targets'}",
        report.score(report.clean, primary.name),
        hit_hardest(report, ((m, report.score(m.key, primary.name)) for m in report.conditions)),
        whole=True,
    )
    parts = [
        Part(
            shorten(name, 60),
            known.get((report.clean, primary.name)),
            hit_hardest(report, ((m, known.get((m.key, primary.name))) for m in report.conditions)),
            numbers=_numbers(positives[name]),
        )
        for name, known in scores.items()
    ]
    names = list(scores)
    order = sorted(range(len(names)), key=lambda i: -_hit(parts[i]))
    others = [m for m in report.metrics if m != primary.name and any((report.clean, m) in s for s in scores.values())]
    title = measure(primary.name, primary.unit, primary.better)
    columns = (
        Column("label" if labels else "target", numeric=False),
        Column("positives", note="samples that have the label") if labels else Column("n"),
        Column(f"clean {title}"),
        *(Column(f"clean {_title(report, m)}") for m in others),
        *worst_columns(P_NOTE, "label" if labels else "target"),
    )
    body = [_cells(whole, None, [report.score(report.clean, m) for m in others], labels)]
    for i in order:
        clean = [scores[names[i]].get((report.clean, m)) for m in others]
        body.append(_cells(parts[i], positives[names[i]], clean, labels))
    drawn = [whole, *(parts[i] for i in order[:MOST_DRAWN])]
    what = "labels" if labels else "targets"
    return (
        Figure(
            "by-output",
            f"By {what[:-1]}",
            _caption(title, what, len(parts)),
            panels(report, drawn, title, what, whole.label),
            Table(columns, tuple(body)),
        ),
    )


def _hit(part: Part) -> float:
    return loss(part.worst[1]) if part.worst else -math.inf


def _numbers(positives: int | None) -> str:
    return "" if positives is None else f"{count(positives)} have it"


def _title(report: Report, name: str) -> str:
    m = report.metrics[name]
    return measure(NAMES.get(name, name), m.unit, m.better)


def _cells(part: Part, positives: int | None, clean: Sequence[Score | None], labels: bool) -> tuple[Cell, ...]:
    size = positives if labels else part.clean.n if part.clean else None
    return (
        text_cell(part.label),
        text_cell("") if size is None else count_cell(size),
        value_cell(part.clean),
        *(value_cell(s) if s else number_cell(math.nan, reason="not measured") for s in clean),
        *part.worst_cells(),
    )


def _caption(title: str, what: str, many: int) -> str:
    shown = f" The chart has the {MOST_DRAWN} that are hit hardest, the table all {count(many)}." * (many > MOST_DRAWN)
    return (
        f"{title[:1].upper()}{title[1:]} of each of the {what}, clean and under the condition that hurts it most (of "
        "those under which the mean over all surely falls; controls and the removal of every modality left out), with "
        f"95 % intervals. The dotted line is the clean mean over all.{shown}"
    )
