"""Effective robustness: every model's clean value against its value under damage, with the panel's own line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmaudit.figures.base import Column, Figure, Table, number_cell, text_cell
from mmaudit.figures.base import Panel as Drawing
from mmaudit.figures.marks import DASHED, INK, MUTED, SOLID, Spec, domain, known, layer, points, scaled, spec, tinted
from mmaudit.figures.references_panel import YOURS, above_cell, metric_name, name_of, order, styles, value_cell
from mmaudit.formats import change_unit, factor, shown_unit
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import AUDITED, CLEAN, EFFECTIVE, EVERYTHING, VALUE, Line

SIZE = (440.0, 420.0)
STEPS = 40


def effective(panel: Panel) -> Figure | None:
    """One figure: clean against the mean over every group that counts; None where no group counts."""
    if not any(g.counts for g in panel.groups):
        return None
    names = order(panel)
    drawn = [n for n in names if all(math.isfinite(panel.row(n, VALUE, p).value) for p in (CLEAN, EVERYTHING))]
    line = next((e for e in panel.lines if e.group == EVERYTHING), None)
    name = metric_name(panel)
    caption = (
        f"Each model's {name} on clean data and, upwards, its mean over all groups in which something is missing or "
        "damaged. A model that is better on clean data is mostly better on damaged data, too: the line is what these "
        "models have in common. What a model has above the line of the others is its effective robustness (Taori et "
        "al. 2020): robustness that is not simply a better clean value. On the dashed diagonal nothing is lost."
    )
    yours = panel.row(AUDITED, EFFECTIVE, EVERYTHING)
    alt = f"{len(drawn)} models. Your model stands {above_cell(yours).text} above the line of the others."
    drawings = (Drawing("", alt, _spec(panel, drawn, line), "half"),) if drawn else ()
    return Figure("reference-line", "Robust, or only better?", caption, drawings, _table(panel, names, line))


def _spec(panel: Panel, names: list[str], line: Line | None) -> Spec:
    unit = panel.unit
    data: list[dict[str, Any]] = []
    look = styles(panel)
    for n in names:
        clean, under = panel.row(n, VALUE, CLEAN), panel.row(n, VALUE, EVERYTHING)
        series = name_of(panel, n)
        data.append(
            {
                "x": scaled(clean.value, unit),
                "y": scaled(under.value, unit),
                "left": scaled(clean.low, unit),
                "right": scaled(clean.high, unit),
                "low": scaled(under.low, unit),
                "high": scaled(under.high, unit),
                "series": series,
                "colour": look[series][0],
                "tip": f"{series}: clean {value_cell(clean).text}, damaged {value_cell(under).text}",
            }
        )
    across = domain([d[k] for d in data for k in ("x", "left", "right")], unit, 0.06)
    up = domain([d[k] for d in data for k in ("y", "low", "high")], unit, 0.08)
    label = f", {shown_unit(unit)}" if shown_unit(unit) else ""
    x: Spec = _axis("x", f"{metric_name(panel)} on clean data{label}", across)
    y: Spec = _axis("y", f"mean where something is missing or damaged{label}", up)
    layers: list[Spec] = []
    same = [max(across[0], up[0]), min(across[1], up[1])]
    if same[0] < same[1]:
        layers.append(layer([{"x": v, "y": v} for v in same], "line", {"x": x, "y": y}, color=INK, strokeDash=DASHED,
                            strokeWidth=1, opacity=0.7))  # fmt: skip
    if line is not None:
        layers.append(layer(_path(line, across, up, factor(unit)), "line", {"x": x, "y": y}, color=MUTED,
                            strokeDash=SOLID, strokeWidth=1.6))  # fmt: skip
    upright = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
    flat = {"x": {**x, "field": "left"}, "x2": {"field": "right"}, "y": y}
    layers.append(layer(known(data, "low", "high"), "rule", tinted(upright), strokeWidth=1.5, opacity=0.6))
    layers.append(layer(known(data, "left", "right"), "rule", tinted(flat), strokeWidth=1.5, opacity=0.6))
    shown = {s: look[s] for s in (YOURS, *(d["series"] for d in data if d["series"] != YOURS))}
    layers.append(points(data, x, y, "series", shown, size=64, columns=2))
    return spec(layers, *SIZE)


def _axis(field: str, title: str, limits: list[float]) -> Spec:
    scale = {"domain": limits, "nice": False}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": {"title": title, "tickCount": 5}}


def _path(line: Line, across: list[float], up: list[float], scale: float) -> list[dict[str, float]]:
    """The line over the plot, cut where it leaves it."""
    found = []
    for x in np.linspace(across[0], across[1], STEPS + 1):
        y = scale * line.at(float(x) / scale)
        if math.isfinite(y) and up[0] <= y <= up[1]:
            found.append({"x": round(float(x), 6), "y": round(y, 6)})
    return found


def _table(panel: Panel, names: list[str], line: Line | None) -> Table:
    places = [(g.key, g.words) for g in panel.groups if g.counts] + [(EVERYTHING, "all of these")]
    unit = change_unit(panel.unit)
    columns = (
        Column("model", numeric=False),
        Column("clean"),
        Column("damaged", note="mean over all groups that count"),
        Column("expected by the panel's line", note="fitted to every model, this one included"),
        *(Column(f"above the others' line: {words}{f' ({unit})' if unit else ''}") for _, words in places),
    )
    body = []
    for n in names:
        clean = panel.row(n, VALUE, CLEAN)
        expected = line.at(clean.value) if line is not None else math.nan
        why = "a line needs three models with different clean values"
        cells = (value_cell(clean), value_cell(panel.row(n, VALUE, EVERYTHING)), number_cell(expected, panel.unit, why))
        above = (above_cell(panel.row(n, EFFECTIVE, key)) for key, _ in places)
        body.append((text_cell(name_of(panel, n)), *cells, *above))
    return Table(columns, tuple(body))
