"""Which modalities carry the model: the lattice of present subsets, and how the missing baselines compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from mmaudit.figures.base import (
    BLUE,
    DASHES,
    GRID,
    INK,
    MUTED,
    PAPER,
    RED,
    SERIES,
    SHAPES,
    Cell,
    Column,
    Figure,
    Panel,
    Spec,
    Table,
    domain,
    number_cell,
    p_cell,
    rows,
    scaled,
    spec,
    text_cell,
    value_cell,
    y_title,
)
from mmaudit.formats import change, estimate, factor, interval, measure, number, plain, readable, shorten
from mmaudit.report import Report
from mmaudit.types import Score

Subset = frozenset[str]
Nodes = dict[Subset, Score]


def modality_names(report: Report) -> tuple[str, ...]:
    """The data set's modalities, in its order."""
    return tuple(m["name"] for m in report.document["data"]["modalities"])


def subsets(report: Report) -> dict[str, Nodes]:
    """Per missing baseline: the primary score of each present subset; the whole set is the clean condition."""
    everything = frozenset(modality_names(report))
    clean = report.score(report.clean, report.primary.name)
    found: dict[str, Nodes] = {}
    for m in report.conditions:
        c = m.condition
        score = report.score(c.key, report.primary.name)
        if c.family != "missing" or c.severity is not None or c.repeat or score is None:
            continue
        nodes = found.setdefault(c.option("baseline") or "as defined", {})
        nodes[everything - set(c.modalities)] = score
    if clean is not None:
        for nodes in found.values():
            nodes[everything] = clean
    return found


def subset_lattice(report: Report) -> tuple[Figure, ...]:
    """One figure, one lattice per missing baseline: nodes are subsets of present modalities, edges add one."""
    found = subsets(report)
    names = modality_names(report)
    if not found:
        return ()
    codes = _codes(names)
    large = len(names) > 2
    panels = []
    for i, (baseline, nodes) in enumerate(found.items()):
        alt = "; ".join(f"{_named(s, names)}: {number(v.value, v.unit)}" for s, v in _sorted(nodes, names)[:16])
        panels.append(
            Panel(
                f"missing baseline: {shorten(baseline, 30)}",
                f"{readable(report.primary.name)} by present modalities: {alt}. All numbers are in the table.",
                _lattice(report, nodes, names, codes),
                "full" if large else "half",
                folded=large and i > 0,
            )
        )
    legend = "" if len(names) <= 3 else " Letters: " + ", ".join(f"{codes[n]} = {shorten(n, 30)}" for n in names) + "."
    caption = (
        f"Each box is a set of present modalities with its {measure(report.primary.name, report.primary.unit, report.primary.better)}, "
        "the bar shows it between the chance tick and the top of the scale. Each line adds one modality. A solid blue line helps, a "
        "thick red one hurts, a dashed grey one makes no difference that the two intervals could tell apart (a "
        f"cautious reading: they are not paired).{legend}"
    )
    return (Figure("lattice", "What each modality adds", caption, tuple(panels), _lattice_table(report, found, names)),)


