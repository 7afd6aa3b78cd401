"""Curves made for a page are those that scoring makes."""

from __future__ import annotations

import pytest

from helpers.big_run import big_run
from mmaudit.browse.curves import curves
from mmaudit.errors import BadInput
from mmaudit.report import Report
from mmaudit.store import Run
from mmaudit.types import CLEAN, Condition


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return big_run(tmp_path_factory.mktemp("curves") / "run", 120, 24, resamples=60, rows=50)


def test_what_scoring_kept_comes_out_again(run: Run) -> None:
    report = Report.read(run.folder)
    drawn = report.document["bootstrap"]
    for name in ("reliability", "risk_coverage"):
        held = {e["condition"]: e for e in report.document[name]}
        assert held
        for condition in run.conditions:
            if condition.key in held:
                made = curves(run, condition, replicates=drawn["replicates"], seed=drawn["seed"])[name]
                assert made.keys() == held[condition.key].keys()
                for key, value in held[condition.key].items():
                    assert made[key] == (pytest.approx(value) if key not in ("condition", "label") else value)


def test_a_condition_that_scoring_left_out_has_its_curves(run: Run) -> None:
    report = Report.read(run.folder)
    held = {e["condition"] for e in report.document["reliability"]}
    condition = next(c for c in run.conditions if c.key not in held and c.position == 3)
    made = curves(run, condition, replicates=40)
    score = report.score(condition.key, "accuracy")
    assert score is not None
    assert made["risk_coverage"]["risk"][-1] == pytest.approx(1 - score.value)
    assert sum(made["reliability"]["count"]) == run.n
    document = {**report.document, "reliability": [made["reliability"]], "risk_coverage": [made["risk_coverage"]]}
    assert Report.from_json(document), "a report may hold them"


def test_a_condition_of_another_run_is_refused(run: Run) -> None:
    with pytest.raises(BadInput, match="not part of the run"):
        curves(run, Condition("image.rotation", "corruption", 1, ("photo",), 3.0, 3))
    assert curves(run, CLEAN, replicates=10)
