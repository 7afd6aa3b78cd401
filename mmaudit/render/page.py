"""The report page: one self-contained HTML file, findings first, method and limits last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mmaudit.figures import FIGURES, Figure, Panel
from mmaudit.figures.base import badness, words
from mmaudit.formats import change, count, estimate, number, p_value, readable, shorten
from mmaudit.render.samples import Budget, Shown, sides
from mmaudit.render.svg import draw
from mmaudit.render.tables import TableView, applied, everything, group_tables, metric_order, summaries, view
from mmaudit.render.templates import render, style
from mmaudit.report import Measured, Report
from mmaudit.types import LEVELS, Finding, Score

MARKS = {"critical": "▲", "major": "◆", "minor": "●", "info": "○"}
SEEN_IN = {
    "corruption": ("severity", "severity curves"),
    "missing": ("modalities", "missing modalities"),
    "mismatch": ("overview-section", "all conditions"),
}
ABSENT_FIGURES = {
    "overview": "No condition besides the clean one was measured.",
    "severity": "No corruption with a severity was measured.",
    "missing_rates": "No missing rates were measured.",
    "lattice": "No subset of modalities was measured.",
    "baselines": "No missing baseline was measured.",
    "reliability": "The report holds no reliability diagram: they exist for classification and multilabel tasks only, and where the suite asks for calibration.",
    "confidence": "Confidence against performance needs a mean confidence and a primary metric that is a share where higher is better.",
    "recalibration": "No recalibration was measured.",
}


@dataclass(frozen=True)
class PanelView:
    """A panel with its drawing; `svg` is empty where it could not be drawn."""

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
class Tile:
    """A number of the headline."""

    title: str
    value: str
    interval: str
    detail: str
    href: str


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
    """Return the whole page. The same report gives the same text; nothing is fetched, no script runs.

    Raises:
        MissingExtra: vl-convert-python, which draws the charts, is not installed.
    """
    document = report.document
    figures = {name: _figure_views(function(report)) for name, function in FIGURES.items()}
    return render(
        "page.html.j2",
        css=style("page.css"),
        report=report,
        doc=document,
        failed=report.failed_controls(),
        verdict=verdict(report),
        worst_level=report.findings[0].level if report.findings else "none",
        tiles=tiles(report),
        findings=[_finding_view(report, f) for f in report.findings],
        counts=[(level, MARKS[level], sum(f.level == level for f in report.findings)) for level in LEVELS],
        figures=figures,
        absent=ABSENT_FIGURES,
        examples=_examples(report),
        groups=[(column, view(table)) for column, table in group_tables(report)],
        summaries=view(summaries(report)),
        everything=[(report.metrics[name], view(everything(report, name))) for name in metric_order(report)],
        applied=view(applied(report)),
        raised=[m for m in report.conditions if m.raised],
        primary=report.primary,
        headline=report.headline(),
    )


def _figure_views(figures: Sequence[Figure]) -> list[FigureView]:
    views = []
    for f in figures:
        panels = [PanelView(p, Markup(draw(p.spec, p.alt, f"{f.id}-{i}"))) for i, p in enumerate(f.panels)]
        views.append(
            FigureView(
                f,
                tuple(p for p in panels if not p.panel.folded),
                tuple(p for p in panels if p.panel.folded),
                view(f.table),
            )
        )
    return views


def verdict(report: Report) -> str:
    """The report in a sentence or two, from its controls and findings."""
    failed, findings = report.failed_controls(), report.findings
    if failed:
        return (
            f"Do not rely on this report: {len(failed)} of its {len(report.document['controls'])} controls failed, "
            "so the audit itself may be measuring something else."
        )
    measured = len(report.conditions) - 1
    if not findings:
        return (
            f"No rule fired: under {measured} conditions nothing was found that this audit's rules call a problem. "
            "The detectable change of each condition says how small a problem could have been seen."
        )
    return f"{report.level_counts().capitalize()} finding{'s' if len(findings) > 1 else ''} under {measured} conditions. First: {findings[0].claim}"


def tiles(report: Report) -> list[Tile]:
    """The numbers of the headline: clean value, and the worst of each family."""
    m = report.primary
    out = []
    clean = report.score(report.clean, m.name)
    if clean is not None:
        out.append(
            Tile(
                f"{readable(m.name)}, clean", *_parts(estimate(clean.value, clean.low, clean.high, clean.unit)),
                f"chance {number(clean.floor, clean.unit)}" if math.isfinite(clean.floor) else clean.reason if not math.isfinite(clean.value) else "",
                "everything",
            )
        )  # fmt: skip
    for title, href, belongs in (
        ("costliest missing modality", "modalities", _is_single_missing),
        ("worst corruption", "severity", lambda x: x.condition.family == "corruption"),
        ("worst mismatch", "overview-section", lambda x: x.condition.family == "mismatch"),
    ):
        found = [(x, s) for x in report.conditions if belongs(x) and (s := report.score(x.condition.key, m.name)) is not None]
        known = [(x, s) for x, s in found if math.isfinite(badness(s))]
        if known:
            x, s = max(known, key=lambda e: badness(e[1]))
            out.append(Tile(title, *_parts(change(s.delta, s.delta_low, s.delta_high, s.unit)), words(x.condition), href))
    if "ece" in report.metrics:
        all_ece = [(x, s) for x in report.conditions if x.condition.family != "control" and (s := report.score(x.condition.key, "ece")) is not None and math.isfinite(s.value)]
        clean_ece = next((s for x, s in all_ece if x.condition.family == "clean"), None)
        if clean_ece is not None:
            x, s = max(all_ece, key=lambda e: e[1].value)
            detail = f"at worst {number(s.value, s.unit)}: {words(x.condition)}" if s is not clean_ece else "no condition is worse"
            out.append(Tile("calibration error, clean", *_parts(estimate(clean_ece.value, clean_ece.low, clean_ece.high, clean_ece.unit)), detail, "calibration"))
    return out


def _is_single_missing(m: Measured) -> bool:
    c = m.condition
    return c.family == "missing" and c.severity is None and len(c.modalities) == 1


def _parts(text: str) -> tuple[str, str]:
    value, _, rest = text.partition(" [")
    return value, f"[{rest}" if rest else ""


def _finding_view(report: Report, f: Finding) -> FindingView:
    by_key = {m.condition.key: m.condition for m in report.conditions}
    evidence = []
    for e in f.evidence:
        score = report.score(e["condition"], e["metric"], e.get("group", ""))
        condition = by_key.get(e["condition"])
        what = words(condition) if condition else str(e.get("label", e["condition"]))
        evidence.append(_evidence(what + (f", {e['group']}" if e.get("group") else ""), e, score))
    families = dict.fromkeys(by_key[e["condition"]].family for e in f.evidence if e["condition"] in by_key)
    seen = tuple(dict.fromkeys(SEEN_IN[x] for x in families if x in SEEN_IN))
    return FindingView(f, MARKS[f.level], tuple(evidence), seen)


def _evidence(what: str, e: Mapping[str, Any], score: Score | None) -> EvidenceView:
    def get(name: str) -> float:
        found = e.get(name)
        if found is None and score is not None:
            found = getattr(score, name)
        return math.nan if found is None else float(found)

    unit = str(e.get("unit") or (score.unit if score else ""))
    reason = str(e.get("reason") or (score.reason if score else ""))
    value = estimate(get("value"), get("low"), get("high"), unit)
    if not math.isfinite(get("value")):
        value = f"{value} ({reason or 'no reason was recorded'})"
    delta = get("delta")
    return EvidenceView(
        what, readable(str(e["metric"])), value,
        change(delta, get("delta_low"), get("delta_high"), unit) if math.isfinite(delta) else "",
        p_value(get("p_adjusted")) if math.isfinite(get("p_adjusted")) else "",
    )  # fmt: skip


def _examples(report: Report) -> list[dict[str, Any]]:
    budget = Budget()
    by_key = {m.condition.key: m.condition for m in report.conditions}
    out = []
    for e in report.document["examples"]:
        condition = by_key.get(e["condition"])
        modalities = []
        for m in e["modalities"]:
            pair: tuple[Shown, Shown] = sides(m["original"], m["perturbed"] if m["changed"] else m["original"], budget if m["changed"] else _half(budget))
            modalities.append({"name": m["name"], "kind": m["kind"], "changed": m["changed"], "original": pair[0], "perturbed": pair[1]})
        out.append(
            {
                "what": words(condition) if condition else e["label"], "label": e["label"], "sample": str(e["sample"]), "target": e["target"],
                "clean": _prediction(e["clean"]), "perturbed": _prediction(e["perturbed"]), "modalities": modalities,
                "right_before": e["clean"]["prediction"] == e["target"], "right_after": e["perturbed"]["prediction"] == e["target"],
            }
        )  # fmt: skip
    return out


def _half(budget: Budget) -> Budget:
    return budget


def _prediction(p: Mapping[str, Any]) -> dict[str, str]:
    sure = math.nan if p["confidence"] is None else float(p["confidence"])
    return {"answer": p["prediction"], "confidence": number(sure, "share") if math.isfinite(sure) else ""}


__all__ = ["count", "page", "shorten", "tiles", "verdict"]
