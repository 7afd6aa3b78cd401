"""What a reviewer finds beside the figures: the templates by themselves, verdict, scope and gaps."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mmaudit.probes import probes
from mmaudit.render.contents import Signed, contents
from mmaudit.render.scope import scope
from mmaudit.render.summary import verdict_sentences
from mmaudit.render.templates import render
from mmaudit.render.untested import FAMILIES, untested
from mmaudit.report import Report
from report_estimates import with_estimates
from report_html import Page, unsafe
from report_samples import poisoned, sample_report, small_report

TEMPLATES = {
    "method.html.j2": "method",
    "scope.html.j2": "limits",
    "reproduce.html.j2": "environment",
    "glossary.html.j2": "glossary",
    "signoff.html.j2": "signoff",
}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}\u202e\u05d0"


def shown(report: Report, template: str, signed: Signed | None = None) -> Page:
    return Page(render(template, report=report, doc=report.document, **contents(report, signed)))


def text_of(page: Page) -> str:
    return " ".join(page.text().split())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return sample_report(examples=0)


@pytest.fixture(scope="module")
def report(document: dict[str, Any]) -> Report:
    return Report.from_json(document)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_one_section_with_a_heading(report: Report, template: str) -> None:
    page = shown(report, template)
    (section,) = page.all("section")
    assert section["id"] == TEMPLATES[template]
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    assert section["aria-labelledby"] in ids
    assert [t for t, _ in page.tags if t in ("h1", "h2")] == ["h2"]
    assert unsafe(page) == []


@pytest.mark.parametrize("text", [HOSTILE, "\u05d0" * 10_000])
def test_names_of_a_stranger_stay_text(text: str) -> None:
    report = Report.from_json(poisoned(small_report(), text))
    context = {"report": report, "doc": report.document} | contents(report, Signed(*[f"me{text}"] * 5))
    for template in TEMPLATES:
        page = Page(render(template, **context))
        assert unsafe(page) == []
        said = page.text().replace(report.document["command"], "")  # which is of no use in part
        assert "\u202e" not in said
        assert max(map(len, said.split())) < 2500, template
        if template in ("scope.html.j2", "reproduce.html.j2", "signoff.html.j2") and text == HOSTILE:
            assert "<script>" in said


def test_every_kind_of_probe_has_a_name_in_the_scope() -> None:
    assert {p.family for p in probes} == set(FAMILIES)


# ---- verdict


def test_three_sentences(report: Report) -> None:
    level, sentences = verdict_sentences(report)
    assert level == "critical"
    good, breaks, far = sentences
    assert good.startswith(
        "On 9\u202f673 unperturbed samples accuracy is 97.5\xa0% [97.2,\xa097.8], chance is 36.9\xa0%"
    )
    assert good.endswith("its 3 controls passed.")
    assert "Clean data and 75 perturbed conditions gave 1 critical, 2 major, 1 minor and 1 info findings" in breaks
    assert report.findings[0].claim.rstrip(".") in breaks
    assert "not tested: changed meanings, gradient attacks" in far
    assert far.endswith("not for others.")


def changed(document: dict[str, Any], **parts: Any) -> Report:
    return Report.from_json({**copy.deepcopy(document), **parts})


def test_a_failed_control_is_the_first_thing_said() -> None:
    level, (first, _, _) = verdict_sentences(Report.from_json(sample_report(examples=0, controls_ok=False)))
    assert level == "critical"
    assert first.startswith("Do not rely on this report: one of its controls failed")


def test_no_finding_no_control_no_clean_value(document: dict[str, Any]) -> None:
    level, (good, breaks, _) = verdict_sentences(changed(document, findings=[], controls=[]))
    assert level == "none"
    assert "no control was run" in good
    assert "no rule fired" in breaks
    perturbed_only = [c for c in document["conditions"] if c["family"] != "clean"]
    _, (good, _, _) = verdict_sentences(changed(document, conditions=perturbed_only))
    assert (
        good == "How good the model is on unperturbed data is not known: accuracy has no value (it was not measured)."
    )


def test_a_claim_of_several_sentences_becomes_one(document: dict[str, Any]) -> None:
    one = {**document["findings"][0], "claim": "Without Dr. No it fails. So it does without X. It is bad."}
    _, (_, breaks, _) = verdict_sentences(changed(document, findings=[one]))
    assert breaks.endswith("Without Dr. No it fails; so it does without X; it is bad.")
    assert "finding: " in breaks


def test_what_went_wrong_is_in_the_third_sentence(document: dict[str, Any]) -> None:
    damaged = copy.deepcopy(document)
    damaged["conditions"][4]["raised"] = 3
    damaged["controls"].append({"control": "applied", "label": "x", "ok": False, "message": "x changed no sample."})
    columns = damaged["scores"]["columns"]
    for row in damaged["scores"]["rows"]:
        row[columns.index("mde")] = None if row[columns.index("mde")] is None else 0.5
    found = Report.from_json(damaged).faint_conditions()
    for row in damaged["scores"]["rows"]:  # a change that was found went not unseen, however small it could have been
        row[columns.index("p_adjusted")] = None if row[columns.index("p_adjusted")] is None else 0.2
    _, (_, _, far) = verdict_sentences(Report.from_json(damaged))
    assert "the model raised an error under 1" in far
    assert "1 changed no sample" in far
    assert len(found) < 75
    assert "under 75 of the conditions a loss of a tenth could have gone unseen" in far


# ---- scope and gaps


def gaps(report: Report) -> dict[str, str]:
    return {g.what: g.why for g in untested(report)}


def without(document: dict[str, Any], drop: Any) -> Report:
    return changed(document, conditions=[c for c in document["conditions"] if not drop(c)])


@pytest.mark.parametrize("family", ["missing", "mismatch", "conflict", "scenario", "corruption", "control"])
def test_a_family_that_was_not_run_is_a_gap(document: dict[str, Any], report: Report, family: str) -> None:
    name = FAMILIES[family][0]
    assert name not in gaps(report)
    assert name in gaps(without(document, lambda c: c["family"] == family))


def test_what_cannot_be_run_is_no_gap() -> None:
    found = gaps(Report.from_json(small_report(task="regression")))
    assert FAMILIES["adversarial"][0] in found
    for family in ("conflict", "contrast_set", "scenario", "mismatch"):
        assert FAMILIES[family][0] not in found


def test_modalities_severities_and_subsets_that_were_left_out(document: dict[str, Any]) -> None:
    corrupted = without(document, lambda c: c["family"] == "corruption" and c["modalities"] == ["question"])
    assert "corrupted modalities: question" in gaps(corrupted)
    weak = gaps(without(document, lambda c: c["position"] in (1, 2, 4)))
    assert "severity 1, 2, 4 of every curve" in weak
    some = gaps(without(document, lambda c: c["position"] == 2 and c["probe"] == "text.keyboard"))
    assert any(what.startswith("severity 2 of 1 of ") for what in some)
    both = gaps(
        without(document, lambda c: (c["position"], c["probe"]) in ((2, "text.keyboard"), (3, "image.gaussian_blur")))
    )
    assert any(what.startswith("some severities of 2 of ") for what in both)
    pairs = without(document, lambda c: c["probe"] == "missing" and len(c["modalities"]) == 2)
    assert "1 of 3 ways to lack modalities" in gaps(pairs)


def test_groups_without_a_number(document: dict[str, Any], report: Report) -> None:
    assert not any("group" in what for what in gaps(report))
    none = copy.deepcopy(document)
    none["data"]["groups"] = {}
    assert "differences between groups" in gaps(Report.from_json(none))
    small = copy.deepcopy(document)
    small["data"]["groups"]["answer"] |= {"rare": 3, "rarer": 2}
    columns = small["scores"]["columns"]
    for row in small["scores"]["rows"]:
        if row[columns.index("group")] == "answer=shape":
            row[columns.index("value")] = None
    found = gaps(Report.from_json(small))
    assert found["1 group of answer: shape"] == "too few samples for a number"
    assert "2 groups of answer: rare, rarer" in found


def test_values_that_are_undefined_and_samples_that_raised(document: dict[str, Any]) -> None:
    damaged = copy.deepcopy(document)
    columns = damaged["scores"]["columns"]
    place = {name: columns.index(name) for name in ("condition", "metric", "value", "reason")}
    key = damaged["conditions"][5]["key"]
    for row in damaged["scores"]["rows"]:
        if row[place["condition"]] == key and row[place["metric"]] == "accuracy":
            row[place["value"]], row[place["reason"]] = None, "nothing came back"
    damaged["conditions"][6]["raised"] = 7
    found = gaps(Report.from_json(damaged))
    assert [why for what, why in found.items() if what.startswith("accuracy under 1 condition")] == [
        "nothing came back"
    ]
    (raised,) = [why for what, why in found.items() if what.startswith("some samples under 1 condition")]
    assert "on 7 at most" in raised


def test_analyses_and_references(document: dict[str, Any], report: Report) -> None:
    assert {"reliance", "synergy", "reference methods", "other random draws"} <= set(gaps(report))
    said = changed(document, synergy={"not_analysed": {"synergy": "too few rows"}}, references={"reason": "stale"})
    found = gaps(said)
    assert found["synergy of data and model"] == "too few rows"
    assert found["reference methods"] == "stale"
    estimated = gaps(Report.from_json(with_estimates(sample_report(examples=0))))
    assert not {"reliance", "synergy"} & set(estimated)


def test_the_scope_says_what_was_run(report: Report) -> None:
    found = scope(report)
    tested = {t.family: t for t in found.tested}
    missing = tested["missing modalities"]
    assert missing.conditions == sum(m.condition.family == "missing" for m in report.conditions)
    assert "baseline zero, mean, marginal, noise" in missing.probes
    assert "gaussian blur (severity 1 to 5 of 5)" in tested["corrupted modalities"].probes
    assert sum(t.conditions for t in found.tested) == len(report.conditions) - 1
    assert found.limits == tuple(report.document["limits"])
    assert any("Attacks: inputs" in line for line in found.outside)
    said = text_of(shown(report, "scope.html.j2"))
    for d in report.document["declined"]:
        assert d["reason"] in said
    assert "9\u202f673 samples in 1\u202f000 clusters" in shown(report, "scope.html.j2").text()


def test_a_corruption_of_two_kinds_is_told_once(document: dict[str, Any]) -> None:
    twice = copy.deepcopy(document)
    both = [c for c in twice["conditions"] if c["family"] == "corruption"]
    for i, condition in enumerate(both):
        condition["probe"] = ("image.grain", "tabular.grain")[i % 2]
    found = scope(Report.from_json(twice))
    (row,) = [t for t in found.tested if t.conditions == len(both) and "grain" in t.probes]
    assert row.probes.count("grain") == 1


def test_an_attack_that_was_run_narrows_what_is_said(document: dict[str, Any]) -> None:
    attacked = copy.deepcopy(document)
    attacked["conditions"][-1]["family"] = "adversarial"
    found = scope(Report.from_json(attacked))
    assert any("other than the gradient attacks" in line for line in found.outside)
    assert "gradient attacks" not in {g.what for g in found.untested}


def test_equal_reasons_are_told_once(document: dict[str, Any]) -> None:
    one = {"probe": "missing", "modalities": ["image"], "reason": "no mean"}
    two = changed(document, declined=[one, {**one, "modalities": ["question"]}, {**one, "reason": "other"}])
    assert [(d.modalities, d.reason) for d in scope(two).declined] == [
        ("image, question", "no mean"),
        ("image", "other"),
    ]


def test_a_thousand_modalities_are_no_problem(document: dict[str, Any]) -> None:
    many = copy.deepcopy(document)
    many["data"]["modalities"] = [{**many["data"]["modalities"][0], "name": f"m{i}"} for i in range(3000)]
    assert "most ways to lack several modalities" in gaps(Report.from_json(many))
