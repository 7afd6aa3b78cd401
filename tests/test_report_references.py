"""The section on reference methods: figures and tables hold the panel's numbers, the page says what must be known."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from helpers.panel_runs import add_reference, panel_run
from mmaudit.assemble import assemble
from mmaudit.errors import DamagedRun
from mmaudit.figures.references import references
from mmaudit.panel.file import score_panel
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import AUDITED, CLEAN, EVERYTHING, VALUE
from mmaudit.render import page
from mmaudit.render.references import evidence_rows
from mmaudit.render.references import references as section
from mmaudit.report import Report
from mmaudit.report_schema import schema
from mmaudit.score import score
from mmaudit.store import Run
from report_html import Page, unsafe
from report_samples import sample_report

METHODS = {"aecf": {"missing[image]": 0.65}, "late": {"clean": 0.8, "corruption": 0.75}, "tensor": {"clean": 0.75}}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    run = panel_run(tmp_path_factory.mktemp("panels") / "run", METHODS, n=500, seeds=3, spread=0.005)
    evil = '<script>alert("x")</script> & "AGM"'
    add_reference(run, "agm", ["the loss diverged <b>at once</b>"] * 3, title=evil, source=evil)
    run = Run.open(run.folder)
    score(run, only=["ece"], resamples=50)
    score_panel(run, resamples=100)
    return assemble(run)


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return page(report)


def panel(report: Report) -> Panel:
    return Panel.from_json(report.document["references"])


def test_the_report_holds_the_panel_and_satisfies_its_schema(report: Report) -> None:
    jsonschema.Draft202012Validator(schema()).validate(report.document)
    found = panel(report)
    assert [m.name for m in found.methods] == ["aecf", "agm", "late", "tensor"]
    assert {"reference_would_help", "reference_not_trained"} <= {f.rule for f in report.findings}


def test_every_drawn_number_stands_in_the_table(report: Report) -> None:
    figures = references(report)
    assert [f.id for f in figures] == ["reference-differences", "reference-line", "reference-calibration"]
    for figure in figures:
        known = [c.value for row in figure.table.rows for c in row if c.value is not None]
        drawn = [
            d[k]
            for p in figure.panels
            for part in p.spec["layer"]
            for d in part["data"]["values"]
            for k in ("value", "x", "y")
            if d.get("tip") and isinstance(d.get(k), float) and (k == "value" or "value" not in d)
        ]
        assert len(drawn) > 6, figure.id
        for value in drawn:
            assert any(math.isclose(value / 100, k, rel_tol=1e-6, abs_tol=1e-8) for k in known), (figure.id, value)


def test_differences_are_drawn_method_by_method_and_what_does_not_count_is_folded(report: Report) -> None:
    figure = references(report)[0]
    assert [(p.show, p.folded) for p in figure.panels] == [("wide", False), ("narrow", False), ("", True)]
    assert figure.panels[2].title == "text taken from another sample"
    first = figure.panels[0].spec["layer"]
    dots = [d for part in first if part["mark"]["type"] == "point" for d in part["data"]["values"]]
    assert len(dots) == 3 * 4  # three methods: clean, two missing, corrupted


def test_the_line_is_drawn_where_it_was_fitted(report: Report) -> None:
    found = panel(report)
    line = next(e for e in found.lines if e.group == EVERYTHING)
    figure = references(report)[1]
    path = [part for part in figure.panels[0].spec["layer"] if part["mark"]["type"] == "line"][-1]["data"]["values"]
    assert len(path) > 10
    for point in path:
        assert point["y"] == pytest.approx(100 * line.at(point["x"] / 100), abs=1e-3)
    expected = [row[3].value for row in figure.table.rows]
    clean = found.row(AUDITED, VALUE, CLEAN).value
    assert expected[0] == pytest.approx(line.at(clean))


def test_the_section_says_what_must_be_known(html: str) -> None:
    read = Page(html)
    text = " ".join(read.text().split())
    assert "Reference methods: would another one do better?" in text
    assert "References are told which modality of a sample is missing" in text
    assert "features of your model's own frozen encoders" in text
    assert "without any of the corruptions measured here" in text
    assert "every seed: the loss diverged <b>at once</b>" in text
    assert "somebody 2020" in text
    assert "#references" in read.values("href")
    assert "see reference methods" in text
    assert unsafe(read) == []
    assert '<script>alert("x")' not in html


def test_the_table_has_a_row_per_model(report: Report) -> None:
    found = section(report)
    assert found is not None
    names = [row[0].main for row in found.summary.rows]
    assert names[0] == "your model"
    assert sorted(names[1:]) == ["Aecf", "Late", "Tensor"]
    assert len({len(row) for row in found.summary.rows} | {len(found.summary.columns)}) == 1
    measured = [c for c in report.conditions if c.condition.family != "control"]
    assert len(found.conditions.rows) == len(measured)


def test_evidence_of_findings_is_found_again(report: Report) -> None:
    known = evidence_rows(report)
    rests = [e["condition"] for f in report.findings if f.rule == "reference_would_help" for e in f.evidence]
    assert len(rests) == 3
    for key in rests:
        assert "%" in known[key][2]
    assert known[rests[0]][3].endswith("against your model")


def test_without_references_there_is_no_section() -> None:
    plain = sample_report(examples=0)
    assert "references" not in plain
    for empty in (plain, {**plain, "references": {}}):
        made = Report.from_json(empty)
        assert references(made) == ()
        assert section(made) is None
    html = page(Report.from_json(plain))
    assert 'id="references"' not in html


def test_a_stale_panel_is_told(report: Report) -> None:
    document = {**report.document, "references": {"reason": "RUN compares 3 conditions, the run has 5 by now"}}
    text = Page(page(Report.from_json(document))).text()
    assert "are not shown: RUN compares 3 conditions" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.pop("groups"), "'groups' is missing"),
        (lambda r: r["rows"]["columns"].pop(), "values for"),
        (lambda r: r["rows"]["rows"][0].__setitem__(0, None), "method"),
        (lambda r: r["rows"]["columns"].__setitem__(0, "x"), "'method' is missing"),
        (lambda r: r["methods"][0].pop("title"), "'title' is missing"),
        (lambda r: r["methods"][0]["hyper"].append(["lr", "fast"]), "expected pairs"),
        (lambda r: r["lines"][0].update(slope="steep"), "slope"),
    ],
)
def test_a_damaged_panel_is_refused(report: Report, change: Any, said: str) -> None:
    document = copy.deepcopy(report.document)
    change(document["references"])
    with pytest.raises(DamagedRun, match=said):
        Report.from_json(document)


def test_a_written_report_gives_the_same_page(report: Report, html: str, tmp_path: Path) -> None:
    report.to_json(tmp_path / "report.json")
    assert page(Report.from_json(json.loads((tmp_path / "report.json").read_text(encoding="utf-8")))) == html
