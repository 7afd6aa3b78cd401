"""Confidence against performance, a dot per condition: silent failures lie low and to the right.

Performance is what the confidence is about: in classification the primary metric, in multilabel tasks the share of
right labels, as confidence there is that of single labels (the rule `silent_failure` judges by the same).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmaudit.figures.base import Column, Figure, Panel, Table, number_cell, primary_title, text_cell, value_cell, words
from mmaudit.figures.marks import (
    DASHED,
    INK,
    MUTED,
    Spec,
    family_style,
    haloed,
    known,
    layer,
    points,
    scaled,
    spec,
    tinted,
)
from mmaudit.formats import number, readable, shorten
from mmaudit.report import Measured, Report
from mmaudit.types import Score

CONFIDENCE = "mean_confidence"
RIGHT_LABELS = "share of right labels"
Entry = tuple[Measured, Score, Score]
Box = tuple[float, float, float, float]
# Size of the picture and, roughly, of its plot; pixels. The plot's size only decides which labels fit.
SIZE, PLOT = (410.0, 420.0), (350.0, 335.0)
LABELS, FROM_GAP = 6, 5.0


def confidence(report: Report) -> tuple[Figure, ...]:
    """One figure: mean confidence against performance; empty unless that is a share of which more is better."""
    m = report.primary
    if CONFIDENCE not in report.metrics or not (_of_labels(report) or (m.unit == "share" and m.better == "higher")):
        return ()
    entries: list[Entry] = []
    for measured in report.conditions:
        value, sure = _performance(report, measured), report.score(measured.key, CONFIDENCE)
        if value is not None and sure is not None:
            entries.append((measured, value, sure))
    if not entries:
        return ()
    drawn = [e for e in entries if math.isfinite(gap(e))]
    entries.sort(key=lambda e: -gap(e) if math.isfinite(gap(e)) else math.inf)
    name = _name(report)
    alt = "No condition has both values."
    if drawn:
        worst = max(drawn, key=gap)
        alt = (
            f"{len(drawn)} conditions; the widest gap is {words(worst[0].condition)}: confidence "
            f"{number(worst[2].value, 'share')}, {name} {number(worst[1].value, 'share')}. "
            "All numbers are in the table."
        )
    caption = (
        "Each dot is a condition; thin lines join the severities of one corruption, starting at clean. On the "
        f"diagonal the model's confidence fits its {name}. A dot far below it is a condition under which the model "
        "is wrong more often than it says: a silent failure where the accuracy on clean data is surely higher."
    )
    if _of_labels(report):
        caption += f" Both are about single labels: the {name} is mean confidence less overconfidence."
    columns = (
        Column("condition", numeric=False),
        Column("family", numeric=False),
        Column("mean confidence (%)"),
        Column(_title(report)),
        Column(f"confidence − {name}"),
    )
    body = tuple(
        (
            text_cell(words(e[0].condition)),
            text_cell(e[0].condition.family),
            value_cell(e[2]),
            value_cell(e[1]) if math.isfinite(e[1].low) else number_cell(e[1].value, "share", e[1].reason),
            number_cell(gap(e), "share", e[1].reason or e[2].reason or "one of the two is undefined", change=True),
        )
        for e in entries
    )
    panels = (Panel("", alt, _picture(report, drawn), "half"),) if drawn else ()
    return (Figure("confidence", "Confidence against performance", caption, panels, Table(columns, body)),)


def _of_labels(report: Report) -> bool:
    return bool(report.document["task"]["kind"] == "multilabel")


def _name(report: Report) -> str:
    return RIGHT_LABELS if _of_labels(report) else readable(report.primary.name)


def _title(report: Report) -> str:
    return f"{RIGHT_LABELS} (%)" if _of_labels(report) else primary_title(report)


def _performance(report: Report, measured: Measured) -> Score | None:
    """What confidence is held against; the share of right labels is confidence without what it claims too much."""
    if not _of_labels(report):
        return report.score(measured.key, report.primary.name)
    sure, over = (report.score(measured.key, name) for name in (CONFIDENCE, "overconfidence"))
    if sure is None or over is None:
        return None
    value, reason = sure.value - over.value, over.reason or sure.reason
    return replace(sure, metric=RIGHT_LABELS, value=value, low=math.nan, high=math.nan, better="higher", reason=reason)


def gap(entry: Entry) -> float:
    """How much surer the model is than it is right; NaN where either is undefined."""
    return entry[2].value - entry[1].value


def _picture(report: Report, entries: Sequence[Entry]) -> Spec:
    data = [_datum(e, _name(report)) for e in entries]
    start = 10.0 * max(0, math.floor(min(d[k] for d in data for k in ("x", "y", "low") if d[k] is not None) / 10))
    scale: Spec = {"domain": [start, 100], "nice": False}
    x: Spec = {
        "field": "x",
        "type": "quantitative",
        "scale": scale,
        "axis": {"title": "mean confidence (%)", "tickCount": 6},
    }
    y: Spec = {
        "field": "y",
        "type": "quantitative",
        "scale": scale,
        "axis": {"title": _title(report), "tickCount": 6},
    }
    at = {"x": x, "y": y}
    layers = [
        layer(
            [{"x": start, "y": start}, {"x": 100, "y": 100}],
            "line",
            at,
            color=INK,
            strokeWidth=1,
            strokeDash=DASHED,
            opacity=0.75,
        )
    ]
    clean = [d for d in data if d["family"] == "clean"][:1]
    for stream in dict.fromkeys(d["stream"] for d in data if d["order"]):
        path = clean + sorted((d for d in data if d["stream"] == stream), key=lambda d: float(d["order"]))
        steps = [{"x": d["x"], "y": d["y"], "step": i} for i, d in enumerate(path)]
        order = {"field": "step", "type": "quantitative"}
        layers.append(layer(steps, "line", {**at, "order": order}, color=MUTED, strokeWidth=1, opacity=0.45))
    span = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
    layers.append(layer(known(data, "low", "high"), "rule", tinted(span), strokeWidth=1.5, opacity=0.6))
    styles = {f: family_style(f) for f in dict.fromkeys(str(d["family"]) for d in data)}
    layers.append(points(data, x, y, "family", styles, size=58, columns=3))
    text = {**at, "text": {"field": "label"}}
    layers += haloed(_labels(data, start), text, align="left", baseline="middle", fontSize=11)
    return spec(layers, *SIZE)


def _datum(e: Entry, name: str) -> dict[str, Any]:
    measured, value, sure = e
    c = measured.condition
    return {
        "x": scaled(sure.value, "share"),
        "y": scaled(value.value, "share"),
        "low": scaled(value.low, "share"),
        "high": scaled(value.high, "share"),
        "family": shorten(c.family, 20),
        "colour": family_style(c.family)[0],
        "stream": c.stream,
        "order": c.severity or 0.0,
        "label": shorten(words(c), 38),
        "tip": f"{words(c)}: confidence {number(sure.value, 'share')}, {name} {number(value.value, 'share')}",
    }


def _labels(data: Sequence[Mapping[str, Any]], start: float) -> list[dict[str, Any]]:
    """The widest gaps by name, one per curve, each where it covers neither another label nor a dot; else not at all."""
    across, up = (side / (100 - start) for side in PLOT)
    dots = [((d["x"] - start) * across, (d["y"] - start) * up) for d in data]
    taken: list[Box] = []
    out: list[dict[str, Any]] = []
    streams: set[str] = set()
    for d in sorted(data, key=lambda d: d["y"] - d["x"]):
        if d["x"] - d["y"] < FROM_GAP or len(out) == LABELS:
            break
        if d["stream"] in streams or d["family"] == "control":
            continue
        streams.add(d["stream"])
        px, py = (d["x"] - start) * across, (d["y"] - start) * up
        width = 6.4 * len(d["label"])
        for left in (px + 9, px - width - 9):
            box = (left, py - 8, left + width, py + 8)
            inside = box[0] >= 0 and box[2] <= PLOT[0] + 8
            if (
                inside
                and not any(_meet(box, b) for b in taken)
                and not any(_covers(box, q) for q in dots if q != (px, py))
            ):
                taken.append(box)
                out.append({"x": round(left / across + start, 4), "y": d["y"], "label": d["label"]})
                break
    return out


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _covers(box: Box, dot: tuple[float, float]) -> bool:
    return box[0] - 4 < dot[0] < box[2] + 4 and box[1] - 2 < dot[1] < box[3] + 2
