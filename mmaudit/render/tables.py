"""Tables as the templates show them, and the tables of the report that belong to no chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mmaudit.figures.base import Cell, Column, Table, mde_cell, number_cell, p_cell, text_cell, value_cell, words
from mmaudit.formats import count, measure, number, readable, shorten
from mmaudit.report import Measured, Report
from mmaudit.types import Score


@dataclass(frozen=True)
class CellView:
    """A cell in parts: the estimate, its interval, and the mark of a note."""

    main: str
    interval: str
    note: str
    numeric: bool


@dataclass(frozen=True)
class TableView:
    """A table with its notes: every dash has a letter, every letter a reason."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[CellView, ...], ...]
    notes: tuple[tuple[str, str], ...]


def view(table: Table) -> TableView:
    """Prepare a table: split intervals off, collect the reasons for undefined numbers as lettered notes."""
    letters: dict[str, str] = {}
    body = []
    for row in table.rows:
        cells = []
        for column, cell in zip(table.columns, row, strict=True):
            main, _, rest = cell.text.partition(" [")
            note = letters.setdefault(cell.reason, _letter(len(letters))) if cell.reason else ""
            numeric = column.numeric
            cells.append(CellView(main if numeric else cell.text, f"[{rest}" if rest and numeric else "", note, numeric))
        body.append(tuple(cells))
    return TableView(table.columns, tuple(body), tuple((letter, reason) for reason, letter in letters.items()))


def _letter(i: int) -> str:
    return chr(ord("a") + i) if i < 26 else f"{chr(ord('a') + i // 26 - 1)}{chr(ord('a') + i % 26)}"


def everything(report: Report, metric: str) -> Table:
    """Every condition under one metric."""
    m = report.metrics[metric]
    columns = (
        Column("condition", numeric=False),
        Column("n"),
        Column(measure(m.name, m.unit, m.better)),
        Column("change against clean"),
        Column("adjusted p"),
        Column("detectable change"),
        Column("share lost"),
        Column("share lost above chance"),
    )
    body = []
    for measured in report.conditions:
        score = report.score(measured.condition.key, metric)
        if score is None:
            continue
        body.append(
            (
                text_cell(words(measured.condition)), Cell(count(score.n), score.n), value_cell(score), value_cell(score, "delta"),
                p_cell(score), mde_cell(score), _drop_cell(score), value_cell(score, "lost"),
            )
        )  # fmt: skip
    return Table(columns, tuple(body))


def _drop_cell(score: Score) -> Cell:
    if math.isfinite(score.drop):
        return Cell(number(score.drop, "share"), score.drop)
    why = score.reason or ("a metric without direction" if score.better == "neither" else "not defined for this metric")
    return Cell(number(math.nan), None, why if score.against else "nothing to compare with: this is the clean condition or a summary")


def summaries(report: Report) -> Table:
    """Scores that sum up a curve or a family."""
    known = {m.condition.key for m in report.conditions}
    columns = (Column("summary", numeric=False), Column("of", numeric=False), Column("value"), Column("good", numeric=False))
    body = [
        (text_cell(readable(s.metric)), text_cell(shorten(s.label, 70)), value_cell(s), text_cell({"higher": "↑ higher", "lower": "↓ lower"}.get(s.better, "neither")))
        for s in report.rows
        if s.condition not in known and not s.group
    ]  # fmt: skip
    return Table(columns, tuple(body))


def applied(report: Report) -> Table:
    """What each condition did to the samples: the proof that it was applied."""
    columns = (
        Column("condition", numeric=False),
        Column("name for commands", numeric=False),
        Column("version"),
        Column("severity"),
        Column("n"),
        Column("samples changed"),
        Column("mean distance moved"),
        Column("samples on which the model raised"),
    )
    body = []
    for m in report.conditions:
        c = m.condition
        text = {k["name"]: k["kind"] for k in report.document["data"]["modalities"]}
        share = bool(c.modalities) and all(text.get(x) == "text" for x in c.modalities)
        severity = Cell(f"{c.severity:g} {c.unit}".strip(), c.severity) if c.severity is not None else Cell("none", None)
        moved = Cell(number(m.moved, "share") + " of characters", m.moved) if share and math.isfinite(m.moved) else number_cell(m.moved, "σ", "the probe does not move values along a scale")
        body.append(
            (
                text_cell(words(c)), text_cell(c.label), Cell(str(c.version), c.version), severity, Cell(count(m.n), m.n),
                number_cell(m.changed, "share", "not recorded for this condition"), moved,
                Cell(f"{count(m.raised)}{': ' + shorten(m.error, 90) if m.error else ''}", m.raised),
            )
        )  # fmt: skip
    return Table(columns, tuple(body))


def group_tables(report: Report) -> tuple[tuple[str, Table], ...]:
    """Per group column: each group's clean value and its worst condition, beside all samples."""
    metric = report.primary
    groups: dict[str, list[str]] = {}
    for s in report.rows:
        if s.group and s.metric == metric.name and s.group not in groups.setdefault(s.group.partition("=")[0], []):
            groups[s.group.partition("=")[0]].append(s.group)
    columns = (
        Column("group", numeric=False),
        Column("n"),
        Column(f"clean {measure(metric.name, metric.unit, metric.better)}"),
        Column("against all samples"),
        Column("worst condition", numeric=False),
        Column("there"),
        Column("change against clean"),
    )
    return tuple((column, Table(columns, tuple(_group_row(report, g) for g in ["", *names]))) for column, names in groups.items())


def _group_row(report: Report, group: str) -> tuple[Cell, ...]:
    metric = report.primary
    clean, overall = (report.score(report.clean, metric.name, g) for g in (group, ""))
    worst: tuple[Measured, Score] | None = None
    for m in report.conditions:
        score = report.score(m.condition.key, metric.name, group)
        if m.condition.family in ("clean", "control") or score is None or not math.isfinite(score.delta):
            continue
        if worst is None or _loss(score) > _loss(worst[1]):
            worst = (m, score)
    gap = clean.value - overall.value if clean is not None and overall is not None else math.nan
    return (
        text_cell(shorten(group.partition("=")[2], 60) if group else "all samples"),
        Cell(count(clean.n), clean.n) if clean is not None else number_cell(math.nan, reason="not measured for this condition"),
        value_cell(clean),
        number_cell(gap, metric.unit, "this is all samples" if not group else "one of the two is undefined", change=True) if group else text_cell(""),
        text_cell(words(worst[0].condition) if worst else "no condition has a value"),
        value_cell(worst[1] if worst else None),
        value_cell(worst[1] if worst else None, "delta"),
    )


def _loss(score: Score) -> float:
    return score.delta if score.better == "lower" else -score.delta


def empty(table: Table) -> bool:
    """Whether a table has no row."""
    return not table.rows


def metric_order(report: Report) -> Sequence[str]:
    """Metric names, the primary one first."""
    return sorted(report.metrics, key=lambda name: name != report.primary.name)
