"""Reference methods as the charts about them need them: the panel of a report, names, styles, cells."""

from __future__ import annotations

import math

from mmaudit.figures.base import Cell, number_cell
from mmaudit.figures.dots import Dot
from mmaudit.figures.marks import FAMILIES, INK, series_style
from mmaudit.formats import change, estimate, factor, p_value, readable, shorten
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import AUDITED, CLEAN, EVERYTHING, VALUE, Group, Row
from mmaudit.report import Report

YOURS = "your model"
NAME_LIMIT = 34


def panel_of(report: Report) -> Panel | None:
    """The reference methods of a report; None where it has none."""
    value = report.document.get("references", {})
    return Panel.from_json(value) if value.get("rows") else None


def order(panel: Panel) -> list[str]:
    """The audited model, then the methods by their value over everything that counts, the best first."""
    sign = -1.0 if panel.better == "higher" else 1.0

    def place(name: str) -> tuple[float, str]:
        value = panel.row(name, VALUE, EVERYTHING).value
        value = value if math.isfinite(value) else panel.row(name, VALUE, CLEAN).value
        return (sign * value if math.isfinite(value) else math.inf, name)

    return [AUDITED, *sorted((m.name for m in panel.scored), key=place)]


def name_of(panel: Panel, method: str) -> str:
    """A model as charts and tables call it."""
    return shorten(panel.method(method).title, NAME_LIMIT) if method else YOURS


def styles(panel: Panel) -> dict[str, tuple[str, str]]:
    """Colour and shape of every model, by name; the audited one in ink."""
    methods = [name_of(panel, name) for name in order(panel) if name]
    return {YOURS: (INK, "cross"), **{name: series_style(i) for i, name in enumerate(methods)}}


def family_style(family: str) -> tuple[str, str]:
    """Colour and shape of a family of conditions, the same as everywhere in the report."""
    return FAMILIES.get(family, (INK, "triangle-up"))


def said(group: Group) -> str:
    """A group as a heading: `image missing (stand-in: mean)`."""
    return f"{group.words} ({group.remark})" if group.remark else group.words


def dot(series: str, value: float, low: float, high: float, unit: str, tip: str) -> Dot:
    """A number with its interval as a dot, in shown units."""
    scale = factor(unit)
    return Dot(series, scale * value, scale * low, scale * high, tip=tip)


def metric_name(panel: Panel) -> str:
    """The primary metric in words."""
    return readable(panel.metric)


def value_text(row: Row) -> str:
    """Value with unit and interval."""
    return estimate(row.value, row.low, row.high, row.unit)


def delta_text(row: Row) -> str:
    """Difference from the audited model with unit and interval."""
    return change(row.delta, row.delta_low, row.delta_high, row.unit)


def value_cell(row: Row) -> Cell:
    """A cell with the value; a dash and the reason where it is undefined."""
    return Cell(value_text(row), row.value) if math.isfinite(row.value) else number_cell(math.nan, reason=_why(row))


def delta_cell(row: Row) -> Cell:
    """A cell with the difference from the audited model."""
    if not row.method:
        return Cell("")
    return Cell(delta_text(row), row.delta) if math.isfinite(row.delta) else number_cell(math.nan, reason=_why(row))


def above_cell(row: Row) -> Cell:
    """A cell with a value that is a difference itself: what stands above the panel's line."""
    if not math.isfinite(row.value):
        return number_cell(math.nan, reason=_why(row))
    return Cell(change(row.value, row.low, row.high, row.unit), row.value)


def p_cell(row: Row) -> Cell:
    """A cell with the adjusted p of the difference."""
    if not row.method:
        return Cell("")
    return Cell(p_value(row.p_adjusted), row.p_adjusted) if math.isfinite(row.p_adjusted) else Cell("")


def _why(row: Row) -> str:
    return row.reason or "no reason was recorded"
