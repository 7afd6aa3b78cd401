"""What every chart shares: the Figure, its table of the same numbers, colours, axes and the words for a condition."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mmaudit.formats import change, estimate, factor, measure, number, p_value, plain, readable, shorten
from mmaudit.report import Report
from mmaudit.types import Condition, Score

Spec = dict[str, Any]

# Okabe and Ito's hues, darkened to at least 4.5 : 1 on white; the renderer exchanges each for a CSS variable, so that
# a dark page shows a lighter one. Shape or dash always says the same as colour.
INK = "#1b2330"
MUTED = "#5a6472"
GRID = "#e1e5ea"
PAPER = "#ffffff"
BLUE = "#0a66b0"
RED = "#c03d00"
GREEN = "#00774f"
PURPLE = "#9a3f86"
AMBER = "#8a6100"
TEAL = "#0b7285"
SERIES = (BLUE, RED, GREEN, PURPLE, AMBER, TEAL)
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 1], [1, 3])
FAMILIES: Mapping[str, tuple[str, str]] = {
    "clean": (INK, "cross"),
    "control": (MUTED, "cross"),
    "missing": (BLUE, "circle"),
    "mismatch": (PURPLE, "diamond"),
    "corruption": (RED, "square"),
    "conflict": (GREEN, "triangle-up"),
    "scenario": (AMBER, "triangle-down"),
}


@dataclass(frozen=True)
class Column:
    """A column of a table: its title, whether it holds numbers, and a sentence for those who ask."""

    title: str
    numeric: bool = True
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell: the text shown, the number behind it, and why there is none."""

    text: str
    value: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Table:
    """The numbers of a chart, or any table of the report."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Panel:
    """One drawing: a Vega-Lite specification and the same in words.

    Attributes:
        title: what it shows; stands above it, outside the specification.
        alt: the picture in a sentence, for those who cannot see it.
        spec: a complete Vega-Lite 5 specification with inline data; fetches nothing.
        size: `small` (several side by side), `half`, or `full` width.
        show: `wide` or `narrow` where two drawings of the same exist; empty for both.
        folded: better behind a click.
    """

    title: str
    alt: str
    spec: Spec
    size: Literal["small", "half", "full"] = "small"
    show: Literal["", "wide", "narrow"] = ""
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A chart of the report: one or more panels and one table of the same numbers.

    Attributes:
        id: anchor in the page.
        title, caption: what it is and how to read it.
        panels: what is drawn.
        table: the numbers that are drawn.
    """

    id: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    table: Table


def words(c: Condition) -> str:
    """A condition in words a reader scans: `gaussian blur 3/5 · image`, `without question · zero`."""
    names = " + ".join(shorten(m, 24) for m in c.modalities)
    options = " ".join(v.replace("_", " ") for _, v in c.options)
    if c.family == "clean":
        text = "clean"
    elif c.family == "control":
        text = f"control: {readable(c.probe)}"
    elif c.probe == "missing":
        text = f"without {names}"
    elif c.probe == "missing_rate" and c.severity is not None:
        text = f"{plain(100 * c.severity, 0)} % without {names}"
    elif c.probe == "mismatch":
        text, options = f"{names} of another sample", options.replace("random", "any")
    else:
        text = f"{readable(c.probe.split('.', 1)[-1])}{_severity(c)} · {names}"
    return text + (f" · {options}" if options else "") + (f" · repeat {c.repeat}" if c.repeat else "")


def _severity(c: Condition) -> str:
    if c.position is not None:
        return f" {c.position}/5"
    return "" if c.severity is None else f" {c.severity:g}"


def variant(c: Condition) -> str:
    """What tells two curves of one probe apart: its options and its repeat."""
    parts = [v.replace("_", " ") for _, v in c.options] + ([f"repeat {c.repeat}"] if c.repeat else [])
    return ", ".join(shorten(p, 24) for p in parts)


def text_cell(text: str) -> Cell:
    """A cell of words."""
    return Cell(text)


