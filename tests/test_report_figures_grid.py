"""The heat-map of the grid, risk-coverage curves and groups."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from itertools import combinations

import pytest

from mmaudit.errors import DamagedRun
from mmaudit.figures.base import brief, mde_cell, why, words
from mmaudit.figures.groups import group_effects
from mmaudit.figures.heatmap import LIMIT, heat_rows, heatmap
from mmaudit.figures.overview import overview
from mmaudit.figures.risk_coverage import risk_coverage
from mmaudit.report import Report
from mmaudit.report_schema import violations
from mmaudit.types import Condition, Score
from report_samples import sample_report


@pytest.fixture(scope="module")
def report() -> Report:
    return Report.from_json(sample_report(examples=0))


def cells(figure_panel: object) -> list[dict[str, object]]:
    layers = figure_panel.spec["layer"]  # type: ignore[attr-defined]
    return [d for layer in layers if layer["mark"]["type"] == "rect" for d in layer["data"]["values"]]


def test_rows_are_sorted_by_their_largest_loss_and_hold_every_condition_once(report: Report) -> None:
    rows = heat_rows(report)
    assert [r.damage for r in rows] == sorted((r.damage for r in rows), reverse=True)
    graded = [c.key for r in rows for c, _ in r.cells.values()]
    assert len(graded) == len(set(graded))
    corrupted = {m.condition.key for m in report.conditions if m.condition.family == "corruption"}
    assert corrupted <= set(graded)
    assert not {m.condition.key for m in report.conditions if m.condition.family in ("clean", "control")} & set(graded)


def test_a_cell_says_the_change_and_its_colour_the_direction(report: Report) -> None:
    figure = heatmap(report)[0]
    wide = next(p for p in figure.panels if p.show == "wide")
    drawn = cells(wide)
    assert len(drawn) == sum(len(r.cells) for r in heat_rows(report)[:LIMIT])
    for d in drawn:
        assert 0 <= float(str(d["tone"])) <= 0.5
        assert d["worse"] == (float(str(d["value"])) < 0), "accuracy: a fall is worse"
        assert "[" in str(d["tip"]), "the interval is said"
    assert len(figure.table.rows) == len(heat_rows(report))


def test_lower_is_better_turns_the_colours_round() -> None:
    report = Report.from_json(sample_report(examples=0, task="regression"))
    assert report.primary.better == "lower"
    for d in cells(heatmap(report)[0].panels[0]):
        assert d["worse"] == (float(str(d["value"])) > 0)


def test_undefined_changes_are_listed_last_with_a_reason_and_not_drawn() -> None:
    document = copy.deepcopy(sample_report(examples=0))
    columns = document["scores"]["columns"]
    for row in document["scores"]["rows"]:
        for name in ("value", "low", "high", "delta", "delta_low", "delta_high"):
            row[columns.index(name)] = None
        row[columns.index("reason")] = "nothing answered"
    figure = heatmap(Report.from_json(document))[0]
    assert figure.panels == ()
    assert all(math.isnan(r.damage) or r.damage == -math.inf for r in heat_rows(Report.from_json(document)))
    assert all(row[1].reason for row in figure.table.rows)


def test_without_perturbed_conditions_there_is_no_grid(report: Report) -> None:
    document = dict(report.document)
    document["conditions"] = document["conditions"][:1]
    assert heatmap(Report.from_json(document)) == ()


CURVE = {
    "coverage": [0.5, 1.0],
    "risk": [0.1, 0.3],
    "low": [0.05, 0.2],
    "high": [0.2, 0.4],
}


def test_risk_coverage_draws_each_condition_beside_the_clean_one(report: Report) -> None:
    keys = [m.key for m in report.conditions][:3]
    entries = [{"condition": k, "label": k, **CURVE} for k in keys]
    entries[1] = {**entries[1], "risk": [None, 0.6], "low": [None, 0.5], "high": [None, 0.7]}
    figure = risk_coverage(Report.from_json({**report.document, "risk_coverage": entries}))[0]
    assert len(figure.panels) == 3
    lines = [x["data"]["values"] for x in figure.panels[1].spec["layer"] if x["mark"]["type"] == "line"]
    assert [d["risk"] for d in lines[0]] == [10.0, 30.0], "the clean curve, dashed"
    assert [d["risk"] for d in lines[1]] == [60.0], "an undefined point is a gap"
    assert [c.reason for row in figure.table.rows for c in row if c.reason] == ["undefined"]
    assert risk_coverage(report) == (), "older runs hold no curve"


def test_a_curve_whose_lists_differ_in_length_is_damage(report: Report) -> None:
    entry = {"condition": "x", "label": "x", **CURVE, "risk": [0.1]}
    with pytest.raises(DamagedRun, match=r"risk_coverage\[0\]: coverage, risk, low and high"):
        Report.from_json({**report.document, "risk_coverage": [entry]})
    assert list(violations({**report.document, "risk_coverage": [{"condition": "x"}]}))


def test_groups_are_drawn_clean_and_where_they_are_hit_hardest(report: Report) -> None:
    figure = group_effects(report)[0]
    assert [row[0].text for row in figure.table.rows] == ["all samples", "yes/no", "shape", "colour"]
    for row in figure.table.rows[1:]:
        assert row[3].value is not None
        assert (row[6].value or 0) <= 0, "the worst condition of a group is no gain"
    dots = [d for x in figure.panels[0].spec["layer"] if x["mark"]["type"] == "point" for d in x["data"]["values"]]
    assert {d["series"] for d in dots} == {"clean", "its worst condition"}
    assert group_effects(Report.from_json(sample_report(examples=0, groups=False))) == ()


def test_a_group_column_may_hold_the_sign_that_parts_it_from_its_values() -> None:
    document = copy.deepcopy(sample_report(examples=0))
    column = next(iter(document["data"]["groups"]))
    document["data"]["groups"] = {"a=b": document["data"]["groups"][column]}
    place = document["scores"]["columns"].index("group")
    for row in document["scores"]["rows"]:
        row[place] = row[place].replace(f"{column}=", "a=b=", 1)
    figure = group_effects(Report.from_json(document))[0]
    assert figure.title == "By a=b"
    assert [row[0].text for row in figure.table.rows[1:]] == ["yes/no", "shape", "colour"]


def test_a_group_says_its_size_as_everything_else_does(report: Report) -> None:
    document = copy.deepcopy(report.document)
    n = document["scores"]["columns"].index("n")
    for row in document["scores"]["rows"]:
        row[n] = 9673
    figure = group_effects(Report.from_json(document))[0]
    words = [
        d["numbers"] for layer in figure.panels[0].spec["layer"] for d in layer["data"]["values"] if "numbers" in d
    ]
    assert set(filter(None, words)) == {"n = 9\u202f673"}


def test_conditions_of_many_modalities_are_told_apart_in_few_letters() -> None:
    names = ["chest_xray", "ecg_12_lead", "laboratory", "radiology_report", "vital_signs"]
    absent = [
        Condition("missing", "missing", 1, gone, options=(("baseline", "marginal"),))
        for count in range(1, 6)
        for gone in combinations(names, count)
    ]
    labels = [brief(c, 42, names) for c in absent]
    assert len(set(labels)) == len(absent) == 31
    assert max(map(len, labels)) <= 42
    assert "only ecg_12_lead · marginal" in labels
    assert labels[-1] == "without all 5 modalities · marginal"
    assert brief(absent[0], 42, names) == words(absent[0]) == "without chest_xray · marginal"


def test_the_dotted_line_is_told_of_where_there_is_one(report: Report) -> None:
    document = copy.deepcopy(report.document)
    columns = document["scores"]["columns"]
    told = "The dotted line is where chance begins."
    assert told in overview(report)[0].caption
    for row in document["scores"]["rows"]:  # a model that loses next to nothing is far from chance
        for name in ("delta", "delta_low", "delta_high", "mde"):
            if row[columns.index(name)] is not None:
                row[columns.index(name)] *= 0.01
    assert told not in overview(Report.from_json(document))[0].caption


def test_a_small_detectable_change_is_not_shown_as_none() -> None:
    score = Score("a", "a", "accuracy", n=100, value=0.9, unit="share", better="higher", against="clean", mde=0.00029)
    assert mde_cell(score).text == "0.03\u00a0pp"
    assert why(replace(score, delta=0.1, floor=0.95), "lost").startswith("the clean value is not better than chance")