def _lattice(report: Report, nodes: Nodes, names: Sequence[str], codes: dict[str, str]) -> Spec:
    m = report.primary
    columns = len(names) + 1
    wide = {2: 150.0, 3: 132.0, 4: 126.0, 5: 112.0}.get(columns - 1, 150.0 if columns < 3 else 98.0)
    gap = {1: 90.0, 2: 82.0, 3: 84.0, 4: 58.0, 5: 42.0}.get(columns - 1, 30.0)
    tall, pitch = 46.0, 66.0 if columns <= 4 else 54.0
    levels = [[s for s, _ in _sorted(nodes, names) if len(s) == k] for k in range(columns)]
    height = pitch * max(len(level) for level in levels)
    place: dict[Subset, tuple[float, float]] = {}
    for k, level in enumerate(levels):
        for j, s in enumerate(level):
            place[s] = (k * (wide + gap), height / 2 + (j - (len(level) - 1) / 2) * pitch)
    values = [scaled(s.value, m.unit) for s in nodes.values()] + [scaled(s.high, m.unit) for s in nodes.values()]
    floors = [scaled(s.floor, m.unit) for s in nodes.values()]
    low, high = domain([*values, *floors, 0.0], m.unit, 0.0)
    high = 100.0 if m.unit == "share" else high

    def along(value: float | None) -> float | None:
        return None if value is None else min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0) * (wide - 18)

    boxes: list[dict[str, Any]] = []
    for s, score in nodes.items():
        if s not in place:
            continue
        x, y = place[s]
        bar, bar_low, bar_high, floor = (along(scaled(v, m.unit)) for v in (score.value, score.low, score.high, score.floor))
        boxes.append(
            {
                "x": x, "x2": x + wide, "y": y - tall / 2, "y2": y + tall / 2, "left": x + 9, "right": x + wide - 9,
                "name": _named(s, names) if len(names) <= 3 else _coded(s, names, codes),
                "name_y": y - 13, "value_y": y + 3, "bar_y": y + 16,
                "bar": None if bar is None else x + 9 + bar,
                "low": None if bar_low is None else x + 9 + bar_low,
                "high": None if bar_high is None else x + 9 + bar_high,
                "floor": None if floor is None else x + 9 + floor,
                "text": estimate(score.value, score.low, score.high, m.unit) if wide > 120 else number(score.value, m.unit),
                "tip": f"{_named(s, names)}: {estimate(score.value, score.low, score.high, m.unit)}",
            }
        )  # fmt: skip
    for box in boxes:
        box["name"] = shorten(str(box["name"]), int((wide - 14) / 6.2))
    edges = _edges(report, nodes, place, wide, labels=len(names) <= 3)
    total = (columns - 1) * (wide + gap) + wide

    def at(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "axis": None, "scale": {"domain": [0, total], "nice": False}}

    def up(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False}}

    layers: list[Spec] = []
    for kind, colour, dash, stroke in (("same", MUTED, [4, 3], 1.2), ("help", BLUE, [1, 0], 1.6), ("hurt", RED, [1, 0], 3.2)):
        layers.append(
            {
                "data": rows([e for e in edges if e["kind"] == kind]),
                "mark": {"type": "rule", "color": colour, "strokeDash": dash, "strokeWidth": stroke, "opacity": 0.8 if columns <= 4 else 0.5},
                "encoding": {"x": at("x"), "x2": {"field": "x2"}, "y": up("y"), "y2": {"field": "y2"}, "description": {"field": "tip"}},
            }
        )
    shown = [e for e in edges if e["label"]]
    for halo in (True, False):
        layers.append(
            {
                "data": rows(shown),
                "mark": {
                    "type": "text", "fontSize": 11, "aria": False, "color": PAPER if halo else INK,
                    **({"stroke": PAPER, "strokeWidth": 4, "strokeJoin": "round"} if halo else {}),
                },
                "encoding": {"x": at("label_x"), "y": up("label_y"), "text": {"field": "label"}},
            }
        )  # fmt: skip
    layers.append(
        {
            "data": rows(boxes),
            "mark": {"type": "rect", "cornerRadius": 6, "fill": PAPER, "stroke": MUTED, "strokeWidth": 1},
            "encoding": {"x": at("x"), "x2": {"field": "x2"}, "y": up("y"), "y2": {"field": "y2"}, "description": {"field": "tip"}},
        }
    )
    for field, row, size, weight, colour in (("name", "name_y", 11.5, "bold", INK), ("text", "value_y", 11.5, "normal", INK)):
        layers.append(
            {
                "data": rows(boxes),
                "mark": {"type": "text", "align": "left", "fontSize": size, "fontWeight": weight, "color": colour, "limit": 0, "aria": False},
                "encoding": {"x": at("left"), "y": up(row), "text": {"field": field}},
            }
        )
    for start, end, colour, stroke, opacity in (("left", "right", GRID, 5, 1.0), ("left", "bar", BLUE, 5, 0.55), ("low", "high", INK, 2, 1.0)):
        layers.append(
            {
                "data": rows([b for b in boxes if b[start] is not None and b[end] is not None]),
                "mark": {"type": "rule", "color": colour, "strokeWidth": stroke, "opacity": opacity, "aria": False},
                "encoding": {"x": at(start), "x2": {"field": end}, "y": up("bar_y")},
            }
        )
    layers.append(
        {
            "data": rows([{**b, "tick": float(b["bar_y"]) - 5, "tick2": float(b["bar_y"]) + 5} for b in boxes if b["floor"] is not None]),
            "mark": {"type": "rule", "color": INK, "strokeWidth": 1, "strokeDash": [2, 1], "aria": False},
            "encoding": {"x": at("floor"), "y": up("tick"), "y2": {"field": "tick2"}},
        }
    )
    picture = spec(layers, total, height)
    picture["autosize"] = {"type": "none"}
    return picture


