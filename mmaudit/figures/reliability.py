"""Reliability diagrams: of the answers given with 80 % confidence, are 80 % right?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmaudit.figures.base import Cell, Column, Figure, Panel, Table, count_cell, number_cell, text_cell, words
from mmaudit.figures.marks import BLUE, DASHED, INK, MUTED, Spec, known, layer, scaled, spec
from mmaudit.formats import NBSP, count, estimate, number, shorten
from mmaudit.report import Report

OPEN_PANELS = 6
# The strip of counts along the bottom, in percent of the height.
STRIP = 14.0


def reliability(report: Report) -> tuple[Figure, ...]:
    """One figure: a reliability diagram per condition the report holds bins of (clean, missing subsets, the worst)."""
    entries: list[Mapping[str, Any]] = report.document["reliability"]
    if not entries:
        return ()
    by_key = {m.key: m.condition for m in report.conditions}
    panels, body = [], []
    for i, entry in enumerate(entries):
        condition = by_key.get(entry["condition"])
        name = words(condition) if condition else shorten(entry["label"], 60)
        ece = report.score(entry["condition"], "ece")
        bins = _bins(entry)
        body += [_row(name, entry, b) for b in range(len(bins))]
        filled = known(bins, "confidence", "accuracy")
        samples = max(sum(b["count"] for b in filled), 1)
        gap = sum(b["count"] * (b["confidence"] - b["accuracy"]) for b in filled) / samples
        alt = (
            f"{name}: confidence is on average {abs(gap):.1f} percentage points {'above' if gap > 0 else 'below'} "
            f"accuracy, over {len(filled)} filled bins. All numbers are in the table."
        )
        title = name if ece is None else f"{name} · ECE{NBSP}{number(ece.value, ece.unit)}"
        panels.append(Panel(title, alt, _diagram(bins), folded=i >= OPEN_PANELS))
    columns = (
        Column("condition", numeric=False),
        Column("confidence bin (%)"),
        Column("n"),
        Column("mean confidence (%)"),
        Column("accuracy (%, ↑ better)"),
    )
    caption = (
        "Of the answers given with 80 % confidence, are 80 % right? Dots on the diagonal are honest; below it the "
        "model claims more than it delivers. Lines span the 95 % interval; the grey strip and the size of the dots "
        "show how many samples each bin holds."
    )
    return (Figure("reliability", "Reliability", caption, tuple(panels), Table(columns, tuple(body))),)


def _bins(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    top = max(entry["count"], default=0) or 1
    out = []
    for i, k in enumerate(entry["count"]):
        one: dict[str, Any] = {"count": k, "bottom": 0, "strip": round(STRIP * k / top, 4)}
        one |= {name: _percent(entry["edges"][i + j]) for j, name in enumerate(("left", "right"))}
        one |= {name: _percent(entry[name][i]) for name in ("confidence", "accuracy", "low", "high")}
        if one["confidence"] is not None and one["accuracy"] is not None:
            one["area"] = round(12 + 68 * math.sqrt(k / top), 2)
            one["tip"] = f"confidence {one['confidence']:.1f} %, accuracy {one['accuracy']:.1f} %, {count(k)} samples"
        out.append(one)
    return out


def _percent(value: float | None) -> float | None:
    return None if value is None else scaled(float(value), "share")


def _row(name: str, entry: Mapping[str, Any], i: int) -> tuple[Cell, ...]:
    empty = "no sample falls into this bin"
    confidence, accuracy, low, high = (
        math.nan if entry[k][i] is None else float(entry[k][i]) for k in ("confidence", "accuracy", "low", "high")
    )
    left, right = (math.nan if e is None else 100 * float(e) for e in entry["edges"][i : i + 2])
    shown = Cell(estimate(accuracy, low, high, "share"), accuracy)
    return (
        text_cell(name),
        Cell(f"{left:.3g} to {right:.3g}", left / 100),
        count_cell(entry["count"][i]),
        number_cell(confidence, "share", empty),
        shown if math.isfinite(accuracy) else number_cell(accuracy, reason=empty),
    )


def _diagram(bins: Sequence[Mapping[str, Any]]) -> Spec:
    scale: Spec = {"domain": [0, 100], "nice": False}
    x: Spec = {"type": "quantitative", "scale": scale, "axis": {"title": "confidence (%)", "tickCount": 5}}
    y: Spec = {"type": "quantitative", "scale": scale, "axis": {"title": "accuracy (%, ↑ better)", "tickCount": 5}}
    filled = known(bins, "confidence", "accuracy")
    strip = {
        "x": {**x, "field": "left"},
        "x2": {"field": "right"},
        "y": {**y, "field": "bottom"},
        "y2": {"field": "strip"},
    }
    at = {"x": {**x, "field": "confidence"}, "y": {**y, "field": "accuracy"}}
    span = {"x": at["x"], "y": {**y, "field": "low"}, "y2": {"field": "high"}}
    diagonal = {"x": {**x, "field": "at"}, "y": {**y, "field": "at"}}
    # A bin of three samples says little; its dot is small.
    area = {"field": "area", "type": "quantitative", "scale": None}
    dot = {**at, "size": area, "description": {"field": "tip"}}
    return spec(
        [
            layer(known(bins, "left", "right"), "rect", strip, color=MUTED, opacity=0.32),
            layer(
                [{"at": 0}, {"at": 100}], "line", diagonal, color=INK, strokeWidth=1, strokeDash=DASHED, opacity=0.75
            ),
            layer(known(filled, "low", "high"), "rule", span, color=BLUE, strokeWidth=1.6, opacity=0.55),
            layer(filled, "point", dot, aria=True, filled=True, color=BLUE, opacity=1),
        ],
        280,
        262,
    )
