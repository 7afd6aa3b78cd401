"""Controls and model checks on the page: passed, failed, warning, skipped, not applied."""

from __future__ import annotations

from typing import Any

from mmaudit.render import page
from mmaudit.report import Report
from mmaudit.states import counted
from report_html import Page
from report_samples import sample_report

IDLE = {"control": "applied", "label": "blur[image]@1", "ok": False, "message": "blur[image]@1 changed no sample."}
CHECKS: list[dict[str, Any]] = [
    {"clause": "shape", "ok": True, "warning": False, "message": "2 numbers per row"},
    {"clause": "reads its inputs", "ok": None, "warning": True, "message": "no output moves with 'text'"},
    {"clause": "absence", "ok": None, "message": "no native absence"},  # of a run from before warnings
]


def test_a_condition_that_changed_nothing_is_no_failed_control() -> None:
    document = sample_report()
    controls = [*(c for c in document["controls"] if c["control"] != "applied"), IDLE]
    text = Page(page(Report.from_json(document | {"controls": controls, "checks": CHECKS}))).text()
    assert "its 2 controls passed" in text
    assert "1 changed no sample and says nothing" in text
    assert "! not applied control “applied” on blur[image]@1" in text
    assert "FAILED" not in text
    assert "! warning reads its inputs: no output moves with 'text'" in text
    assert "– skipped absence" in text
    assert "Model checks: 1 passed, 0 failed, 1 warning, 1 skipped" in text


def test_checks_are_counted() -> None:
    assert counted([]) == "0 passed, 0 failed, 0 skipped"
    assert counted([CHECKS[1], CHECKS[1], {**CHECKS[0], "ok": False}]) == "0 passed, 1 failed, 2 warnings, 0 skipped"
