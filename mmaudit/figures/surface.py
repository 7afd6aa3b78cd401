"""The severity × severity surface: what two corruptions do together, and the residual from what each does alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmaudit.figures.base import Column, Figure, Panel, Table, joined, primary_title, text_cell, value_cell
from mmaudit.figures.marks import BLUE, INK, MUTED, PAPER, RED, Spec, layer, scaled, spec
from mmaudit.formats import change, change_unit, estimate, factor, number, plain, readable, shorten, shown_unit
from mmaudit.report import Report
from mmaudit.types import Condition, Score

RESIDUALS = {"additivity_residual": "beyond the sum of both", "independence_residual": "beyond independent shares"}
WIDTH, HIGH = 252.0, 28.0
# Behind ink a colour may cover half of the ground at most, to keep the number readable on a dark page, too.
DARKEST = 0.5
# Severity of the first and of the second modality, 0 where that one is not corrupted.
Place = tuple[int, int]


@dataclass
class Surface:
    """One surface: a condition of either side, and the report's key of every place that was measured."""

    a: Condition
    b: Condition
    keys: dict[Place, str] = field(default_factory=dict)

    def side(self, which: int, clean: bool = True) -> list[int]:
        """The severities of one side, 0 among them or not."""
        return sorted({place[which] for place in self.keys if clean or place[which]})


def surfaces(report: Report) -> list[Surface]:
    """The surfaces that the report holds, in the order of its conditions."""
    keys = {m.condition.key: m.key for m in report.conditions}
    found: dict[tuple[str, str], Surface] = {}
    for m in report.conditions:
        both = joined(m.condition)
        if both is None:
            continue
        a, b = both
        one = found.setdefault((a.stream, b.stream), Surface(a, b, {(0, 0): report.clean}))
        at = a.position or 0, b.position or 0
        one.keys |= {at: m.key, (at[0], 0): keys.get(a.key, ""), (0, at[1]): keys.get(b.key, "")}
    return list(found.values())


def surface(report: Report) -> tuple[Figure, ...]:
    """One figure per surface: the metric and both residuals as tables of coloured cells."""
    figures = []
    for i, s in enumerate(surfaces(report), 1):
        panels = [p for p in (_metric(report, s), *(_residual(report, s, r) for r in RESIDUALS)) if p is not None]
        title = f"{_name(s.a)} × {_name(s.b)}"
        figures.append(
            Figure(f"surface-{i}", title, _caption(report) if i == 1 else "", tuple(panels), _table(report, s))
        )
    return tuple(figures)


def _name(c: Condition) -> str:
    return f"{shorten(c.modalities[0], 20)}: {shorten(readable(c.probe.partition('.')[2]), 28)}"


def _caption(report: Report) -> str:
    text = (
        f"First: {primary_title(report)} at every severity of the one corruption with every severity of the other. "
        "Second: what both do together beyond the sum of what each does alone, with the same random numbers. Negative "
        "(red): the damage compounds. Positive (blue): it overlaps, or one modality makes up for the other; near "
        "chance it must, as what is lost cannot be lost again. Third: the share kept above chance minus the product "
        "of the shares kept under each, which is 0 there, too, where the two act independently. Bold: the 95 % "
        "interval leaves out 0."
    )
    if report.primary.name == "rmse":
        text += " Residuals are those of the mean squared error, on which independent damage adds up."
    return text


def _metric(report: Report, s: Surface) -> Panel | None:
    m = report.primary
    scores = _defined(report, s, m.name, together=False)
    if not scores:
        return None
    values = [x.value for x in scores.values()]
    best, worst = (max(values), min(values)) if m.better != "lower" else (min(values), max(values))
    cells = [
        _cell(
            place,
            x,
            plain(x.value * factor(m.unit), 1) if m.unit == "share" else number(x.value),
            DARKEST * (best - x.value) / ((best - worst) or 1.0),
            f"{_at(s, place)}: {estimate(x.value, x.low, x.high, m.unit)}",
        )
        for place, x in scores.items()
    ]
    title = f"{readable(m.name)}{f' ({shown_unit(m.unit)})' if m.unit else ''}"
    ends = f"{number(best, m.unit)} at best, {number(worst, m.unit)} at worst"
    alt = f"{title} of {_name(s.a)} with {_name(s.b)}: {ends}. All numbers are in the table."
    return Panel(title, alt, _picture(s, cells, residual=False))


