"""Charts about one sample: its fragility passport, its answers before and after, its curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from mmaudit.browse.fragility import Flip
from mmaudit.figures.base import Cell, Column, Figure, Panel, Table, count_cell, number_cell, text_cell
from mmaudit.figures.dots import HALF, LETTER, PHONE, Dot, Row, Scale, dot_rows, slack
from mmaudit.figures.marks import (
    BLUE,
    DASHED,
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
    significant,
    spec,
)
from mmaudit.formats import NBSP, number, readable, shorten

RIGHT, WRONG = "measured, still right", "first severity that flips it"
PASSPORT = {RIGHT: (BLUE, "circle"), WRONG: (RED, "square")}
POSITIONS = (1, 2, 3, 4, 5)
WIDE: Literal["wide"] = "wide"
NARROW: Literal["narrow"] = "narrow"
ANSWERS = {"original": (BLUE, "circle"), "perturbed": (RED, "square")}
MOST_CLASSES = 8
COLUMNS = ["name", "right", "clean", "perturbed"]
MOST_CURVES = 4


def probe_name(probe: str) -> str:
    """A probe without its kind, in words: `gaussian blur`."""
    return readable(probe.split(".", 1)[-1])


def amount(value: float, unit: str) -> str:
    """A number with its unit; a share of something in percent, as everywhere: `58.4 % of characters`."""
    kind, _, of = unit.partition(" of ")
    return f"{number(value, 'share')} of {of}" if kind == "share" and of else number(value, unit)


def severity(value: float, unit: str) -> str:
    """The severity of a probe as its table has it; a share of something in percent: `10 % of letters`."""
    kind, _, of = unit.partition(" of ")
    return f"{100 * value:.4g}{NBSP}% of {of}" if kind == "share" and of else f"{value:g} {unit}".rstrip()


# ---- the fragility passport


def passport(flips: Sequence[Flip]) -> Figure:
    """Per modality and probe the smallest of the measured severities that makes a right answer wrong."""
    columns = (
        Column("modality", numeric=False),
        Column("probe", numeric=False),
        Column("flips at (1 to 5)", note="position in the probe's table of severities; none: not by any measured one"),
        Column("severity there", numeric=False),
        Column("measured", numeric=False),
        Column("above it", numeric=False),
    )
    body = tuple(
        (
            text_cell(shorten(f.modality, 40)),
            text_cell(probe_name(f.probe)),
            Cell(str(f.position), float(f.position)) if f.position is not None else _never(f),
            text_cell("" if f.severity is None else severity(f.severity, f.unit)),
            text_cell(", ".join(map(str, f.tested))),
            text_cell("" if f.position is None else "stays wrong" if f.monotone else "right again somewhere"),
        )
        for f in flips
    )
    caption = (
        "A square is the first severity, 1 (mild) to 5 (severe), that flips the sample. The line goes on where the "
        "answer stays wrong at every higher one; dashed, where it becomes right again somewhere. Dots alone: no "
        "measured severity flips it. Each probe was drawn once, so a flip is what happened, not how often it would."
    )
    panels: tuple[Panel, ...] = ()
    if flips:
        broken = [f for f in flips if f.position is not None]
        said = "; ".join(f"{probe_name(f.probe)} on {shorten(f.modality, 24)} at {f.position}" for f in broken[:8])
        alt = f"{len(broken)} of {len(flips)} probes flip this sample{': ' + said if said else ''}."
        panels = tuple(
            Panel("", f"{alt} All numbers are in the table.", _passport(flips, width), "full", show)
            for width, show in ((620.0, WIDE), (PHONE, NARROW))
        )
    return Figure("passport", "Fragility passport", caption, panels, Table(columns, body))


def _never(f: Flip) -> Cell:
    return Cell("none", None, f"no measured severity ({', '.join(map(str, f.tested)) or 'none'}) makes it wrong")


def _passport(flips: Sequence[Flip], width: float) -> Spec:
    stacked = width <= PHONE
    rows: list[dict[str, Any]] = []
    heads: list[dict[str, Any]] = []
    dots: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    y = 0.0
    for modality in dict.fromkeys(f.modality for f in flips):
        heads.append({"y": y + 12, "text": shorten(modality, 40), "line": y})
        y += 26
        for f in (f for f in flips if f.modality == modality):
            above = 14.0 if stacked else 0.0
            at = y + above + 11
            rows.append({"y": y + 7 if stacked else at, "text": shorten(probe_name(f.probe), 34)})
            dots += [
                {"x": position, "y": at, "series": RIGHT, "tip": f"{position}: still right"}
                for position in f.tested
                if f.position is None or position < f.position
            ]
            if f.position is not None:
                tip = f"wrong from {f.position} on" if f.monotone else f"wrong at {f.position}, right again above"
                dots.append({"x": f.position, "y": at, "series": WRONG, "tip": tip})
                end = max(f.tested, default=f.position)
                lines.append({"x": f.position, "end": end, "y": at, "monotone": f.monotone})
            y += 22 + above
    longest = 0 if stacked else max((len(r["text"]) for r in rows), default=0)
    left = 14 + LETTER * longest if longest else 0.0
    plot = width - left - 24
    axis = {"title": "severity (1 mild … 5 severe)", "values": list(POSITIONS), "format": "d", "grid": True}
    x: Spec = {"type": "quantitative", "scale": {"domain": [0.6, 5.4], "nice": False}, "axis": axis}
    down: Spec = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [y, 0], "nice": False}}
    span = {"x": {**x, "field": "x"}, "x2": {"field": "end"}, "y": down}
    label = {"x": {"value": 0 if stacked else -10}, "y": down, "text": {"field": "text"}}
    aside: dict[str, Any] = {"align": "left" if stacked else "right", "fontSize": 11.5, "limit": 0}
    head = {"x": {"value": -left}, "y": down, "text": {"field": "text"}}
    rule = {"x": {"value": -left}, "x2": {"value": plot}, "y": {**down, "field": "line"}}
    named = haloed(rows, label, align="left") if stacked else [layer(rows, "text", label, color=INK, **aside)]
    return spec(
        [
            layer(heads[1:], "rule", rule, color=GRID),
            *(
                layer(
                    [d for d in lines if d["monotone"] is stays],
                    "rule",
                    span,
                    color=RED,
                    strokeWidth=3,
                    strokeDash=dash,
                )
                for stays, dash in ((True, SOLID), (False, DASHED))
            ),
            points(dots, {**x, "field": "x"}, down, "series", PASSPORT, size=64, columns=1 if stacked else 2),
            *named,
            *haloed(heads, head, align="left", fontWeight="bold"),
        ],
        plot,
        y + 4,
        {"left": 2 + (0.0 if stacked else slack(r["text"] for r in rows)), "right": 10, "top": 2, "bottom": 4},
    )


# ---- answers


def answers(distribution: pd.DataFrame, task: str) -> Figure:
    """Probability of the likeliest classes (or labels) on the original and on the perturbed input.

    Args:
        distribution: of `Answers.distribution`: one row per class, columns `name`, `right`, `clean`, `perturbed`.
        task: `classification` or `multilabel`.
    """
    frame = distribution.assign(most=distribution[["clean", "perturbed"]].max(axis=1))
    frame = frame.sort_values("most", ascending=False, kind="stable")
    # What is right is always drawn, however unlikely.
    keep = frame.index[:MOST_CLASSES].union(frame.index[frame["right"].astype(bool)][:MOST_CLASSES], sort=False)
    drawn = frame.loc[keep]
    rows, body = [], []
    for name, right, clean, perturbed in drawn[COLUMNS].itertuples(index=False):
        mark = " ✓" if right else ""
        dots = [
            Dot(series, 100 * float(v), tip=f"{shorten(str(name), 40)}, {series}: {number(float(v), 'share')}")
            for series, v in (("original", clean), ("perturbed", perturbed))
            if math.isfinite(v)
        ]
        rows.append(Row(shorten(str(name), 26) + mark, tuple(dots)))
    for name, right, clean, perturbed in frame[COLUMNS].itertuples(index=False):
        no = "the model gave no usable answer"
        body.append(
            (
                text_cell(shorten(str(name), 60)),
                text_cell("right" if right else ""),
                number_cell(float(clean), "share", no),
                number_cell(float(perturbed), "share", no),
                number_cell(float(perturbed) - float(clean), "share", no, change=True),
            )
        )
    what = "label" if task == "multilabel" else "class"
    columns = (
        Column(what, numeric=False),
        Column("truth", numeric=False),
        Column("original (%)"),
        Column("perturbed (%)"),
        Column("change"),
    )
    more = f" {len(frame) - len(drawn)} more are in the table." if len(frame) > len(drawn) else ""
    caption = f"Probability that the model gives each {what}; ✓ marks what is right.{more}"
    panels: tuple[Panel, ...] = ()
    if any(r.dots for r in rows):
        said = "; ".join(
            f"{shorten(str(n), 24)} {number(float(a), 'share')} → {number(float(b), 'share')}"
            for n, a, b in drawn[["name", "clean", "perturbed"]].itertuples(index=False)
        )
        scale = Scale("probability (%)", ends=(-2.0, 102.0))
        panels = tuple(
            Panel("", f"{said}.", dot_rows(rows, ANSWERS, scale, width=width), "half", show)
            for width, show in ((HALF, WIDE), (PHONE, NARROW))
        )
    return Figure("answers", "Answers", caption, panels, Table(columns, tuple(body)))


# ---- curves


def curves(
    name: str, original: Sequence[Sequence[float]], perturbed: Sequence[Sequence[float]] | None, unit: str = ""
) -> Figure:
    """Waveforms or series, original and perturbed on one scale; one panel per channel (the first four)."""
    panels, body = [], []
    channels = max(len(original), len(perturbed or ()))
    for c in range(min(channels, MOST_CURVES)):
        data = _steps("original", original[c] if c < len(original) else ())
        data += _steps("perturbed", perturbed[c] if perturbed is not None and c < len(perturbed) else ())
        if not known(data, "value"):
            continue
        title = f"channel {c + 1}" if channels > 1 else ""
        said = "original and perturbed" if perturbed is not None else "original"
        alt = f"{shorten(name, 40)}{', ' + title if title else ''}: {said}, {len(data)} points."
        panels += [
            Panel(title, alt, _curves(data, width, unit), "half", show)
            for width, show in ((HALF, WIDE), (PHONE, NARROW))
        ]
        body += [
            (
                count_cell(c + 1),
                text_cell(d["series"]),
                number_cell(100 * d["at"], reason="no position"),
                number_cell(math.nan if d["value"] is None else d["value"], reason="missing in the sample"),
            )
            for d in data
        ]
    columns = (Column("channel"), Column("side", numeric=False), Column("place (% of its length)"), Column("value"))
    return Figure("curves", "", "", tuple(panels), Table(columns, tuple(body)))


def _steps(series: str, values: Sequence[float | None]) -> list[dict[str, Any]]:
    last = max(len(values) - 1, 1)
    return [
        {
            "series": series,
            "at": significant(i / last),
            "value": None if v is None or not math.isfinite(v) else significant(v),
        }
        for i, v in enumerate(values)
    ]


def _curves(data: Sequence[Mapping[str, Any]], width: float, unit: str) -> Spec:
    x: Spec = {"field": "at", "type": "quantitative", "axis": None, "scale": {"domain": [0, 1], "nice": False}}
    y: Spec = {"field": "value", "type": "quantitative", "axis": {"title": shorten(unit, 20) or None, "tickCount": 3}}
    present = [s for s in ANSWERS if any(d["series"] == s for d in data)]
    legend: Spec | None = {"symbolType": "stroke", "symbolStrokeWidth": 2} if len(present) > 1 else None
    tones = {"original": MUTED, "perturbed": RED}
    colour = {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": present, "range": [tones[s] for s in present]},
        "legend": legend,
    }
    return spec([layer(data, "line", {"x": x, "y": y, "color": colour}, strokeWidth=1.2, opacity=0.85)], width, 120)