def _edges(
    report: Report, nodes: Nodes, place: dict[Subset, tuple[float, float]], wide: float, labels: bool
) -> list[dict[str, Any]]:
    m = report.primary
    out = []
    for small, large in _pairs(nodes):
        a, b = nodes[small], nodes[large]
        gain, low, high = _gain(report, a, b)
        (x, y), (x2, y2) = place[small], place[large]
        x += wide
        share = 0.3 if labels and len(place) > 4 else 0.5
        good = gain if m.better != "lower" else -gain
        kind = "same" if not _apart(a, b, low, high) else "help" if good > 0 else "hurt"
        added = ", ".join(sorted(large - small))
        label = plain(gain * factor(m.unit), _decimals(gain, m.unit), True) if labels or kind == "hurt" else ""
        out.append(
            {
                "x": x, "y": y, "x2": x2, "y2": y2, "label_x": x + (x2 - x) * share, "label_y": y + (y2 - y) * share, "kind": kind,
                "label": label, "tip": f"adding {shorten(added, 40)}: {change(gain, low, high, m.unit)}",
            }
        )  # fmt: skip
    return out


def _gain(report: Report, a: Score, b: Score) -> tuple[float, float, float]:
    """What the larger subset adds, with the paired interval where the report has one."""
    paired = report.score(b.condition, b.metric, against=a.condition)
    if paired is not None:
        return paired.delta, paired.delta_low, paired.delta_high
    if b.condition == report.clean and math.isfinite(a.delta):
        return -a.delta, -a.delta_high, -a.delta_low
    return b.value - a.value, math.nan, math.nan


def _apart(a: Score, b: Score, low: float, high: float) -> bool:
    if math.isfinite(low) and math.isfinite(high):
        return low > 0 or high < 0
    return a.high < b.low or b.high < a.low


def _pairs(nodes: Nodes) -> list[tuple[Subset, Subset]]:
    found = [(a, b) for a in nodes for b in nodes if len(b) == len(a) + 1 and a < b]
    return sorted(found, key=lambda p: (len(p[0]), sorted(p[0]), sorted(p[1])))


def _lattice_table(report: Report, found: dict[str, Nodes], names: Sequence[str]) -> Table:
    m = report.primary
    columns = (
        Column("missing baseline", numeric=False),
        Column("present", numeric=False),
        Column("added to it", numeric=False),
        Column(measure(m.name, m.unit, m.better)),
        Column("what the added modality brings"),
    )
    body = []
    for baseline, nodes in found.items():
        for s, score in _sorted(nodes, names):
            body.append((text_cell(shorten(baseline, 30)), text_cell(_named(s, names)), text_cell("(as is)"), value_cell(score), text_cell("")))
            for small, large in _pairs(nodes):
                if small == s:
                    gain, low, high = _gain(report, nodes[small], nodes[large])
                    added = Cell(change(gain, low, high, m.unit), gain) if math.isfinite(gain) else number_cell(gain, m.unit, "one of the two values is undefined")
                    if added.value is not None and not math.isfinite(low):
                        added = Cell(added.text + " (no paired interval)", gain)
                    body.append((text_cell(shorten(baseline, 30)), text_cell(_named(s, names)), text_cell("+ " + shorten(", ".join(large - small), 30)), value_cell(nodes[large]), added))
    return Table(columns, tuple(body))


