"""Every condition in both runs: one run's value across, the other's up; on the diagonal they agree."""

from __future__ import annotations

import math
from typing import Any

from mmaudit.compared.result import CHANGE, VALUE, Comparison, Quantity
from mmaudit.compared.wording import side_name, value_text
from mmaudit.figures.base import Figure, Panel, Table, words
from mmaudit.figures.marks import (
    DOTTED,
    MUTED,
    Spec,
    domain,
    family_style,
    layer,
    points,
    scaled,
    spec,
    tinted,
)
from mmaudit.formats import measure, readable, shorten

SIZE = 380.0


def scatter(comparison: Comparison, other: int = 0) -> tuple[Figure, ...]:
    """One figure of two panels: values, and changes against clean data; none where nothing was compared."""
    first, its = side_name(comparison.first.name), side_name(comparison.others[other].name)
    m = comparison.primary
    panels = []
    for quantity, title in ((VALUE, "value"), (CHANGE, "change against the run's own clean data")):
        data = _data(comparison, other, quantity)
        if not data:
            continue
        better = {"higher": "above", "lower": "below"}.get(m.better, "")
        apart = f" {better} the diagonal {its} is better." if better else ""
        alt = f"{readable(m.name)}, {title}: {first} across, {its} up, {len(data)} conditions;{apart}"
        panels.append(Panel(title, alt, _spec(comparison, data, quantity, first, its), "half"))
    if not panels:
        return ()
    caption = (
        "Each mark is a condition, its thin lines are the 95 % intervals of either run. Paired differences are surer "
        "than these lines suggest: verdicts rest on the differences. On the dotted diagonal the runs agree."
    )
    return (Figure(f"scatter-{other}", "Both runs at a glance", caption, tuple(panels), Table((), ())),)


def _data(comparison: Comparison, other: int, quantity: Quantity) -> list[dict[str, Any]]:
    unit = comparison.primary.unit
    known = {c.key: c for c in comparison.conditions}
    found = []
    for r in comparison.select(metric=comparison.primary.name, other=other, quantity=quantity):
        c = known.get(r.condition)
        if c is None or not (math.isfinite(r.value_first) and math.isfinite(r.value_other)):
            continue
        both = f"{value_text(r, 'first')} and {value_text(r, 'other')}"
        found.append(
            {
                "x": scaled(r.value_first, unit),
                "x_low": scaled(r.low_first, unit),
                "x_high": scaled(r.high_first, unit),
                "y": scaled(r.value_other, unit),
                "y_low": scaled(r.low_other, unit),
                "y_high": scaled(r.high_other, unit),
                "family": shorten(c.family, 20),
                "colour": family_style(c.family)[0],
                "tip": f"{words(c)}: {both}, {r.verdict}",
            }
        )
    return found


def _spec(comparison: Comparison, data: list[dict[str, Any]], quantity: Quantity, first: str, its: str) -> Spec:
    m = comparison.primary
    shown = [d[k] for d in data for k in ("x", "y")]
    ends = domain(shown, m.unit if quantity == VALUE else "", 0.08)
    scale = {"domain": ends, "nice": False, "clamp": True}
    what = measure(m.name, m.unit, m.better, change=quantity == CHANGE)

    def axis(name: str) -> Spec:
        return {"type": "quantitative", "scale": scale, "axis": {"title": [shorten(name, 28), what], "tickCount": 5}}

    x, y = axis(first), axis(its)
    diagonal = [{"a": ends[0], "b": ends[1]}]
    line = {
        "x": {**x, "field": "a"},
        "x2": {"field": "b"},
        "y": {**y, "field": "a"},
        "y2": {"field": "b"},
    }
    styles = {f: family_style(f) for f in dict.fromkeys(str(d["family"]) for d in data)}
    across = {"x": {**x, "field": "x_low"}, "x2": {"field": "x_high"}, "y": {**y, "field": "y"}}
    up = {"x": {**x, "field": "x"}, "y": {**y, "field": "y_low"}, "y2": {"field": "y_high"}}
    layers = [
        layer(diagonal, "rule", line, color=MUTED, strokeDash=DOTTED),
        *(layer(data, "rule", tinted(part), strokeWidth=1, opacity=0.4) for part in (across, up)),
        points(data, {**x, "field": "x"}, {**y, "field": "y"}, "family", styles, columns=3),
    ]
    return spec(layers, SIZE, SIZE)
