"""The report page: one self-contained HTML file, findings first, method and limits last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mmaudit.estimates import Estimate
from mmaudit.figures import FIGURES, Figure, Panel
from mmaudit.figures.base import words
from mmaudit.figures.estimates import by_key as estimates_by_key
from mmaudit.figures.estimates import is_difference, named, sides, text
from mmaudit.formats import change, estimate, number, p_value, readable, shorten
from mmaudit.render.references import evidence_rows, references
from mmaudit.render.samples import Budget
from mmaudit.render.samples import sides as both_sides
from mmaudit.render.scenarios import scenario_steps, scenario_texts, severity_scales
from mmaudit.render.summary import MARKS, tiles, verdict
from mmaudit.render.svg import draw
from mmaudit.render.synergy import (
    explanations,
    reliance_facts,
    shown_samples,
    synergy_facts,
    synergy_tile,
)
from mmaudit.render.tables import TableView, applied, everything, group_tables, metric_order, summaries, view
from mmaudit.render.templates import render, style
from mmaudit.report import Report
from mmaudit.types import LEVELS, Finding, Score

OPEN_FINDINGS, OPEN_SAMPLES = 12, 6
SEEN_IN = {
    "corruption": ("severity", "severity curves"),
    "scenario": ("scenarios", "scenarios"),
    "missing": ("modalities", "missing modalities"),
    "mismatch": ("conditions", "all conditions"),
    "conflict": ("alignment", "conflicts"),
    "reliance": ("reliance", "reliance"),
    "synergy": ("synergy", "synergy"),
    "references": ("references", "reference methods"),
}
ABSENT = {
    "overview": "No condition besides the clean one was measured.",
    "severity": "No corruption with a severity was measured.",
    "missing_rates": "No missing rates were measured.",
    "lattice": "No subset of modalities was measured.",
    "reliability": "No reliability diagram: they exist where predictions are probabilities.",
    "confidence": "No chart of confidence against performance: it needs a mean confidence and a primary metric that is "
    "a share where higher is better.",
    "recalibration": "No recalibration was measured.",
}


@dataclass(frozen=True)
class PanelView:
    """A panel with its drawing."""

    panel: Panel
    svg: Markup


@dataclass(frozen=True)
class FigureView:
    """A figure ready for the template."""

    figure: Figure
    open: tuple[PanelView, ...]
    folded: tuple[PanelView, ...]
    table: TableView


@dataclass(frozen=True)
class EvidenceView:
    """A line of evidence under a finding."""

    what: str
    metric: str
    value: str
    change: str
    p: str


@dataclass(frozen=True)
class FindingView:
    """A finding ready for the template."""

    finding: Finding
    mark: str
    evidence: tuple[EvidenceView, ...]
    seen_in: tuple[tuple[str, str], ...]


def page(report: Report) -> str:
    """Return the whole page. The same report gives the same text; nothing is fetched, no script runs."""
    level, sentence = verdict(report)
    budget = Budget()
    samples = _samples(report, budget)
    estimators = {e.estimator for e in report.estimates}
    return render(
        "page.html.j2",
        css=style("page.css"),
        report=report,
        doc=report.document,
        failed=report.failed_controls(),
        idle=report.idle_conditions(),
        level=level,
        verdict=sentence,
        tiles=[*tiles(report), *synergy_tile(report)],
        findings=[_finding(report, f) for f in report.findings],
        # Only minor ones are ever put behind a click.
        open_findings=max(OPEN_FINDINGS, sum(f.level in LEVELS[:2] for f in report.findings)),
        counts=[(name, MARKS[name], sum(f.level == name for f in report.findings)) for name in LEVELS],
        figures={name: [_figure(f) for f in function(report)] for name, function in FIGURES.items()},
        absent=ABSENT,
        samples=samples[:OPEN_SAMPLES],
        more_samples=samples[OPEN_SAMPLES:],
        groups=[(column, view(table)) for column, table in group_tables(report)],
        summaries=view(summaries(report)),
        everything=[(report.metrics[n], view(t)) for n in metric_order(report) if (t := everything(report, n)).rows],
        applied=view(applied(report)),
        scenario_texts=scenario_texts(report),
        scenario_steps=view(scenario_steps(report)),
        scales=[(meaning, view(table)) for meaning, table in severity_scales(report)],
        disagreements=explanations(report, "disagreements"),
        explanations=explanations(report, "explanations"),
        agreement=any(e.estimator == "reliance_agreement" for e in report.estimates),
        reliance_facts=reliance_facts(report),
        synergy_facts=synergy_facts(report),
        synergy_samples=shown_samples(report, budget),
        references=references(report),
        open_samples=OPEN_SAMPLES,
        regression=report.document["task"]["kind"] == "regression",
        measures=[m for m in report.document["metrics"] if m["name"] not in estimators],
        estimators=[m for m in report.document["metrics"] if m["name"] in estimators],
        raised=sum(m.raised > 0 for m in report.conditions),
        primary=report.primary,
    )


def _figure(f: Figure) -> FigureView:
    panels = [PanelView(p, Markup(draw(p.spec, p.alt, f"{f.id}-{i}"))) for i, p in enumerate(f.panels)]
    return FigureView(
        f,
        tuple(p for p in panels if not p.panel.folded),
        tuple(p for p in panels if p.panel.folded),
        view(f.table),
    )


def _finding(report: Report, f: Finding) -> FindingView:
    by_key = {m.key: m.condition for m in report.conditions}
    known = estimates_by_key(report)
    compared = evidence_rows(report)
    evidence = []
    for e in f.evidence:
        condition, group = by_key.get(e["condition"]), e.get("group", "")
        if condition is None and (e["condition"], group) in known:
            evidence.append(_estimated(known[e["condition"], group][1], group))
            continue
        if e["condition"] in compared:
            evidence.append(EvidenceView(*compared[e["condition"]]))
            continue
        what = words(condition) if condition else shorten(str(e.get("label", e["condition"])), 80)
        score = report.score(e["condition"], e["metric"], group)
        evidence.append(_evidence(what + (f", {shorten(group, 60)}" if group else ""), e, score))
    families = dict.fromkeys(
        by_key[e["condition"]].family if e["condition"] in by_key else known[e["condition"], e.get("group", "")][0]
        for e in f.evidence
        if e["condition"] in by_key or (e["condition"], e.get("group", "")) in known
    )
    if any(e["condition"] in compared for e in f.evidence):
        families["references"] = None
    return FindingView(f, MARKS[f.level], tuple(evidence), tuple(SEEN_IN[x] for x in families if x in SEEN_IN))


def _estimated(e: Estimate, group: str) -> EvidenceView:
    """A number about reliance or synergy: instead of a change what it would be if there were nothing."""
    about = sides(e) or "the whole model"
    variant = [f"{k} {v}" for k, v in e.options if k in ("of", "baseline", "beside")]
    null = number(e.null, e.unit, change=is_difference(e)) if math.isfinite(e.null) else ""
    return EvidenceView(
        ", ".join([about, *(shorten(v, 40) for v in variant), *([shorten(group, 60)] if group else [])]),
        named(e),
        text(e) if math.isfinite(e.value) else f"{text(e)} ({e.reason or 'no reason was recorded'})",
        f"{null} if there were nothing" if null else "",
        p_value(e.p) if math.isfinite(e.p) else "",
    )


def _evidence(what: str, e: Mapping[str, Any], score: Score | None) -> EvidenceView:
    """What the finding says about a score; what it leaves out is looked up in the report."""

    def get(name: str) -> float:
        found = e[name] if e.get(name) is not None else getattr(score, name, math.nan)
        return float(found)

    unit = str(e.get("unit") or (score.unit if score else ""))
    value = estimate(get("value"), get("low"), get("high"), unit)
    if not math.isfinite(get("value")):
        reason = e.get("reason") or (score.reason if score else "")
        value = f"{value} ({reason or 'no reason was recorded'})"
    delta, p = get("delta"), get("p_adjusted")
    return EvidenceView(
        what,
        readable(str(e["metric"])),
        value,
        change(delta, get("delta_low"), get("delta_high"), unit) if math.isfinite(delta) else "reference",
        p_value(p) if math.isfinite(p) else "",
    )


def _samples(report: Report, budget: Budget) -> Sequence[Mapping[str, Any]]:
    by_key = {m.key: m.condition for m in report.conditions}
    found = []
    for e in report.document["examples"]:
        condition = by_key.get(e["condition"])
        modalities = []
        for m in e["modalities"]:
            one = {"name": m["name"], "kind": m["kind"], "changed": m["changed"]}
            one["original"], one["perturbed"] = both_sides(
                m["original"], m["perturbed"] if m["changed"] else None, budget
            )
            modalities.append(one)
        found.append(
            {
                "what": words(condition) if condition else shorten(e["label"], 80),
                "sample": str(e["sample"]),
                "target": e["target"],
                "clean": _prediction(e["clean"], e["target"]),
                "perturbed": _prediction(e["perturbed"], e["target"]),
                "modalities": modalities,
                "regression": report.document["task"]["kind"] == "regression",
            }
        )
    # One sample of each condition, then a second of each: the first few show different things.
    place = {id(e): [x["what"] for x in found[:i]].count(e["what"]) for i, e in enumerate(found)}
    return sorted(found, key=lambda e: place[id(e)])


def _prediction(p: Mapping[str, Any], target: str) -> dict[str, Any]:
    sure = "" if p["confidence"] is None else number(float(p["confidence"]), "share")
    return {"answer": p["prediction"], "confidence": sure, "right": p["prediction"] == target}
