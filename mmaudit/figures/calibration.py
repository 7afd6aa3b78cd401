"""Whether the model knows when it is broken: reliability diagrams, confidence against accuracy, recalibration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmaudit.figures.base import (
    BLUE,
    FAMILIES,
    GRID,
    INK,
    MUTED,
    SERIES,
    SHAPES,
    Cell,
    Column,
    Figure,
    Panel,
    Spec,
    Table,
    number_cell,
    rows,
    scaled,
    spec,
    text_cell,
    value_cell,
    words,
)
from mmaudit.formats import count, estimate, interval, measure, number, readable, shorten
from mmaudit.report import Measured, Report
from mmaudit.types import Score

CONFIDENCE = "mean_confidence"
OPEN_PANELS = 8
PERCENT: Spec = {"domain": [0, 100], "nice": False}


def reliability(report: Report) -> tuple[Figure, ...]:
    """One figure: a reliability diagram per condition of the report (clean, missing subsets, worst corruption)."""
    entries: list[Mapping[str, Any]] = report.document["reliability"]
    if not entries:
        return ()
    by_key = {m.condition.key: m for m in report.conditions}
    panels, body = [], []
    for i, entry in enumerate(entries):
        measured = by_key.get(entry["condition"])
        name = words(measured.condition) if measured else shorten(entry["label"], 60)
        ece = report.score(entry["condition"], "ece")
        title = name if ece is None else f"{name} · ECE {number(ece.value, ece.unit)}"
        bins = _bins(entry)
        body += [_bin_row(name, b) for b in bins]
        known = [b for b in bins if b["accuracy"] is not None]
        gap = sum(b["count"] * (b["confidence"] - b["accuracy"]) for b in known) / max(sum(b["count"] for b in known), 1)
        alt = f"{name}: confidence is {abs(gap):.1f} percentage points {'above' if gap > 0 else 'below'} accuracy on average, over {len(known)} filled bins. All numbers are in the table."
        panels.append(Panel(title, alt, _diagram(bins), folded=i >= OPEN_PANELS))
    columns = (
        Column("condition", numeric=False),
        Column("confidence bin (%)"),
        Column("n"),
        Column("mean confidence (%)"),
        Column("accuracy (%, ↑ better)"),
    )
    caption = (
        "Of the answers given with 80 % confidence, are 80 % right? Dots on the diagonal are honest; below it the model "
        "claims more than it delivers. Bars span the 95 % interval; the strip shows how many samples fall into each bin."
    )
    return (Figure("reliability", "Reliability", caption, tuple(panels), Table(columns, tuple(body))),)


def _bins(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    top = max(entry["count"], default=0) or 1
    return [
        {
            "left": 100 * entry["edges"][i], "right": 100 * entry["edges"][i + 1], "count": k, "share": 100 * k / top,
            **{name: None if entry[name][i] is None else round(100 * entry[name][i], 4) for name in ("confidence", "accuracy", "low", "high")},
        }
        for i, k in enumerate(entry["count"])
    ]  # fmt: skip


def _bin_row(name: str, b: Mapping[str, Any]) -> tuple[Cell, ...]:
    empty = "no sample falls into this bin"
    confidence, accuracy = (math.nan if b[k] is None else b[k] / 100 for k in ("confidence", "accuracy"))
    low, high = (math.nan if b[k] is None else b[k] / 100 for k in ("low", "high"))
    shown = Cell(estimate(accuracy, low, high, "share"), accuracy) if math.isfinite(accuracy) else number_cell(accuracy, reason=empty)
    return (
        text_cell(name),
        Cell(f"{b['left']:.3g} to {b['right']:.3g}", b["left"]),
        Cell(count(b["count"]), b["count"]),
        number_cell(confidence, "share", empty),
        shown,
    )


def _diagram(bins: Sequence[Mapping[str, Any]]) -> Spec:
    x: Spec = {"type": "quantitative", "scale": PERCENT, "axis": {"title": "confidence (%)", "tickCount": 5, "grid": True}}
    y: Spec = {"type": "quantitative", "scale": PERCENT, "axis": {"title": "accuracy (%, ↑ better)", "tickCount": 5}}
    known = [
        {**b, "tip": f"confidence {b['confidence']:.1f} %, accuracy {b['accuracy']:.1f} %, {b['count']} samples"}
        for b in bins
        if b["confidence"] is not None and b["accuracy"] is not None
    ]
    # The strip of counts lies along the bottom, at most 14 % high.
    strip = [{**b, "bottom": 0, "strip": 0.14 * b["share"]} for b in bins]
    layers: list[Spec] = [
        {
            "data": rows(strip),
            "mark": {"type": "rect", "color": MUTED, "opacity": 0.32, "aria": False},
            "encoding": {"x": {**x, "field": "left"}, "x2": {"field": "right"}, "y": {**y, "field": "bottom"}, "y2": {"field": "strip"}},
        },
        {
            "data": rows([{"a": 0}, {"a": 100}]),
            "mark": {"type": "line", "color": INK, "strokeWidth": 1, "strokeDash": [4, 3], "opacity": 0.75, "aria": False},
            "encoding": {"x": {**x, "field": "a"}, "y": {**y, "field": "a"}},
        },
        {
            "data": rows([b for b in known if b["low"] is not None and b["high"] is not None]),
            "mark": {"type": "rule", "color": BLUE, "strokeWidth": 2, "opacity": 0.6, "aria": False},
            "encoding": {"x": {**x, "field": "confidence"}, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": rows(known),
            "mark": {"type": "line", "color": BLUE, "strokeWidth": 1.5, "aria": False},
            "encoding": {"x": {**x, "field": "confidence"}, "y": {**y, "field": "accuracy"}},
        },
        {
            "data": rows(known),
            "mark": {"type": "point", "filled": True, "color": BLUE, "size": 34, "opacity": 1},
            "encoding": {"x": {**x, "field": "confidence"}, "y": {**y, "field": "accuracy"}, "description": {"field": "tip"}},
        },
    ]
    return spec(layers, 255, 240)


def confidence(report: Report) -> tuple[Figure, ...]:
    """One figure: mean confidence against the primary metric, a dot per condition (silent failures lie low right)."""
    m = report.primary
    if CONFIDENCE not in report.metrics or m.unit != "share" or m.better != "higher":
        return ()
    entries: list[tuple[Measured, Score, Score]] = []
    for measured in report.conditions:
        value, sure = (report.score(measured.condition.key, name) for name in (m.name, CONFIDENCE))
        if value is not None and sure is not None:
            entries.append((measured, value, sure))
    drawn = [e for e in entries if math.isfinite(e[1].value) and math.isfinite(e[2].value)]
    if not entries:
        return ()
    columns = (
        Column("condition", numeric=False),
        Column("family", numeric=False),
        Column("mean confidence (%)"),
        Column(measure(m.name, m.unit, m.better)),
        Column("confidence − " + readable(m.name)),
    )
    body = [
        (
            text_cell(words(e.condition)),
            text_cell(e.condition.family),
            value_cell(sure),
            value_cell(value),
            number_cell(sure.value - value.value, "share", value.reason or sure.reason, change=True),
        )
        for e, value, sure in sorted(entries, key=lambda e: -_finite(e[2].value - e[1].value))
    ]
    worst = max(drawn, key=lambda e: e[2].value - e[1].value, default=None)
    alt = "No condition has both values." if worst is None else (
        f"{len(drawn)} conditions; the widest gap is {words(worst[0].condition)}: confidence {number(worst[2].value, 'share')}, "
        f"{readable(m.name)} {number(worst[1].value, 'share')}. All numbers are in the table."
    )  # fmt: skip
    caption = (
        f"Each dot is a condition; thin lines join a corruption's severities, starting at clean. On the diagonal the model's "
        f"confidence fits its {readable(m.name)}. A dot far below it is a silent failure: the model is wrong and does not say so."
    )
    panels = (Panel("", alt, _scatter(report, drawn), "half"),) if drawn else ()
    return (Figure("confidence", "Confidence against performance", caption, panels, Table(columns, tuple(body))),)


def _scatter(report: Report, entries: Sequence[tuple[Measured, Score, Score]]) -> Spec:
    m = report.primary
    data = []
    for measured, value, sure in entries:
        c = measured.condition
        data.append(
            {
                "x": scaled(sure.value, "share"), "y": scaled(value.value, "share"), "low": scaled(value.low, "share"), "high": scaled(value.high, "share"),
                "family": c.family, "stream": c.stream, "order": c.severity or 0.0,
                "tip": f"{words(c)}: confidence {number(sure.value, 'share')}, {readable(m.name)} {number(value.value, 'share')}",
                "label": shorten(words(c), 30),
            }
        )  # fmt: skip
    low = min(float(d[k] or 0) for d in data for k in ("x", "y", "low") if d[k] is not None)
    start = max(0.0, math.floor(low / 10) * 10)
    scale: Spec = {"domain": [start, 100], "nice": False}
    x: Spec = {"type": "quantitative", "scale": scale, "axis": {"title": "mean confidence (%)", "tickCount": 6}, "field": "x"}
    y: Spec = {"type": "quantitative", "scale": scale, "axis": {"title": measure(m.name, m.unit, m.better), "tickCount": 6}, "field": "y"}
    families = list(dict.fromkeys(str(d["family"]) for d in data))
    clean = next((d for d in data if d["family"] == "clean"), None)
    paths = []
    for stream in dict.fromkeys(d["stream"] for d in data if d["order"]):
        members = sorted((d for d in data if d["stream"] == stream), key=lambda d: float(d["order"] or 0))
        paths.append([*([clean] if clean else []), *members])
    legend: Spec = {"columns": 3}
    pick = {"field": "family", "type": "nominal"}
    layers: list[Spec] = [
        {
            "data": rows([{"x": start, "y": start}, {"x": 100, "y": 100}]),
            "mark": {"type": "line", "color": INK, "strokeWidth": 1, "strokeDash": [4, 3], "opacity": 0.75, "aria": False},
            "encoding": {"x": x, "y": y},
        },
        *(
            {
                "data": rows([{k: d[k] for k in ("x", "y", "order")} for d in path]),
                "mark": {"type": "line", "color": MUTED, "strokeWidth": 1, "opacity": 0.5, "aria": False},
                "encoding": {"x": x, "y": y, "order": {"field": "order", "type": "quantitative"}},
            }
            for path in paths
        ),
        {
            "data": rows([d for d in data if d["low"] is not None and d["high"] is not None]),
            "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.6, "aria": False},
            "encoding": {
                "x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"},
                "color": {**pick, "scale": {"domain": families, "range": [_style(f)[0] for f in families]}, "legend": None},
            },
        },
        {
            "data": rows(data),
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 0.95},
            "encoding": {
                "x": x, "y": y, "description": {"field": "tip"},
                "color": {**pick, "scale": {"domain": families, "range": [_style(f)[0] for f in families]}, "legend": legend},
                "shape": {**pick, "scale": {"domain": families, "range": [_style(f)[1] for f in families]}, "legend": legend},
            },
        },
    ]  # fmt: skip
    labels = _placed(data, start, 390.0 / (100 - start), 330.0 / (100 - start))
    layers.append(
        {
            "data": rows(labels),
            "mark": {"type": "text", "align": "left", "baseline": "middle", "fontSize": 11, "color": INK, "limit": 0, "aria": False},
            "encoding": {"x": {**x, "field": "x"}, "y": {**y, "field": "y"}, "text": {"field": "label"}},
        }
    )
    return spec(layers, 460, 460)


def _placed(data: Sequence[Mapping[str, Any]], start: float, across: float, up: float) -> list[dict[str, Any]]:
    """Labels of the widest gaps, where they cover neither each other nor another dot."""
    dots = [((d["x"] - start) * across, (d["y"] - start) * up) for d in data]
    boxes: list[tuple[float, float, float, float]] = []
    out = []
    for d in sorted(data, key=lambda d: d["y"] - d["x"])[:14]:
        if d["x"] - d["y"] < 5 or len(out) >= 5:
            break
        width = 6.0 * len(d["label"])
        px, py = (d["x"] - start) * across, (d["y"] - start) * up
        for left in (px - width - 8, px + 8):
            box = (left, py - 7, left + width, py + 7)
            free = box[0] > 0 and box[2] < (100 - start) * across + 20
            free = free and not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in boxes)
            if free and not any(box[0] - 5 < x < box[2] + 5 and box[1] - 3 < y < box[3] + 3 for x, y in dots if (x, y) != (px, py)):
                boxes.append(box)
                out.append({"x": round(left / across + start, 4), "y": d["y"], "label": d["label"]})
                break
    return out


def recalibration(report: Report) -> tuple[Figure, ...]:
    """One figure: calibration error before (hollow) and after each repair, per condition and what it was fitted on."""
    entries: list[Mapping[str, Any]] = report.document["recalibration"]
    if not entries:
        return ()
    by_key = {m.condition.key: m for m in report.conditions}
    fitted = list(dict.fromkeys(e["fitted_on"] for e in entries))
    methods = list(dict.fromkeys(e["method"] for e in entries))
    keys = list(dict.fromkeys(e["condition"] for e in entries))
    data, body = [], []
    for e in entries:
        measured = by_key.get(e["condition"])
        name = words(measured.condition) if measured else shorten(e["label"], 60)
        before, after, low, high = (math.nan if e[k] is None else float(e[k]) for k in ("ece_before", "ece_after", "low", "high"))
        row = (keys.index(e["condition"]) + 0.5) * PITCH
        shift = (methods.index(e["method"]) - (len(methods) - 1) / 2) * 10 + 6
        data.append(
            {
                "fitted_on": e["fitted_on"], "method": shorten(e["method"], 24), "name": shorten(name, 44), "y": row + shift, "head": row - PITCH / 2 + 7,
                "before": scaled(before, "share"), "after": scaled(after, "share"), "low": scaled(low, "share"), "high": scaled(high, "share"),
                "tip": f"{name}, {e['method']} fitted on {e['fitted_on']}: ECE {number(before, 'share')} → {estimate(after, low, high, 'share')}",
            }
        )  # fmt: skip
        shown = Cell(estimate(after, low, high, "share"), after) if math.isfinite(after) else number_cell(after, reason="the repair could not be fitted on these samples")
        body.append(
            (
                text_cell(name), text_cell(shorten(e["method"], 30)), text_cell(shorten(e["fitted_on"], 40)), Cell(count(e["n"]), e["n"]),
                number_cell(before, "share"), shown, number_cell(after - before, "share", "one of the two is undefined", change=True),
            )
        )  # fmt: skip
    limits = [0.0, max([float(d[k]) for d in data for k in ("before", "after", "high") if d[k] is not None] or [1.0]) * 1.05]
    panels = []
    for what in fitted:
        part = [d for d in data if d["fitted_on"] == what]
        alt = f"ECE before and after {', '.join(methods)} fitted on {what}, {len(keys)} conditions. All numbers are in the table."
        panels.append(Panel(f"fitted on: {shorten(what, 40)}", alt, _repair(part, methods, limits, len(keys)), "half"))
    columns = (
        Column("condition", numeric=False),
        Column("repair", numeric=False),
        Column("fitted on", numeric=False),
        Column("n"),
        Column("ECE before (%, ↓ better)"),
        Column("ECE after (%, ↓ better)"),
        Column("change"),
    )
    caption = (
        "How much of the miscalibration would a repair remove? The vertical tick is the error as it is; a mark left of it is "
        "an improvement, with its 95 % interval. Repairs are cross-fitted: never judged on the samples they were fitted on. A "
        "repair fitted on clean data that does not help here shows that one repair does not fit all conditions."
    )
    return (Figure("recalibration", "Would recalibration repair it?", caption, tuple(panels), Table(columns, tuple(body))),)


PITCH = 58.0


def _repair(data: Sequence[Mapping[str, Any]], methods: Sequence[str], limits: list[float], conditions: int) -> Spec:
    height = PITCH * conditions
    x: Spec = {"type": "quantitative", "scale": {"domain": limits, "nice": True}, "axis": {"title": "ECE (%, ↓ better)", "tickCount": 6}}
    y: Spec = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False}}
    names = [shorten(m, 24) for m in methods]
    pick: Spec = {"field": "method", "type": "nominal", "sort": None}
    colour = {**pick, "scale": {"domain": names, "range": [SERIES[i % len(SERIES)] for i in range(len(names))]}}
    heads = [dict(t) for t in {(("y", d["head"]), ("name", d["name"])): None for d in data}]
    layers: list[Spec] = [
        {
            "data": rows([{"y": i * PITCH} for i in range(1, conditions)]),
            "mark": {"type": "rule", "color": GRID, "aria": False},
            "encoding": {"y": y},
        },
        {
            "data": rows([d for d in data if d["before"] is not None and d["after"] is not None]),
            "mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.5, "aria": False},
            "encoding": {"x": {**x, "field": "before"}, "x2": {"field": "after"}, "y": y, "color": {**colour, "legend": None}},
        },
        {
            "data": rows([d for d in data if d["low"] is not None and d["high"] is not None]),
            "mark": {"type": "rule", "strokeWidth": 2.2, "aria": False},
            "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "color": {**colour, "legend": None}},
        },
        {
            "data": rows([{**d, "top": d["y"] - 5, "bottom": d["y"] + 5} for d in data if d["before"] is not None]),
            "mark": {"type": "rule", "color": INK, "strokeWidth": 2, "aria": False},
            "encoding": {"x": {**x, "field": "before"}, "y": {**y, "field": "top"}, "y2": {"field": "bottom"}},
        },
        {
            "data": rows([d for d in data if d["after"] is not None]),
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
            "encoding": {
                "x": {**x, "field": "after"}, "y": y, "description": {"field": "tip"}, "color": {**colour, "legend": {"columns": 3}},
                "shape": {**pick, "scale": {"domain": names, "range": [SHAPES[i % len(SHAPES)] for i in range(len(names))]}, "legend": {"columns": 3}},
            },
        },
        {
            "data": rows(heads),
            "mark": {"type": "text", "align": "left", "fontSize": 11.5, "fontWeight": "bold", "color": INK, "limit": 0, "aria": False},
            "encoding": {"x": {"value": 2}, "y": y, "text": {"field": "name"}},
        },
    ]  # fmt: skip
    return spec(layers, 420, height + 70)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def _style(family: str) -> tuple[str, str]:
    return FAMILIES.get(family, (INK, "triangle-up"))


__all__ = ["Measured", "confidence", "interval", "recalibration", "reliability"]
