"""The synergy panel: data beside model with bounds and null, parts, tests, tags, and the samples themselves."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from mmaudit.estimates import Estimate
from mmaudit.figures.bars import Bar, Segment, stacked_bars
from mmaudit.figures.dots import Dot, Row, Scale, dot_rows
from mmaudit.figures.estimates import of_family
from mmaudit.figures.reliance import reliance
from mmaudit.figures.synergy import MOST_DRAWN, every_sides, synergy
from mmaudit.figures.synergy_parts import PARTS
from mmaudit.render import page
from mmaudit.render.samples import Budget
from mmaudit.render.svg import draw
from mmaudit.render.synergy import shown_samples, synergy_tile
from mmaudit.report import Report
from report_estimates import about, slim, with_estimates
from report_estimates import synergy as plausible
from report_html import Page, unsafe
from report_samples import sample_report

THREE: dict[str, Any] = {"modalities": ("a", "b", "c"), "kinds": ("image", "text", "audio"), "baselines": ("zero",)}


def make(estimates: list[Estimate] | None = None, **case: Any) -> Report:
    return Report.from_json(with_estimates(slim(sample_report(examples=0, **case)), estimates))


@pytest.fixture(scope="module")
def two() -> Report:
    return make(baselines=("zero", "noise"))


@pytest.fixture(scope="module")
def three() -> Report:
    return make(**THREE)


@pytest.fixture(scope="module")
def html(two: Report) -> str:
    return page(two)


def marks(report: Report, figure: str, mark: str, panel: int = 0) -> list[dict[str, Any]]:
    chosen = next(f for f in synergy(report) if f.id == figure)
    parts = chosen.panels[panel].spec["layer"]
    return [d for part in parts if part["mark"]["type"] == mark for d in part["data"]["values"] if "tip" in d]


def test_every_drawn_number_stands_in_the_table(two: Report, three: Report) -> None:
    for report in (two, three):
        for figure in synergy(report):
            known = [c.value for row in figure.table.rows for c in row if c.value is not None]
            shown = [
                d[k]
                for p in figure.panels
                for part in p.spec["layer"]
                for d in part["data"]["values"]
                for k in ("value", "null", "floor", "ceiling")
                if "tip" in d and d.get(k) is not None
            ]
            assert shown, figure.id
            for value in shown:
                near = (math.isclose(value / u, k, rel_tol=1e-6, abs_tol=1e-7) for u in (1, 100) for k in known)
                assert any(near), (figure.id, value)


def test_data_model_and_gap_stand_below_each_other(two: Report) -> None:
    dots = marks(two, "synergy-beside", "point")
    assert [d["series"] for d in dots] == ["in the data", "used by the model", "in the model’s answers", "left unused"]
    data, model, _, unused = dots
    assert data["value"] == pytest.approx(0.42)
    # Of two baselines the one under which the model uses most.
    assert model["value"] == pytest.approx(0.62 * 0.42)
    assert unused["value"] == pytest.approx(0.38 * 0.42)
    assert data["y"] < model["y"] < unused["y"]
    bar = marks(two, "synergy-beside", "rect")[0]
    assert (bar["floor"], bar["ceiling"]) == pytest.approx((0.32, 0.72))
    assert (bar["floor_low"], bar["ceiling_high"]) == pytest.approx((0.30, 0.74))
    ticks = [d for d in dots if d["null"] is not None]
    assert [d["null"] for d in ticks] == pytest.approx([0.006] * 3)
    assert "if there were nothing" in data["tip"]


def test_all_baselines_of_the_model_are_in_the_table(two: Report) -> None:
    figure = next(f for f in synergy(two) if f.id == "synergy-beside")
    said = [row[1].text for row in figure.table.rows]
    assert said[:4] == [
        "in the data",
        "used by the model (noise)",
        "used by the model (zero)",
        "in the model’s answers",
    ]
    plug_in = figure.table.rows[said.index("plug-in estimate, data")]
    assert "direct BROJA needs n" in plug_in[4].reason


def test_ends_the_wrong_way_round_are_no_interval() -> None:
    options = (("of", "data"),)
    who = ("image", "question")
    reason = "below 0: the predictor of both sides says less than those of the sides"
    report = make(
        [
            Estimate("synergy_low", who, options, unit="bits", **about(0.0, 0.0)),
            Estimate("synergy_high", who, options, unit="bits", **about(-0.05), reason=reason),
            Estimate("synergy", who, options, unit="bits", **about(-0.07), reason=reason),
        ]
    )
    assert marks(report, "synergy-beside", "rect") == []
    assert "no interval" in marks(report, "synergy-beside", "point")[0]["tip"]
    figure = synergy(report)[0]
    assert figure.table.rows[0][3].reason == reason


def test_three_modalities_have_pairs_and_one_against_the_rest(three: Report) -> None:
    every = every_sides(of_family(three, "synergy"), ("a", "b", "c"))
    assert [s.words for s in every] == ["a + b", "a + c", "b + c", "a + the rest", "b + the rest", "c + the rest"]
    figure = next(f for f in synergy(three) if f.id == "synergy-parts")
    rows = [row for row in figure.table.rows if row[0].text == "a + the rest" and row[1].text == "data"]
    assert [round(c.value or 0, 3) for c in rows[0][2:6]] == [0.3, 0.16, -0.02, 0.09]
    for panel in figure.panels:
        texts = [d["text"] for part in panel.spec["layer"] for d in part["data"]["values"] if "text" in d]
        assert "H(Y) 2.10\u00a0bits" in texts


def test_parts_are_laid_end_to_end_and_harm_to_the_left() -> None:
    segments = [Segment(p, v, "x", "tip") for p, v in zip(PARTS, (0.3, 0.2, -0.1, 0.4), strict=True)]
    drawn = stacked_bars([Bar("data", tuple(segments))], PARTS, Scale("bits"))
    laid = drawn["layer"][0]["data"]["values"]
    assert [d["x"] for d in laid] == pytest.approx([0, 0.3, 0, 0.5])
    assert [d["x2"] for d in laid] == pytest.approx([0.3, 0.5, -0.1, 0.9])
    draw(drawn, "parts of the information", "x")


def test_an_undefined_part_leaves_a_gap_with_its_reason() -> None:
    options, who = (("of", "data"),), ("image", "question")
    report = make(
        [
            Estimate("redundancy", who, options, unit="bits", **about(0.2)),
            Estimate("synergy", who, options, unit="bits", reason="only one class is left"),
        ]
    )
    figure = next(f for f in synergy(report) if f.id == "synergy-parts")
    assert len(marks(report, "synergy-parts", "rect")) == 1
    texts = [(c.text, c.reason) for c in figure.table.rows[0][2:]]
    assert texts[3] == ("—", "only one class is left")
    assert texts[1][1] == "not measured"
    beside = next(f for f in synergy(report) if f.id == "synergy-beside")
    assert beside.panels == ()


def test_tests_say_statistic_shuffled_value_and_p(two: Report) -> None:
    figure = next(f for f in synergy(two) if f.id == "synergy-tests")
    assert [p.title for p in figure.panels] == ["Label shuffle", "Within-class shuffle"]
    row = figure.table.rows[0]
    assert [c.value for c in row[2:5]] == [0.9, 0.01, 0.0099]
    assert row[2].reason == "a permutation test has no interval"
    assert "noisy views" in figure.caption


def test_tags_stand_beside_the_accuracy_on_them(two: Report) -> None:
    figure = next(f for f in synergy(two) if f.id == "synergy-tags")
    assert [p.title for p in figure.panels] == ["How many samples", "The model on them"]
    names = [row[0].text for row in figure.table.rows]
    assert names[:3] == ["redundant", "unique, image", "unique, question"]
    undefined = [row for row in figure.table.rows if row[2].value is None]
    assert {row[2].reason for row in undefined} == {"fewer than 30 samples carry this tag"}


def test_information_of_every_subset_and_the_balance_of_all(three: Report) -> None:
    figure = next(f for f in synergy(three) if f.id == "synergy-information")
    dots = marks(three, "synergy-information", "point")
    assert len(dots) == 7 * 3, "seven subsets of data, model under its best baseline, answers"
    assert "O-information: −0.21\u00a0bits [−0.23,\u00a0−0.19]" in figure.caption


def test_the_page_says_what_the_panel_does_not(html: str) -> None:
    section = html[html.index('<section id="synergy"') : html.index('<section id="calibration"')]
    text = Page(section).text().replace("\u00a0", " ").replace("\u202f", " ")
    for said in (
        "Synergy depends on a convention",
        "what they cannot learn is missing here",
        "another training of the predictors is not in them",
        "this is noise averaging, not a cross-modal interaction",
        "4 831 samples, 5 folds, 3 seeds",
        "the audited model’s own encoder",
        "plain features of the input",
    ):
        assert said in text, said
    assert "Synergy left unused" in html[: html.index('<section id="findings"')]


def test_the_first_page_says_what_is_surely_left() -> None:
    def left(value: float, low: float, p_adjusted: float, *who: str) -> Estimate:
        return Estimate("synergy_unused", who, (), "", 400, value, low, 2 * value - low, p_adjusted=p_adjusted)

    unsure = left(0.6, -0.1, 0.01, "a", "b")
    many_tests = left(0.5, 0.1, 0.2, "a", "c")
    sure = left(0.2, 0.1, 0.01, "b", "c")
    (tile,) = synergy_tile(make([unsure, many_tests, sure], **THREE))
    assert tile.detail == "b + c"
    assert tile.value.startswith("0.20")
    assert synergy_tile(make([unsure, many_tests], **THREE)) == []
    product = Estimate("beyond_independence", ("b", "c"), (), "", 400, 0.0, -0.1, 0.1)
    assert synergy_tile(make([sure, product], **THREE)) == [], "two views that add up leave nothing to a fusion"


def test_samples_show_their_content_and_synergy_comes_first(html: str, two: Report) -> None:
    section = html[html.index('id="synergy-samples"') : html.index('<section id="calibration"')]
    articles = section.split("<article")[1:]
    assert len(articles) == len(two.document["synergy_samples"]) == 9
    assert ["<h4>synergy</h4>" in a for a in articles] == [True] * 3 + [False] * 6
    read = Page(
        "<div>" + section[section.index("<p") : section.rindex("</div>\n</details>")] + "</div></details></div>"
    )
    text = read.text().replace("\u00a0", " ")
    assert "what shape is in the image?" in text
    assert "absent" in text
    assert "not defined" in text
    assert "+1.700 bits" in text
    assert all(i["alt"] for i in read.all("img"))


def test_images_of_samples_share_the_budget_of_the_page(two: Report) -> None:
    sample = copy.deepcopy(two.document["synergy_samples"][0])
    many = Report(two.document | {"synergy_samples": [sample] * 12})
    size = len(sample["modalities"][0]["shown"]["png"])
    found = shown_samples(many, Budget(5 * size))
    images = [s.modalities[0][2].image for s in found]
    assert [bool(image) for image in images] == [True] * 5 + [False] * 7
    assert "report.json" in found[-1].modalities[0][2].note


def test_hostile_samples_stay_text(two: Report) -> None:
    document = copy.deepcopy(two.document)
    bad = "</p><script>alert(1)</script>\u202e"
    sample = document["synergy_samples"][0]
    sample |= {"sample": bad, "target": bad, "tag": bad, "pvi": {bad: 1.0}}
    sample["answer"]["prediction"] = bad
    sample["modalities"] = [{"name": bad, "kind": bad, "shown": {"text": bad * 300}}]
    document["synergy"] |= {"explanations": [bad], "disagreements": [bad]}
    document["synergy"]["crossfit"] = {
        "learner": bad,
        "features": {bad: {"source": bad, "width": 3}},
        "reasons": {bad: bad},
    }
    document["synergy"]["crossed"] = {"rows": 3, "stopped": bad}
    document["synergy"]["attributions"] = {"rows": 1, "where": bad, "declined": [{"method": bad, "reason": bad}]}
    read = Page(page(Report.from_json(document)))
    assert unsafe(read) == []
    assert "alert(1)" in read.text()


def test_parts_of_the_description_may_be_absent(two: Report) -> None:
    document = {k: v for k, v in two.document.items() if k not in ("synergy", "synergy_samples")}
    html = page(Report.from_json(document))
    assert 'id="synergy"' in html
    assert 'id="synergy-samples"' not in html
    alone = {**document, "estimates": [], "synergy": {"crossfit": {"reasons": {"data": "all samples have one class"}}}}
    text = Page(page(Report.from_json(alone))).text()
    assert "No synergy was estimated." in text
    assert "all samples have one class" in text


def test_rows_keep_apart_and_undefined_dots_are_not_drawn() -> None:
    nan = math.nan
    rows = [Row("x", (Dot("s", 1.0, 0.5, 1.5), Dot("t", nan))), Row("head", kind="heading"), Row("y", (Dot("s", 2.0),))]
    for width in (880.0, 450.0, 340.0):
        spec = dot_rows(rows, {"s": ("#0a66b0", "circle"), "t": ("#c03d00", "square")}, Scale("bits"), width=width)
        dots = next(part for part in spec["layer"] if part["mark"]["type"] == "point")["data"]["values"]
        assert [d["value"] for d in dots] == [1.0, 2.0]
        assert dots[1]["y"] - dots[0]["y"] > 20
        draw(spec, "two rows of dots", "x")


def test_many_modalities_and_no_pairs_are_drawn() -> None:
    names = tuple("abcdefg")
    estimates = [e for e in plausible(names) if len(e.modalities) in (0, 1, 6, 7)]
    report = make(estimates, modalities=names, kinds=("tabular",) * 7, baselines=("zero",))
    for figure in synergy(report):
        for i, panel in enumerate(figure.panels):
            assert "NaN" not in draw(panel.spec, panel.alt, f"{figure.id}-{i}")


def test_of_many_sides_those_with_most_synergy_are_drawn_and_all_are_in_the_table() -> None:
    names = tuple("abcdef")
    report = make(modalities=names, kinds=("tabular",) * 6, baselines=("zero",))
    figures = {f.id: f for f in synergy(report)}
    for name in ("synergy-beside", "synergy-parts"):
        figure = figures[name]
        assert f"Drawn are the {MOST_DRAWN} of 21 with most synergy." in figure.caption
        assert len({row[0].text for row in figure.table.rows}) == 21
    dots = marks(report, "synergy-beside", "point")
    assert len(dots) == 4 * MOST_DRAWN
    most = max(e.value for e in report.estimates if e.estimator == "synergy" and e.option("of") == "data")
    assert dots[0]["value"] == pytest.approx(most)
    together = next(f for f in reliance(report) if f.id == "reliance-cooperation")
    assert "Drawn are the largest 48 values of 70" in together.caption
    assert len(together.table.rows) == 70


def test_shape_values_of_a_model_that_is_not_above_chance_come_with_a_warning(two: Report) -> None:
    document = copy.deepcopy(two.document)
    rows, columns = document["scores"]["rows"], document["scores"]["columns"]
    warning = "tell where chance lies"

    def caption(report: Report) -> str:
        return next(f for f in reliance(report) if f.id == "reliance-cooperation").caption

    assert warning not in caption(two)
    for row in rows:
        row[columns.index("floor")] = 1.0
    assert warning in caption(Report.from_json(document))
