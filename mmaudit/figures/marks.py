"""The few marks that all charts are made of, as Vega-Lite layers; colours, shapes, axes and reference lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmaudit.formats import factor

Spec = dict[str, Any]
Datum = Mapping[str, Any]

# Okabe and Ito's hues, darkened to at least 4.5 : 1 on white; the renderer exchanges each for a CSS variable, so that
# a dark page shows a lighter one. Shape or dash always says the same as colour.
INK = "#1b2330"
MUTED = "#566070"
GRID = "#dfe3e9"
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
SOLID, DOTTED, DASHED = [1, 0], [2, 3], [4, 3]

# No limits on labels: Vega would cut them between the two halves of a character like 🙂, which vl-convert cannot draw.
# Texts are shortened before they come here.
CONFIG: Spec = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 11,
        "labelColor": MUTED,
        "labelFlush": False,
        "labelPadding": 4,
        "labelLimit": 0,
        "titleFontSize": 11.5,
        "titleFontWeight": "normal",
        "titleColor": INK,
        "titlePadding": 7,
        "titleLimit": 0,
        "gridColor": GRID,
        "domain": False,
        "tickColor": GRID,
        "tickSize": 4,
    },
    "legend": {
        "title": None,
        "orient": "top",
        "direction": "horizontal",
        "labelFontSize": 11.5,
        "labelColor": INK,
        "labelLimit": 0,
        "symbolSize": 70,
        "symbolStrokeWidth": 0,
        "symbolOpacity": 1,
        "offset": 8,
        "columnPadding": 16,
    },
}


def family_style(family: str) -> tuple[str, str]:
    """Colour and shape of a family of probes."""
    return FAMILIES.get(family, (INK, "triangle-up"))


def series_style(i: int) -> tuple[str, str]:
    """Colour and shape of the i-th series; they repeat after six, out of step so that no pair repeats within 30."""
    return SERIES[i % len(SERIES)], SHAPES[(i + i // len(SERIES)) % len(SHAPES)]


def spec(layers: Sequence[Spec], width: float, height: float, padding: Any = None) -> Spec:
    """A complete specification; without `padding` the whole picture is `width` × `height`, else the inner plot is."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"} if padding is None else {"type": "pad"},
        "padding": 2 if padding is None else padding,
        "layer": list(layers),
        "config": CONFIG,
    }


def layer(data: Iterable[Datum], mark: str, encoding: Spec, **settings: Any) -> Spec:
    """One mark with inline data; not announced to screen readers, the figure's words and table are."""
    return {
        "data": {"values": [dict(d) for d in data]},
        "mark": {"type": mark, "aria": False} | settings,
        "encoding": encoding,
    }


def points(
    data: Sequence[Datum], x: Spec, y: Spec, field: str, styles: Mapping[str, tuple[str, str]], **rest: Any
) -> Spec:
    """Dots coloured and shaped by `field`, with a legend where there is more than one; `tip` is said on hover."""
    legend: Spec | None = {"columns": rest.pop("columns", 3)} if len(styles) > 1 else None
    names = list(styles)
    pick: Spec = {"field": field, "type": "nominal", "sort": None, "legend": legend}
    return {
        "data": {"values": [dict(d) for d in data]},
        "mark": {"type": "point", "filled": True, "opacity": 1, "size": 46, **rest},
        "encoding": {
            "x": x,
            "y": y,
            "color": {**pick, "scale": {"domain": names, "range": [styles[n][0] for n in names]}},
            "shape": {**pick, "scale": {"domain": names, "range": [styles[n][1] for n in names]}},
            "description": {"field": "tip"},
        },
    }


def haloed(data: Sequence[Datum], encoding: Spec, **settings: Any) -> list[Spec]:
    """Text with a rim in the ground's colour, so that lines behind it do not strike it through."""
    shared: Spec = {"fontSize": 11.5, "limit": 0} | settings
    rim = layer(data, "text", encoding, **shared, color=PAPER, stroke=PAPER, strokeWidth=5, strokeJoin="round")
    return [rim, layer(data, "text", encoding, **shared, color=INK)]


def tinted(encoding: Spec) -> Spec:
    """Take the colour from the data's own `colour`, without a scale (a second scale would lose the legend)."""
    return {**encoding, "color": {"field": "colour", "type": "nominal", "scale": None}}


def known(data: Iterable[Datum], *names: str) -> list[Datum]:
    """The data that have all these values."""
    return [d for d in data if all(d[n] is not None for n in names)]


def reference_line(axis: str, at: float, position: Spec, dash: list[int], colour: str) -> Spec:
    """A line across the plot at a value of one axis."""
    return layer([{"at": at}], "rule", {axis: {**position, "field": "at"}}, color=colour, strokeDash=dash, opacity=0.75)


def scaled(value: float, unit: str) -> float | None:
    """A value in shown units for a specification; None (a gap) where it is undefined."""
    return significant(value * factor(unit)) if math.isfinite(value) else None


def significant(value: float) -> float:
    """Nine significant digits: short to write, whatever the size of the unit."""
    return float(f"{value:.9g}")


def domain(values: Iterable[float | None], unit: str = "", room: float = 0.05) -> list[float]:
    """Lowest and highest value with some room; percentages stay within 0 and 100."""
    found = [v for v in values if v is not None and math.isfinite(v)]
    if not found:
        return [0.0, 1.0]
    low, high = min(found), max(found)
    span = (high - low) or abs(high) or 1.0
    start, end = low - room * span, high + room * span
    if unit == "share" and low >= 0:
        start, end = max(start, 0.0), min(end, max(100.0, high))
    return [significant(start), significant(end)]
