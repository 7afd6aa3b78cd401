"""Risk-coverage curves: if only the most confident answers were accepted, how many of them would be wrong?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmaudit.figures.base import Cell as Shown
from mmaudit.figures.base import Column, Figure, Panel, Table, text_cell, words
from mmaudit.figures.marks import BLUE, DASHED, INK, Spec, domain, known, layer, scaled, spec
from mmaudit.formats import NBSP, estimate, number, plain, shorten
from mmaudit.report import Report

OPEN_PANELS = 6


def risk_coverage(report: Report) -> tuple[Figure, ...]:
    """One figure: per condition its risk-coverage curve beside the clean one (clean, missing subsets, the worst)."""
    entries: Sequence[Mapping[str, Any]] = report.document.get("risk_coverage", [])
    if not entries:
        return ()
    by_key = {m.key: m.condition for m in report.conditions}
    before = next((_points(e) for e in entries if e["condition"] == report.clean), [])
    values = [d[k] for e in entries for d in _points(e) for k in ("risk", "high")]
    limits = domain([0.0, *values], "share", 0.04)
    panels, body = [], []
    for i, entry in enumerate(entries):
        condition = by_key.get(entry["condition"])
        name = words(condition) if condition else shorten(entry["label"], 60)
        area = report.score(entry["condition"], "aurc")
        curve = _points(entry)
        body += [_row(name, d) for d in curve]
        ends = known(curve, "risk")
        alt = f"{name}: no risk is defined."
        if ends:
            alt = (
                f"{name}: {plain(ends[-1]['risk'], 1)} % wrong when all are answered, {plain(ends[0]['risk'], 1)} % "
                f"among the {plain(ends[0]['coverage'], 0)} % most confident. All numbers are in the table."
            )
        title = name if area is None else f"{name} · AURC{NBSP}{number(area.value, area.unit)}"
        panels.append(Panel(title, alt, _curves(curve, before, limits), folded=i >= OPEN_PANELS))
    columns = (
        Column("condition", numeric=False),
        Column("coverage (%)"),
        Column("wrong among the answered (%, ↓ better)"),
    )
    caption = (
        "The model answers only where it is most confident; the rest goes to a person. Going left, fewer questions "
        "are answered and fewer of the answers should be wrong. A flat line means that confidence does not tell wrong "
        "answers from right ones. The dashed line is the clean data, the band the 95 % interval, AURC the mean height "
        "(↓ better)."
    )
    return (Figure("risk-coverage", "Risk against coverage", caption, tuple(panels), Table(columns, tuple(body))),)


def _points(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    out = []
    for i, share in enumerate(entry["coverage"]):
        numbers = {k: math.nan if entry[k][i] is None else float(entry[k][i]) for k in ("risk", "low", "high")}
        shown = estimate(numbers["risk"], numbers["low"], numbers["high"], "share")
        one: dict[str, Any] = {k: scaled(v, "share") for k, v in numbers.items()}
        at = math.nan if share is None else float(share)
        one |= {"coverage": scaled(at, "share"), "shown": shown, "share": at}
        out.append(one | {"tip": f"{number(at, 'share', decimals=0)} answered: {shown} wrong"})
    return out


def _curves(curve: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]], limits: list[float]) -> Spec:
    x: Spec = {
        "field": "coverage",
        "type": "quantitative",
        "scale": {"domain": [0, 100], "nice": False},
        "axis": {"title": "coverage (% answered)", "tickCount": 5},
    }
    y: Spec = {
        "field": "risk",
        "type": "quantitative",
        "scale": {"domain": limits, "nice": True},
        "axis": {"title": "risk (% wrong, ↓ better)", "tickCount": 5},
    }

    def drawn(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{k: v for k, v in d.items() if k not in ("shown", "share")} for d in known(points, "risk", "coverage")]

    data = drawn(curve)
    band = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
    dots = {"x": x, "y": y, "description": {"field": "tip"}}
    return spec(
        [
            layer(drawn(before), "line", {"x": x, "y": y}, color=INK, strokeWidth=1.3, strokeDash=DASHED),
            layer(known(data, "low", "high"), "area", band, color=BLUE, fillOpacity=0.18),
            layer(data, "line", {"x": x, "y": y}, color=BLUE, strokeWidth=2),
            layer(data, "point", dots, aria=True, filled=True, color=BLUE, opacity=1, size=26),
        ],
        290,
        218,
    )


def _row(name: str, point: Mapping[str, Any]) -> tuple[Shown, ...]:
    risk = point["risk"]
    wrong = Shown(point["shown"], risk / 100) if risk is not None else Shown(point["shown"], None, "undefined")
    return (text_cell(name), Shown(number(point["share"], "share", decimals=0), point["share"]), wrong)
