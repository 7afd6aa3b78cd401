"""The reliance panel: every number drawn stands in its table, shares compare, nothing floods other tables."""

from __future__ import annotations

import copy
import io
import json
import math
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from mmaudit import console
from mmaudit.errors import DamagedRun
from mmaudit.estimates import Estimate
from mmaudit.figures import FIGURES, Figure
from mmaudit.figures.estimates import DIFFERENCES, VALUE, cell, named, of_family
from mmaudit.figures.groups import group_effects
from mmaudit.figures.reliance import reliance, splits
from mmaudit.render import inline, page
from mmaudit.render.evidence import findings
from mmaudit.render.svg import draw
from mmaudit.render.tables import everything, metric_order, summaries, summed
from mmaudit.report import Report
from mmaudit.report_schema import schema, violations
from report_estimates import about, slim, with_estimates
from report_estimates import reliance as plausible
from report_html import Page, unsafe
from report_samples import sample_report

VARIANTS: dict[str, dict[str, Any]] = {
    "two": {},
    "three": {"modalities": ("a", "b", "c"), "kinds": ("image", "text", "audio"), "baselines": ("zero", "noise")},
    "one": {"modalities": ("wave",), "kinds": ("audio",), "baselines": ("zero",)},
    "regression": {"task": "regression", "baselines": ("zero",)},
    "multilabel": {"task": "multilabel", "baselines": ("zero",)},
}
LONG = "a modality whose name is far longer than any sensible person would ever make it " * 4
HOSTILE = ("<script>alert(1)</script>\"'>{{7*7}}", "\u202eimage\u202d</text></svg>", LONG)


def document(name: str, **more: Any) -> dict[str, Any]:
    return with_estimates(sample_report(examples=0, **VARIANTS[name]), **more)


def report_of(estimates: list[Estimate], name: str = "two") -> Report:
    return Report.from_json(document(name, estimates=estimates))


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {name: Report.from_json(document(name)) for name in VARIANTS}


@pytest.fixture(scope="module")
def html() -> str:
    return page(Report.from_json(with_estimates(slim(sample_report(examples=0)))))


def drawn(figure: Figure) -> list[float]:
    return [
        datum["value"]
        for panel in figure.panels
        for part in panel.spec["layer"]
        for datum in part["data"]["values"]
        if "tip" in datum and datum.get("value") is not None
    ]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_drawn_number_stands_in_the_table(name: str, reports: dict[str, Report]) -> None:
    figures = reliance(reports[name])
    assert {f.id for f in figures} >= {"reliance-shares", "reliance-agreement", "reliance-structure"}
    for figure in figures:
        known = [c.value for row in figure.table.rows for c in row if c.value is not None]
        assert drawn(figure), figure.id
        for value in drawn(figure):
            assert any(math.isclose(value / u, k, rel_tol=1e-6, abs_tol=1e-7) for u in (1, 100) for k in known), (
                figure.id,
                value,
            )


@pytest.mark.parametrize("name", ["two", "three", "one"])
def test_pictures_are_drawn_with_words_and_axes(name: str, reports: dict[str, Report]) -> None:
    for figure in reliance(reports[name]):
        assert figure.caption
        assert all(len(row) == len(figure.table.columns) for row in figure.table.rows)
        assert all(c.text != "—" or c.reason for row in figure.table.rows for c in row)
        for i, panel in enumerate(figure.panels):
            assert len(panel.alt) > 20
            json.dumps(panel.spec, allow_nan=False)
            svg = draw(panel.spec, panel.alt, f"x{i}")
            assert "NaN" not in svg
            assert "<title>" in svg, "hovering says the number"
            titles = [
                e["x"]["axis"]["title"]
                for part in panel.spec["layer"]
                if (e := part["encoding"]).get("x", {}).get("axis")
            ]
            assert titles
            assert all(titles)


def test_shares_add_up_and_keep_the_order_of_the_values(reports: dict[str, Report]) -> None:
    names = ("a", "b", "c")
    for split in splits(of_family(reports["three"], "reliance"), names):
        if split.reason:
            continue
        shares = [split.share(e.value, e) for e in split.estimates]
        assert sum(map(abs, shares)) == pytest.approx(100)
        assert [e.modalities[0] for e in split.estimates] == list(names)
        assert sorted(range(3), key=lambda i: shares[i]) == sorted(range(3), key=lambda i: split.estimates[i].value)


def test_a_value_counts_from_its_null_and_harm_lies_left_of_zero() -> None:
    b = (("baseline", "zero"),)
    estimates = [
        Estimate("only_one", ("image",), b, unit="share", **about(0.45, null=0.4)),
        Estimate("only_one", ("question",), b, unit="share", **about(0.55, null=0.4)),
        Estimate("leave_one_out", ("image",), b, unit="share", **about(-0.1)),
        Estimate("leave_one_out", ("question",), b, unit="share", **about(0.3)),
    ]
    only, left = sorted(splits(estimates, ("image", "question")), key=lambda s: s.name, reverse=True)
    assert [only.share(e.value, e) for e in only.estimates] == pytest.approx([25, 75])
    assert [left.share(e.value, e) for e in left.estimates] == pytest.approx([-25, 75])
    assert (only.foremost, left.foremost) == ("question", "question")


