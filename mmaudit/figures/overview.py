"""Every condition on one page: the change of the primary metric against clean, worst first (a forest plot)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmaudit.figures.base import (
    FAMILIES,
    GRID,
    INK,
    MUTED,
    Column,
    Figure,
    Panel,
    Spec,
    Table,
    badness,
    domain,
    mde_cell,
    p_cell,
    rows,
    scaled,
    spec,
    text_cell,
    value_cell,
    words,
)
from mmaudit.formats import change, change_unit, interval, measure, plain, readable, shorten
from mmaudit.report import Measured, Report
from mmaudit.types import Score

LIMIT = 60
Entry = tuple[Measured, Score]


def ranked(report: Report) -> list[Entry]:
    """All conditions but the clean one with their primary score, largest loss first, undefined ones last."""
    found: list[Entry] = []
    for m in report.conditions:
        score = report.score(m.condition.key, report.primary.name)
        if m.condition.family != "clean" and score is not None:
            found.append((m, score))
    return sorted(found, key=lambda e: (not math.isfinite(badness(e[1])), -_or_zero(badness(e[1])), e[1].label))


def overview(report: Report) -> tuple[Figure, ...]:
    """One figure: every condition's change against clean with interval, sorted, by family.

    At most `LIMIT` conditions are drawn, the worst; the table has all.
    """
    entries = ranked(report)
    drawn = [e for e in entries if math.isfinite(e[1].delta)][:LIMIT]
    if not entries:
        return ()
    m = report.primary
    words_left = f" Drawn are the {len(drawn)} largest losses of {len(entries)}; the table has all." if len(drawn) < len(entries) else ""
    caption = (
        f"Change of {readable(m.name)} against the clean samples with its 95 % interval, paired sample by sample. "
        "The grey bar around 0 is what this audit could not have seen (minimum detectable effect): an interval inside "
        f"it means “no change found”, not “no change”. The dotted line is where chance begins.{words_left}"
    )
    panels: tuple[Panel, ...] = ()
    if drawn:
        alt = (
            f"{len(drawn)} conditions, from {words(drawn[0][0].condition)} ({change(drawn[0][1].delta, math.nan, math.nan, m.unit)}) "
            f"to {words(drawn[-1][0].condition)} ({change(drawn[-1][1].delta, math.nan, math.nan, m.unit)}). All numbers are in the table."
        )
        panels = (
            Panel("", alt, _wide(report, drawn), "full", "wide"),
            Panel("", alt, _narrow(report, drawn), "full", "narrow"),
        )
    return (Figure("overview", "Every condition, worst first", caption, panels, _table(report, entries)),)


def _wide(report: Report, entries: Sequence[Entry]) -> Spec:
    return _forest(report, entries, pitch=19.0, plot=430, left=250, right=150, stacked=False)


def _narrow(report: Report, entries: Sequence[Entry]) -> Spec:
    return _forest(report, entries, pitch=33.0, plot=326, left=0, right=0, stacked=True)


def _forest(
    report: Report, entries: Sequence[Entry], pitch: float, plot: float, left: float, right: float, stacked: bool
) -> Spec:
    """Rows of one condition each; `stacked` puts the words above the interval instead of beside it."""
    m = report.primary
    data = []
    for i, (measured, score) in enumerate(entries):
        c = measured.condition
        numbers = f"{plain(scaled(score.delta, m.unit) or 0.0, _decimals(score), True)} {interval(score.delta_low, score.delta_high, m.unit, score.delta, True)}"
        data.append(
            {
                "row": i + (0.72 if stacked else 0.5),
                "label_row": i + 0.32 if stacked else i + 0.5,
                "delta": scaled(score.delta, m.unit),
                "low": scaled(score.delta_low, m.unit),
                "high": scaled(score.delta_high, m.unit),
                "mde": scaled(abs(score.mde), m.unit),
                "mde_low": scaled(-abs(score.mde), m.unit),
                "zero": 0,
                "family": c.family,
                "label": shorten(words(c), 34 if stacked else 44),
                "numbers": numbers,
                "tip": f"{words(c)}: {change(score.delta, score.delta_low, score.delta_high, m.unit)}",
            }
        )
    clean = report.score(report.clean, m.name)
    floor = scaled(clean.floor - clean.value, m.unit) if clean is not None else None
    known = [d[k] for d in data for k in ("delta", "low", "high", "mde", "mde_low")] + [0.0]
    worst = max((abs(v) for v in known if isinstance(v, float)), default=1.0)
    # Chance is drawn where it is not so far away that it would squeeze everything else.
    floor = floor if floor is not None and abs(floor) <= 2.5 * worst else None
    limits = domain([*(v for v in known if not isinstance(v, str)), floor], "", 0.03)
    families = list(dict.fromkeys(str(d["family"]) for d in data))
    worse, better = ("← better", "worse →") if m.better == "lower" else ("← worse", "better →")
    sides = f"   ({worse} · {better})" if m.better != "neither" else ""
    title = f"change of {readable(m.name)}, {change_unit(m.unit) or 'in its own unit'}{sides}"
    x: Spec = {
        "type": "quantitative",
        "scale": {"domain": limits, "nice": False},
        "axis": {"title": title, "orient": "top", "format": "+~g", "tickCount": 5 if stacked else 7, "labelExpr": "replace(datum.label, '+0', '0')" if 0 else "datum.value === 0 ? '0' : datum.label"},
    }
    y: Spec = {"field": "row", "type": "quantitative", "scale": {"domain": [len(data), 0], "nice": False}, "axis": None}
    table = rows(data)
    layers: list[Spec] = []
    layers.append(
        {
            "data": rows([d for d in data if d["mde"] is not None]),
            "mark": {"type": "rule", "strokeWidth": 9, "color": MUTED, "opacity": 0.22, "aria": False},
            "encoding": {"x": {**x, "field": "mde_low"}, "x2": {"field": "mde"}, "y": y},
        }
    )
    layers.append(_vertical(0.0, x, [1, 0], INK))
    if floor is not None:
        layers.append(_vertical(floor, x, [2, 3], MUTED))
        layers.append(
            {
                "data": rows([{"x": floor, "text": "chance"}]),
                "mark": {"type": "text", "align": "left", "dx": 4, "dy": -5, "fontSize": 11, "color": MUTED, "aria": False},
                "encoding": {"x": {**x, "field": "x"}, "y": {"value": pitch * len(data)}, "text": {"field": "text"}},
            }
        )
    colour: Spec = {
        "field": "family",
        "type": "nominal",
        "scale": {"domain": families, "range": [_style(f)[0] for f in families]},
    }
    legend: Spec = {"labelFontSize": 12, "columns": 3 if stacked else 0}
    layers += [
        {
            "data": table,
            "mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.35, "aria": False},
            "encoding": {"x": {**x, "field": "zero"}, "x2": {"field": "delta"}, "y": y, "color": {**colour, "legend": None}},
        },
        {
            "data": rows([d for d in data if d["low"] is not None and d["high"] is not None]),
            "mark": {"type": "rule", "strokeWidth": 2.5, "aria": False},
            "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "color": {**colour, "legend": None}},
        },
        {
            "data": table,
            "mark": {"type": "point", "filled": True, "size": 44, "opacity": 1},
            "encoding": {
                "x": {**x, "field": "delta"},
                "y": y,
                "color": {**colour, "legend": legend},
                "shape": {
                    "field": "family",
                    "type": "nominal",
                    "scale": {"domain": families, "range": [_style(f)[1] for f in families]},
                    "legend": legend,
                },
                "description": {"field": "tip"},
            },
        },
    ]
    place = {**y, "field": "label_row"}
    for field, where, align, tone in (
        ("label", 0 if stacked else -12, "left" if stacked else "right", INK),
        ("numbers", plot if stacked else plot + 12, "right" if stacked else "left", MUTED),
    ):
        layers.append(
            {
                "data": table,
                "mark": {"type": "text", "align": align, "fontSize": 11.5, "color": tone, "limit": 0, "aria": False},
                "encoding": {"x": {"value": where}, "y": place, "text": {"field": field}},
            }
        )
    if stacked:
        lines = rows([{"row": i} for i in range(1, len(data))])
        layers.insert(
            0,
            {
                "data": lines,
                "mark": {"type": "rule", "color": GRID, "strokeWidth": 1, "aria": False},
                "encoding": {"y": {**y, "field": "row"}, "x": {"value": 0}, "x2": {"value": plot}},
            },
        )
    picture = spec(layers, plot, pitch * len(data))
    picture["autosize"] = {"type": "pad"}
    picture["padding"] = {"left": 4 if stacked else max(left - 240, 4), "right": 4, "top": 2, "bottom": 4}
    return picture


def _vertical(at: float, x: Spec, dash: list[int], colour: str) -> Spec:
    return {
        "data": rows([{"x": at}]),
        "mark": {"type": "rule", "color": colour, "strokeDash": dash, "opacity": 0.75, "aria": False},
        "encoding": {"x": {**x, "field": "x"}},
    }


def _style(family: str) -> tuple[str, str]:
    return FAMILIES.get(family, (INK, "triangle-up"))


def _decimals(score: Score) -> int:
    from mmaudit.formats import digits

    return digits(score.delta, score.unit)


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _table(report: Report, entries: Sequence[Entry]) -> Table:
    m = report.primary
    columns = (
        Column("condition", numeric=False),
        Column("family", numeric=False),
        Column(measure(m.name, m.unit, m.better)),
        Column("change against clean"),
        Column("adjusted p", note="Benjamini-Hochberg over all conditions and metrics"),
        Column("detectable change", note="minimum detectable effect: 80 % power at α = 0.05"),
        Column("share lost above chance"),
    )
    body = [
        (
            text_cell(words(e.condition)),
            text_cell(e.condition.family),
            value_cell(s),
            value_cell(s, "delta"),
            p_cell(s),
            mde_cell(s),
            value_cell(s, "lost"),
        )
        for e, s in entries
    ]
    return Table(columns, tuple(body))
