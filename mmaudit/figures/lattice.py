"""The lattice of present subsets: which modalities carry the model, and what each adds to the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmaudit.figures.base import Cell, Column, Figure, Panel, Table, number_cell, primary_title, text_cell, value_cell
from mmaudit.figures.marks import (
    BLUE,
    DASHED,
    GRID,
    INK,
    MUTED,
    PAPER,
    RED,
    SOLID,
    Spec,
    domain,
    haloed,
    known,
    layer,
    scaled,
    spec,
)
from mmaudit.figures.subsets import Nodes, Subset, apart, gain, modality_names, named, ordered, steps, subsets
from mmaudit.formats import change, digits, estimate, factor, number, plain, readable, shorten
from mmaudit.report import Report
from mmaudit.types import Score

# Width of a box and of the gap between two columns, by number of modalities; pixels.
SIZES = {1: (142.0, 80.0), 2: (142.0, 44.0), 3: (142.0, 88.0), 4: (142.0, 46.0), 5: (116.0, 44.0)}
SMALLEST = (100.0, 34.0)
PHONE = (82.0, 45.0)
TALL = 46.0


def subset_lattice(report: Report) -> tuple[Figure, ...]:
    """One figure, one lattice per missing baseline: boxes are subsets of present modalities, lines add one.

    Works for any number of modalities; with more than three, boxes carry letters that the caption explains.
    """
    found = subsets(report)
    if not found:
        return ()
    names = modality_names(report)
    codes = letters(names)
    large = len(names) > 2
    panels = []
    for i, (baseline, nodes) in enumerate(found.items()):
        values = "; ".join(f"{named(s, names)} {number(v.value, v.unit)}" for s, v in ordered(nodes, names)[:16])
        alt = f"{readable(report.primary.name)} by present modalities: {values}. All numbers are in the table."
        title = f"missing baseline: {shorten(baseline, 30)}"
        picture = _picture(report, nodes, names, codes, SIZES.get(len(names), SMALLEST))
        if large:
            panels.append(Panel(title, alt, picture, "full", folded=i > 0))
        else:
            phone = _picture(report, nodes, names, codes, PHONE)
            panels += [Panel(title, alt, picture, "half", "wide"), Panel(title, alt, phone, "half", "narrow")]
    caption = (
        f"Each box is a set of present modalities with its {primary_title(report)}; its bar runs to that value, the "
        "small tick marks chance. Each line adds one modality: solid blue helps, thick red hurts, dashed grey makes no "
        "difference beyond the intervals."
    )
    if len(names) > 3:
        caption += " Letters: " + ", ".join(f"{codes[n]} = {shorten(n, 30)}" for n in names) + "."
    return (Figure("lattice", "What each modality adds", caption, tuple(panels), _table(report, found, names)),)


def letters(names: Sequence[str]) -> dict[str, str]:
    """One to three characters per modality, all different."""
    codes: dict[str, str] = {}
    for i, n in enumerate(names):
        for t in (n[:1].upper(), n[:2].title(), n[:3].title(), f"M{i + 1}", f"M{i + 1}'"):
            code = shorten(t, 3)
            if code and code not in codes.values():
                codes[n] = code
                break
    return codes


def _picture(
    report: Report, nodes: Nodes, names: Sequence[str], codes: dict[str, str], size: tuple[float, float]
) -> Spec:
    wide, gap = size
    few = len(names) <= 3
    pitch = 62.0 if few else 54.0
    levels = [[s for s, _ in ordered(nodes, names) if len(s) == k] for k in range(len(names) + 1)]
    height = pitch * max(len(level) for level in levels)
    width = len(names) * (wide + gap) + wide
    place = {
        s: (k * (wide + gap), height / 2 + (j - (len(level) - 1) / 2) * pitch)
        for k, level in enumerate(levels)
        for j, s in enumerate(level)
    }
    room = int((wide - 14) / 6.6)
    boxes = []
    for s in place:
        name = named(s, names) if few else _coded(s, names, codes)
        name = "all" if len(s) == len(names) > 1 and len(name) > room else name
        boxes.append(_box(report, nodes, s, place[s], wide, shorten(name, room)))
    edges = [_edge(report, nodes, a, b, place, wide, few) for a, b in steps(nodes, names)]

    def across(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "axis": None, "scale": {"domain": [0, width], "nice": False}}

    def down(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False}}

    def line(x: str, x2: str, y: str, y2: str = "") -> Spec:
        return {"x": across(x), "x2": {"field": x2}, "y": down(y), **({"y2": {"field": y2}} if y2 else {})}

    layers: list[Spec] = []
    for kind, colour, dash, stroke in (
        ("same", MUTED, DASHED, 1.2),
        ("help", BLUE, SOLID, 1.6),
        ("hurt", RED, SOLID, 3.4),
    ):
        some = [e for e in edges if e["kind"] == kind]
        layers.append(
            layer(
                some,
                "rule",
                line("x", "x2", "y", "y2"),
                color=colour,
                strokeDash=dash,
                strokeWidth=stroke,
                opacity=0.85 if few else 0.45,
            )
        )
    text = {"x": across("label_x"), "y": down("label_y"), "text": {"field": "label"}}
    labelled = [e for e in edges if e["label"]]
    layers += haloed(labelled, text, fontSize=11)
    frame = {**line("x", "x2", "y", "y2"), "description": {"field": "tip"}}
    layers.append(layer(boxes, "rect", frame, aria=True, cornerRadius=6, fill=PAPER, stroke=MUTED, strokeWidth=1))
    for field, row, weight in (("name", "name_y", "bold"), ("text", "text_y", "normal")):
        words = {"x": across("left"), "y": down(row), "text": {"field": field}}
        layers.append(layer(boxes, "text", words, align="left", fontSize=11.3, fontWeight=weight, color=INK, limit=0))
    layers.append(layer(boxes, "rule", line("left", "right", "bar_y"), color=GRID, strokeWidth=5))
    layers.append(
        layer(known(boxes, "bar"), "rule", line("left", "bar", "bar_y"), color=BLUE, strokeWidth=5, opacity=0.6)
    )
    layers.append(layer(known(boxes, "low", "high"), "rule", line("low", "high", "bar_y"), color=INK, strokeWidth=2))
    layers.append(
        layer(known(boxes, "floor"), "rule", line("floor", "floor", "tick", "tick2"), color=INK, strokeWidth=1.2)
    )
    picture = spec(layers, width, height, 2)
    picture["autosize"] = {"type": "none"}
    return picture


def _box(report: Report, nodes: Nodes, s: Subset, at: tuple[float, float], wide: float, name: str) -> dict[str, Any]:
    unit = report.primary.unit
    score = nodes[s]
    x, y = at
    ends = [scaled(v, unit) for n in nodes.values() for v in (n.value, n.high, n.floor)]
    low, high = domain([*ends, 0.0], unit, 0.0)
    high = 100.0 if unit == "share" else high

    def along(value: float) -> float | None:
        shown = scaled(value, unit)
        return (
            None if shown is None else x + 9 + (wide - 18) * min(max((shown - low) / ((high - low) or 1.0), 0.0), 1.0)
        )

    text = estimate(score.value, score.low, score.high, unit)
    return {
        "x": x, "x2": x + wide, "y": y - TALL / 2, "y2": y + TALL / 2, "left": x + 9, "right": x + wide - 9,
        "name": name, "name_y": y - 13, "text": text if 6.1 * len(text) < wide - 9 else number(score.value, unit),
        "text_y": y + 2, "bar_y": y + 15, "tick": y + 10, "tick2": y + 20,
        "bar": along(score.value), "low": along(score.low), "high": along(score.high), "floor": along(score.floor),
        "tip": f"{name}: {text}",
    }  # fmt: skip


def _edge(
    report: Report,
    nodes: Nodes,
    small: Subset,
    large: Subset,
    place: dict[Subset, tuple[float, float]],
    wide: float,
    few: bool,
) -> dict[str, Any]:
    m = report.primary
    a, b = nodes[small], nodes[large]
    delta, low, high = gain(report, a, b)
    (x, y), (x2, y2) = place[small], place[large]
    x += wide
    good = delta if m.better != "lower" else -delta
    kind = "same" if not apart(a, b, low, high) else "help" if good > 0 else "hurt"
    # Lines cross half-way between the middle levels; a label nearer to its start stays its own.
    share = (
        0.27 if few and 0 < len(small) < len(large) and len(place) > 4 and len(large) < max(map(len, place)) else 0.5
    )
    label = plain(delta * factor(m.unit), digits(m.unit, delta), True) if few or kind == "hurt" else ""
    return {
        "x": x, "x2": x2, "y": y, "y2": y2, "kind": kind, "label": label,
        "label_x": x + (x2 - x) * share, "label_y": y + (y2 - y) * share,
    }  # fmt: skip


def _coded(s: Subset, names: Sequence[str], codes: dict[str, str]) -> str:
    return " ".join(codes[n] for n in names if n in s) or "nothing"


def _table(report: Report, found: dict[str, Nodes], names: Sequence[str]) -> Table:
    columns = (
        Column("missing baseline", numeric=False),
        Column("present", numeric=False),
        Column(primary_title(report)),
        Column("one more", numeric=False),
        Column("what it adds"),
    )
    body = []
    for baseline, nodes in found.items():
        every = steps(nodes, names)
        for s, score in ordered(nodes, names):
            start = (text_cell(shorten(baseline, 30)), text_cell(named(s, names)), value_cell(score))
            more = [
                (text_cell("+ " + named(b - a, names)), _gain_cell(report, nodes[a], nodes[b]))
                for a, b in every
                if a == s
            ]
            body += [(*start, *pair) for pair in more or [(text_cell("all are present"), text_cell(""))]]
    return Table(columns, tuple(body))


def _gain_cell(report: Report, a: Score, b: Score) -> Cell:
    delta, low, high = gain(report, a, b)
    cell = number_cell(delta, report.primary.unit, "one of the two values is undefined", change=True)
    if cell.value is None:
        return cell
    if low == low and high == high:
        return Cell(change(delta, low, high, report.primary.unit), delta)
    return Cell(cell.text, delta, "difference of two values; this report holds no paired interval for it")
