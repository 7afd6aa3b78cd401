"""Curves of the primary metric: against severity, per modality and corruption, and against the missing rate."""

from __future__ import annotations

import math
from typing import Any

from mmaudit.figures.base import (
    BLUE,
    DASHES,
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
    axis,
    domain,
    mde_cell,
    p_cell,
    rows,
    scaled,
    spec,
    text_cell,
    value_cell,
    variant,
    words,
    y_title,
)
from mmaudit.formats import estimate, measure, number, readable, shorten
from mmaudit.report import Report
from mmaudit.types import Condition, Score

Curve = list[tuple[Condition, Score]]


def severity_curves(report: Report) -> tuple[Figure, ...]:
    """One figure per modality (or set of modalities), one panel per corruption, one curve per variant of it.

    Each panel has the 95 % band, the clean line and the chance floor; all panels share the scale of the metric.
    """
    groups: dict[tuple[str, ...], dict[str, dict[str, Curve]]] = {}
    for c, score in _curve_points(report, rate=False):
        groups.setdefault(c.modalities, {}).setdefault(c.probe, {}).setdefault(variant(c), []).append((c, score))
    everything = [s for probes in groups.values() for curves in probes.values() for k in curves.values() for _, s in k]
    limits = _limits(report, everything)
    figures = []
    for modalities, probes in groups.items():
        name = " + ".join(shorten(m, 40) for m in modalities) or "all modalities"
        panels = tuple(_severity_panel(report, probe, curves, limits) for probe, curves in probes.items())
        points = [p for curves in probes.values() for curve in curves.values() for p in _ordered(curve)]
        figures.append(
            Figure(
                id=f"severity-{len(figures) + 1}",
                title=f"Corrupting {name}",
                caption=(
                    f"{_metric_words(report)} against severity; the shaded band is the 95 % interval. The solid line is "
                    "the clean value, the dotted line what chance would reach. A corruption that matters falls away "
                    "from the solid line; one that destroys meets the dotted one."
                ),
                panels=panels,
                table=_table(report, points),
            )
        )
    return tuple(figures)


def missing_rates(report: Report) -> tuple[Figure, ...]:
    """One figure: per modality, the primary metric against the share of samples in which it is missing."""
    groups: dict[tuple[str, ...], dict[str, Curve]] = {}
    for c, score in _curve_points(report, rate=True):
        groups.setdefault(c.modalities, {}).setdefault(variant(c), []).append((c, score))
    if not groups:
        return ()
    everything = [s for curves in groups.values() for curve in curves.values() for _, s in curve]
    limits = _limits(report, everything)
    panels = []
    for modalities, curves in groups.items():
        name = " + ".join(shorten(m, 28) for m in modalities)
        x = _x_axis(f"samples without {name} (%, chosen at random)", [0, 25, 50, 75, 100], {}, [0, 100])
        points = {k: [(100 * float(c.severity or 0), c, s) for c, s in _ordered(v)] for k, v in curves.items()}
        panels.append(_panel(report, f"{name} missing", points, x, limits))
    points_all = [p for curves in groups.values() for curve in curves.values() for p in _ordered(curve)]
    return (
        Figure(
            id="missing-rates",
            title="Missing in some samples",
            caption=(
                f"{_metric_words(report)} against the share of samples from which a modality was taken away at random; "
                "the shaded band is the 95 % interval. Samples missing at a low rate are also missing at every higher one."
            ),
            panels=tuple(panels),
            table=_table(report, points_all),
        ),
    )


def _curve_points(report: Report, rate: bool) -> Curve:
    out = []
    for m in report.conditions:
        c = m.condition
        score = report.score(c.key, report.primary.name)
        if c.severity is None or c.family in ("clean", "control") or score is None:
            continue
        if (c.family == "missing") == rate:
            out.append((c, score))
    return out


