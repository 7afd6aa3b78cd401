"""The pages Overview, Robustness, Subsets and Method, on a report that holds every kind of figure."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_cases import FULL, charts, full, links, said, start

from helpers.hostile_texts import HTML
from mmaudit.app.parts import charts as drawn
from mmaudit.app.parts import evidence, files, headline, sections, subset_table, texts
from mmaudit.app.parts.harm import VIEWS
from mmaudit.app.parts.view import Filter, filtered
from mmaudit.figures import FIGURES
from mmaudit.formats import DASH
from mmaudit.render import summary
from mmaudit.report import Report
from report_samples import poisoned, sample_report, small_report


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    write(root / FULL, full())
    return root


@pytest.fixture(autouse=True)
def _own_command_line() -> Iterator[None]:
    before = sys.argv
    yield
    sys.argv = before


def write(folder: Path, report: Report) -> None:
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report.document), encoding="utf-8")


# ---- overview


def test_overview_shows_verdict_tiles_controls_and_findings(runs: Path) -> None:
    at = start(runs, "overview", run=FULL)
    assert not at.exception
    text, report = said(at), full()
    level, sentences = summary.verdict_sentences(report)
    assert level in text
    for sentence in sentences:
        assert texts.plain(sentence, 1000) in text
    for tile in summary.tiles(report):
        assert texts.plain(tile.value, 40) in text
        assert texts.plain(tile.interval, 60) in text
    claims = [texts.plain(f.claim, 1500) for f in report.findings]
    places = [text.index(claim) for claim in claims]
    assert places == sorted(places)
    passed = sum(c["ok"] for c in report.document["controls"])
    labels = [e.label for e in [*at.main.expander, *at.main.get("status")]]  # newer and older Streamlit
    assert any(f"Controls: {passed} of {passed} passed" in label for label in labels)
    assert not at.main.dataframe  # evidence is made once it is asked for


def test_a_link_to_a_finding_opens_its_evidence(runs: Path) -> None:
    finding = full().findings[1]
    at = start(runs, "overview", run=FULL, finding=finding.id)
    assert not at.exception
    shown = at.main.dataframe[0].value
    assert len(shown) == len(finding.evidence)
    assert shown["value"].tolist() == [e["value"] for e in finding.evidence]
    assert at.main.code[0].value == finding.reproduce
    found = links(at)
    assert "Samples under this condition" in found
    assert f"finding={finding.id}" in found["Link to this finding"]
    first = evidence.condition_of(full(), finding)
    assert f"condition={first}" in found["Samples under this condition"]
    assert first in {e["condition"] for e in finding.evidence}


def test_evidence_has_interval_and_reason() -> None:
    report = full()
    table = evidence.table(report, report.findings[0])
    for row in table.rows:
        for cell, column in zip(row, table.columns, strict=True):
            if column.numeric:
                assert cell.value is not None or cell.reason
    assert "[" in table.rows[0][2].text


def test_every_finding_leads_to_a_page(runs: Path) -> None:
    report = full()
    for finding in report.findings:
        for name, _, _ in evidence.seen_in(report, finding):
            assert name in {"robustness", "subsets", "reliance", "references"}
    assert any(evidence.seen_in(report, f) for f in report.findings)


def test_a_failed_control_and_an_idle_condition_come_first(tmp_path: Path) -> None:
    controls = [
        {"control": "identity", "label": "identity[image]", "ok": False, "message": "outputs differ by 0.3."},
        {"control": "applied", "label": "blur", "ok": False, "message": "gaussian blur changed no sample."},
    ]
    write(tmp_path / "bad", full(controls=controls))
    at = start(tmp_path, "overview", run="bad")
    assert not at.exception
    assert "outputs differ by 0\\.3" in at.main.error[0].value
    assert "changed no sample" in at.main.warning[0].value
    labels = [e.label for e in [*at.main.expander, *at.main.get("status")]]
    assert any("Controls: 0 of 1 passed" in label and "1 condition changed nothing" in label for label in labels)


def test_the_overview_is_of_all_that_was_measured(runs: Path) -> None:
    for page, shown in (("overview", False), ("robustness", True)):
        at = start(runs, page, run=FULL)
        assert any("Metric" in box.label for box in at.sidebar.selectbox) == shown, page


def test_what_a_budget_left_unmeasured_stands_above_the_verdict(tmp_path: Path) -> None:
    held = {
        "forwards": 6000,
        "seconds": None,
        "answers": 5999,
        "planned": 183787,
        "partial": 19,
        "fewest": 69,
        "most": 516,
    }
    write(tmp_path / "run", full(budget=held))
    at = start(tmp_path, "overview", run="run")
    assert not at.exception
    assert Report.read(tmp_path / "run").budget()
    assert any("Within a budget of 6\u202f000 answers" in w.value for w in at.main.warning)


def test_no_finding_is_no_certificate(tmp_path: Path) -> None:
    write(tmp_path / "calm", full(findings=[]))
    at = start(tmp_path, "overview", run="calm")
    assert not at.exception
    assert "does not mean that the model is robust" in said(at)


def test_the_report_can_be_taken_away_whole() -> None:
    report = Report.from_json(small_report())
    assert Report.from_json(json.loads(files.as_json(report))) == report
    assert files.html(report).startswith(b"<!DOCTYPE html>")


# ---- robustness


@pytest.mark.parametrize(
    ("view", "names"),
    [("grid", ("heatmap",)), ("severity", ("severity",)), ("together", ("scenarios", "surface")),
     ("mismatch", ("tolerance", "misalignment", "arbitration")), ("all", ("overview",))],
)  # fmt: skip
def test_each_view_draws_its_figures_and_no_other(runs: Path, view: str, names: tuple[str, ...]) -> None:
    at = start(runs, "robustness", run=FULL, view=view)
    assert not at.exception
    figures = [f for name in names for f in FIGURES[name](full())[: sections.MANY]]
    assert figures
    titles = [s.value for s in at.main.subheader]
    assert [t for t in titles if t in {texts.plain(f.title, 200) for f in figures}] == [
        texts.plain(f.title, 200) for f in figures
    ]
    assert len(charts(at)) == sum(len(drawn.split(f.panels)[0]) for f in figures)


def test_a_chart_comes_with_its_numbers_and_files_only_when_asked(runs: Path) -> None:
    at = start(runs, "robustness", run=FULL, view="all")
    assert not at.main.dataframe
    assert not at.main.get("download_button")
    at.main.toggle(key="table-of-overview-0").set_value(True).run()
    assert not at.exception
    figure = FIGURES["overview"](full())[0]
    assert len(at.main.dataframe[0].value) == len(figure.table.rows)


def test_filters_that_leave_nothing_say_so(runs: Path) -> None:
    at = start(runs, "robustness", run=FULL, view="severity", family="missing")
    assert not at.exception
    assert "The filters leave nothing of this" in said(at)
    assert "Show everything" in links(at)
    assert "family" not in links(at)["Show everything"]


def test_what_is_not_there_by_group_says_so(runs: Path) -> None:
    group = next(s.group for s in full().rows if s.group)
    at = start(runs, "robustness", run=FULL, view="mismatch", group=group)
    assert not at.exception
    assert "not measured group by group" in said(at)


def test_what_was_not_measured_says_what_would_measure_it(tmp_path: Path) -> None:
    clean = [c for c in full().document["conditions"] if c["family"] == "clean"]
    write(tmp_path / "bare", full(conditions=clean, arbitration=[], scenarios=[], findings=[], examples=[]))
    for view in VIEWS:
        at = start(tmp_path, "robustness", run="bare", view=view)
        assert not at.exception
        assert not charts(at)
        assert "measured" in said(at)


# ---- subsets


def test_subsets_show_lattice_calibration_and_violations(runs: Path) -> None:
    at = start(runs, "subsets", run=FULL)
    assert not at.exception
    assert len(charts(at)) == len(drawn.split(FIGURES["lattice"](full())[0].panels)[0])
    table = at.main.dataframe[-1].value
    assert list(table)[:2] == ["present", "missing baseline"]
    assert any("ECE" in c for c in table)
    assert len(table) == len(subset_table.table(full()).rows)


def test_the_lattice_is_whole_whatever_modalities_are_chosen(runs: Path) -> None:
    at = start(runs, "subsets", run=FULL, modality="image", family="corruption")
    assert not at.exception
    assert len(at.main.dataframe[-1].value) == len(subset_table.table(full()).rows)


def measured(value: float, delta: float, *, half: float = 0.01) -> dict[str, float]:
    return {
        "value": value, "low": value - half, "high": value + half,
        "delta": delta, "delta_low": delta - half, "delta_high": delta + half,
    }  # fmt: skip


def with_scores(changes: dict[tuple[str, str], dict[str, float]]) -> Report:
    """The sample report with the scores of some (removed modality, metric) set, zeros standing in."""
    document = json.loads(json.dumps(sample_report()))
    columns = document["scores"]["columns"]
    at = {name: i for i, name in enumerate(columns)}
    keys = {
        c["modalities"][0]: c["key"]
        for c in document["conditions"]
        if c["probe"] == "missing" and len(c["modalities"]) == 1 and c["options"].get("baseline") == "zero"
    }
    for (modality, metric), values in changes.items():
        row: list[Any] = next(
            (r for r in document["scores"]["rows"]
             if r[at["condition"]] == keys[modality] and r[at["metric"]] == metric and not r[at["group"]]),
            [],
        )  # fmt: skip
        if not row:
            row = ["" if isinstance(x, str) else None for x in document["scores"]["rows"][0]]
            row[at["condition"]], row[at["metric"]], row[at["unit"]], row[at["n"]] = keys[modality], metric, "share", 99
            document["scores"]["rows"].append(row)
            document["metrics"].append({"name": metric, "better": "lower", "unit": "share", "summary": ""})
        for name, value in values.items():
            row[at[name]] = value
    return Report.from_json(document)


def test_a_modality_that_harms_is_a_violation_and_one_that_helps_is_none() -> None:
    harmed = with_scores({("image", "accuracy"): measured(0.99, 0.016, half=0.002)})
    found = [v for v in subset_table.violations(harmed) if v.kind == "score"]
    assert [v.baseline for v in found] == ["zero"]
    assert "Adding image to question" in found[0].says
    assert found[0].size == pytest.approx(0.016)
    unsure = with_scores({("image", "accuracy"): measured(0.99, 0.016, half=0.05)})
    assert not [v for v in subset_table.violations(unsure) if v.kind == "score"]
    assert not [v for v in subset_table.violations(full()) if v.kind == "score"]


def test_being_surer_with_less_is_a_violation_beyond_half_of_the_samples() -> None:
    for value, expected in ((0.8, 1), (0.505, 0), (0.2, 0)):
        report = with_scores({("question", "confidence_rise"): measured(value, value)})
        found = [v for v in subset_table.violations(report) if v.kind == "confidence"]
        assert len(found) == expected
        table = subset_table.violation_table(report, tuple(found))
        assert [row[2].value for row in table.rows] == [value] * expected


def test_the_whole_set_is_listed_once() -> None:
    rows = [row[0].text for row in subset_table.table(full()).rows]
    assert rows.count("image + question") == 1
    assert rows.count("image") > 1


# ---- method


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("run", ("What was audited", "Conditions as applied")),
        ("limits", ("Not tested", "Outside of any such audit", "Declined")),
        ("controls", ("identity", "Model checks")),
        ("numbers", ("Every metric of this report",)),
        ("versions", ("Suite", "mmaudit")),
    ],
)
def test_method_accounts_for_the_audit(runs: Path, view: str, words: tuple[str, ...]) -> None:
    at = start(runs, "method", run=FULL, view=view)
    assert not at.exception
    for word in words:
        assert word in said(at)


def test_method_shows_every_condition_as_applied(runs: Path) -> None:
    at = start(runs, "method", run=FULL)
    assert len(at.main.dataframe[-1].value) == len(full().conditions)
    assert full().document["command"] in [c.value for c in at.main.code]


# ---- strangers


def test_a_missing_number_is_a_dash_and_every_dash_is_explained(runs: Path) -> None:
    """Not "None", which is Streamlit's own word for it and stands in no line below the table."""
    at = start(runs, "method", run=FULL)
    assert not at.exception
    frames = at.main.dataframe
    assert frames
    assert {f.proto.placeholder for f in frames} == {DASH}
    conditions = Report.read(runs / FULL).conditions
    bare = sum(m.condition.severity is None for m in conditions)
    assert f"{DASH} in {bare} cells: severity: none" in said(at).replace("\\", "")


