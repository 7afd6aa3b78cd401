"""Worst samples: of the conditions that findings rest on, and of the most costly ones where there is no finding."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.finding_tables import Table, missing
from helpers.run_cases import Rowwise, dataset
from mmaudit import audit
from mmaudit.illustrate import worth_showing
from mmaudit.render import page
from mmaudit.report import Report
from mmaudit.score import evidence
from mmaudit.store import Run
from report_html import Page
from report_samples import sample_report

SUITE: dict[str, Any] = {"probes": ["missing", "keyboard"], "baselines": ["zero"], "analyses": []}


@pytest.mark.parametrize("kind", ["regression", "multilabel"])
def test_without_findings_the_worst_samples_are_those_of_the_most_costly_conditions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("mmaudit.illustrate.find", lambda seen: [])
    data = dataset(kind, n=40, ids=[f"s{i}" for i in range(40)])
    report = audit(Rowwise(kind), data, out=tmp_path / "run", suite=SUITE, resamples=20)
    seen = evidence(Run.open(tmp_path / "run"))
    shown = worth_showing(seen)
    costs = [seen.score(c).delta if kind == "regression" else -seen.score(c).delta for c in shown]
    assert costs == sorted(costs, reverse=True)
    assert min(costs) > 0
    assert len({c.stream for c in shown}) == len(shown)
    examples = {e["condition"] for e in report.document["examples"]}
    assert examples
    assert examples <= {c.key for c in shown[:6]}
    text = Page(page(report)).text()
    assert "Single samples on which a perturbation did the most harm" in text


def test_a_condition_that_helps_has_no_worst_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a modality that disturbs it the model is better: a finding rests on that, but it harms no sample."""
    table = Table().clean().lost(missing("b"), -0.1).lost(missing("a"), 0.5)
    cited = [SimpleNamespace(evidence=[{"condition": missing(m).key} for m in "ab"])]
    monkeypatch.setattr("mmaudit.illustrate.find", lambda seen: cited)
    assert worth_showing(table.evidence()) == [missing("a")]


def test_where_none_is_shown_the_page_says_whether_inputs_are_kept() -> None:
    document = sample_report(findings=False, examples=0)
    kept = Page(page(Report.from_json(document | {"gallery": True}))).text()
    assert "none made the answer to a sample worse" in kept
    assert "are kept in the run folder" in kept
    assert "holds no inputs of samples" in Page(page(Report.from_json(document | {"gallery": False}))).text()