def _severity_panel(report: Report, probe: str, curves: dict[str, Curve], limits: list[float]) -> Panel:
    name = readable(probe.split(".", 1)[-1])
    members = [c for curve in curves.values() for c, _ in curve]
    unit = shorten(next((c.unit for c in members if c.unit), ""), 40)
    placed = all(c.position is not None for c in members)
    if placed:
        severities: dict[float, set[float]] = {}
        for c in members:
            severities.setdefault(float(c.position or 0), set()).add(float(c.severity or 0))
        # Two variants with different tables share only the position; then the severities stand in the table alone.
        below = {k: f"{min(v):g}" for k, v in severities.items() if len(v) == 1}
        below = below if len(below) == len(severities) else {}
        title = f"severity (position; {unit} below)" if below and unit else "severity (position 1–5)"
        ticks = [0.0, *sorted(severities)]
        x = _x_axis(title, ticks, below, [0, max(ticks)])
        points = {k: [(float(c.position or 0), c, s) for c, s in _ordered(v)] for k, v in curves.items()}
    else:
        values = sorted({float(c.severity or 0) for c in members})
        x = _x_axis(f"severity ({unit})" if unit else "severity", None, {}, [min(0.0, values[0]), values[-1]])
        points = {k: [(float(c.severity or 0), c, s) for c, s in _ordered(v)] for k, v in curves.items()}
    return _panel(report, name, points, x, limits)


def _panel(
    report: Report, title: str, curves: dict[str, list[tuple[float, Condition, Score]]], x: Spec, limits: list[float]
) -> Panel:
    clean = report.score(report.clean, report.primary.name)
    unit = report.primary.unit
    many = len(curves) > 1
    y: Spec = {"field": "value", "type": "quantitative", "axis": axis(y_title(report), tickCount=5), "scale": {"domain": limits, "nice": True}}
    layers = _reference_lines(clean, unit, limits, x["scale"]["domain"])
    names = [name or "as defined" for name in curves]
    all_points: list[dict[str, Any]] = []
    for i, (name, points) in enumerate(curves.items()):
        data = [_point(0.0, clean, "clean", name, unit)] if clean is not None else []
        data += [_point(at, s, words(c), name, unit) for at, c, s in points]
        colour = SERIES[i % len(SERIES)]
        layers.append(
            {
                "data": rows([d for d in data if d["low"] is not None and d["high"] is not None]),
                "mark": {"type": "area", "color": colour, "fillOpacity": 0.16, "aria": False},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            }
        )
        layers.append(
            {
                "data": rows(data),
                "mark": {"type": "line", "color": colour, "strokeWidth": 2, "strokeDash": DASHES[i % len(DASHES)], "aria": False},
                "encoding": {"x": x, "y": y},
            }
        )
        all_points += data
    shared: Spec = {"field": "series", "type": "nominal", "sort": None}
    legend: Spec = {"columns": 2} if many else None  # type: ignore[assignment]
    layers.append(
        {
            "data": rows(all_points),
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "color": {**shared, "scale": {"domain": names, "range": [SERIES[i % len(SERIES)] for i in range(len(names))]}, "legend": legend},
                "shape": {**shared, "scale": {"domain": names, "range": [SHAPES[i % len(SHAPES)] for i in range(len(names))]}, "legend": legend},
                "description": {"field": "tip"},
            },
        }
    )
    return Panel(title, _alt(report, title, clean, curves), spec(layers, 300, 225 if many else 210))


def _reference_lines(clean: Score | None, unit: str, limits: list[float], span: list[float]) -> list[Spec]:
    layers: list[Spec] = []
    for name, value, dash, colour, at, align in (
        ("clean", clean.value if clean else math.nan, [1, 0], INK, span[1], "right"),
        ("chance", clean.floor if clean else math.nan, [2, 3], MUTED, span[0], "left"),
    ):
        y = scaled(value, unit)
        if y is None or not limits[0] <= y <= limits[1]:
            continue
        text = f"{name} {number(value, unit)}"
        layers.append(
            {
                "data": rows([{"value": y}]),
                "mark": {"type": "rule", "color": colour, "strokeDash": dash, "strokeWidth": 1, "opacity": 0.75, "aria": False},
                "encoding": {"y": {"field": "value", "type": "quantitative"}},
            }
        )
        layers.append(
            {
                "data": rows([{"x": at, "value": y, "text": text}]),
                "mark": {"type": "text", "align": align, "baseline": "bottom", "dy": -3, "fontSize": 11, "color": colour, "aria": False},
                "encoding": {
                    "x": {"field": "x", "type": "quantitative"},
                    "y": {"field": "value", "type": "quantitative"},
                    "text": {"field": "text"},
                },
            }
        )
    return layers