def _sorted(nodes: Nodes, names: Sequence[str]) -> list[tuple[Subset, Score]]:
    order = {s: i for k in range(len(names) + 1) for i, s in enumerate(map(frozenset, combinations(names, k)))}
    return sorted(nodes.items(), key=lambda e: (len(e[0]), order.get(e[0], 0)))


def _named(s: Subset, names: Sequence[str]) -> str:
    if not s:
        return "nothing"
    return " + ".join(shorten(n, 24) for n in names if n in s)


def _coded(s: Subset, names: Sequence[str], codes: dict[str, str]) -> str:
    return " ".join(codes[n] for n in names if n in s) or "nothing"


def _codes(names: Sequence[str]) -> dict[str, str]:
    """One or two letters per modality, all different."""
    codes: dict[str, str] = {}
    for i, n in enumerate(names):
        tries = [n[0].upper(), n[:2].title(), f"{n[0].upper()}{i + 1}", f"M{i + 1}"]
        codes[n] = next(t for t in [shorten(t, 2) for t in tries] if t not in codes.values())
    return codes


def _decimals(value: float, unit: str) -> int:
    from mmaudit.formats import digits

    return digits(value, unit)


def baselines(report: Report) -> tuple[Figure, ...]:
    """One figure: per removed set, the primary metric under each missing baseline; rows that disagree are marked."""
    found = subsets(report)
    if not found:
        return ()
    m = report.primary
    names = modality_names(report)
    everything = frozenset(names)
    removed = [everything - s for s, _ in _sorted({s: v for nodes in found.values() for s, v in nodes.items()}, names)]
    removed = sorted((r for r in removed if r), key=lambda r: (len(r), [names.index(n) for n in sorted(r, key=names.index)]))
    data, body, flips = [], [], []
    order = list(found)
    pitch = 13.0 * len(order) + 16
    for i, r in enumerate(removed):
        scores = {b: nodes[everything - r] for b, nodes in found.items() if everything - r in nodes}
        verdict = _verdict(report, list(scores.values()))
        label = f"without {_named(r, names)}"
        if verdict:
            flips.append(label)
        for j, (b, score) in enumerate(scores.items()):
            data.append(
                {
                    "y": i * pitch + 14 + 13.0 * (order.index(b) + 0.2), "baseline": shorten(b, 30), "label": label,
                    "value": scaled(score.value, m.unit), "low": scaled(score.low, m.unit), "high": scaled(score.high, m.unit),
                    "tip": f"{label}, {shorten(b, 30)}: {estimate(score.value, score.low, score.high, m.unit)}",
                }
            )  # fmt: skip
            body.append((text_cell(label), text_cell(shorten(b, 30)), value_cell(score), value_cell(score, "delta"), p_cell(score), text_cell(verdict if j == 0 else "")))
    columns = (
        Column("removed", numeric=False),
        Column("missing baseline", numeric=False),
        Column(measure(m.name, m.unit, m.better)),
        Column("change against clean"),
        Column("adjusted p"),
        Column("do the baselines agree?", numeric=False),
    )
    caption = (
        "What stands in for a missing modality is a choice, and a conclusion that changes with it is not a conclusion. "
        + (f"Here the choice matters: {'; '.join(flips[:4])}{' …' if len(flips) > 4 else ''}." if flips else "Here all baselines agree.")
        if len(found) > 1
        else "Only one missing baseline was measured, so whether the conclusion depends on it is not known."
    )
    labels = [
        {"y": i * pitch + 6, "text": shorten(f"without {_named(r, names)}", 46), "line": i * pitch - 3} for i, r in enumerate(removed)
    ]
    alt = f"{readable(m.name)} of {len(removed)} removed sets under {len(order)} missing baselines. All numbers are in the table."
    picture = _baseline_spec(report, data, labels, [shorten(b, 30) for b in order], pitch * len(removed))
    return (Figure("baselines", "Missing baselines compared", caption, (Panel("", alt, picture, "half"),), Table(columns, tuple(body))),)


