"""Formulas, sources, glossary, how to repeat, sign-off: complete, true to the report, and free of orphans."""

from __future__ import annotations

import copy
import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mmaudit import decomposition, reliance
from mmaudit.desync import DESCRIPTIONS
from mmaudit.estimates import estimators
from mmaudit.findings.base import rules
from mmaudit.formats import readable
from mmaudit.interaction import RESIDUALS
from mmaudit.metrics import metrics
from mmaudit.metrics.recalibration import METHODS
from mmaudit.probes import probes
from mmaudit.render.contents import Signed, contents
from mmaudit.render.formulas import formulas, marked, symbols, works
from mmaudit.render.glossary import glossary
from mmaudit.render.method import ALWAYS, REPAIRS, method
from mmaudit.render.reproduce import digest, reproduce
from mmaudit.render.signoff import signoff
from mmaudit.render.templates import render
from mmaudit.report import Report
from mmaudit.report_schema import asset
from mmaudit.summaries import INSTANCE_WORST_CASE, SUMMARIES
from mmaudit.types import LEVELS
from report_estimates import with_estimates
from report_html import Page
from report_samples import sample_report, small_report

assert decomposition
assert reliance  # their import registers the estimators


def read(name: str) -> dict[str, Any]:
    return tomllib.loads(asset(name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def report() -> Report:
    return Report.from_json(with_estimates(sample_report(examples=0)))


# ---- formulas


def test_every_number_that_a_report_can_hold_has_a_formula_and_nothing_else_has() -> None:
    residuals = {f"{of}{r.name}" for r in RESIDUALS for of in ("", "mean_")}
    known = {m.name for m in metrics} | {e.name for e in estimators} | residuals
    known |= {s.name for s in (*SUMMARIES, INSTANCE_WORST_CASE)} | {d[0] for d in DESCRIPTIONS}
    assert set(formulas()) == known, f"reports/formulas.toml: {sorted(set(formulas()) ^ known)}"


def test_every_formula_has_a_source_or_says_whose_it_is() -> None:
    for name, formula in formulas().items():
        assert formula.formula, name
        assert formula.cited or formula.note, name


def test_every_metric_with_a_floor_has_a_formula_of_it_and_no_other() -> None:
    for m in metrics:
        assert bool(m.floor) == bool(formulas()[m.name].chance), m.name


def test_every_source_is_cited_and_every_citation_has_one() -> None:
    cited = {key for f in formulas().values() for key in f.keys} | set(ALWAYS) | set(REPAIRS.values())
    in_words = {"kuppers2020", "wilson1927", "taori2020"}
    assert cited | in_words == set(read("sources.toml"))
    assert set(REPAIRS) == set(METHODS)
    for short, full in works(cited | in_words):
        assert short[-4:].isdigit()
        assert short[-4:] in full
        assert short.split()[0] in ("van", "den") or short.split()[0] in full


def test_places_are_set_low_and_high_and_the_rest_is_escaped() -> None:
    assert marked("a_i + b_{i,j}^2 < c^{−1}") == "a<sub>i</sub> + b<sub>i,j</sub><sup>2</sup> &lt; c<sup>−1</sup>"
    assert marked("Σ_{i: y_i = k}") == "Σ<sub>i: y<sub>i</sub> = k</sub>"
    assert marked("<b>_<") == "&lt;b&gt;<sub>&lt;</sub>"
    for name, formula in formulas().items():
        text = str(formula.formula + formula.chance + formula.note)
        assert "_" not in text, name
        assert "{" not in text, name
    assert len(symbols()) == len(read("formulas.toml")["symbols"])


def test_the_method_tells_what_was_measured_and_nothing_else(report: Report) -> None:
    found = method(report)
    measured = {s.metric for s in report.rows}
    told = [m.name for m in (*found.metrics, *found.estimators)]
    assert sorted(told) == sorted(readable(n) for n in report.metrics if n in measured)
    assert told[0] == "accuracy"
    assert {m.name for m in found.estimators} == {readable(e.estimator) for e in report.estimates}
    assert {short for short, _ in works(ALWAYS)} <= {short for short, _ in found.works}
    text = Page(render("method.html.j2", report=report, doc=report.document, **contents(report))).text()
    assert "Guo et al. 2017, eq. 3" in text
    assert "On calibration of modern neural networks" in text


def test_a_metric_of_a_plug_in_says_that_it_has_no_formula_here() -> None:
    document = small_report()
    place = document["scores"]["columns"].index("metric")
    document["metrics"].append({"name": "own", "better": "sideways", "unit": "", "summary": "<i>"})
    document["scores"]["rows"].append([*document["scores"]["rows"][0]])
    document["scores"]["rows"][-1][place] = "own"
    document["metrics"][-1]["better"] = "neither"
    report = Report.from_json(document)
    (own,) = [m for m in method(report).metrics if m.name == "own"]
    assert "plug-in" in own.formula.note
    assert "&lt;i&gt;" in render("method.html.j2", report=report, doc=report.document, **contents(report))


# ---- glossary

HAS = {
    *("declined", "clusters", "groups", "recalibration", "scale", "references", "severity", "share", "floor"),
    *("findings", "reliance", "synergy"),
}  # fmt: skip


def test_conditions_of_terms_name_things_that_exist() -> None:
    known = {
        "family": {p.family for p in probes},
        "probe": {p.name for p in probes},
        "metric": set(formulas()),
        "task": {"classification", "multilabel", "regression", "retrieval"},
        "level": set(LEVELS),
        "rule": {r.name for r in rules},
        "has": HAS,
        "option": {
            *(f"baseline={b}" for b in ("native", "zero", "mean", "marginal", "noise")),
            *(f"pool={p}" for p in ("random", "within_class", "across_class", "nearest")),
        },
    }  # fmt: skip
    terms = read("glossary.toml")["term"]
    assert len({t["name"] for t in terms}) == len(terms)
    for term in terms:
        assert term["means"].endswith("."), term["name"]
        for when in term["when"]:
            kind, _, name = when.partition(":")
            assert when == "always" or name in known[kind], when


def test_words_that_a_report_does_not_use_are_not_explained(report: Report) -> None:
    few = {t.name for t in glossary(Report.from_json(small_report(findings=False, groups=False)))}
    assert {"modality", "condition", "95 % interval", "fingerprint"} <= few
    assert not {"finding", "group", "synergy", "rank", "reference method", "critical", "scenario"} & few
    more = {t.name for t in glossary(report)}
    assert {"finding", "group", "synergy", "critical", "scenario", "surface", "baseline noise"} <= more
    assert "rank" not in more
    names = [t.name.casefold() for t in glossary(report)]
    assert names == sorted(names)


# ---- how to repeat


def test_the_digest_is_that_of_the_file(report: Report, tmp_path: Path) -> None:
    file = report.to_json(tmp_path / "report.json")
    assert digest(report) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert digest(Report.read(file)) == digest(report)
    other = copy.deepcopy(report.document)
    other["title"] += "."
    assert digest(Report.from_json(other)) != digest(report)


def test_versions_become_a_command_that_can_do_nothing_else() -> None:
    document = small_report()
    document["environment"] = {
        "python": "3.11.7", "platform": "Linux", "numpy": "2.4.6", "torch": "2.13.0+cpu", "evil": "1; rm -rf ~",
        "--index-url": "1", "two words": "1", "newline": "1\n2", "scipy": "`id`",
    }  # fmt: skip
    assert reproduce(Report.from_json(document)).install == "pip install mmaudit==0.1.0 numpy==2.4.6 torch==2.13.0"
    document["mmaudit"], document["environment"] = "x", {}
    assert reproduce(Report.from_json(document)).install == ""


def test_everything_recorded_is_told(report: Report) -> None:
    document = report.document
    said = {f.name: f.words for f in reproduce(report).facts}
    assert said["model fingerprint"] == document["model"]["fingerprint"]
    assert said["data fingerprint"] == document["data"]["fingerprint"]
    assert {f"suite {k}" for k in document["suite"]} <= set(said)
    assert "64 × 64 × 3" in said["image"]
    text = Page(render("reproduce.html.j2", report=report, doc=document, **contents(report))).text()
    for words in (document["command"], digest(report), document["created"][:10]):
        assert words in text
    silent = Report.from_json({**document, "command": "", "created": ""})
    text = Page(render("reproduce.html.j2", report=silent, doc=silent.document, **contents(silent))).text()
    assert "no command was recorded" in text
    assert "run started" not in text


def test_times_rows_and_nested_values_are_in_words() -> None:
    document = small_report()
    document["timing"] = {"total": 51.83, "fused_rows": 541688, "encoded_rows": {"image": 348228}, "odd": None}
    document["suite"] = {"name": "own", "flag": True, "nested": {"a": [1]}, "empty": [], "rates": [0.1, 0.3]}
    said = {f.name: f.words for f in reproduce(Report.from_json(document)).facts}
    assert said["time: answering, in all"] == "51.8 s"
    assert said["fused rows"] == "541\u202f688"
    assert said["encoded rows"] == "image 348\u202f228"
    assert said["time: odd"] == said["suite empty"] == "none"
    assert said["suite nested"] == '{"a": [1]}'
    assert said["suite rates"] == "0.1, 0.3"


@pytest.mark.parametrize(
    ("commands", "recorded", "folder"),
    [
        (["mmaudit score runs/mine --condition clean"], "", "runs/mine"),
        (["mmaudit synergy 'my runs/a'"], "mmaudit audit --out elsewhere", "'my runs/a'"),
        (["mmaudit compare a b", "mmaudit 'cut"], "mmaudit audit --model m:f --out s3://b/run", "s3://b/run"),
        (["mmaudit score --all"], "python audit.py --out x", ""),
        (["mmaudit score 'x; rm -rf ~'"], "", "'x; rm -rf ~'"),
        (["mmaudit score 'a\nb'"], "", ""),
        ([], "", ""),
    ],
)
def test_the_command_that_scores_again_names_the_folder(commands: list[str], recorded: str, folder: str) -> None:
    document = small_report()
    finding = document["findings"][0]
    document["findings"] = [{**finding, "reproduce": c} for c in commands]
    document["command"] = recorded
    report = Report.from_json(document)
    assert reproduce(report).folder == folder
    text = Page(render("reproduce.html.j2", report=report, doc=report.document, **contents(report))).text()
    assert f"mmaudit score {folder or 'RUN'}" in text
    assert ("with the run’s folder for RUN" in text) == (not folder)


# ---- sign-off


def lines(report: Report, signed: Signed | None = None) -> dict[str, str]:
    return dict(signoff(report, signed).lines)


def test_what_is_not_known_is_a_line_to_fill_in(report: Report) -> None:
    assert set(lines(report).values()) == {""}
    filled = lines(report, Signed("A. Auditor", "reviewer", "", "2026-11-21", "Not for triage."))
    assert filled["Name"] == "A. Auditor"
    assert filled["Conditions and restrictions of use"] == "Not for triage."
    assert filled["Signature"] == filled["Organisation"] == ""
    page = Page(render("signoff.html.j2", report=report, doc=report.document, **contents(report)))
    assert [a.get("scope") for a in page.all("th")] == ["row"] * 6
    assert len(page.all("td")) == 6


def test_what_is_signed_is_named(report: Report) -> None:
    block = signoff(report)
    for said in (report.document["title"], "3f9a1c52e07b44d1", "a77b10c4d2e9f083", "9\u202f673 samples"):
        assert said in block.subject
    assert block.open == ("the report holds 3 critical or major findings",)
    text = Page(render("signoff.html.j2", report=report, doc=report.document, **contents(report))).text()
    assert digest(report) in text


def test_whoever_signs_has_seen_what_is_wrong() -> None:
    failed = sample_report(examples=0, controls_ok=False, findings=False)
    failed["controls"].append({"control": "applied", "label": "x", "ok": False, "message": "x changed no sample."})
    assert signoff(Report.from_json(failed)).open == (
        "1 of the controls failed: the numbers cannot be relied on",
        "1 of the conditions changed no sample",
    )
    failed["controls"] = []
    assert signoff(Report.from_json(failed)).open == ("the audit ran without controls",)
