"""The section on method: what every number of this report is, its formula, and whose it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from mmaudit.formats import readable, shorten
from mmaudit.render.formulas import Formula, formulas, symbols, works
from mmaudit.report import Metric, Report

NOT_OURS = Markup("The report holds no formula of it; see the plug-in that measures it.")
UNKNOWN = Formula(Markup(), Markup(), (), (), NOT_OURS)
ALWAYS = ("efron1993", "garwood1936", "clopper1934", "benjamini1995", "bloom1995")
DIRECTIONS = {
    "higher": "Higher is better.",
    "lower": "Lower is better.",
    "neither": "Neither direction is better by itself.",
}
REPAIRS = {"temperature": "guo2017", "isotonic": "zadrozny2002", "beta": "kull2017"}


@dataclass(frozen=True)
class Measure:
    """A number of the report: name in words, meaning as the report has it, and how it is worked out."""

    name: str
    summary: str
    direction: str
    unit: str
    formula: Formula


@dataclass(frozen=True)
class Method:
    """What the section shows.

    Attributes:
        metrics: of conditions and of curves or families of them, the primary one first.
        estimators: of reliance and synergy.
        symbols: of the formulas.
        repairs: recalibrations that were tried, in words; empty without.
        references: whether reference methods were compared.
        works: sources cited in this report, short and in full.
    """

    metrics: tuple[Measure, ...]
    estimators: tuple[Measure, ...]
    symbols: tuple[tuple[Markup, Markup], ...]
    repairs: str
    references: bool
    works: tuple[tuple[str, str], ...]


def method(report: Report) -> Method:
    """Return the numbers that this report holds; what it lists but never measured is left out."""
    measured = {s.metric for s in report.rows}
    estimators = {e.estimator for e in report.estimates}
    named = sorted(report.metrics.values(), key=lambda m: m.name != report.primary.name)
    found = {m.name: _measure(m) for m in named if m.name in measured}
    repairs = dict.fromkeys(str(r["method"]) for r in report.document["recalibration"])
    compared = "rows" in report.document.get("references", {})
    keys = {key for m in found.values() for key in m.formula.keys} | set(ALWAYS)
    keys |= {REPAIRS[r] for r in repairs if r in REPAIRS} | ({"kuppers2020"} if repairs else set())
    keys |= {"wilson1927"} if report.document["reliability"] else set()
    keys |= {"taori2020", "michaelis2019"} if compared else set()
    return Method(
        metrics=tuple(m for name, m in found.items() if name not in estimators),
        estimators=tuple(m for name, m in found.items() if name in estimators),
        symbols=symbols(),
        repairs=_and(shorten(readable(r), 40) for r in repairs),
        references=compared,
        works=works(keys),
    )


def _measure(m: Metric) -> Measure:
    unit = {"share": "share, shown in %", "ratio": "ratio"}.get(m.unit, shorten(m.unit, 40))
    return Measure(
        shorten(readable(m.name), 80),
        shorten(m.summary, 400),
        DIRECTIONS.get(m.better, ""),
        unit,
        formulas().get(m.name, UNKNOWN),
    )


def _and(names: Iterable[str]) -> str:
    *most, last = list(names) or [""]
    return f"{', '.join(most)} and {last}" if most else last
