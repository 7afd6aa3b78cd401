"""Tables as the templates show them, and the tables of the report that belong to no chart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup, escape

from mmaudit.figures.base import (
    Cell,
    Column,
    Table,
    comparison_cells,
    comparison_columns,
    count_cell,
    number_cell,
    text_cell,
    value_cell,
    words,
)
from mmaudit.figures.severity import severity_cell
from mmaudit.formats import NBSP, count, measure, number, printable, readable, shorten
from mmaudit.report import Report
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
    """A table with its notes: every dash has a letter, every letter a reason.

    `missing` is how many rows were left out because the page would grow too large; all of them or none.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[CellView, ...], ...]
    notes: tuple[tuple[str, str], ...]
    missing: int = 0

    @property
    def count(self) -> int:
        """Rows of the table, whether they are shown or not."""
        return len(self.rows) or self.missing

    @cached_property
    def body(self) -> Markup:
        """The rows as HTML. Made once: a page with a byte budget is measured and put together several times."""
        return Markup("".join(f"<tr>{''.join(_cells(row))}</tr>\n" for row in self.rows))

    @property
    def without_rows(self) -> TableView:
        """The table with nothing but a note of how many rows it would have."""
        return TableView(self.columns, (), (), len(self.rows))


def _cells(row: Sequence[CellView]) -> Iterator[str]:
    for place, c in enumerate(row):
        main, mark = _safe(c.main), f"<sup>{_safe(c.note)}</sup>" if c.note else ""
        if place == 0 and c.main:
            yield f'<th scope="row">{main}{mark}</th>'
        elif c.numeric:
            yield f"<td>{main}{f' <i>{_safe(c.interval)}</i>' if c.interval else ''}{mark}</td>"
        else:
            yield f'<td class="l">{main}{mark}</td>'


def _safe(text: str) -> Markup:
    return escape(printable(text))


def view(table: Table) -> TableView:
    """Prepare a table: split intervals off, collect the reasons for undefined numbers as lettered notes."""
    letters: dict[str, str] = {}
    body = []
    for row in table.rows:
        cells = []
        for column, cell in zip(table.columns, row, strict=True):
            main, _, rest = cell.text.partition(" [") if column.numeric else (cell.text, "", "")
            note = letters.setdefault(cell.reason, _letter(len(letters))) if cell.reason else ""
            # Cells of numbers are not broken anyway, so the two bounds need no special space between them.
            interval = f"[{rest}".replace(NBSP, " ") if rest else ""
            cells.append(CellView(main, interval, note, column.numeric))
        body.append(tuple(cells))
    return TableView(
        table.columns, tuple(body), tuple((letter, reason.rstrip(".")) for reason, letter in letters.items())
    )


def _letter(i: int) -> str:
    return chr(ord("a") + i) if i < 26 else f"{_letter(i // 26 - 1)}{chr(ord('a') + i % 26)}"


def everything(report: Report, metric: str) -> Table:
    """Every condition under one metric."""
    m = report.metrics[metric]
    columns = (
        Column("condition", numeric=False),
        Column("n"),
        Column(measure(m.name, m.unit, m.better)),
        *comparison_columns(report)[1:4],
        Column("share lost", note="(clean − value) / clean, in the direction of goodness"),
        comparison_columns(report)[4],
    )
    body = []
    for measured in report.conditions:
        score = report.score(measured.key, metric)
        if score is not None:
            *cells, lost = comparison_cells(score)
            body.append((text_cell(words(measured.condition)), count_cell(score.n), *cells, _drop_cell(score), lost))
    return Table(columns, tuple(body))


def _drop_cell(score: Score) -> Cell:
    if math.isfinite(score.drop):
        return Cell(number(score.drop, "share"), score.drop)
    if score.better == "neither":
        undefined = "this metric has no direction"
    elif score.better == "higher" and math.isfinite(score.delta):
        undefined = "the clean value is not above 0, so nothing is a share of it"
    else:
        undefined = "not defined for this metric"
    why = score.reason or undefined
    compared = score.reason or "nothing to compare with: this is the clean condition or a summary"
    return number_cell(math.nan, reason=why if score.against else compared)


def summaries(report: Report) -> Table:
    """Scores that sum up a curve or a family: one row each, one column per summary."""
    # Reliance and synergy have panels of their own.
    known = {m.key for m in report.conditions} | {entry["key"] for entry in report.document.get("estimates", ())}
    found: dict[str, dict[str, Score]] = {}
    for s in report.rows:
        if s.condition not in known and not s.group:
            found.setdefault(s.label, {})[s.metric] = s
    shown = list(dict.fromkeys((s.metric, s.unit, s.better) for scores in found.values() for s in scores.values()))
    columns = (Column("summed up over", numeric=False), *(Column(measure(*which)) for which in shown))
    body = []
    for label, scores in found.items():
        cells = [value_cell(s) if s else Cell("") for s in (scores.get(name) for name, _, _ in shown)]
        body.append((text_cell(shorten(summed(label), 60)), *cells))
    return Table(columns, tuple(body))


def summed(label: str) -> str:
    """What a summary sums up, in words: `image.gaussian_blur[photo]` → `gaussian blur · photo`."""
    probe, _, rest = label.partition("[")
    inner, _, behind = rest.rpartition("]")
    where, *options = inner.split(", ") if inner else [""]
    where = where.removeprefix("baseline=").replace("+", " + ")
    named = (readable(probe.rpartition(".")[2]), where, *(o.partition("=")[2] or o for o in options), behind)
    return " · ".join(part for part in named if part)


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
        Column("digest of what the model received", numeric=False),
        Column("model raised on"),
    )
    kinds = {k["name"]: k["kind"] for k in report.document["data"]["modalities"]}
    body = []
    for m in report.conditions:
        c = m.condition
        text = bool(c.modalities) and all(kinds.get(x) == "text" for x in c.modalities)
        moved = number_cell(m.moved, "share" if text else "σ", "this probe does not move values along a scale")
        if text and moved.value is not None:
            moved = Cell(f"{moved.text} of characters", moved.value)
        elif moved.value is not None and any(kinds.get(x) == "text" for x in c.modalities):
            moved = Cell(f"{moved.text} without text", moved.value)
        raised = Cell(f"{count(m.raised)}{': ' + shorten(m.error, 90) if m.error else ''}", m.raised)
        changed = number_cell(m.changed, "share", "not recorded for this condition")
        body.append(
            (
                text_cell(words(c)),
                text_cell(c.label),
                count_cell(c.version),
                severity_cell(c),
                count_cell(m.n),
                changed,
                moved,
                text_cell(m.received or "not recorded"),
                raised,
            )
        )
    return Table(columns, tuple(body))


def metric_order(report: Report) -> Sequence[str]:
    """Metric names, the primary one first."""
    return sorted(report.metrics, key=lambda name: name != report.primary.name)
