"""Curves of the primary metric: against severity, per modality and corruption, and against the missing rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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
    primary_title,
    text_cell,
    value_cell,
    variant,
    words,
)
from mmaudit.figures.marks import (
    DASHES,
    DOTTED,
    INK,
    MUTED,
    SOLID,
    Spec,
    domain,
    known,
    layer,
    points,
    reference_line,
    scaled,
    series_style,
    spec,
)
from mmaudit.formats import estimate, number, readable, shorten
from mmaudit.report import Report
from mmaudit.types import Condition, Score

Curve = list[tuple[Condition, Score]]
# With this many panels or fewer, all modalities share one figure.
TOGETHER = 6


def severity_curves(report: Report) -> tuple[Figure, ...]:
    """One panel per modality and corruption, one curve per variant of it; one figure per modality where there are many.

    Each panel has the 95 % band, the clean line and the chance floor; all panels share the scale of the metric.
    """
    groups: dict[tuple[str, ...], dict[str, dict[str, Curve]]] = {}
    for c, score in _points_of(report, missing=False):
        groups.setdefault(c.modalities, {}).setdefault(c.probe, {}).setdefault(variant(c), []).append((c, score))
    all_curves = [curve for probes in groups.values() for curves in probes.values() for curve in curves.values()]
    limits = shared_limits(report, (s for curve in all_curves for _, s in curve))
    parts = []
    for modalities, probes in groups.items():
        name = " + ".join(shorten(m, 30) for m in modalities) or "all modalities"
        panels = [severity_panel(report, probe, name, curves, limits) for probe, curves in probes.items()]
        parts.append(
            (name, panels, [p for curves in probes.values() for curve in curves.values() for p in ordered(curve)])
        )
    if not parts:
        return ()
    if sum(len(panels) for _, panels, _ in parts) <= TOGETHER:
        parts = [("", [p for _, panels, _ in parts for p in panels], [p for _, _, part in parts for p in part])]
    return tuple(
        Figure(
            id=f"severity-{i}",
            title=f"Corrupting {name}" if name else "One modality corrupted at a time",
            caption=_severity_caption(report) if i == 1 else "",
            panels=tuple(panels),
            table=curve_table(report, rows),
        )
        for i, (name, panels, rows) in enumerate(parts, 1)
    )


def missing_rates(report: Report) -> tuple[Figure, ...]:
    """One figure: per modality, the primary metric against the share of samples in which it is missing."""
    groups: dict[tuple[str, ...], dict[str, Curve]] = {}
    for c, score in _points_of(report, missing=True):
        if c.probe == "missing_pattern":  # one point, and no rate of anything
            continue
        groups.setdefault(c.modalities, {}).setdefault(variant(c), []).append((c, score))
    if not groups:
        return ()
    limits = shared_limits(report, (s for curves in groups.values() for curve in curves.values() for _, s in curve))
    panels = []
    for modalities, curves in groups.items():
        name = " + ".join(shorten(m, 22) for m in modalities)
        placed = {k: [(100 * float(c.severity or 0), c, s) for c, s in ordered(v)] for k, v in curves.items()}
        x = severity_axis(f"{name} missing (% of samples)", [0, 25, 50, 75, 100], {}, [0, 100])
        stand_in = ", ".join(k for k in curves if k)
        panels.append(
            curve_panel(
                report,
                f"{name} missing" + (f" · {stand_in}" if len(curves) == 1 and stand_in else ""),
                placed,
                x,
                limits,
            )
        )
    rows = [p for curves in groups.values() for curve in curves.values() for p in ordered(curve)]
    caption = (
        f"{capital(primary_title(report))} against the share of samples from which a modality was taken away: at "
        "random, or where it says so by what the sample holds. Samples that miss it at a low rate also miss it at "
        "every higher one, so the curve is paired."
    )
    return (Figure("missing-rates", "Missing in some samples", caption, tuple(panels), curve_table(report, rows)),)


def _severity_caption(report: Report) -> str:
    return (
        f"{capital(primary_title(report))} against severity; the shaded band is the 95 % interval. The solid line is "
        "the clean value, the dotted one what chance would reach. All panels share one scale."
    )


def _points_of(report: Report, missing: bool) -> Curve:
    found = [(c, s) for c, s in curve_points(report) if c.family not in ("mismatch", "scenario")]
    return [(c, s) for c, s in found if (c.family == "missing") == missing]


def curve_points(report: Report) -> Curve:
    """Every condition with a severity and its primary score; no controls."""
    found = []
    for m in report.conditions:
        c = m.condition
        score = report.score(m.key, report.primary.name)
        if c.severity is not None and score is not None and c.family not in ("clean", "control"):
            found.append((c, score))
    return found


def severity_panel(report: Report, probe: str, modality: str, curves: dict[str, Curve], limits: list[float]) -> Panel:
    """A panel against the severity of one probe, by position in its table where all have one."""
    members = [c for curve in curves.values() for c, _ in curve]
    unit = shorten(next((c.unit for c in members if c.unit), ""), 34)
    if all(c.position is not None for c in members):
        severities: dict[int, set[float]] = {}
        for c in members:
            severities.setdefault(c.position or 0, set()).add(float(c.severity or 0))
        # Two variants with different tables share only the position; then the severities stand in the table alone.
        one_table = all(len(v) == 1 for v in severities.values())
        below = {float(k): min(v) for k, v in severities.items()} if one_table else {}
        title = f"severity ({unit})" if below and unit else "severity (position 1 to 5)"
        below = {} if all(k == v for k, v in below.items()) else below
        x = severity_axis(title, [0.0, *map(float, sorted(severities))], below, [0.0, float(max(severities))])
        placed = {k: [(float(c.position or 0), c, s) for c, s in ordered(v)] for k, v in curves.items()}
    else:
        values = [float(c.severity or 0) for c in members]
        x = severity_axis(f"severity ({unit})" if unit else "severity", None, {}, [min(0.0, *values), max(values)])
        placed = {k: [(float(c.severity or 0), c, s) for c, s in ordered(v)] for k, v in curves.items()}
    return curve_panel(report, f"{readable(probe.split('.', 1)[-1])} · {modality}", placed, x, limits)


def curve_panel(
    report: Report, title: str, curves: dict[str, list[tuple[float, Condition, Score]]], x: Spec, limits: list[float]
) -> Panel:
    """A panel of curves with their bands, from clean on, the clean line and the chance floor."""
    clean = report.score(report.clean, report.primary.name)
    unit = report.primary.unit
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        "axis": {"title": axis_title(report), "tickCount": 5},
        "scale": {"domain": limits, "nice": True},
    }
    layers = _references(clean, unit, limits, x, y, [s for curve in curves.values() for _, _, s in curve[-2:]])
    everything: list[dict[str, Any]] = []
    styles = {name or "as defined": series_style(i) for i, name in enumerate(curves)}
    for i, (name, members) in enumerate(curves.items()):
        data = [_datum(0.0, clean, "clean", name, unit)] if clean is not None else []
        data += [_datum(at, s, words(c), name, unit) for at, c, s in members]
        colour = series_style(i)[0]
        band = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
        layers.append(layer(known(data, "low", "high"), "area", band, color=colour, fillOpacity=0.18))
        layers.append(
            layer(data, "line", {"x": x, "y": y}, color=colour, strokeWidth=2, strokeDash=DASHES[i % len(DASHES)])
        )
        everything += data
    layers.append(points(everything, x, y, "series", styles, columns=2))
    ends = [
        f"{name + ': ' if name else ''}{number(members[-1][2].value, unit)} at the strongest"
        for name, members in curves.items()
    ]
    alt = (
        f"{readable(report.primary.name)}, {title}: clean {number(clean.value, unit) if clean else 'not measured'}; "
        f"{'; '.join(ends)}. All numbers are in the table."
    )
    return Panel(title, alt, spec(layers, 290, 218))


def _references(
    clean: Score | None, unit: str, limits: list[float], x: Spec, y: Spec, ends: Sequence[Score]
) -> list[Spec]:
    """The clean line, labelled at its right end, and the chance line, labelled at its left, where curves rarely are."""
    layers: list[Spec] = []
    start, end = x["scale"]["domain"]
    below = clean is not None and mostly_above(clean, ends)
    for name, value, dash, colour, at, align, under in (
        ("clean", clean.value if clean else math.nan, SOLID, INK, end, "right", below),
        ("chance", clean.floor if clean else math.nan, DOTTED, MUTED, start, "left", False),
    ):
        place = scaled(value, unit)
        if place is None or not limits[0] <= place <= limits[1]:
            continue
        layers.append(reference_line("y", place, y, dash, colour))
        layers.append(
            layer(
                [{"x": at, "value": place, "text": f"{name} {number(value, unit)}"}],
                "text", {"x": x, "y": y, "text": {"field": "text"}},
                align=align, baseline="top" if under else "bottom", dy=3 if under else -3, fontSize=11, color=colour,
            )
        )  # fmt: skip
    return layers


def mostly_above(clean: Score, ends: Sequence[Score]) -> bool:
    """Whether curves end above the clean line more than below it: its label then stands under the line."""
    known = [s for s in ends if math.isfinite(s.value)]
    above = max((s.value for s in known), default=clean.value) - clean.value
    beneath = clean.value - min((s.value for s in known), default=clean.value)
    # Curves that stay on the line are expected to leave it towards chance.
    return above > beneath if above != beneath else clean.better == "lower"


def severity_axis(title: str, ticks: Sequence[float] | None, below: dict[float, float], span: list[float]) -> Spec:
    """The axis of severities, or of shares; `below` gives what stands under a tick."""
    settings: Spec = {"grid": False, "title": title}
    if ticks is not None:
        settings["values"] = list(ticks)
        # Only numbers enter the expression, never a text from outside.
        label = "format(datum.value, '~g')"
        for tick, severity in below.items():
            label = f"datum.value === {tick:g} ? ['{tick:g}', '{severity:g}'] : {label}"
        settings["labelExpr"] = label if span[1] > 10 else f"datum.value === 0 ? 'clean' : {label}"
    return {"field": "x", "type": "quantitative", "axis": settings, "scale": {"domain": span, "nice": False}}


def _datum(at: float, score: Score, what: str, series: str, unit: str) -> dict[str, Any]:
    return {
        "x": at,
        "value": scaled(score.value, unit),
        "low": scaled(score.low, unit),
        "high": scaled(score.high, unit),
        "series": series or "as defined",
        "tip": f"{what}: {estimate(score.value, score.low, score.high, unit)}",
    }


def ordered(curve: Curve) -> Curve:
    """A curve by increasing severity."""
    # A condition without severity is the end of its curve: every sample.
    return sorted(curve, key=lambda p: (p[0].position or 0, math.inf if p[0].severity is None else p[0].severity))


def shared_limits(report: Report, scores: Iterable[Score]) -> list[float]:
    """The scale of the primary metric that all panels of a figure share."""
    unit = report.primary.unit
    clean = report.score(report.clean, report.primary.name)
    values = [v for s in scores for v in (s.low, s.high, s.value)]
    values += [clean.value, clean.floor, clean.high] if clean else []
    return domain((scaled(v, unit) for v in values), unit, 0.07)


def capital(text: str) -> str:
    """Text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def curve_table(report: Report, rows: Curve) -> Table:
    """The clean row, then one row per point of the curves."""
    columns = (Column("condition", numeric=False), Column("severity"), Column("n"), *comparison_columns(report))
    clean = report.score(report.clean, report.primary.name)
    body = (
        [] if clean is None else [(text_cell("clean"), Cell("0", 0.0), count_cell(clean.n), *comparison_cells(clean))]
    )
    body += [(text_cell(words(c)), severity_cell(c), count_cell(s.n), *comparison_cells(s)) for c, s in rows]
    return Table(columns, tuple(body))


