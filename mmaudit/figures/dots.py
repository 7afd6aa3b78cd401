"""Rows of dots with intervals: one row per thing measured, one colour and shape per series, headings in between."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from unicodedata import east_asian_width

from mmaudit.figures.marks import (
    GRID,
    INK,
    MUTED,
    Spec,
    domain,
    haloed,
    known,
    layer,
    points,
    reference_line,
    significant,
    spec,
    tinted,
)
from mmaudit.formats import shorten

Styles = Mapping[str, tuple[str, str]]
Data = Sequence[Mapping[str, Any]]
# Width of a character at the size of labels, and the room left for fonts that are a seventh wider; pixels.
LETTER, WIDER, SIGN_WIDER = 6.0, 0.9, 3.5
SIGNS = frozenset("<>=+−×~#^|")
# Widths of whole pictures, as pages show them: over the full width, two beside each other, on a phone; pixels.
FULL, HALF, PHONE = 880.0, 400.0, 340.0
PHONE_LETTERS, PHONE_HEADING = 52, 42
MOST_TICKS, TICK_GAP = 5, 8.0


@dataclass(frozen=True)
class Dot:
    """A value with its interval, in shown units; NaN where undefined.

    Attributes:
        series: name in the legend.
        value, low, high: of the dot and its whisker.
        null: where the value would be if there were nothing: a tick.
        floor, ceiling: ends of a pale bar above the dot, bounds that hold whatever the dot assumes.
        floor_low, ceiling_high: the confidence limits of these ends.
        tip: said on hover.
    """

    series: str
    value: float
    low: float = math.nan
    high: float = math.nan
    null: float = math.nan
    floor: float = math.nan
    ceiling: float = math.nan
    floor_low: float = math.nan
    ceiling_high: float = math.nan
    tip: str = ""


NUMBERS = ("value", "low", "high", "null", "floor", "ceiling", "floor_low", "ceiling_high")


@dataclass(frozen=True)
class Row:
    """A line of the chart: what it is, its dots, numbers to print beside it; or a heading, or a remark below one."""

    label: str
    dots: tuple[Dot, ...] = ()
    numbers: str = ""
    kind: Literal["row", "heading", "remark"] = "row"


@dataclass(frozen=True)
class Line:
    """A line across all rows at a value; the words stand below it."""

    value: float
    words: str
    dash: list[int]
    colour: str


@dataclass(frozen=True)
class Scale:
    """The axis all rows share: its title with unit and direction, lines across, and its ends where they are fixed."""

    title: str | list[str]
    lines: tuple[Line, ...] = ()
    ends: tuple[float, float] | None = None


def dot_rows(rows: Sequence[Row], styles: Styles, scale: Scale, *, width: float = FULL, legend: bool = True) -> Spec:
    """One specification of about this width; on a phone (`PHONE`) the words of a row stand above its dots.

    Without `legend` the words of the rows must say which series a dot is of.
    """
    stacked = width <= PHONE
    if stacked:
        limit = {"heading": PHONE_HEADING, "remark": PHONE_LETTERS, "row": 2 * PHONE_LETTERS}
        rows = [replace(r, label=shorten(r.label, limit[r.kind])) for r in rows]
    plot = plot_width(width, [r.label for r in rows if r.kind == "row"], [r.numbers for r in rows])
    series = [s for s in styles if any(d.series == s for r in rows for d in r.dots)]
    bars = any(math.isfinite(d.floor) for r in rows for d in r.dots)
    crowd = max((len(r.dots) for r in rows), default=1)
    pitch = {"heading": 24.0, "remark": 16.0, "row": max(20.0, 5.0 * crowd + 10.0) + (6.0 if bars else 0.0)}
    data: list[Mapping[str, Any]] = []
    words: dict[str, list[Mapping[str, Any]]] = {"heading": [], "remark": [], "row": []}
    y = 0.0
    for i, row in enumerate(rows):
        y += 6.0 if i and row.kind == "heading" else 0.0
        broken = label_lines(row.label) if stacked and row.kind == "row" else [row.label]
        above = 15.0 * len(broken) if stacked and row.kind == "row" else 0.0
        high = pitch[row.kind] + above
        middle = y + above + pitch[row.kind] / 2
        for k, text in enumerate(broken):
            at = y + 9.0 + 15.0 * k if above else middle
            numbers = row.numbers if k == len(broken) - 1 else ""
            words[row.kind].append({"y": at, "line": y, "text": text, "numbers": numbers})
        for dot in row.dots:
            shift = 5.0 * (series.index(dot.series) - (len(series) - 1) / 2) if crowd > 1 else 0.0
            data.append(_datum(dot, middle + shift, styles))
        y += high
    height = y + (16.0 if any(line.words for line in scale.lines) else 4.0)
    values = [d[k] for d in data for k in NUMBERS]
    limits = list(scale.ends) if scale.ends else domain([*values, *(line.value for line in scale.lines)])
    axis: Spec = {"title": scale.title, "tickCount": tick_count(limits, plot)}
    x: Spec = {"type": "quantitative", "scale": {"domain": limits, "nice": False}, "axis": axis}
    down: Spec = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False}}
    longest = 0 if stacked else max((len(w["text"]) for w in words["row"]), default=0)
    left = 0.0 if stacked else 10 + LETTER * longest
    shown = {s: styles[s] for s in series}
    layers = [
        *lines_across(scale.lines, x, limits, height),
        *_intervals(data, x, down),
        _dots(data, x, down, shown, plot + left if legend else 0.0),
        *_words(words, down, plot, left, stacked),
    ]
    beside = [] if stacked else words["row"]
    wider = {side: slack(w[k] for w in beside) for side, k in (("left", "text"), ("right", "numbers"))}
    room = {"left": 2 + wider["left"], "right": 8 + wider["right"], "top": 2, "bottom": 4}
    return spec(layers, plot, height, room)


def slack(texts: Iterable[str]) -> float:
    """Room beside the widest text, as pages may have a wider font than pictures are laid out with; pixels.

    Letters are a seventh wider there, mathematical signs nearly half.
    """
    each = (sum(SIGN_WIDER if c in SIGNS or east_asian_width(c) in "WF" else WIDER for c in text) for text in texts)
    return max(each, default=0.0)


def label_lines(label: str) -> list[str]:
    """A label as it stands above its row on a phone: in two lines where one cannot hold it, broken after a comma.

    Without a comma it is broken between words; what two lines cannot hold is cut.
    """
    at = label.rfind(", ", 0, PHONE_LETTERS) + 1 or label.rfind(" ", 0, PHONE_LETTERS + 1)
    if len(label) <= PHONE_LETTERS or at < 1:
        return [shorten(label, PHONE_LETTERS)]
    return [label[:at], shorten(label[at:], PHONE_LETTERS)]


def plot_width(width: float, labels: Sequence[str], numbers: Sequence[str]) -> float:
    """What is left for the plot between words and numbers, within reason.

    Pictures beside each other are stretched to one width by the report and stand below each other on a phone: all are
    as wide as a phone, so that their type is of one size and nothing is cut off.
    """
    if width <= PHONE:
        return PHONE - 18.0
    words = LETTER * (max(map(len, labels), default=0) + max(map(len, numbers), default=0))
    if width <= HALF:
        return max(PHONE - 14.0 - words, 0.36 * width)
    return min(max(width - words - 40.0, 0.36 * width), 0.72 * width)


def tick_step(limits: Sequence[float], count: int) -> float:
    """The distance of the ticks that Vega draws where about `count` are asked for: 1, 2 or 5 times a power of ten."""
    rough = (limits[1] - limits[0]) / count
    power = 10.0 ** math.floor(math.log10(rough))
    by = next(
        (by for by, least in ((10, math.sqrt(50)), (5, math.sqrt(10)), (2, math.sqrt(2))) if rough >= least * power), 1
    )
    return by * power


def tick_count(limits: Sequence[float], plot: float) -> int:
    """How many ticks to ask for, five at most: so few that their labels stand apart on a plot this wide."""
    for count in range(MOST_TICKS, 1, -1):
        step = tick_step(limits, count)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        longest = max(len(f"{end:,.{decimals}f}") for end in limits)
        if plot * step / (limits[1] - limits[0]) >= LETTER * longest + TICK_GAP:
            return count
    return 1


def lines_across(lines: Sequence[Line], x: Spec, limits: Sequence[float], height: float) -> list[Spec]:
    """Lines across the plot with their words at the bottom."""
    layers = []
    for line in lines:
        if not limits[0] <= line.value <= limits[1]:
            continue
        layers.append(reference_line("x", significant(line.value), x, line.dash, line.colour))
        if line.words:
            late = line.value > (limits[0] + limits[1]) / 2
            place = {"x": {**x, "field": "x"}, "y": {"value": height - 1}, "text": {"field": "text"}}
            datum = {"x": significant(line.value), "text": line.words}
            more = {"align": "right" if late else "left", "dx": -4 if late else 4, "baseline": "bottom"}
            layers.append(layer([datum], "text", place, fontSize=10.5, color=line.colour, limit=0, **more))
    return layers


def _datum(dot: Dot, y: float, styles: Styles) -> dict[str, Any]:
    numbers = {k: significant(v) if math.isfinite(v := getattr(dot, k)) else None for k in NUMBERS}
    bar = numbers["floor"] is not None and numbers["ceiling"] is not None
    at = y + 6 if bar else y
    return {
        **numbers,
        **{"y": at, "tick": at - 6, "tick2": at + 6, "top": y - 9, "middle": y - 5, "bottom": y - 1},
        **{"series": dot.series, "colour": styles[dot.series][0], "tip": dot.tip},
    }


def _intervals(data: Data, x: Spec, y: Spec) -> list[Spec]:
    """Bars of bounds with the limits of their ends, whiskers, ticks of nulls."""

    def across(low: str, high: str, at: str = "y") -> Spec:
        return {"x": {**x, "field": low}, "x2": {"field": high}, "y": {**y, "field": at}}

    def upright(field: str, top: str, bottom: str) -> Spec:
        return {"x": {**x, "field": field}, "y": {**y, "field": top}, "y2": {"field": bottom}}

    layers: list[Spec] = []
    bars = known(data, "floor", "ceiling")
    if bars:
        frame = {**across("floor", "ceiling", "top"), "y2": {"field": "bottom"}, "description": {"field": "tip"}}
        layers.append(layer(bars, "rect", tinted(frame), aria=True, opacity=0.32))
        sure = known(bars, "floor_low", "ceiling_high")
        layers.append(layer(sure, "rule", tinted(across("floor_low", "ceiling_high", "middle")), strokeWidth=1))
        ends = [tinted(upright(end, "top", "bottom")) for end in ("floor_low", "ceiling_high")]
        layers += [layer(sure, "rule", end, strokeWidth=1) for end in ends]
    layers.append(layer(known(data, "low", "high"), "rule", tinted(across("low", "high")), strokeWidth=2))
    layers.append(layer(known(data, "null"), "rule", upright("null", "tick", "tick2"), color=INK, strokeWidth=1.6))
    return layers


def _dots(data: Data, x: Spec, y: Spec, styles: Styles, room: float) -> Spec:
    columns = legend_columns(list(styles), room)
    dots = points(known(data, "value"), {**x, "field": "value"}, y, "series", styles, columns=columns, size=50)
    for channel in ("color", "shape"):
        dots["encoding"][channel]["legend"] = dots["encoding"][channel]["legend"] if room else None
    return dots


def legend_columns(names: Sequence[str], room: float) -> int:
    """How many entries of a legend stand beside each other: as many as fit, in lines of about one length."""
    longest = max(map(len, names), default=1)
    fit = max(1, min(len(names), int(room / (LETTER * longest + 34))))
    lines = -(-len(names) // fit)
    return -(-len(names) // lines)


def written(data: Data, place: Spec, align: str, tone: str, rim: bool) -> list[Spec]:
    """Text; with a rim in the ground's colour where it stands on the plot."""
    if rim:
        return haloed(data, place, align=align)
    return [layer(data, "text", place, align=align, fontSize=11.5, color=tone, limit=0)]


def _words(words: Mapping[str, Data], y: Spec, plot: float, left: float, stacked: bool) -> list[Spec]:
    """Labels and numbers of the rows; headings and remarks over the whole width."""
    layers: list[Spec] = []
    for field, at, align, tone in (
        ("text", 0 if stacked else -8, "left" if stacked else "right", INK),
        ("numbers", plot if stacked else plot + 10, "right" if stacked else "left", MUTED),
    ):
        place = {"x": {"value": at}, "y": y, "text": {"field": field}}
        some = [w for w in words["row"] if w[field]]
        layers += written(some, place, align, tone, stacked)
    rule = {"x": {"value": -left}, "x2": {"value": plot}, "y": {**y, "field": "line"}}
    layers.append(layer(words["heading"][1:], "rule", rule, color=GRID))
    place = {"x": {"value": -left}, "y": y, "text": {"field": "text"}}
    layers += haloed(words["heading"], place, align="left", fontWeight="bold")
    layers += haloed(words["remark"], place, align="left", fontSize=11)
    return layers