def _x_axis(title: str, ticks: list[float] | None, below: dict[float, str], span: list[float]) -> Spec:
    settings: Spec = {"grid": False, "title": title}
    if ticks is not None:
        settings["values"] = ticks
        # Only numbers written by this function enter the expression, never a text from outside.
        label = "format(datum.value, '~g')"
        for tick, text in below.items():
            label = f"datum.value === {tick:g} ? ['{tick:g}', '{float(text):g}'] : {label}"
        settings["labelExpr"] = label if span[1] > 10 else f"datum.value === 0 ? 'clean' : {label}"
        settings["labelFlush"] = False
    return {"field": "x", "type": "quantitative", "axis": settings, "scale": {"domain": span, "nice": False}}


def _point(at: float, score: Score, what: str, series: str, unit: str) -> dict[str, Any]:
    return {
        "x": at,
        "value": scaled(score.value, unit),
        "low": scaled(score.low, unit),
        "high": scaled(score.high, unit),
        "series": series or "as defined",
        "tip": f"{what}: {estimate(score.value, score.low, score.high, unit)}",
    }


def _ordered(curve: Curve) -> Curve:
    return sorted(curve, key=lambda p: (p[0].severity or 0.0, p[0].position or 0))


def _limits(report: Report, scores: list[Score]) -> list[float]:
    unit = report.primary.unit
    clean = report.score(report.clean, report.primary.name)
    known = [s.low for s in scores] + [s.high for s in scores] + [s.value for s in scores]
    known += [clean.value, clean.floor, clean.high] if clean else []
    return domain((scaled(v, unit) for v in known), unit, 0.07)


def _metric_words(report: Report) -> str:
    m = report.primary
    text = measure(m.name, m.unit, m.better)
    return text[0].upper() + text[1:]


def _alt(report: Report, title: str, clean: Score | None, curves: dict[str, list[tuple[float, Condition, Score]]]) -> str:
    unit = report.primary.unit
    start = f"clean {number(clean.value, unit)}" if clean else "clean not measured"
    ends = [
        f"{name + ': ' if name else ''}{number(points[-1][2].value, unit)} at the strongest severity" for name, points in curves.items()
    ]
    return f"{readable(report.primary.name)} under {title}: {start}; {'; '.join(ends)}. All numbers are in the table."


def _table(report: Report, points: Curve) -> Table:
    m = report.primary
    columns = (
        Column("condition", numeric=False),
        Column("severity"),
        Column("n"),
        Column(measure(m.name, m.unit, m.better)),
        Column(f"change against clean ({measure('', m.unit, '', change=True).strip(' ()') or 'same unit'})"),
        Column("adjusted p"),
        Column("detectable change"),
        Column("share lost above chance"),
    )
    body = []
    clean = report.score(report.clean, m.name)
    if clean is not None:
        body.append(_row(None, clean))
    body += [_row(c, s) for c, s in points]
    return Table(columns, tuple(body))


def _row(c: Condition | None, s: Score) -> tuple[Cell, ...]:
    severity = Cell("0", 0.0) if c is None else Cell(f"{c.severity:g} {c.unit}".strip(), c.severity)
    if c is not None and c.unit == "share":
        severity = Cell(number(float(c.severity or 0), "share"), c.severity)
    return (
        text_cell("clean" if c is None else words(c)),
        severity,
        Cell(str(s.n), float(s.n)),
        value_cell(s),
        value_cell(s, "delta"),
        p_cell(s),
        mde_cell(s),
        value_cell(s, "lost"),
    )


__all__ = ["BLUE", "missing_rates", "severity_curves"]
