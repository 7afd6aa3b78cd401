"""Tolerance curves: the primary metric against how far a sequence is out of step, earlier and later on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mmaudit.figures.base import (
    Cell,
    Column,
    Figure,
    Panel,
    Table,
    axis_title,
    comparison_cells,
    comparison_columns,
    count_cell,
    number_cell,
    primary_title,
    text_cell,
    words,
)
from mmaudit.figures.marks import (
    BLUE,
    DASHED,
    DOTTED,
    INK,
    MUTED,
    RED,
    SOLID,
    Spec,
    domain,
    haloed,
    known,
    layer,
    points,
    reference_line,
    scaled,
    significant,
    spec,
)
from mmaudit.formats import DASH, digits, estimate, number, plain, readable, shorten
from mmaudit.report import Report
from mmaudit.types import Condition, Score

Point = tuple[float, Condition, Score]
# As the report names them; charts know nothing of what measured them (mmaudit/desync.py).
PROBES = ("temporal_shift", "temporal_shift_samples")
HALF_WIDTH, ASYMMETRY = "tolerance_half_width", "tolerance_asymmetry"
# Straight lines between shifts are drawn on an axis that is not straight, so each is cut into this many pieces.
PIECES = 8
EARLY, LATE = 45, 125


def tolerance(report: Report) -> tuple[Figure, ...]:
    """One figure: a panel per sequence, with band, chance, and the half-width marked in both directions."""
    curves: dict[str, list[Point]] = {}
    for m in report.conditions:
        c, score = m.condition, report.score(m.key, report.primary.name)
        if c.probe in PROBES and c.severity is not None and score is not None and not c.repeat:
            sign = -1 if c.option("direction") == "earlier" else 1
            curves.setdefault(curve_name(c, ""), []).append((sign * c.severity, c, score))
    if not curves:
        return ()
    clean = report.score(report.clean, report.primary.name)
    unit = report.primary.unit
    values = [v for curve in curves.values() for _, _, s in curve for v in (s.low, s.high, s.value)]
    values += [clean.value, clean.high, clean.floor] if clean else []
    limits = domain((scaled(v, unit) for v in values), unit, 0.07)
    panels, body = [], []
    if clean is not None:
        body.append((text_cell("clean"), Cell("0", 0.0), count_cell(clean.n), *comparison_cells(clean)))
    for name, curve in curves.items():
        curve.sort(key=lambda p: p[0])
        widths = {d: _summary(report, curve_name(curve[0][1], d), HALF_WIDTH) for d in ("earlier", "later")}
        panels.append(_panel(report, curve, clean, widths, limits))
        body += [
            (
                text_cell(words(c)),
                Cell(f"{plain(at, 6).rstrip('0').rstrip('.')} {c.unit}", at),
                count_cell(s.n),
                *comparison_cells(s),
            )
            for at, c, s in curve
        ]
        body += _width_rows(curve[0][1], widths, _summary(report, name, ASYMMETRY))
    columns = (
        Column("condition", numeric=False),
        Column("shift", note="below 0 the sequence comes too early, above 0 too late; or the half-width"),
        Column("n"),
        *comparison_columns(report),
    )
    title = "Out of step: how much delay or lead is tolerated"
    return (Figure("tolerance", title, _caption(report, curves, clean), tuple(panels), Table(columns, tuple(body))),)


def curve_name(c: Condition, direction: str) -> str:
    """What scores call the tolerance curve of a condition: in one direction, or both where it is empty."""
    name = c.label.rsplit("@", 1)[0]
    own = f", direction={c.option('direction')}"
    return name.replace(own, f", direction={direction}" if direction else "")


def width_text(score: Score | None) -> str:
    """A half-width in words: `386 ms [355, > 640]`, or that it was not reached."""
    if score is None:
        return "not measured"
    if not math.isfinite(score.value):
        return "not reached" if score.reason.startswith("not reached") else f"{DASH} ({score.reason})"
    if math.isfinite(score.high) or not math.isfinite(score.low):
        return estimate(score.value, score.low, score.high, score.unit)
    places = digits(score.unit, score.value)
    low = plain(score.low, places)
    return f"{number(score.value, score.unit, decimals=places)} [{low}, beyond the largest shift]"


def _summary(report: Report, label: str, metric: str) -> Score | None:
    return next((s for s in report.rows if s.metric == metric and s.label == label and not s.group), None)


def _caption(report: Report, curves: dict[str, list[Point]], clean: Score | None) -> str:
    text = (
        f"{primary_title(report)[:1].upper()}{primary_title(report)[1:]} against a time shift: left of 0 the sequence "
        "comes too early, right of 0 too late; the shaded band is the 95 % interval. A diamond marks the half-width, "
        "the shift at which half of what is above chance is lost, its bar the interval. What comes in at the end that "
        "opens is silence, or the outermost value for sensors."
    )
    conditions = [curve[0][1] for curve in curves.values()]
    if any(c.option("relative_to") == "static" for c in conditions):
        text += (
            " Where no other modality runs in time, nothing is out of step: the curve then shows robustness to a "
            "late or early start."
        )
    kinds = {m["kind"] for m in report.document["data"]["modalities"]}
    if "audio" in kinds and any(c.unit == "ms" for c in conditions):
        text += (
            f" People begin to notice sound out of step with a picture at {EARLY} ms too early and {LATE} ms too "
            "late (ITU-R BT.1359-1)."
        )
    return text


def _width_rows(c: Condition, widths: dict[str, Score | None], asymmetry: Score | None) -> list[tuple[Cell, ...]]:
    names = " + ".join(shorten(m, 24) for m in c.modalities)
    rest = (Cell(""),) * 5
    rows: list[tuple[Cell, ...]] = []
    for direction, score in widths.items():
        if score is None:
            continue
        cell = (
            Cell(width_text(score), score.value)
            if math.isfinite(score.value)
            else number_cell(score.value, reason=score.reason)
        )
        rows.append((text_cell(f"half-width, {names} {direction}"), cell, count_cell(score.n), *rest))
    if asymmetry is not None:
        value = asymmetry.value
        text = estimate(value, asymmetry.low, asymmetry.high)
        cell = Cell(text, value) if math.isfinite(value) else number_cell(value, reason=asymmetry.reason)
        rows.append((text_cell(f"asymmetry of {names} (later − earlier) / sum"), cell, count_cell(asymmetry.n), *rest))
    return rows


def _panel(
    report: Report, curve: Sequence[Point], clean: Score | None, widths: dict[str, Score | None], limits: list[float]
) -> Panel:
    c, unit = curve[0][1], report.primary.unit
    name = " + ".join(shorten(m, 24) for m in c.modalities)
    x = _x(name, [at for at, _, _ in curve], c.unit)
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        "axis": {"title": axis_title(report), "tickCount": 5},
        "scale": {"domain": limits, "nice": True},
    }
    data = [_datum(at, s, words(m), unit) for at, m, s in curve]
    if clean is not None:
        data = sorted([*data, _datum(0.0, clean, "clean", unit)], key=lambda d: float(d["x"]))
    layers = _levels(clean, unit, limits, x, y)
    fine = _fine(data)
    band = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
    layers.append(layer(known(fine, "low", "high"), "area", band, color=BLUE, fillOpacity=0.18))
    layers.append(layer(fine, "line", {"x": x, "y": y}, color=BLUE, strokeWidth=2))
    layers.append(points(data, x, y, "series", {"": (BLUE, "circle")}))
    if clean is not None:
        layers += _marks(widths, (clean.value + clean.floor) / 2, unit, x, y)
    said = "; ".join(f"half-width {d} {width_text(s)}" for d, s in widths.items())
    others = c.option("relative_to") or "the rest"
    beside = "" if others == "static" else f" against {shorten(others, 24)}"
    alt = (
        f"{readable(report.primary.name)} against a time shift of {name}{beside}: {said}. All numbers are in the table."
    )
    return Panel(f"{name}{beside}", alt, spec(layers, 440, 270), "half")


def _x(name: str, shifts: Sequence[float], unit: str) -> Spec:
    """A signed axis that gives small shifts room: linear up to the smallest one, logarithmic beyond."""
    smallest = min(abs(s) for s in shifts)
    ends = [significant(min(0.0, *shifts)), significant(max(0.0, *shifts))]
    ticks = [0.0]
    for side in ([s for s in shifts if s > 0], [s for s in reversed(shifts) if s < 0]):
        # From the outermost inwards every second one, so that labels do not meet.
        ticks += side[::-1][::2]
    label = "format(datum.value, '~g')"  # the axis' own format would round to one digit
    title = f"← {name} too early · shift ({unit}) · too late →"
    return {
        "field": "x",
        "type": "quantitative",
        "axis": {"grid": False, "title": title, "values": sorted(map(significant, ticks)), "labelExpr": label},
        "scale": {"type": "symlog", "constant": significant(smallest), "domain": ends, "nice": False},
    }


def _levels(clean: Score | None, unit: str, limits: list[float], x: Spec, y: Spec) -> list[Spec]:
    layers: list[Spec] = []
    if clean is None:
        return layers
    start = x["scale"]["domain"][0]
    # Below the peak in the middle there is room; the clean line has it at its end.
    half = (clean.value + clean.floor) / 2
    for name, value, dash, colour in (
        ("clean", clean.value, SOLID, INK),
        ("half", half, DASHED, MUTED),
        ("chance", clean.floor, DOTTED, MUTED),
    ):
        place = scaled(value, unit)
        if place is None or not limits[0] <= place <= limits[1]:
            continue
        layers.append(reference_line("y", place, y, dash, colour))
        text = {"x": x, "y": y, "text": {"field": "text"}}
        at, align = (start, "left") if name == "clean" else (0.0, "center")
        datum = {"x": at, "value": place, "text": f"{name} {number(value, unit)}"}
        layers.append(layer([datum], "text", text, align=align, baseline="bottom", dy=-3, fontSize=11, color=colour))
    return layers


def _marks(widths: dict[str, Score | None], half: float, unit: str, x: Spec, y: Spec) -> list[Spec]:
    """A diamond with its interval where each half-width meets the half level; an open end reaches the axis' end."""
    level = scaled(half, unit)
    layers: list[Spec] = []
    if level is None:
        return layers
    start, end = x["scale"]["domain"]
    bars, dots, labels = [], [], []
    for direction, score in widths.items():
        if score is None:
            continue
        sign = -1 if direction == "earlier" else 1
        outer = start if sign < 0 else end
        if math.isfinite(score.low):
            high = sign * score.high if math.isfinite(score.high) else outer
            bars.append({"x": significant(sign * score.low), "to": significant(high), "value": level})
        if math.isfinite(score.value):
            dots.append({"x": significant(sign * score.value), "value": level})
            text = number(score.value, score.unit)
            labels.append({"x": significant(sign * score.value), "value": level, "text": text})
    if bars:
        span = {"x": x, "x2": {"field": "to"}, "y": y}
        layers.append(layer(bars, "rule", span, color=RED, strokeWidth=6, opacity=0.4))
    if dots:
        layers.append(
            layer(dots, "point", {"x": x, "y": y}, color=RED, shape="diamond", size=110, filled=True, opacity=1)
        )
        layers += haloed(labels, {"x": x, "y": y, "text": {"field": "text"}}, baseline="bottom", dy=-9, fontSize=11)
    return layers


def _fine(data: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same points with more between them, on straight lines."""
    fine: list[dict[str, Any]] = []
    for one, other in pairwise(data):
        for i in range(PIECES):
            part = i / PIECES
            fine.append(
                {"x": significant(one["x"] + part * (other["x"] - one["x"]))}
                | {
                    k: None if one[k] is None or other[k] is None else significant(one[k] + part * (other[k] - one[k]))
                    for k in ("value", "low", "high")
                }
            )
    return [*fine, {k: data[-1][k] for k in ("x", "value", "low", "high")}]


def _datum(at: float, score: Score, what: str, unit: str) -> dict[str, Any]:
    return {
        "x": significant(at),
        "value": scaled(score.value, unit),
        "low": scaled(score.low, unit),
        "high": scaled(score.high, unit),
        "series": "",
        "tip": f"{what}: {estimate(score.value, score.low, score.high, unit)}",
    }
