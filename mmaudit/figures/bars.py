"""Stacked bars: what a whole is made of, in parts that may be below 0, one bar per thing measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmaudit.figures.dots import (
    FULL,
    LETTER,
    PHONE,
    PHONE_HEADING,
    Scale,
    Styles,
    legend_columns,
    lines_across,
    plot_width,
    slack,
    written,
)
from mmaudit.figures.marks import INK, MUTED, PAPER, Spec, domain, haloed, layer, significant, spec
from mmaudit.formats import shorten

SMALLEST_WRITTEN = 26.0


@dataclass(frozen=True)
class Segment:
    """A part of a bar in shown units: its name in the legend, a short mark to write into it, and what hovering says."""

    part: str
    value: float
    mark: str
    tip: str


@dataclass(frozen=True)
class Bar:
    """One bar, or a heading (no segments): what it is, its parts in order, numbers to print beside it."""

    label: str
    segments: tuple[Segment, ...] = ()
    numbers: str = ""
    heading: bool = False


def stacked_bars(bars: Sequence[Bar], styles: Styles, scale: Scale, *, width: float = FULL) -> Spec:
    """One specification; parts above 0 are laid to the right of 0, parts below 0 to the left."""
    stacked = width <= PHONE
    if stacked:
        bars = [replace(b, label=shorten(b.label, PHONE_HEADING)) for b in bars]
    plot = plot_width(width, [b.label for b in bars if not b.heading], [b.numbers for b in bars])
    parts = [p for p in styles if any(s.part == p for b in bars for s in b.segments)]
    data: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    heads: list[dict[str, Any]] = []
    y = 0.0
    for i, bar in enumerate(bars):
        if bar.heading:
            y += 6.0 if i else 0.0
            heads.append({"y": y + 12, "text": bar.label})
            y += 24.0
            continue
        above = 15.0 if stacked else 0.0
        words.append({"y": y + 9.0 if stacked else y + 12.0, "text": bar.label, "numbers": bar.numbers})
        data += _laid(bar, y + above)
        y += 24.0 + above
    height = y + (16.0 if any(line.words for line in scale.lines) else 4.0)
    ends = [d[k] for d in data for k in ("x", "x2")] + [line.value for line in scale.lines] + [0.0]
    limits = list(scale.ends) if scale.ends else domain(ends, "", 0.03)
    axis: Spec = {"title": scale.title, "tickCount": 5}
    x: Spec = {"field": "x", "type": "quantitative", "scale": {"domain": limits, "nice": False}, "axis": axis}
    down: Spec = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False}}
    longest = 0 if stacked else max((len(w["text"]) for w in words), default=0)
    left = 0.0 if stacked else 10 + LETTER * longest
    colour = {
        "field": "part",
        "type": "nominal",
        "sort": None,
        "legend": {"columns": legend_columns(parts, plot + left), "symbolType": "square"},
        "scale": {"domain": parts, "range": [styles[p][0] for p in parts]},
    }
    frame = {"x": x, "x2": {"field": "x2"}, "y": down, "y2": {"field": "y2"}, "color": colour}
    layers = [layer(data, "rect", {**frame, "description": {"field": "tip"}}, aria=True, stroke=PAPER, strokeWidth=1)]
    per_pixel = (limits[1] - limits[0]) / plot
    room = [d for d in data if abs(d["x2"] - d["x"]) / per_pixel >= max(SMALLEST_WRITTEN, LETTER * len(d["mark"]) + 6)]
    place = {"x": {**x, "field": "centre"}, "y": {**down, "field": "middle"}, "text": {"field": "mark"}}
    layers.append(layer(room, "text", place, fontSize=11, fontWeight="bold", color=PAPER, limit=0))
    layers += lines_across(scale.lines, x, limits, height)
    layers += _beside(words, heads, down, plot, left, stacked)
    beside = [] if stacked else words
    wider = {side: slack(w[k] for w in beside) for side, k in (("left", "text"), ("right", "numbers"))}
    room_around = {"left": 2 + wider["left"], "right": 8 + wider["right"], "top": 2, "bottom": 4}
    return spec(layers, plot, height, room_around)


def _laid(bar: Bar, y: float) -> list[dict[str, Any]]:
    """Segments one after the other, those below 0 on the other side of 0."""
    out, right, left = [], 0.0, 0.0
    for segment in bar.segments:
        if not math.isfinite(segment.value):
            continue
        start = right if segment.value >= 0 else left
        end = start + segment.value
        right, left = (end, left) if segment.value >= 0 else (right, end)
        out.append(
            {
                "part": segment.part,
                "x": significant(start),
                "x2": significant(end),
                "centre": significant((start + end) / 2),
                "y": y + 3,
                "y2": y + 21,
                "middle": y + 12.5,
                "mark": segment.mark,
                "value": significant(segment.value),
                "tip": segment.tip,
            }
        )
    return out


def _beside(
    words: Sequence[Mapping[str, Any]],
    heads: Sequence[Mapping[str, Any]],
    y: Spec,
    plot: float,
    left: float,
    stacked: bool,
) -> list[Spec]:
    layers: list[Spec] = []
    for field, at, align, tone in (
        ("text", 0 if stacked else -8, "left" if stacked else "right", INK),
        ("numbers", plot if stacked else plot + 10, "right" if stacked else "left", MUTED),
    ):
        place = {"x": {"value": at}, "y": y, "text": {"field": field}}
        some = [w for w in words if w[field]]
        layers += written(some, place, align, tone, stacked)
    place = {"x": {"value": -left}, "y": y, "text": {"field": "text"}}
    return layers + haloed(heads, place, align="left", fontWeight="bold")