def value_cell(score: Score | None, name: str = "value") -> Cell:
    """A cell with `value` or `delta` of a score, with interval; a dash and the reason where it is undefined."""
    if score is None:
        return Cell(number(math.nan), None, "not measured for this condition")
    if name == "delta":
        text, value = change(score.delta, score.delta_low, score.delta_high, score.unit), score.delta
    elif name == "lost":
        text, value = estimate(score.lost, score.lost_low, score.lost_high, "share"), score.lost
    else:
        text, value = estimate(score.value, score.low, score.high, score.unit), score.value
    return Cell(text, value) if math.isfinite(value) else Cell(text, None, _why(score, name))


def number_cell(value: float, unit: str = "", reason: str = "", change: bool = False) -> Cell:
    """A cell with one number and its unit; a dash and the reason where it is undefined."""
    text = number(value, unit, signed=change, change=change)
    return Cell(text, value) if math.isfinite(value) else Cell(text, None, reason or "no reason was recorded")


def p_cell(score: Score) -> Cell:
    """A cell with the adjusted p-value."""
    return Cell(p_value(score.p_adjusted), score.p_adjusted) if math.isfinite(score.p_adjusted) else Cell(
        number(math.nan), None, _why(score, "p_adjusted")
    )


def _why(score: Score, name: str) -> str:
    if score.reason:
        return score.reason
    if name != "value" and not score.against:
        return "nothing to compare with: this is the clean condition or a summary"
    if name == "lost" and not math.isfinite(score.floor):
        return "this metric has no chance floor"
    return "no reason was recorded"


def mde_cell(score: Score) -> Cell:
    """A cell with the minimum detectable effect."""
    if math.isfinite(score.mde):
        return Cell(number(score.mde, score.unit, change=True), score.mde)
    return Cell(number(math.nan), None, _why(score, "mde"))


def scaled(value: float, unit: str) -> float | None:
    """A value in shown units for a specification; None (a gap) where it is undefined."""
    return round(value * factor(unit), 6) if math.isfinite(value) else None


def better_word(better: str) -> str:
    """`↑ better`, `↓ better` or empty, for axis titles."""
    return {"higher": "↑ better", "lower": "↓ better"}.get(better, "")


def badness(score: Score) -> float:
    """How far a score fell against clean in the direction of goodness; NaN where undefined."""
    return score.delta if score.better == "lower" else -score.delta


def domain(values: Iterable[float | None], unit: str, room: float = 0.05) -> list[float]:
    """Lowest and highest value with some room; percentages stay within 0 and 100."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        return [0.0, 1.0]
    low, high = min(known), max(known)
    span = (high - low) or abs(high) or 1.0
    low, high = low - room * span, high + room * span
    if unit == "share":
        low, high = (max(low, 0.0), min(high, 100.0)) if known and min(known) >= 0 else (low, high)
    return [round(low, 6), round(high, 6)]


def spec(layers: Sequence[Spec], width: float, height: float, **rest: Any) -> Spec:
    """A complete specification of layers whose whole picture is `width` × `height` pixels."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": 2,
        "layer": list(layers),
        **rest,
        "config": CONFIG,
    }


def rows(values: Sequence[Mapping[str, Any]]) -> Spec:
    """Inline data."""
    return {"values": [dict(v) for v in values]}


def axis(title: str | list[str] | None, **rest: Any) -> Spec:
    """An axis with a title."""
    return {"title": title, **rest}


def y_title(report: Report) -> str:
    """Axis title of the primary metric, with unit and direction."""
    m = report.primary
    return measure(m.name, m.unit, m.better)


CONFIG: Spec = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 11,
        "labelColor": MUTED,
        "titleFontSize": 11.5,
        "titleFontWeight": "normal",
        "titleColor": INK,
        "titlePadding": 7,
        "gridColor": GRID,
        "domain": False,
        "tickColor": GRID,
        "tickSize": 4,
        "labelPadding": 4,
        "labelLimit": 260,
        "titleLimit": 420,
    },
    "legend": {
        "title": None,
        "orient": "top",
        "direction": "horizontal",
        "labelFontSize": 11.5,
        "labelColor": INK,
        "labelLimit": 240,
        "symbolSize": 70,
        "symbolStrokeWidth": 1.5,
        "offset": 8,
        "columnPadding": 14,
    },
}