def severity_cell(c: Condition) -> Cell:
    """A cell with a condition's severity and its unit."""
    if c.severity is None:
        return text_cell("none")
    text = number(c.severity, "share") if c.unit == "share" else f"{c.severity:g} {shorten(c.unit, 40)}".strip()
    return Cell(text, c.severity)


def scenario_curves(report: Report) -> tuple[Figure, ...]:
    """One figure: per scenario the primary metric against its severity, hit together and separately.

    The table says what the correlation between the modalities costs: together minus separately.
    """
    groups: dict[tuple[str, tuple[str, ...]], dict[str, Curve]] = {}
    for c, score in curve_points(report):
        if c.family == "scenario":
            series = {"shared": "together", "independent": "separately"}.get(c.option("latent") or "", variant(c))
            name = f"{series}, repeat {c.repeat}" if c.repeat else series
            groups.setdefault((c.probe, c.modalities), {}).setdefault(name, []).append((c, score))
    if not groups:
        return ()
    limits = shared_limits(report, (s for curves in groups.values() for curve in curves.values() for _, s in curve))
    panels = []
    clean = report.score(report.clean, report.primary.name)
    body = [] if clean is None else [(text_cell("clean"), count_cell(clean.n), *comparison_cells(clean), text_cell(""))]
    for (probe, modalities), curves in groups.items():
        panels.append(severity_panel(report, probe, " + ".join(shorten(m, 22) for m in modalities), curves, limits))
        apart = {(c.severity, c.repeat): c for c, _ in curves.get("separately", ())}
        for c, s in (p for curve in curves.values() for p in ordered(curve)):
            other = apart.get((c.severity, c.repeat)) if c.option("latent") == "shared" else None
            effect = report.score(c.key, report.primary.name, against=other.key) if other else None
            cell = value_cell(effect, "delta") if effect else text_cell("")
            body.append((text_cell(words(c)), count_cell(s.n), *comparison_cells(s), cell))
    caption = (
        f"{capital(primary_title(report))} against the severity of a scenario; the shaded band is the 95 % interval. "
        "Together: one severity drives every modality of a sample, so the samples that are hit hard are hit hard in "
        "all. Separately: every modality draws its own, from the same distribution; the gap between the two "
        "curves is what the correlation does."
    )
    columns = (
        Column("condition", numeric=False),
        Column("n"),
        *comparison_columns(report),
        Column("together minus separately"),
    )
    table = Table(columns, tuple(body))
    return (Figure("scenario-curves", "Several modalities at once", caption, tuple(panels), table),)
