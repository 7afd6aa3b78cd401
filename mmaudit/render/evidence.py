"""Findings as the template shows them: every line of evidence in words, with what is known of its score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmaudit.estimates import Estimate
from mmaudit.figures.base import words
from mmaudit.figures.estimates import by_key as estimates_by_key
from mmaudit.figures.estimates import is_difference, named, sides, text
from mmaudit.formats import change, estimate, number, p_value, readable, shorten
from mmaudit.render.references import evidence_rows
from mmaudit.render.summary import MARKS
from mmaudit.report import Report
from mmaudit.types import Condition, Finding, Score

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


def findings(report: Report) -> list[FindingView]:
    """All findings, worst first."""
    by_key = {m.key: m.condition for m in report.conditions}
    known, compared = estimates_by_key(report), evidence_rows(report)
    return [_finding(report, f, by_key, known, compared) for f in report.findings]


def _finding(
    report: Report,
    f: Finding,
    by_key: Mapping[str, Condition],
    known: Mapping[tuple[str, str], tuple[str, Estimate]],
    compared: Mapping[str, tuple[str, str, str, str, str]],
) -> FindingView:
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
        other = by_key.get(e.get("against") or "")
        other = None if other is None or other.family == "clean" else other
        evidence.append(_evidence(what + (f", {shorten(group, 60)}" if group else ""), e, score, other))
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
        p_value(e.p_adjusted) if math.isfinite(e.p_adjusted) else "",
    )


def _evidence(what: str, e: Mapping[str, Any], score: Score | None, other: Condition | None) -> EvidenceView:
    """What the finding says about a score; what it leaves out is looked up in the report.

    `other` is what its change is against, where that is not clean data.
    """

    def get(name: str) -> float:
        found = e[name] if e.get(name) is not None else getattr(score, name, math.nan)
        return float(found)

    unit = str(e.get("unit") or (score.unit if score else ""))
    value = estimate(get("value"), get("low"), get("high"), unit)
    if not math.isfinite(get("value")):
        reason = e.get("reason") or (score.reason if score else "")
        value = f"{value} ({reason or 'no reason was recorded'})"
    delta, p = get("delta"), get("p_adjusted")
    changed = change(delta, get("delta_low"), get("delta_high"), unit) if math.isfinite(delta) else ""
    against = f" against {words(other)}" if other is not None and changed else ""
    return EvidenceView(
        what,
        readable(str(e["metric"])),
        value,
        f"{changed}{against}",
        p_value(p) if math.isfinite(p) else "",
    )
