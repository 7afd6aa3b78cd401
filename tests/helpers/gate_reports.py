"""Reports for the gate's tests: a plausible one, with single numbers set to what a test is about."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mmaudit.gate import Judged, judge_report, policy_from
from mmaudit.report import Report
from report_samples import sample_report

BLUR = "image.gaussian_blur[image]@3"


@lru_cache(maxsize=1)
def _plain() -> Report:
    return Report.from_json(sample_report(examples=0))


def document() -> dict[str, Any]:
    """The plain value of a report that a test may change."""
    value = dict(_plain().document)
    scores = value["scores"]
    value["scores"] = {"columns": scores["columns"], "rows": [list(row) for row in scores["rows"]]}
    value["conditions"] = [dict(c) for c in value["conditions"]]
    value["controls"] = [dict(c) for c in value["controls"]]
    return value


def changed(label: str = BLUR, metric: str = "accuracy", group: str = "", **values: Any) -> dict[str, Any]:
    """The report with fields of one score set."""
    value = document()
    columns = value["scores"]["columns"]
    place = {name: columns.index(name) for name in columns}
    found = [
        row
        for row in value["scores"]["rows"]
        if (row[place["label"]], row[place["metric"]], row[place["group"]]) == (label, metric, group)
        and row[place["against"]] in ("", _plain().clean)
    ]
    assert found, label
    for row in found:
        for name, new in values.items():
            row[place[name]] = new
    return value


def judged(text: str, value: dict[str, Any] | None = None, head: str = "") -> Judged:
    """The first requirement of a policy, judged; `text` is the inside of its table."""
    policy = policy_from(f'{head}\n[[require]]\nname = "it"\n{text}\n', "p.toml")
    report = Report(value) if value is not None else _plain()
    return judge_report(report, policy).judged[0]