def _verdict(report: Report, scores: Sequence[Score]) -> str:
    known = [s for s in scores if math.isfinite(s.value)]
    if len(known) < 2:
        return "one baseline only"[:0]
    drops = [s.delta_low > 0 or s.delta_high < 0 for s in known if math.isfinite(s.delta_low)]
    if drops and any(drops) and not all(drops):
        return "no: some baselines show a change, others none"
    if any(a.high < b.low or b.high < a.low for a in known for b in known):
        spread = max(s.value for s in known) - min(s.value for s in known)
        return f"no: intervals do not overlap, spread {number(spread, report.primary.unit, change=True)}"
    return ""


def _baseline_spec(report: Report, data: list[dict[str, Any]], labels: list[dict[str, Any]], order: list[str], height: float) -> Spec:
    m = report.primary
    clean = report.score(report.clean, m.name)
    lines = [
        (name, scaled(value, m.unit), dash, colour)
        for name, value, dash, colour in (
            ("clean", clean.value if clean else math.nan, [1, 0], INK),
            ("chance", clean.floor if clean else math.nan, [2, 3], MUTED),
        )
    ]
    limits = domain([*(d[k] for d in data for k in ("value", "low", "high")), *(v for _, v, _, _ in lines)], m.unit, 0.06)
    x: Spec = {"type": "quantitative", "scale": {"domain": limits, "nice": True}, "axis": {"title": y_title(report), "tickCount": 6}}
    y: Spec = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False}}
    layers: list[Spec] = []
    for name, value, dash, colour in lines:
        if value is None:
            continue
        layers.append(
            {
                "data": rows([{"x": value}]),
                "mark": {"type": "rule", "color": colour, "strokeDash": dash, "opacity": 0.75, "aria": False},
                "encoding": {"x": {**x, "field": "x"}},
            }
        )
        layers.append(
            {
                "data": rows([{"x": value, "text": name}]),
                "mark": {"type": "text", "fontSize": 11, "align": "center", "baseline": "bottom", "color": colour, "aria": False},
                "encoding": {"x": {**x, "field": "x"}, "y": {"value": -3}, "text": {"field": "text"}},
            }
        )
    scale: Spec = {"field": "baseline", "type": "nominal", "sort": None}
    legend: Spec = {"columns": 4}
    layers += [
        {
            "data": rows([d for d in data if d["low"] is not None and d["high"] is not None and d["baseline"] == b]),
            "mark": {"type": "rule", "strokeWidth": 2, "color": SERIES[i % len(SERIES)], "strokeDash": DASHES[0], "aria": False},
            "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y},
        }
        for i, b in enumerate(order)
    ]
    layers += [
        {
            "data": rows(data),
            "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
            "encoding": {
                "x": {**x, "field": "value"},
                "y": y,
                "color": {**scale, "scale": {"domain": order, "range": [SERIES[i % len(SERIES)] for i in range(len(order))]}, "legend": legend},
                "shape": {**scale, "scale": {"domain": order, "range": [SHAPES[i % len(SHAPES)] for i in range(len(order))]}, "legend": legend},
                "description": {"field": "tip"},
            },
        },
        {
            "data": rows(labels),
            "mark": {"type": "text", "align": "left", "fontSize": 11.5, "fontWeight": "bold", "color": INK, "limit": 0, "aria": False},
            "encoding": {"x": {"value": 0}, "y": y, "text": {"field": "text"}},
        },
        {
            "data": rows(labels[1:]),
            "mark": {"type": "rule", "color": GRID, "aria": False},
            "encoding": {"y": {**y, "field": "line"}},
        },
    ]
    return spec(layers, 440, height + 86)


__all__ = ["baselines", "interval", "modality_names", "subset_lattice", "subsets"]
