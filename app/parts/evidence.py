"""What a finding rests on: its scores with intervals as a table, and where the dashboard shows more of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmaudit.figures.base import Cell, Column, Table, text_cell, words
from mmaudit.figures.estimates import by_key as estimates_by_key
from mmaudit.figures.estimates import is_difference, named, sides, text
from mmaudit.formats import change, count, estimate, number, p_value, readable, shorten
from mmaudit.render.references import evidence_rows
from mmaudit.report import Report
from mmaudit.types import Condition, Finding, Score

COLUMNS = (
    Column("evidence", numeric=False),
    Column("metric", numeric=False),
    Column("value", note="with its 95 % interval"),
    Column("change", note="against clean data where nothing else is said; 95 % interval, paired sample by sample"),
    Column("adjusted p", note="Benjamini-Hochberg over all conditions and metrics"),
    Column("samples"),
)
# Family of a condition or estimate: the page that shows more of it, that page's own state, and what the link says.
SEEN_IN: Mapping[str, tuple[str, dict[str, str], str]] = {
    "corruption": ("robustness", {"view": "severity"}, "Severity curves"),
    "adversarial": ("robustness", {"view": "severity"}, "Severity curves"),
    "contrast_set": ("robustness", {"view": "severity"}, "Severity curves"),
    "scenario": ("robustness", {"view": "together"}, "Corrupted together"),
    "mismatch": ("robustness", {"view": "mismatch"}, "Mismatch and conflict"),
    "conflict": ("robustness", {"view": "mismatch"}, "Mismatch and conflict"),
    "missing": ("subsets", {}, "Subsets"),
    "reliance": ("reliance", {}, "Reliance & synergy"),
    "synergy": ("reliance", {}, "Reliance & synergy"),
    "references": ("references", {}, "References"),
}


def table(report: Report, finding: Finding) -> Table:
    """One row per score, estimate or comparison with a reference that the finding rests on."""
    conditions = {m.key: m.condition for m in report.conditions}
    known, compared = estimates_by_key(report), evidence_rows(report)
    rows: list[tuple[Cell, ...]] = []
    for e in finding.evidence:
        group = str(e.get("group") or "")
        if e["condition"] not in conditions and (e["condition"], group) in known:
            one = known[e["condition"], group][1]
            about = sides(one) or "the whole model"
            null = f"{number(one.null, one.unit, change=is_difference(one))} if there were nothing"
            rows.append(
                (
                    text_cell(about + (f", {shorten(group, 60)}" if group else "")),
                    text_cell(named(one)),
                    _cell(text(one), one.value, one.reason),
                    _cell(null, one.null, "this number has no value to compare with"),
                    _cell(p_value(one.p_adjusted), one.p_adjusted, "there is no test of this number"),
                    text_cell(""),
                )
            )
        elif e["condition"] in compared:
            what, metric, value, delta, p = compared[e["condition"]]
            rows.append(tuple(text_cell(x) for x in (what, metric, value, delta, p, "")))
        else:
            score = report.score(e["condition"], e["metric"], group)
            other = conditions.get(e.get("against") or report.clean)
            rows.append(_scored(conditions.get(e["condition"]), e, group, score, other))
    return Table(COLUMNS, tuple(rows))


def _scored(
    c: Condition | None, e: Mapping[str, Any], group: str, score: Score | None, other: Condition | None
) -> tuple[Cell, ...]:
    """What the finding says about a score, changed against another; what it leaves out is looked up in the report."""

    def get(name: str) -> float:
        return float(e[name] if e.get(name) is not None else getattr(score, name, math.nan))

    unit = str(e.get("unit") or (score.unit if score else ""))
    what = words(c) if c is not None else shorten(str(e.get("label", e["condition"])), 80)
    value, delta, p = get("value"), get("delta"), get("p_adjusted")
    reason = str(e.get("reason") or (score.reason if score else "")) or "no reason was recorded"
    against = "this is what others are compared with" if c is None or c.family == "clean" else reason
    changed = change(delta, get("delta_low"), get("delta_high"), unit)
    changed += f" against {words(other)}" if other is not None and other.family != "clean" else ""
    return (
        text_cell(what + (f", {shorten(group, 60)}" if group else "")),
        text_cell(readable(str(e["metric"]))),
        _cell(estimate(value, get("low"), get("high"), unit), value, reason),
        _cell(changed, delta, against),
        _cell(p_value(p), p, against),
        _cell(count(int(e.get("n") or 0)), float(e.get("n") or math.nan), "not recorded"),
    )


def _cell(text: str, value: float, reason: str) -> Cell:
    return Cell(text, value) if math.isfinite(value) else Cell("—", None, reason)


def seen_in(report: Report, finding: Finding) -> list[tuple[str, dict[str, str], str]]:
    """The pages that show more of a finding's evidence, each once."""
    families = {m.key: m.condition.family for m in report.conditions}
    known = {key: family for (key, _), (family, _) in estimates_by_key(report).items()}
    compared = evidence_rows(report)
    found = [
        "references" if e["condition"] in compared else families.get(e["condition"], known.get(e["condition"], ""))
        for e in finding.evidence
    ]
    return list({SEEN_IN[f][2]: SEEN_IN[f] for f in found if f in SEEN_IN}.values())


def condition_of(report: Report, finding: Finding) -> str:
    """Key of the first perturbed condition that the finding is about; empty where it is about none."""
    perturbed = {m.key for m in report.conditions if m.condition.family not in ("clean", "control")}
    return next((e["condition"] for e in finding.evidence if e["condition"] in perturbed), "")