def _residual(report: Report, s: Surface, name: str) -> Panel | None:
    scores = _defined(report, s, name, together=True)
    if not scores:
        return None
    unit = next(iter(scores.values())).unit
    # What the audit could not have told from 0 stays pale.
    most = max(abs(end - x.value) for x in scores.values() for end in (0.0, x.low, x.high) if end == end) or 1.0
    cells = [
        _cell(
            place,
            x,
            plain(x.value * factor(unit), 1, True) if unit == "share" else number(x.value, signed=True),
            DARKEST * abs(x.value) / most,
            f"{_at(s, place)}: {change(x.value, x.low, x.high, unit)}",
        )
        for place, x in scores.items()
    ]
    low, high = min(x.value for x in scores.values()), max(x.value for x in scores.values())
    title = f"{RESIDUALS[name]}{f' ({change_unit(unit)})' if unit else ''}"
    ends = f"from {number(low, unit, change=True)} to {number(high, unit, change=True)}"
    alt = f"{readable(name)} of {_name(s.a)} with {_name(s.b)}: {ends}. All numbers are in the table."
    return Panel(title, alt, _picture(s, cells, residual=True))


def _defined(report: Report, s: Surface, metric: str, together: bool) -> dict[Place, Score]:
    found = {p: report.score(key, metric) for p, key in sorted(s.keys.items()) if all(p) or not together}
    return {p: x for p, x in found.items() if x is not None and x.value == x.value}


def _at(s: Surface, place: Place) -> str:
    return " and ".join(f"{c.modalities[0]} {p or 'clean'}" for c, p in zip((s.a, s.b), place, strict=True))


def _cell(place: Place, score: Score, text: str, tone: float, tip: str) -> dict[str, Any]:
    sure = score.low > 0 or score.high < 0
    value = scaled(score.value, score.unit)
    return {"place": place, "value": value, "text": text, "tone": round(tone, 3), "sure": sure, "tip": tip}


def _picture(s: Surface, cells: Sequence[dict[str, Any]], residual: bool) -> Spec:
    rows, columns = s.side(0, not residual), s.side(1, not residual)
    data = []
    for cell in cells:
        y, x = rows.index(cell["place"][0]), columns.index(cell["place"][1])
        drawn = {k: v for k, v in cell.items() if k != "place"}
        data.append({**drawn, "x": x, "x2": x + 1, "y": y, "y2": y + 1, "cx": x + 0.5, "cy": y + 0.5})
    across, down = _axis(columns, s.b, [0, len(columns)]), _axis(rows, s.a, [len(rows), 0])
    frame = {"x": across("x"), "x2": {"field": "x2"}, "y": down("y"), "y2": {"field": "y2"}}
    tinted = {**frame, "fillOpacity": {"field": "tone", "type": "quantitative", "scale": None}}
    tinted["description"] = {"field": "tip"}
    place = {"x": across("cx"), "y": down("cy"), "text": {"field": "text"}}
    layers = []
    for colour, negative in ((BLUE, False), (RED, True)):
        mine = [d for d in data if (residual and d["value"] < 0) == negative]
        layers.append(layer(mine, "rect", tinted, aria=True, fill=colour, stroke=PAPER, strokeWidth=1.5))
    for weight, bold in (("normal", False), ("bold", True)):
        mine = [d for d in data if (residual and d["sure"]) == bold]
        layers.append(layer(mine, "text", place, fontSize=11.3, fontWeight=weight, color=INK, limit=0))
    if not residual:
        # What one corruption does alone is set apart from what both do together.
        lines = [{"x": 1, "x2": 1, "y": 0, "y2": len(rows)}, {"x": 0, "x2": len(columns), "y": 1, "y2": 1}]
        layers.append(layer(lines, "rule", frame, color=MUTED, strokeWidth=1.2))
    return spec(layers, WIDTH, HIGH * len(rows), 2)


def _axis(severities: Sequence[int], c: Condition, domain: list[int]) -> Callable[[str], Spec]:
    label = "''"  # only numbers enter the expression, never a text from outside
    for i, severity in enumerate(severities):
        label = f"datum.value === {i + 0.5} ? '{severity}' : {label}"
    places = [i + 0.5 for i in range(len(severities))]
    settings = {"title": _name(c), "values": places, "labelExpr": label, "grid": False, "ticks": False}

    def of(name: str) -> Spec:
        return {"field": name, "type": "quantitative", "axis": settings, "scale": {"domain": domain, "nice": False}}

    return of


def _table(report: Report, s: Surface) -> Table:
    columns = (
        Column(_name(s.a), numeric=False),
        Column(_name(s.b), numeric=False),
        Column(primary_title(report)),
        Column("change against clean"),
        Column(RESIDUALS["additivity_residual"], note="residual from additivity; negative: the damage compounds"),
        Column(RESIDUALS["independence_residual"], note="share kept minus the product of the shares kept under each"),
    )
    body = []
    for place, key in sorted(s.keys.items()):
        score = report.score(key, report.primary.name)
        residuals = [value_cell(report.score(key, r)) if all(place) else text_cell("") for r in RESIDUALS]
        names = [text_cell(f"severity {p}" if p else "clean") for p in place]
        body.append((*names, value_cell(score), value_cell(score, "delta"), *residuals))
    return Table(columns, tuple(body))
