"""The whole grid at a glance: what every probe costs at every severity, rows sorted by damage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mmaudit.figures.base import (
    Column,
    Figure,
    Panel,
    Table,
    brief,
    joined,
    loss,
    number_cell,
    text_cell,
    value_cell,
    words,
)
from mmaudit.figures.marks import BLUE, INK, MUTED, PAPER, RED, Spec, layer, scaled, significant, spec
from mmaudit.formats import change, change_unit, factor, number, plain, readable, shorten
from mmaudit.report import SURE, Report
from mmaudit.types import Condition, Score

LIMIT = 40
POSITIONS = 5
LETTERS = 48
CELL, HIGH, STACKED = 62.0, 22.0, 38.0
PHONE = 340.0
LETTER = 6.3
# Behind ink a colour may cover half of the ground at most, to keep the number readable on a dark page, too.
DARKEST = 0.5
# One strength only, or so many that the worst of them stands for all.
WHOLE = 0


@dataclass(frozen=True)
class Row:
    """A probe on its modalities, in words and in as few as are drawn: its conditions by column, `WHOLE` or 1 to 5."""

    label: str
    short: str
    cells: dict[int, tuple[Condition, Score]]

    @property
    def damage(self) -> float:
        """The largest loss of the primary metric in the row; −∞ where none is defined."""
        return max((loss(s) for _, s in self.cells.values() if math.isfinite(loss(s))), default=-math.inf)


def heatmap(report: Report) -> tuple[Figure, ...]:
    """One figure: the change of the primary metric, a row per probe and modalities, a column per severity.

    The `LIMIT` rows with the largest damage are drawn; the table has all. Controls and surfaces are left out: the ones
    must show what is known in advance, the others have a picture of their own.
    """
    rows = heat_rows(report)
    if not rows:
        return ()
    m = report.primary
    drawn = [r for r in rows if math.isfinite(r.damage)][:LIMIT]
    panels: tuple[Panel, ...] = ()
    if drawn:
        worst = max(drawn[0].cells.values(), key=lambda e: loss(e[1]) if math.isfinite(loss(e[1])) else -math.inf)
        alt = (
            f"Change of {readable(m.name)} for {len(drawn)} probes by severity. Most damage: {words(worst[0])}, "
            f"{change(worst[1].delta, worst[1].delta_low, worst[1].delta_high, m.unit)}. All numbers are in the table."
        )
        panels = tuple(
            Panel("", alt, _picture(report, drawn, show == "narrow"), "full", show) for show in ("wide", "narrow")
        )
    caption = (
        f"Change of {readable(m.name)} against clean{_unit(m.unit)}, the probe that does most damage first. Columns "
        "are severities 1 to 5, or up to five steps of what a probe varies; “worst” is the one strength of a probe "
        "that has no others, or the worst of more than five. Red is worse, blue better, an empty cell was not "
        f"measured. Bold: adjusted p below {SURE:g}; the table has the intervals."
    )
    if len(drawn) < len(rows):
        caption += f" Drawn are {len(drawn)} of {len(rows)} rows; the table has all."
    return (Figure("heatmap", "What each probe costs, by severity", caption, panels, _table(report, rows)),)


def heat_rows(report: Report) -> list[Row]:
    """All rows, the largest loss first, undefined ones last."""
    streams: dict[str, list[tuple[Condition, Score]]] = {}
    for m in report.conditions:
        c, score = m.condition, report.score(m.key, report.primary.name)
        if c.family in ("clean", "control") or joined(c) or score is None:
            continue
        streams.setdefault(c.stream, []).append((c, score))
    names = [str(m["name"]) for m in report.document["data"]["modalities"]]
    found = [_row(members, names) for members in streams.values()]
    return sorted(found, key=lambda r: (-r.damage, r.label))


def _row(members: Sequence[tuple[Condition, Score]], names: Sequence[str]) -> Row:
    first, short = members[0][0], partial(brief, limit=LETTERS, everyone=names)
    both = (_name(first, words), _name(first, short))
    if all(c.position in range(1, POSITIONS + 1) for c, _ in members):
        return Row(*both, {int(c.position or 0): (c, s) for c, s in members})
    if all(c.severity is not None for c, _ in members) and 1 < len(members) <= POSITIONS:
        ordered = sorted(members, key=lambda e: float(e[0].severity or 0))
        return Row(*both, dict(enumerate(ordered, 1)))
    worst = max(members, key=lambda e: loss(e[1]) if math.isfinite(loss(e[1])) else -math.inf)
    more = f" (worst of {len(members)})" if len(members) > 1 else ""
    return Row(words(worst[0]) + more, brief(worst[0], LETTERS - len(more), names) + more, {WHOLE: worst})


def _name(c: Condition, write: Callable[[Condition], str]) -> str:
    """The condition in words, without its severity."""
    bare = Condition(c.probe, c.family, c.version, c.modalities, None, None, c.options, c.repeat)
    if c.family == "missing" and c.severity is not None:
        return write(bare).replace("without", "missing in a share:", 1)
    return write(bare)


def _unit(unit: str) -> str:
    return f" ({change_unit(unit)})" if unit else ""


def _picture(report: Report, rows: Sequence[Row], stacked: bool) -> Spec:
    """Rows of cells; `stacked` puts the words above their cells (for phones)."""
    unit = report.primary.unit
    columns = sorted({p for r in rows for p in r.cells})
    side = min(CELL, PHONE / len(columns)) if stacked else CELL
    pitch = STACKED if stacked else HIGH
    most = max((abs(s.delta) for r in rows for _, s in r.cells.values() if math.isfinite(s.delta)), default=1.0) or 1.0
    cells, labels = [], []
    for i, r in enumerate(rows):
        top = i * pitch
        labels.append({"y": top + (8 if stacked else pitch / 2), "text": shorten(r.short, LETTERS)})
        for p, (c, s) in r.cells.items():
            x, low = columns.index(p) * side, top + (16 if stacked else 0)
            if math.isfinite(s.delta):
                cells.append(_cell(c, s, unit, most) | _frame(x, low, side))
    height = pitch * len(rows)
    across: Spec = {"type": "quantitative", "scale": {"domain": [0, side * len(columns)], "nice": False}}
    down: Spec = {"type": "quantitative", "scale": {"domain": [height, 0], "nice": False}, "axis": None}
    across["axis"] = {
        "title": "severity",
        "orient": "top",
        "values": [(i + 0.5) * side for i in range(len(columns))],
        "labelExpr": _ticks(columns, side),
        "grid": False,
        "ticks": False,
    }
    frame: Spec = {
        "x": {**across, "field": "x"},
        "x2": {"field": "x2"},
        "y": {**down, "field": "y"},
        "y2": {"field": "y2"},
        "fillOpacity": {"field": "tone", "type": "quantitative", "scale": None},
        "description": {"field": "tip"},
    }
    place = {"x": {**across, "field": "cx"}, "y": {**down, "field": "cy"}, "text": {"field": "text"}}
    layers: list[Spec] = []
    for colour, worse in ((RED, True), (BLUE, False)):
        mine = [d for d in cells if d["worse"] == worse]
        layers.append(layer(mine, "rect", frame, aria=True, fill=colour, stroke=PAPER, strokeWidth=1.5))
    for weight, bold in (("normal", False), ("bold", True)):
        mine = [d for d in cells if d["sure"] == bold]
        layers.append(
            layer(mine, "text", place, fontSize=11.3, fontWeight=weight, color=INK if bold else MUTED, limit=0)
        )
    at = {"x": {"value": 0 if stacked else -8}, "y": {**down, "field": "y"}, "text": {"field": "text"}}
    layers.append(layer(labels, "text", at, align="left" if stacked else "right", fontSize=11.5, color=INK, limit=0))
    longest = LETTER * max(len(shorten(r.short, LETTERS)) for r in rows)
    wide = side * len(columns)
    # Words above their cells may reach beyond the last of them.
    left, right = (0.0, max(0.0, longest - wide)) if stacked else (longest, 0.0)
    return spec(layers, wide, height, {"left": 4 + left, "right": 4 + right, "top": 2, "bottom": 4})


def _frame(x: float, y: float, side: float) -> dict[str, float]:
    return {"x": x, "x2": x + side, "y": y, "y2": y + HIGH, "cx": x + side / 2, "cy": y + HIGH / 2}


def _cell(c: Condition, s: Score, unit: str, most: float) -> dict[str, Any]:
    shown = s.delta * factor(unit)
    text = plain(shown, 1, True) if unit == "share" else number(s.delta, signed=True)
    return {
        "text": text,
        "value": scaled(s.delta, unit),
        "tone": significant(round(DARKEST * abs(s.delta) / most, 3)),
        "worse": loss(s) > 0,
        "sure": math.isfinite(s.p_adjusted) and s.p_adjusted < SURE,
        "tip": f"{words(c)}: {change(s.delta, s.delta_low, s.delta_high, unit)}",
    }


def _ticks(columns: Sequence[int], side: float) -> str:
    label = "''"  # only numbers enter the expression, never a text from outside
    for i, p in enumerate(columns):
        label = f"abs(datum.value - {significant((i + 0.5) * side):g}) < 1 ? '{p or 'worst'}' : {label}"
    return label


def _table(report: Report, rows: Sequence[Row]) -> Table:
    unit = report.primary.unit
    columns = (
        Column("probe", numeric=False),
        Column(
            f"largest change of {readable(report.primary.name)} for the worse",
            note="without its sign: larger is worse",
        ),
        *(Column(f"change at {p}" if p else "change, one strength or worst") for p in range(POSITIONS + 1)),
    )
    body = []
    for r in rows:
        damage = r.damage if math.isfinite(r.damage) else math.nan
        cells = [value_cell(r.cells[p][1], "delta") if p in r.cells else text_cell("") for p in range(POSITIONS + 1)]
        body.append((text_cell(r.label), number_cell(damage, unit, "no change is defined", change=True), *cells))
    return Table(columns, tuple(body))