def test_an_undefined_value_is_a_reason_and_no_line() -> None:
    b = (("baseline", "zero"),)
    estimates = [
        Estimate("shapley_value", ("image",), b, unit="share", reason="not all subsets were run"),
        Estimate("shapley_value", ("question",), b, unit="share", **about(0.3)),
        Estimate("leave_one_out", ("image",), b, unit="share", **about(0.0, 0.0)),
        Estimate("leave_one_out", ("question",), b, unit="share", **about(0.0, 0.0)),
        Estimate("attribution_share", (), (("method", "deep_lift"),), unit="share", reason="no gradient"),
    ]
    (figure,) = reliance(report_of(estimates))
    assert figure.panels == ()
    reasons = {c.reason for row in figure.table.rows for c in row}
    assert "undefined for image: not all subsets were run" in reasons
    assert "all its values are 0, so there is no total to take a share of" in reasons
    assert "no gradient" in reasons


def test_the_distance_stands_beside_the_baseline_it_belongs_to(reports: dict[str, Report]) -> None:
    figure = reliance(reports["two"])[0]
    columns = [c.title for c in figure.table.columns]
    place = columns.index("stand-in off the data")
    for row in figure.table.rows:
        stand_in, distance = row[1].text, row[place]
        assert (distance.value is None) == (stand_in == "nothing" or row[2].text == "the whole model")
        if stand_in == "noise" and distance.value is not None:
            assert distance.value > 5
    texts = [
        d["text"] for p in figure.panels for part in p.spec["layer"] for d in part["data"]["values"] if "text" in d
    ]
    assert any(t.startswith("off the data: image") and "×" in t for t in texts)


def test_differences_of_shares_are_percentage_points_and_others_percent() -> None:
    e = Estimate("shapley_value", ("image",), unit="share", **about(0.25))
    assert cell(e).text.replace("\u00a0", " ") == "+25.0 pp [+23.0, +27.0]"
    assert cell(replace(e, estimator="only_one")).text.replace("\u00a0", " ") == "25.0 % [23.0, 27.0]"
    score = Estimate("perceptual_score", ("image",), (("normalised", "task"),), unit="share", **about(0.25))
    assert "%" in cell(score).text
    assert named(score) == "perceptual score, as a share of the room the task leaves"


def test_names_are_those_that_the_estimators_have() -> None:
    import mmaudit.decomposition
    import mmaudit.reliance  # noqa: F401
    from mmaudit.estimates import estimators
    from mmaudit.figures.reliance import CHECKS, OTHERWISE, TAKEN_AWAY
    from mmaudit.figures.reliance_further import GROUPED
    from mmaudit.reliance import table

    wanted = {*TAKEN_AWAY, *OTHERWISE, *CHECKS, *GROUPED, *DIFFERENCES, "reliance_agreement", "shortcut_score"}
    assert wanted <= set(estimators.names())
    assert VALUE == table.VALUE
    for name in DIFFERENCES:
        assert estimators.get(name).unit == "primary", name


def test_groups_are_compared_row_by_row(reports: dict[str, Report]) -> None:
    figure = next(f for f in reliance(reports["two"]) if f.id == "reliance-groups")
    assert [p.title for p in figure.panels] == [
        "answer: Shapley value, zero",
        "answer: perceptual score",
        "answer: EMAP gap",
        "answer: leave one out, zero",
    ]
    assert [p.folded for p in figure.panels] == [False, False, False, True]
    rows = [d["text"] for part in figure.panels[0].spec["layer"] for d in part["data"]["values"] if "text" in d]
    assert rows == ["yes/no", "shape", "colour"]


def test_estimates_stay_out_of_the_tables_of_conditions(reports: dict[str, Report]) -> None:
    report, plain = reports["two"], Report.from_json(sample_report(examples=0))
    assert summaries(report) == summaries(plain)
    named = [row[0].text for row in summaries(report).rows]
    assert not [name for name in named if set(name) & set("[]=_")], named
    assert {summed(s.label) for s in report.rows if s.metric == "severity_auc"} <= set(named)
    assert [summed(x) for x in ("mismatch", "missing[baseline=zero]")] == ["mismatch", "missing · zero"]
    assert summed("missing_rate[image, baseline=mean]") == "missing rate · image · mean"
    assert summed("image.gaussian_blur[left+right]#2") == "gaussian blur · left + right · #2"
    assert group_effects(report) == group_effects(plain)
    assert FIGURES["overview"](report)[0].table == FIGURES["overview"](plain)[0].table
    shown = [n for n in metric_order(report) if everything(report, n).rows]
    assert shown == [n for n in metric_order(plain) if everything(plain, n).rows]
    assert inline(report) == inline(plain)


