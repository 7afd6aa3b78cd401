"""The arbitration matrix: where modalities contradict each other, who wins, how confident, between which classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmaudit.figures.base import Cell, Column, Figure, Panel, Table, count_cell, number_cell, text_cell, value_cell
from mmaudit.figures.marks import (
    BLUE,
    DOTTED,
    GRID,
    INK,
    MUTED,
    RED,
    SOLID,
    Spec,
    haloed,
    known,
    layer,
    points,
    reference_line,
    scaled,
    spec,
    tinted,
)
from mmaudit.figures.subsets import modality_names
from mmaudit.formats import DASH, count, estimate, number, shorten
from mmaudit.report import Measured, Report
from mmaudit.types import Score

OUTCOMES = ("kept", "exchanged", "neither")
STYLES = {"kept": (BLUE, "circle"), "exchanged": (RED, "square"), "neither": (MUTED, "triangle-up")}
WORDS = {"kept": "kept win", "exchanged": "exchanged wins", "neither": "neither"}
ROW = 17.0
OPEN = 2
MOST_WRITTEN = 12
SIDE = 330


def arbitration(report: Report) -> tuple[Figure, ...]:
    """One figure of who wins and how confident, then one per exchanged modality of who wins class against class."""
    conflicts = [m for m in report.conditions if m.condition.family == "conflict"]
    conflicts = [m for m in conflicts if report.score(m.key, "follows_kept") is not None]
    if not conflicts:
        return ()
    return (_who_wins(report, conflicts), *_matrices(report))


def sides(report: Report, m: Measured) -> tuple[str, str]:
    """Names of the modalities kept in place, and of the exchanged one."""
    exchanged = m.condition.modalities
    kept = [name for name in modality_names(report) if name not in exchanged]
    listed = " + ".join(shorten(k, 20) for k in kept) if len(kept) < 3 else f"the {len(kept)} others"
    return listed, " + ".join(shorten(e, 20) for e in exchanged)


def _who_wins(report: Report, conflicts: Sequence[Measured]) -> Figure:
    body, wins, sure, heads = [], [], [], []
    pitch = ROW * len(OUTCOMES) + 26
    drawn = [m for m in conflicts if not m.condition.repeat]
    in_conflict = {item["condition"]: sum(map(sum, item["n"])) for item in report.document.get("arbitration", [])}
    for m in conflicts:
        kept, exchanged = sides(report, m)
        names = {"kept": f"{kept} (kept)", "exchanged": f"{exchanged} (exchanged)", "neither": "neither"}
        again = f", repeat {m.condition.repeat}" if m.condition.repeat else ""
        i = drawn.index(m) if m in drawn else -1
        if i >= 0:
            heads.append({"y": i * pitch + 10, "line": i * pitch, "text": f"{exchanged} says another class"})
        for j, outcome in enumerate(OUTCOMES):
            share = report.score(m.key, f"follows_{outcome}")
            confidence = report.score(m.key, f"confidence_{outcome}")
            body.append(
                (
                    text_cell(f"{exchanged} exchanged{again}"),
                    text_cell(names[outcome]),
                    count_cell(in_conflict.get(m.key, share.n if share else 0)),
                    value_cell(share),
                    value_cell(confidence),
                )
            )
            if i >= 0:
                place = i * pitch + 27 + ROW * j
                wins += _datum(share, outcome, names[outcome], place)
                sure += _datum(confidence, outcome, names[outcome], place)
    height = pitch * len(drawn)
    clean = report.score(report.clean, "mean_confidence")
    panels = []
    if known(wins, "value"):
        alt = f"Share of conflicts that each side wins, for {len(drawn)} modalities. All numbers are in the table."
        panels.append(Panel("Who wins", alt, _dots(wins, heads, height, "share of conflicts (%)", None), "half"))
    if known(sure, "value"):
        alt = "Mean confidence of the answers that follow each side. All numbers are in the table."
        panels.append(Panel("How confident", alt, _dots(sure, heads, height, "mean confidence (%)", clean), "half"))
    caption = (
        "One modality is taken from a sample of another class, so it says one class and all others say another. "
        "The answer then tells whom the model believes. Shares are of the samples in conflict, with 95 % intervals; "
        "confidence is the mean over the answers that follow that side, and the line is that on clean data."
    )
    columns = (
        Column("conflict", numeric=False),
        Column("the answer follows", numeric=False),
        Column("n", note="samples in conflict"),
        Column("share of conflicts (%)"),
        Column("mean confidence (%)", note="of the answers that follow this side"),
    )
    return Figure("arbitration", "Conflict: which modality wins", caption, tuple(panels), Table(columns, tuple(body)))


def _datum(score: Score | None, outcome: str, name: str, y: float) -> list[dict[str, Any]]:
    if score is None:
        return []
    return [
        {
            "y": y,
            "outcome": WORDS[outcome],
            "colour": STYLES[outcome][0],
            "value": scaled(score.value, "share"),
            "low": scaled(score.low, "share"),
            "high": scaled(score.high, "share"),
            "tip": f"{name}: {estimate(score.value, score.low, score.high, 'share')}",
        }
    ]


def _dots(
    data: Sequence[Mapping[str, Any]],
    heads: Sequence[Mapping[str, Any]],
    height: float,
    title: str,
    clean: Score | None,
) -> Spec:
    x: Spec = {
        "type": "quantitative",
        "scale": {"domain": [0, 100], "nice": False},
        "axis": {"title": title, "values": [0, 25, 50, 75, 100]},
    }
    y: Spec = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [height, 0], "nice": False}}
    layers = [layer(heads[1:], "rule", {"y": {**y, "field": "line"}}, color=GRID)]
    if clean is not None and (place := scaled(clean.value, "share")) is not None:
        layers.append(reference_line("x", place, x, SOLID, INK))
        at = {"x": {**x, "field": "x"}, "y": {"value": -5}, "text": {"field": "text"}}
        text = f"clean {number(clean.value, 'share')}"
        side = "right" if place > 50 else "left"
        layers.append(
            layer([{"x": place, "text": text}], "text", at, fontSize=11, baseline="bottom", align=side, color=INK)
        )
    span = {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y}
    layers.append(layer(known(data, "low", "high"), "rule", tinted(span), strokeWidth=2))
    styles = {WORDS[o]: STYLES[o] for o in OUTCOMES}
    dots = points(data, {**x, "field": "value"}, y, "outcome", styles, size=55, columns=3)
    for channel in ("color", "shape"):
        dots["encoding"][channel]["legend"] = {"columns": 3, "offset": 24}
    layers.append(dots)
    words = {"x": {"value": 2}, "y": y, "text": {"field": "text"}}
    layers += haloed(heads, words, align="left", fontWeight="bold")
    return spec(layers, 400, height + 105)


def _matrices(report: Report) -> list[Figure]:
    by_key = {m.key: m for m in report.conditions}
    figures = []
    for number_, item in enumerate(report.document.get("arbitration", []), 1):
        measured = by_key.get(item["condition"])
        if measured is None or not item["classes"]:
            continue
        kept, exchanged = sides(report, measured)
        names = _unique([shorten(c, 16) for c in item["classes"]])
        cells = [
            (i, j, item["exchanged"][i][j], item["n"][i][j])
            for i in range(len(names))
            for j in range(len(names))
            if item["n"][i][j]
        ]
        says = f"{kept} says" if len(modality_names(report)) == 2 else f"{kept} say"
        columns = (Column(says, numeric=False), *(Column(f"{exchanged}: {n}") for n in names))
        body = []
        for i, name in enumerate(names):
            row = (_cell(item["exchanged"][i][j], item["n"][i][j]) for j in range(len(names)))
            body.append((text_cell(name), *row))
        alt = (
            f"Share of conflicts that {exchanged} wins, for {len(names)} classes of {kept} against {len(names)} of "
            f"{exchanged}. All numbers are in the table."
        )
        picture = _heat_map(names, cells, says, exchanged)
        panels = (Panel("", alt, picture, "half"),) if any(v is not None for _, _, v, _ in cells) else ()
        coarse = " Classes beyond the most frequent ones stand together." if _coarse(report, item) else ""
        figures.append(
            Figure(
                f"arbitration-classes-{number_}",
                f"{exchanged} against {kept}, class by class",
                f"Share of conflicts in which the answer is the class that {exchanged} says (columns) rather than the "
                f"one that {says} (rows); the fuller the colour, the more {exchanged} is believed.{_sizes(cells)}"
                f"{' An empty cell, with a dashed rim, has none.' if 0 < len(cells) < len(names) ** 2 else ''}{coarse}",
                panels,
                Table(columns, tuple(body)),
            )
        )
    return figures


def _coarse(report: Report, item: Mapping[str, Any]) -> bool:
    return len(item["classes"]) < len(report.document["task"]["names"]) and item["classes"][-1].startswith("all other")


def _sizes(cells: Sequence[tuple[int, int, float | None, int]]) -> str:
    """A sentence on how many samples a cell rests on; none where there is no cell."""
    sizes = [n for *_, n in cells]
    if not sizes:
        return ""
    least, most = min(sizes), max(sizes)
    said = count(least) if least == most else f"{count(least)} to {count(most)}"
    return f" Cells rest on {said} {'sample' if most == 1 else 'samples'} each."


def _cell(value: float | None, n: int) -> Cell:
    if value is None or not n:
        return number_cell(math.nan, reason="no sample has this pair of classes")
    return Cell(f"{number(float(value), 'share')} of {count(n)}", float(value))


def _unique(names: Sequence[str]) -> list[str]:
    """Shortened names that are still different, in words a scale can tell apart."""
    return [n if list(names).count(n) == 1 else f"{n} ({i})" for i, n in enumerate(names, 1)]


def _heat_map(
    names: Sequence[str], cells: Sequence[tuple[int, int, float | None, int]], says: str, exchanged: str
) -> Spec:
    data = [
        {
            "row": names[i],
            "column": names[j],
            "value": scaled(float(v), "share"),
            "text": f"{100 * float(v):.0f}",
            "tip": f"{says} {names[i]}, {exchanged} says {names[j]}: {number(float(v), 'share')} of {count(n)}",
        }
        for i, j, v, n in cells
        if v is not None
    ]
    angle = 0 if max(map(len, names)) * len(names) < 44 else -45
    x: Spec = {
        "field": "column",
        "type": "nominal",
        "sort": None,
        "scale": {"domain": list(names), "paddingInner": 0.06},
        "axis": {"title": f"{exchanged} says", "labelAngle": angle, "ticks": False, "orient": "bottom"},
    }
    y: Spec = {
        "field": "row",
        "type": "nominal",
        "sort": None,
        "scale": {"domain": list(names), "paddingInner": 0.06},
        "axis": {"title": says, "ticks": False},
    }
    # Depth of one colour: a page's theme exchanges the colour, and depth stays readable on light and dark ground.
    depth = {
        "field": "value",
        "type": "quantitative",
        "legend": None,
        "scale": {"domain": [0, 100], "range": [0.04, 0.6]},
    }
    encoding = {"x": x, "y": y, "opacity": depth, "description": {"field": "tip"}}
    layers = [layer(data, "rect", encoding, color=RED, aria=True)]
    # A cell without samples is no share of 0 %: it has a dashed rim, and a dash for a number.
    held = {(d["row"], d["column"]) for d in data}
    empty = [{"row": r, "column": c, "text": DASH} for r in names for c in names if (r, c) not in held]
    layers.append(layer(empty, "rect", {"x": x, "y": y}, filled=False, stroke=MUTED, strokeDash=DOTTED, opacity=0.5))
    if len(names) <= MOST_WRITTEN:
        written = {"x": x, "y": y, "text": {"field": "text"}}
        layers.append(layer(empty, "text", written, fontSize=11, baseline="middle", color=MUTED))
        layers.append(layer(data, "text", written, fontSize=11, baseline="middle", color=INK))
    return spec(layers, SIDE + 110, SIDE + 60)
