"""Missing baselines compared: does the conclusion depend on what stands in for an absent modality?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmaudit.figures.base import Column, Figure, Panel, Table, p_cell, primary_title, text_cell, value_cell
from mmaudit.figures.marks import (
    DOTTED,
    GRID,
    INK,
    MUTED,
    SOLID,
    Spec,
    domain,
    haloed,
    known,
    layer,
    points,
    reference_line,
    scaled,
    series_style,
    spec,
    tinted,
)
from mmaudit.figures.subsets import Nodes, apart, modality_names, named, ordered, subsets
from mmaudit.formats import estimate, number, readable, shorten
from mmaudit.report import Report
from mmaudit.types import Score

ROW = 13.0
LIMIT = 12


def baselines(report: Report) -> tuple[Figure, ...]:
    """One figure: per removed set, the primary metric under each missing baseline; sets they disagree on are named."""
    found = subsets(report)
    if not found:
        return ()
    m = report.primary
    names = modality_names(report)
    everything = frozenset(names)
    merged: Nodes = {s: v for nodes in found.values() for s, v in nodes.items()}
    removed = sorted((r for r in (everything - s for s, _ in reversed(ordered(merged, names))) if r), key=len)
    order = {b: shorten(b, 30) for b in found}
    pitch = ROW * len(order) + 22
    by_set = {r: {b: nodes[everything - r] for b, nodes in found.items() if everything - r in nodes} for r in removed}
    drawn = [
        r
        for r in removed
        if r in sorted(removed, key=lambda r: (len(r) > 1, -spread(list(by_set[r].values()))))[:LIMIT]
    ]
    data, body, flips, heads = [], [], [], []
    for r in removed:
        label = f"without {named(r, names)}"
        scores = by_set[r]
        agree, verdict = judge(list(scores.values()), m.unit)
        flips += [] if agree else [label]
        i = drawn.index(r) if r in drawn else -1
        if i >= 0:
            heads.append({"y": i * pitch + 10, "line": i * pitch, "text": shorten(label, 42) + ("" if agree else " ≠")})
        for j, (b, score) in enumerate(scores.items()):
            if i >= 0:
                data.append(_datum(score, label, order[b], list(order).index(b), i * pitch + 24, m.unit))
            cells = (value_cell(score), value_cell(score, "delta"), p_cell(score))
            body.append((text_cell(label), text_cell(order[b]), *cells, text_cell(verdict if j == 0 else "")))
    columns = (
        Column("removed", numeric=False),
        Column("missing baseline", numeric=False),
        Column(primary_title(report)),
        Column("change against clean"),
        Column("adjusted p"),
        Column("do the baselines agree?", numeric=False),
    )
    alt = (
        f"{readable(m.name)} of {len(drawn)} removed sets under {len(order)} missing baselines. "
        "All numbers are in the table."
    )
    picture = _picture(report, data, heads, list(order.values()), pitch * len(drawn))
    panels = (Panel("", alt, picture, "half"),) if known(data, "value") else ()
    caption = _caption(len(found), flips)
    if len(drawn) < len(removed):
        caption += (
            f" Drawn are {len(drawn)} of {len(removed)} sets, those on which they differ most; the table has all."
        )
    return (Figure("baselines", "Missing baselines compared", caption, panels, Table(columns, tuple(body))),)


def judge(scores: Sequence[Score], unit: str) -> tuple[bool, str]:
    """Whether the baselines lead to one conclusion about a removed set, and how they differ."""
    usable = [s for s in scores if math.isfinite(s.value)]
    if len(usable) < 2:
        return True, "not known: fewer than two have a value"
    changed = [s.delta_low > 0 or s.delta_high < 0 for s in usable if math.isfinite(s.delta_low)]
    if any(changed) and not all(changed):
        return False, "no: under some it changes the result, under others not"
    if any(apart(a, b) for a in usable for b in usable):
        return False, f"no: intervals lie apart, values by up to {number(spread(usable), unit, change=True)}"
    return True, "yes"


def spread(scores: Sequence[Score]) -> float:
    """Largest difference between defined values; 0 where there are none."""
    values = [s.value for s in scores if math.isfinite(s.value)]
    return max(values) - min(values) if values else 0.0


def _caption(how_many: int, flips: Sequence[str]) -> str:
    if how_many == 1:
        return "Only one missing baseline was measured, so whether the conclusion depends on that choice is not known."
    text = "What stands in for a missing modality is a choice; a conclusion that changes with it is not one. "
    if not flips:
        return text + "Here all baselines lead to the same one."
    rest = f" and {len(flips) - 3} more" if len(flips) > 3 else ""
    return text + f"Here the choice matters (marked ≠): {', '.join(flips[:3])}{rest}."


def _datum(score: Score, label: str, baseline: str, place: int, top: float, unit: str) -> dict[str, Any]:
    return {
        "y": top + ROW * place,
        "baseline": baseline,
        "colour": series_style(place)[0],
        "value": scaled(score.value, unit),
        "low": scaled(score.low, unit),
        "high": scaled(score.high, unit),
        "tip": f"{label}, {baseline}: {estimate(score.value, score.low, score.high, unit)}",
    }


def _picture(
    report: Report,
    data: Sequence[Mapping[str, Any]],
    heads: Sequence[Mapping[str, Any]],
    order: Sequence[str],
    height: float,
) -> Spec:
    m = report.primary
    clean = report.score(report.clean, m.name)
    lines = [
        ("clean", scaled(clean.value if clean else math.nan, m.unit), SOLID, INK),
        ("chance", scaled(clean.floor if clean else math.nan, m.unit), DOTTED, MUTED),
    ]
    values = [d[k] for d in data for k in ("value", "low", "high")]
    limits = domain([*values, *(v for _, v, _, _ in lines)], m.unit, 0.06)
    axis = {"title": primary_title(report), "tickCount": 6}
    x: Spec = {"type": "quantitative", "scale": {"domain": limits, "nice": True}, "axis": axis}
    y: Spec = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False}}
    layers = [layer(heads[1:], "rule", {"y": {**y, "field": "line"}}, color=GRID)]
    for name, value, dash, colour in lines:
        if value is not None:
            layers.append(reference_line("x", value, x, dash, colour))
            at = {"x": {**x, "field": "x"}, "y": {"value": -5}, "text": {"field": "text"}}
            layers.append(layer([{"x": value, "text": name}], "text", at, fontSize=11, baseline="bottom", color=colour))
    span = {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y}
    layers.append(layer(known(data, "low", "high"), "rule", tinted(span), strokeWidth=2))
    styles = {b: series_style(i) for i, b in enumerate(order)}
    dots = points(data, {**x, "field": "value"}, y, "baseline", styles, size=55, columns=4)
    for channel in ("color", "shape"):
        if dots["encoding"][channel]["legend"] is not None:
            dots["encoding"][channel]["legend"] = {"columns": 4, "offset": 24}
    layers.append(dots)
    words = {"x": {"value": 2}, "y": y, "text": {"field": "text"}}
    layers += haloed(heads, words, align="left", fontWeight="bold")
    return spec(layers, 400, height + 105)
