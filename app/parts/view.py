"""The report of a part of what was measured: chosen modalities and families, another metric, one group.

Figures are functions of a report, so a page that shows a part draws the same figures of a smaller report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmaudit.report import Report
from mmaudit.types import Condition


@dataclass(frozen=True)
class Filter:
    """What the pages of one run show.

    Attributes:
        modalities: show conditions that change at least one of these; empty for all.
        families: show conditions of these families of probes; empty for all.
        metric: registered name of the metric that charts, tables and order rest on.
        group: `column=value`; empty for all samples.
    """

    modalities: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    metric: str = ""
    group: str = ""

    def keeps(self, c: Condition) -> bool:
        """Whether a condition is shown; the clean one always is, everything else is compared with it."""
        if c.family == "clean":
            return True
        touched = not self.modalities or any(m in self.modalities for m in c.modalities)
        return touched and (not self.families or c.family in self.families)


def families(report: Report) -> tuple[str, ...]:
    """The families of probes that were measured, in the order of the plan; without the clean condition."""
    return tuple(dict.fromkeys(m.condition.family for m in report.conditions if m.condition.family != "clean"))


def modalities(report: Report) -> tuple[str, ...]:
    """The modalities of the data set."""
    return tuple(m["name"] for m in report.document["data"]["modalities"])


def metrics(report: Report) -> tuple[str, ...]:
    """The metrics that conditions were scored by and that have a good direction, the primary one first."""
    conditions = {c["key"] for c in report.document["conditions"]}
    at = report.document["scores"]["columns"].index
    key, metric = at("condition"), at("metric")
    scored = {row[metric] for row in report.document["scores"]["rows"] if row[key] in conditions}
    usable = [m.name for m in report.metrics.values() if m.name in scored and m.better != "neither"]
    return tuple(sorted(usable, key=lambda name: name != report.primary.name))


def groups(report: Report) -> tuple[str, ...]:
    """The groups that scores are given for, as `column=value`."""
    at = report.document["scores"]["columns"].index("group")
    return tuple(dict.fromkeys(row[at] for row in report.document["scores"]["rows"] if row[at]))


def is_whole(report: Report, chosen: Filter) -> bool:
    """Whether the filter leaves everything as the report has it."""
    return not (chosen.modalities or chosen.families or chosen.group) and chosen.metric in ("", report.primary.name)


def filtered(report: Report, chosen: Filter) -> Report:
    """A report of the conditions, the metric and the group that are chosen.

    A group's scores and estimates take the place of those of all samples. What was not measured by group (curves of
    calibration, recalibration, conflict matrices, labels) is left out of a group's report rather than shown of all
    samples.
    Findings, controls, limits and the account of the method stay: they are about the whole audit. An unknown metric
    or group is a stale link: the report's own metric, or all samples, are shown.
    """
    if is_whole(report, chosen):
        return report
    document = dict(report.document)
    if chosen.metric in report.metrics:
        document["primary"] = chosen.metric
    whole = {c["key"]: chosen.keeps(Condition.from_json(c)) for c in document["conditions"]}
    document["conditions"] = [c for c in document["conditions"] if whole[c["key"]]]
    group = chosen.group if chosen.group in groups(report) else ""
    for name in ("reliability", "risk_coverage", "recalibration", "arbitration"):
        rows = document.get(name, ())
        document[name] = [] if group else [row for row in rows if whole.get(row.get("condition"), True)]
    if by_output := document.get("by_output"):
        at = by_output["columns"].index("condition")
        rows = [row for row in by_output["rows"] if not group and whole.get(row[at], True)]
        document["by_output"] = {**by_output, "rows": rows}
    if group:
        found = document.get("estimates", ())
        document["estimates"] = [{**entry, "group": ""} for entry in found if entry["group"] == group]
    document["scores"] = _scores(document["scores"], whole, group)
    return Report(document)


def _scores(table: dict[str, Any], whole: dict[str, bool], group: str) -> dict[str, Any]:
    at = table["columns"].index
    key, column = at("condition"), at("group")
    rows = [row for row in table["rows"] if whole.get(row[key], True)]
    if group:
        rows = [[*row[:column], "", *row[column + 1 :]] for row in rows if row[column] == group]
    return {**table, "rows": rows}
