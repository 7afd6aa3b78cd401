"""Recalibration: how much of the miscalibration a repair would remove, by what it was fitted on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmaudit.figures.base import Cell, Column, Figure, Panel, Table, count_cell, number_cell, text_cell, words
from mmaudit.figures.marks import GRID, INK, Spec, haloed, known, layer, points, scaled, series_style, spec, tinted
from mmaudit.formats import change, count, estimate, number, shorten
from mmaudit.report import Report

ROW, HEAD = 12.0, 24.0
MOST_DRAWN = 30
"""Conditions of the chart; of more those that have a reliability diagram. The table has all."""


def recalibration(report: Report) -> tuple[Figure, ...]:
    """One figure: calibration error before and after each repair, per condition; a panel per thing it was fitted on."""
    entries: list[Mapping[str, Any]] = report.document["recalibration"]
    if not entries:
        return ()
    by_key = {m.key: m.condition for m in report.conditions}
    fitted = list(dict.fromkeys(e["fitted_on"] for e in entries))
    methods = {e["method"]: shorten(e["method"], 24) for e in entries}
    every = list(dict.fromkeys(e["condition"] for e in entries))
    keys = _drawn(report, every)
    data, body = [], []
    for e in entries:
        condition = by_key.get(e["condition"])
        name = words(condition) if condition else shorten(e["label"], 60)
        if e["condition"] in keys:
            data.append(_datum(e, name, keys.index(e["condition"]), list(methods).index(e["method"]), len(methods)))
        body.append(_row(e, name))
    tops = [v for d in data for v in (d["before"], d["after"], d["high"]) if v is not None]
    limits = [0.0, max(tops, default=1.0) * 1.05 or 1.0]
    panels = []
    for what in fitted:
        part = [d for d in data if d["fitted_on"] == what]
        if not known(part, "after"):
            continue
        names = ", ".join(methods.values())
        alt = (
            f"ECE before and after {names}, fitted on {what}, in {len(keys)} conditions. All numbers are in the table."
        )
        panels.append(
            Panel(
                f"fitted on: {shorten(what, 40)}",
                alt,
                _picture(part, list(methods.values()), limits, len(keys)),
                "half",
            )
        )
    columns = (
        Column("condition", numeric=False),
        Column("repair", numeric=False),
        Column("fitted on", numeric=False),
        Column("n"),
        Column("ECE before (%, ↓ better)"),
        Column("ECE after (%, ↓ better)"),
        Column("change (pp, ↓ better)", note="after − before, paired"),
    )
    caption = (
        "The upright tick is the calibration error as it is; a mark to its left is an improvement, with its 95 % "
        "interval. Repairs are judged on samples they were not fitted on. A repair that helps only where it was fitted "
        "shows that one repair does not fit all conditions."
    )
    if len(keys) < len(every):
        caption += (
            f" Drawn are the {count(len(keys))} conditions with a reliability diagram; the table has all "
            f"{count(len(every))}."
        )
    undrawn = [shorten(w, 40) for w in fitted if not known([d for d in data if d["fitted_on"] == w], "after")]
    if undrawn:
        caption += f" Not drawn, because no repair has a value: fitted on {', '.join(undrawn)}."
    return (
        Figure("recalibration", "Would recalibration repair it?", caption, tuple(panels), Table(columns, tuple(body))),
    )


def _drawn(report: Report, every: list[str]) -> list[str]:
    if len(every) <= MOST_DRAWN:
        return every
    shown = {e["condition"] for e in report.document["reliability"]}
    return [key for key in every if key in shown] or every[:MOST_DRAWN]


def _real(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _datum(e: Mapping[str, Any], name: str, row: int, method: int, methods: int) -> dict[str, Any]:
    before, after, low, high = (_real(e[k]) for k in ("ece_before", "ece_after", "low", "high"))
    top = row * (ROW * methods + HEAD)
    y = top + HEAD + ROW * (method + 0.25)
    return {
        "fitted_on": e["fitted_on"],
        "method": shorten(e["method"], 24),
        "colour": series_style(method)[0],
        "name": shorten(name, 48),
        "y": y,
        "top": y - ROW / 2,
        "bottom": y + ROW / 2,
        "head": top + 11,
        "line": top,
        "before": scaled(before, "share"),
        "after": scaled(after, "share"),
        "low": scaled(low, "share"),
        "high": scaled(high, "share"),
        "tip": (
            f"{name}, {e['method']} fitted on {e['fitted_on']}: "
            f"ECE {number(before, 'share')} → {estimate(after, low, high, 'share')}"
        ),
    }


def _row(e: Mapping[str, Any], name: str) -> tuple[Cell, ...]:
    before, after, low, high = (_real(e[k]) for k in ("ece_before", "ece_after", "low", "high"))
    least, most = (_real(e.get(k)) for k in ("change_low", "change_high"))  # older reports have none
    none = e.get("reason") or "the repair could not be fitted or judged on these samples"
    return (
        text_cell(name),
        text_cell(shorten(e["method"], 30)),
        text_cell(shorten(e["fitted_on"], 40)),
        count_cell(e["n"]),
        number_cell(before, "share"),
        Cell(estimate(after, low, high, "share"), after) if math.isfinite(after) else number_cell(after, reason=none),
        Cell(change(after - before, least, most, "share"), after - before)
        if math.isfinite(after)
        else number_cell(after, reason=none),
    )


def _picture(data: Sequence[Mapping[str, Any]], methods: Sequence[str], limits: list[float], conditions: int) -> Spec:
    height = conditions * (ROW * len(methods) + HEAD)
    axis = {"title": "ECE (%, ↓ better)", "tickCount": 6}
    x: Spec = {"type": "quantitative", "scale": {"domain": limits, "nice": True}, "axis": axis}
    y: Spec = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False}}
    heads = list({d["head"]: {"y": d["head"], "line": d["line"], "name": d["name"]} for d in data}.values())

    def span(low: str, high: str) -> Spec:
        return {"x": {**x, "field": low}, "x2": {"field": high}, "y": y}

    tick = {"x": {**x, "field": "before"}, "y": {**y, "field": "top"}, "y2": {"field": "bottom"}}
    text = {"x": {"value": 2}, "y": y, "text": {"field": "name"}}
    styles = {m: series_style(i) for i, m in enumerate(methods)}
    return spec(
        [
            layer(heads[1:], "rule", {"y": {**y, "field": "line"}}, color=GRID),
            layer(known(data, "before", "after"), "rule", tinted(span("before", "after")), strokeWidth=1, opacity=0.5),
            layer(known(data, "low", "high"), "rule", tinted(span("low", "high")), strokeWidth=2.2),
            layer(known(data, "before"), "rule", tick, color=INK, strokeWidth=2),
            points(known(data, "after"), {**x, "field": "after"}, y, "method", styles, columns=4),
            *haloed(heads, text, align="left", fontWeight="bold"),
        ],
        400,
        height + 78,
    )