def test_a_report_without_estimates_has_no_panel() -> None:
    old = Report.from_json(slim(sample_report(examples=0, baselines=("zero",))))
    assert old.estimates == ()
    assert FIGURES["reliance"](old) == FIGURES["synergy"](old) == ()
    html = page(old)
    assert 'id="reliance"' not in html
    assert 'id="synergy"' not in html
    assert "#reliance" not in html


def test_estimates_come_back_as_they_were_written() -> None:
    given = list(plausible(("image", "question"), ("zero",), "share", ("site=a",)))
    report = report_of(given)
    assert len(report.estimates) == len(given)
    for e, back in zip(given, report.estimates, strict=True):
        assert repr(back) == repr(e)
        assert back.key == e.key


def test_the_schema_and_the_checker_know_estimates() -> None:
    oracle = jsonschema.Draft202012Validator(schema())
    good = document("two")
    oracle.validate(good)
    for change in (
        lambda d: d["estimates"][0].update(family="causality"),
        lambda d: d["estimates"][0].pop("group"),
        lambda d: d["estimates"][0]["options"].update(baseline=3),
        lambda d: d["synergy"].update(explanations="because"),
        lambda d: d["synergy_samples"][0]["pvi"].update(image="much"),
        lambda d: d["synergy_samples"][0]["modalities"][0].update(shown={"html": "<b>"}),
    ):
        bad = copy.deepcopy(good)
        change(bad)
        assert not oracle.is_valid(bad)
        assert list(violations(bad))
    orphan = copy.deepcopy(good)
    orphan["estimates"][0]["key"] = "nowhere"
    with pytest.raises(DamagedRun, match=r"estimates\[0\]: .* has no row in report.scores"):
        Report.from_json(orphan)


def test_the_page_explains_direction_limits_and_disagreement(html: str) -> None:
    read = Page(html)
    section = html[html.index('<section id="reliance"') : html.index('<section id="synergy"')]
    text = Page(section).text()
    for said in (
        "above 0 the modality helps",
        "What this does not say",
        "Under the stand-in 'zero' image ranks first",
        "Integrated gradients weigh the modality with more numbers higher.",
        "8 192 answers, 3.1 % of all combinations",
        "an embedding layer has no rule",
    ):
        assert said in text.replace("\u202f", " ").replace("\u00a0", " "), said
    assert {a["href"] for a in read.all("a")} >= {"#reliance", "#synergy"}
    assert "What shapley_value means" in html[html.index('id="method"') :]


def test_findings_show_estimates_as_evidence() -> None:
    doc = with_estimates(slim(sample_report(examples=0)))
    e = next(x for x in Report.from_json(doc).estimates if x.estimator == "shapley_value")
    evidence = {"condition": e.key, "metric": e.estimator, "label": e.label, "value": e.value}
    doc["findings"][0] |= {"evidence": [evidence], "claim": "It leans on one."}
    html = page(Report.from_json(doc))
    part = html[html.index("It leans on one.") :][:2500]
    text = Page(part[part.index("<table") : part.index("</table>") + 8]).text().replace("\u00a0", " ")
    assert "image, baseline zero" in text
    assert "+22.0 pp" in text
    assert 'href="#reliance"' in part


def test_evidence_states_the_adjusted_p_of_an_estimate() -> None:
    given = Estimate("shapley_value", ("image",), (("baseline", "zero"),), unit="share", value=0.2, low=0.1, high=0.3,
                     n=90, p=0.004, p_adjusted=0.037)  # fmt: skip
    doc = with_estimates(slim(sample_report(examples=0)), [given])
    (e,) = (x for x in Report.from_json(doc).estimates if x.estimator == "shapley_value")
    cited = {"condition": e.key, "metric": e.estimator, "label": e.label, "value": 0.2}
    doc["findings"] = [doc["findings"][0] | {"evidence": [cited]}]
    ((row,),) = (f.evidence for f in findings(Report.from_json(doc)))
    assert (row.what, row.p) == ("image, baseline zero", "0.037")


@pytest.mark.parametrize("kinds", [("image", "text", "audio")])
def test_hostile_names_stay_text(kinds: tuple[str, ...]) -> None:
    doc = with_estimates(slim(sample_report(HOSTILE, kinds, baselines=("zero</style>",), examples=1)))
    html = page(Report.from_json(doc))
    assert unsafe(Page(html)) == []
    assert "49" not in [t for _, t in Page(html).texts]
    out = io.StringIO()
    with redirect_stdout(out):
        console.show_estimates(Report.from_json(doc))
    assert max(map(len, out.getvalue().splitlines())) <= 80


@pytest.mark.parametrize("name", ["two", "three"])
def test_the_terminal_shows_every_line_within_80_columns(
    name: str, reports: dict[str, Report], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    console.show_estimates(reports[name], ["A sentence about it."])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for said in (
        "Shapley value, zero",
        "left unused",
        "if none",
        "p 0.010",
        "A sentence about it.",
        "DeepLift has no rule",
    ):
        assert said in shown, said
    plain = shown.replace("\u00a0", " ")
    assert "0.42 [0.39, 0.45]" in plain
    console.show_estimates([])
    assert capsys.readouterr().out == "nothing to show\n"