def test_no_text_of_a_run_becomes_markup(tmp_path: Path) -> None:
    document = poisoned(sample_report(), HTML)
    report = Report.from_json(document)
    write(tmp_path / "evil", report)
    seen = 0
    for page in ("overview", "robustness", "subsets", "method"):
        at = start(tmp_path, page, run="evil")
        assert not at.exception
        for kind in ("markdown", "caption", "title", "subheader", "error", "warning", "info"):
            for element in at.main.get(kind):
                assert HTML not in element.value
                assert "<" not in element.value.replace("\\<", "")
                seen += "\\<" in element.value
        assert not any("<" in label.replace("\\<", "") for label in links(at))
    assert seen > 5


def test_tiles_lead_to_pages_that_exist() -> None:
    for tile in summary.tiles(full()):
        assert tile.href in headline.LEADS_TO


def test_other_tasks_are_shown(tmp_path: Path) -> None:
    for kind in ("regression", "multilabel"):
        write(tmp_path / kind, Report.from_json(sample_report(task=kind)))
        for page in ("overview", "robustness", "subsets"):
            at = start(tmp_path, page, run=kind)
            assert not at.exception
    part = filtered(Report.from_json(sample_report(task="regression")), Filter(metric="mae"))
    assert part.primary.name == "mae"
