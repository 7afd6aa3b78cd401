"""Every condition on one page: the change of the primary metric against clean, worst first (a forest plot)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from mmaudit.figures.base import (
    Column,
    Figure,
    Panel,
    Table,
    brief,
    comparison_cells,
    comparison_columns,
    loss,
    text_cell,
    words,
)
from mmaudit.figures.dots import written
from mmaudit.figures.marks import (
    DOTTED,
    GRID,
    INK,
    MUTED,
    SOLID,
    Spec,
    domain,
    family_style,
    known,
    layer,
    points,
    reference_line,
    scaled,
    significant,
    spec,
    tinted,
)
from mmaudit.formats import change, change_unit, readable, shorten
from mmaudit.report import Measured, Report
from mmaudit.types import Score

LIMIT = 60
# On a phone label and numbers share a line of so many letters, or have one each; the least that is left of a name.
LETTERS, PHONE_LETTERS, LEAST_NAME = 42, 49, 8
PHONE_ROW, PHONE_LINE = 34.0, 14.0
_PARTS = re.compile(r"(.*?)( \d+/5 · [^·]*?)?( · .*)?", re.DOTALL)
Entry = tuple[Measured, Score]


def ranked(report: Report) -> list[Entry]:
    """All conditions but the clean one with their primary score, largest loss first, undefined ones last."""
    found: list[Entry] = []
    for m in report.conditions:
        score = report.score(m.key, report.primary.name)
        if m.condition.family != "clean" and score is not None:
            found.append((m, score))
    return sorted(
        found, key=lambda e: (0, -loss(e[1]), e[1].label) if math.isfinite(e[1].delta) else (1, 0.0, e[1].label)
    )


def overview(report: Report) -> tuple[Figure, ...]:
    """One figure: every condition's change against clean with interval, sorted, by family.

    At most `LIMIT` conditions are drawn, the worst; the table has all.
    """
    entries = ranked(report)
    if not entries:
        return ()
    drawn = [e for e in entries if math.isfinite(e[1].delta)][:LIMIT]
    name = readable(report.primary.name)
    caption = (
        f"Change of {name} against the clean samples with its 95 % interval, paired sample by sample. The grey bar "
        "around 0 is what this audit could not have seen (minimum detectable effect): an interval inside it means “no "
        "change found”, not “no change”."
    )
    if len(drawn) < len(entries):
        caption += f" Drawn are the {len(drawn)} largest losses of {len(entries)} conditions; the table has all."
    panels: tuple[Panel, ...] = ()
    if drawn:
        if _limits(report, _rows(drawn, report, stacked=False))[1] is not None:
            caption += " The dotted line is where chance begins."
        first, last = (
            f"{words(m.condition)} ({change(s.delta, s.delta_low, s.delta_high, s.unit)})"
            for m, s in (drawn[0], drawn[-1])
        )
        alt = f"Change of {name} in {len(drawn)} conditions, from {first} to {last}. All numbers are in the table."
        panels = (
            Panel("", alt, _forest(report, drawn, stacked=False), "full", "wide"),
            Panel("", alt, _forest(report, drawn, stacked=True), "full", "narrow"),
        )
    columns = (Column("condition", numeric=False), Column("family", numeric=False), *comparison_columns(report))
    body = tuple(
        (text_cell(words(m.condition)), text_cell(m.condition.family), *comparison_cells(s)) for m, s in entries
    )
    return (Figure("overview", "Every condition, worst first", caption, panels, Table(columns, body)),)


def _forest(report: Report, entries: Sequence[Entry], stacked: bool) -> Spec:
    """One row per condition: words, interval, numbers; `stacked` puts the words above the interval (for phones)."""
    pitch, plot = (PHONE_ROW, 322.0) if stacked else (19.0, 410.0)
    data = _rows(entries, report, stacked)
    rows = data[-1]["end"]
    limits, chance = _limits(report, data)
    x: Spec = {"type": "quantitative", "scale": {"domain": limits, "nice": False}, "axis": _axis(report, stacked)}
    y: Spec = {"field": "row", "type": "quantitative", "scale": {"domain": [rows, 0], "nice": False}, "axis": None}
    styles = {f: family_style(f) for f in dict.fromkeys(str(d["family"]) for d in data)}

    def span(low: str, high: str) -> Spec:
        return {"x": {**x, "field": low}, "x2": {"field": high}, "y": y}

    layers: list[Spec] = []
    if stacked:
        line = {"y": y, "x": {"value": 0}, "x2": {"value": plot}}
        layers.append(layer([{"row": d["end"]} for d in data[:-1]], "rule", line, color=GRID))
    layers.append(layer(known(data, "mde"), "rule", span("mde_low", "mde"), strokeWidth=9, color=MUTED, opacity=0.25))
    layers.append(reference_line("x", 0.0, x, SOLID, INK))
    if chance is not None:
        layers.append(reference_line("x", chance, x, DOTTED, MUTED))
        place = {"x": {**x, "field": "x"}, "y": {"value": pitch * rows + 2}, "text": {"field": "text"}}
        layers.append(layer([{"x": chance, "text": "chance"}], "text", place, baseline="top", fontSize=11, color=MUTED))
    layers.append(layer(data, "rule", tinted(span("zero", "delta")), strokeWidth=1, opacity=0.35))
    layers.append(layer(known(data, "low", "high"), "rule", tinted(span("low", "high")), strokeWidth=2.5))
    layers.append(points(data, {**x, "field": "delta"}, y, "family", styles, columns=3 if stacked else 7))
    for field, where, align, tone in (
        ("label", 0 if stacked else -10, "left" if stacked else "right", INK),
        ("numbers", plot if stacked else plot + 12, "right" if stacked else "left", MUTED),
    ):
        place = {"x": {"value": where}, "y": {**y, "field": f"{field}_row"}, "text": {"field": field}}
        layers += written(data, place, align, tone, stacked)
    # Fonts differ between machines; the room is for one that is a seventh wider than the one this was laid out with.
    extra = {k: 0.0 if stacked else 4 + 0.9 * max(len(d[k]) for d in data) for k in ("label", "numbers")}
    room = {"left": 2 + extra["label"], "right": 2 + extra["numbers"], "top": 2, "bottom": 4}
    return spec(layers, plot, pitch * rows, room)


def _rows(entries: Sequence[Entry], report: Report, stacked: bool) -> list[dict[str, Any]]:
    """What is drawn, one below the other; `row` and the like count in rows, a label on a line of its own is more."""
    data: list[dict[str, Any]] = []
    names = [str(m["name"]) for m in report.document["data"]["modalities"]]
    for entry in entries:
        data.append(_row(data[-1]["end"] if data else 0.0, entry, report.primary.unit, names, stacked))
    return data


def _row(top: float, entry: Entry, unit: str, names: Sequence[str], stacked: bool) -> dict[str, Any]:
    c, score = entry[0].condition, entry[1]
    text = change(score.delta, score.delta_low, score.delta_high, unit)
    numbers = text.replace(f"\u00a0{change_unit(unit)}", "", 1) if stacked else text
    mde = abs(score.mde)
    if stacked and c.family != "missing":
        label = _brief(words(c), PHONE_LETTERS)
    else:
        label = brief(c, PHONE_LETTERS if stacked else LETTERS, names)
    more = PHONE_LINE / PHONE_ROW if stacked and len(label) + len(numbers) > PHONE_LETTERS else 0.0
    return {
        "end": significant(top + 1 + more),
        "row": significant(top + more + (0.7 if stacked else 0.5)),
        "label_row": significant(top + (0.32 if stacked else 0.5)),
        "numbers_row": significant(top + more + (0.32 if stacked else 0.5)),
        "delta": scaled(score.delta, unit),
        "low": scaled(score.delta_low, unit),
        "high": scaled(score.delta_high, unit),
        "mde": scaled(mde, unit),
        "mde_low": scaled(-mde, unit),
        "zero": 0,
        "family": shorten(c.family, 20),
        "colour": family_style(c.family)[0],
        "label": label,
        "numbers": numbers,
        "tip": f"{words(c)}: {text}",
    }


def _brief(text: str, limit: int) -> str:
    """A condition in words, cut in its name: what tells it from its neighbours (5/5 · image) stays."""
    if len(text) <= limit or text.count("/5 · ") > 1:
        return shorten(text, limit)
    name, kept, rest = _PARTS.fullmatch(text).groups("")  # type: ignore[union-attr]  # matches any text
    room = limit - len(kept)
    rest = _cut(rest, max(room - LEAST_NAME, 0))
    return f"{_cut(name, max(room - len(rest), LEAST_NAME))}{kept}{rest}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…" if limit else ""


def _limits(report: Report, data: Sequence[dict[str, Any]]) -> tuple[list[float], float | None]:
    """The scale, and the place of chance where it is not so far away that it would squeeze everything else."""
    clean = report.score(report.clean, report.primary.name)
    chance = scaled(clean.floor - clean.value, report.primary.unit) if clean is not None else None
    values = [d[k] for d in data for k in ("delta", "low", "high", "mde", "mde_low") if d[k] is not None]
    worst = max((abs(v) for v in values), default=1.0)
    chance = chance if chance is not None and abs(chance) <= 2.5 * worst else None
    return domain([*values, 0.0, chance], "", 0.03), chance


def _axis(report: Report, stacked: bool) -> Spec:
    m = report.primary
    sides = {"higher": "(← worse · better →)", "lower": "(← better · worse →)"}.get(m.better, "")
    unit = change_unit(m.unit)
    title = f"change of {shorten(readable(m.name), 30)}{', ' + unit if unit else ''}"
    return {
        "title": f"{title} {sides}" if len(title) < 34 else [title, sides],
        "orient": "top",
        "tickCount": 5 if stacked else 7,
        "labelExpr": "datum.value === 0 ? '0' : datum.value > 0 ? '+' + datum.label : datum.label",
    }
