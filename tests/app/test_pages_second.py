"""Samples, Groups, References, Compare, Calibration, Reliance & synergy, as a reader meets them."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from app_cases import charts, said, start
from second_cases import N, blur, regression, write_runs
from streamlit.testing.v1 import AppTest

import mmaudit
from helpers.big_report import references
from helpers.hostile_exhibits import exhibits, write_exhibits
from helpers.hostile_texts import HTML, hostile_texts
from mmaudit.app.parts import diff, sample_figures, sample_list, sides
from mmaudit.browse.answers import NOT_MEASURED, Answers
from mmaudit.browse.fragility import Flip, passport
from mmaudit.report import Report
from mmaudit.store import Run
from report_estimates import with_estimates
from report_samples import sample_report

PAGES = ("samples", "groups", "references", "compare", "calibration", "reliance")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("runs"))


def answers(root: Path, name: str = "first") -> tuple[Run, Answers]:
    run = Run.open(root / name)
    return run, Answers(run)


def listed(at: AppTest, which: int = 0) -> pd.DataFrame:
    return at.main.dataframe[which].value


def sound(at: AppTest) -> AppTest:
    assert not at.exception, [e.value for e in at.exception]
    return at


def click(at: AppTest, row: int, which: int = 0) -> AppTest:
    """Choose a row of a table as a click does."""
    at.session_state[str(at.main.dataframe[which].key)] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return sound(at.run())


# ---- Samples


def test_samples_lists_the_flipped_ones_the_most_damaged_first(root: Path) -> None:
    run, known = answers(root)
    at = sound(start(root, "samples", run="first", condition=blur(5).key))
    table = known.table(blur(5))
    worst = table[table["flipped"].fillna(False)].sort_values("damage", ascending=False, kind="stable")
    assert list(listed(at)["sample"]) == list(worst["sample"][:25])
    assert f"{len(worst)} of {N} samples" in said(at)
    assert f"Sample {worst['sample'].iloc[0]}" in said(at)
    assert at.query_params.get("condition") is not None
    assert {c.key for c in run.conditions} >= {blur(5).key}


@pytest.mark.parametrize(
    ("params", "keep"),
    [
        ({"show": "all"}, lambda t: t),
        ({"show": "wrong"}, lambda t: t[t["answer"] != t["target"]]),
        ({"show": "still right"}, lambda t: t[(t["answer"] == t["target"]) & (t["clean"] == t["target"])]),
        ({"show": "all", "id": "1000"}, lambda t: t[t["sample"].str.contains("1000")]),
        ({"show": "all", "truth": "rain"}, lambda t: t[t["target"] == "rain"]),
        ({"show": "all", "group": "site=north"}, lambda t: t[t["group.site"] == "north"]),
        ({"show": "all", "inputs": "yes"}, lambda t: t[t["position"].isin([0, 1])]),
    ],
)
def test_samples_filters_come_from_the_link(root: Path, params: dict[str, str], keep: Any) -> None:
    _, known = answers(root)
    at = sound(start(root, "samples", run="first", condition=blur(5).key, **params))
    wanted = keep(known.table(blur(5)))
    assert len(wanted) > 0
    assert f"{len(wanted)} of {N} samples" in said(at)
    assert set(listed(at)["sample"]) <= set(wanted["sample"])


def test_samples_says_that_nothing_matches(root: Path) -> None:
    at = sound(start(root, "samples", run="first", id="nobody"))
    assert "No sample is like that" in said(at)


def test_samples_by_fragility(root: Path) -> None:
    run, known = answers(root)
    at = sound(start(root, "samples", run="first", condition=blur(5).key, order="fragility", show="all"))
    steps = [float(v.split()[0]) if v[0].isdigit() else 9.0 for v in listed(at)["flips at"]]
    assert steps == sorted(steps)
    first = int(listed(at)["sample"].iloc[0]) - 10_000
    assert min(f.position or 9 for f in passport(run, first)) == steps[0]
    assert known.flip_reason == ""


def test_samples_the_next_page_goes_on(root: Path) -> None:
    _, known = answers(root)
    at = sound(start(root, "samples", run="first", condition=blur(5).key, show="all"))
    at.main.get("pagination")[0].set_value(2).run()
    order = known.table(blur(5)).sort_values("damage", ascending=False, kind="stable")
    assert list(listed(sound(at))["sample"]) == list(order["sample"][25:50])


def test_samples_picking_one_opens_it_and_writes_the_link(root: Path) -> None:
    at = sound(start(root, "samples", run="first", condition=blur(5).key, show="all"))
    name = listed(at)["sample"].iloc[3]
    click(at, 3)
    assert f"Sample {name}" in said(at)
    assert at.query_params["sample"] == name


def test_samples_picking_a_condition_changes_it(root: Path) -> None:
    at = sound(start(root, "samples", run="first", condition=blur(5).key, sample="10000", show="all"))
    wanted = next(i for i, v in enumerate(listed(at, 1)["condition"]) if v == "gaussian blur 1/5 · photo")
    click(at, wanted, 1)
    assert at.query_params["condition"] == blur(1).key
    assert "Condition: gaussian blur 1/5" in said(at).replace("\\", "")
    assert "Sample 10000" in said(at)


def test_samples_shows_kept_inputs_original_beside_perturbed(root: Path) -> None:
    at = sound(start(root, "samples", run="first", condition=blur(5).key, sample="10000", show="all"))
    text = said(at)
    assert ":red-background[~~" in text
    assert ":green-background[**" in text
    assert "<b>" not in text
    assert len(at.main.get("image")) == 2
    assert "Not perturbed: voice" in [e.label for e in at.main.expander]
    assert not at.main.get("audio")  # behind the click


def test_samples_plays_sounds(root: Path) -> None:
    at = sound(start(root, "samples", run="first", condition=blur(1).key, sample="10000", show="all"))
    # No input is kept under this condition, so all originals are shown, and why there is no other.
    assert len(at.main.get("audio")) == 1
    assert "not kept for this sample" in said(at)


def test_samples_without_inputs_says_how_to_keep_them(root: Path) -> None:
    at = sound(start(root, "samples", run="first", condition=blur(5).key, sample="10007", show="all"))
    assert f"mmaudit keep {shlex.quote(str(root / 'first'))} --data DATA --sample 10007" in [
        c.value for c in at.main.code
    ]


def test_samples_damaged_inputs_are_named_and_the_rest_is_shown(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "first", tmp_path / "bomb")
    write_exhibits(tmp_path / "bomb", exhibits()["png-bomb"])
    at = sound(start(tmp_path, "samples", run="bomb", sample="10000", show="all"))
    assert any("exhibits.parquet" in e.value.replace("\\", "") for e in at.main.error)
    assert "Every condition" in said(at)


def test_samples_passport_agrees_with_the_answers(root: Path) -> None:
    run, known = answers(root)
    table = known.table(blur(5))
    right = table[table["clean"] == table["target"]].iloc[0]
    wrong = table[table["clean"] != table["target"]].iloc[0]
    at = sound(start(root, "samples", run="first", condition=blur(5).key, sample=right["sample"], show="all"))
    least = min((f.position or 9 for f in passport(run, int(right["position"])) if f.modality == "photo"), default=9)
    assert ("**not flipped**" if least == 9 else f"**{least} of 5**") in said(at)
    at = sound(start(root, "samples", run="first", condition=blur(5).key, sample=wrong["sample"], show="all"))
    assert "wrong" in said(at)
    assert "of 5**" not in said(at)


def test_what_a_budget_left_out_is_not_wrong() -> None:
    table = pd.DataFrame(
        {"target": ["a", "a", "a", "b"], "clean": ["a"] * 4, "answer": ["a", "b", NOT_MEASURED, NOT_MEASURED],
         "confidence": [0.9, 0.8, math.nan, 0.7]}
    )  # fmt: skip
    assert sample_list.wrong(table).tolist() == [False, True, False, True], "a class may have that name"
    assert sample_list.measured(table).tolist() == [True, True, False, True]


def test_shares_of_something_are_percent() -> None:
    assert sample_figures.amount(0.719, "share of characters") == "71.9\u00a0% of characters"
    assert sample_figures.amount(0.917, "σ") == "0.917\u00a0σ"
    assert sample_figures.severity(0.1, "share of letters") == "10\u00a0% of letters"
    assert sample_figures.severity(0.7, "σ") == "0.7 σ"


def test_samples_of_a_regression_have_no_flips(root: Path) -> None:
    at = sound(start(root, "samples", run="numbers"))
    table = listed(at)
    assert "flipped" not in table
    assert list(table["sample"][:2]) == ["39", "38"]
    assert table["damage"].iloc[0] == "+2.00\u00a0mm"
    assert "target" in table


# ---- the others


def test_groups_of_a_run(root: Path) -> None:
    report = Report.read(root / "first")
    at = sound(start(root, "groups", run="first", by="device"))
    assert charts(at)
    gone = next(m for m in report.conditions if m.condition.label == "missing[photo, baseline=zero]")
    at = sound(start(root, "groups", run="first", by="device", condition=gone.key))
    drawn = json.dumps(charts(at))
    score = report.score(gone.key, "accuracy", "device=phone")
    assert score is not None
    assert f"{float(f'{100 * score.value:.9g}')}" in drawn
    assert "headset" in drawn
    assert "north" not in drawn.split("Under one")[-1]


def test_groups_that_are_not_there(root: Path) -> None:
    assert "declares no groups" in said(sound(start(root, "groups", run="numbers")))


def test_calibration_views(root: Path) -> None:
    report = Report.read(root / "first")
    held = [e["condition"] for e in report.document["reliability"]]
    at = sound(start(root, "calibration", run="first", conditions=",".join(held[:2])))
    assert len(charts(at)) == 2
    other = next(m.key for m in report.conditions if m.key not in held and m.condition.position == 3)
    for view in ("reliability", "risk"):
        at = sound(start(root, "calibration", run="first", view=view, conditions=",".join([held[0], other])))
        assert len(charts(at)) == 2, "of any condition, from the stored answers"
    for view in ("risk", "confidence", "recalibration"):
        at = sound(start(root, "calibration", run="first", view=view))
        assert charts(at), view
    at = sound(start(root, "calibration", run="first", view="numbers", family="missing"))
    assert set(listed(at)["family"]) == {"clean", "missing"}
    assert "does not apply" in said(sound(start(root, "calibration", run="first", group="site=north")))
    assert "without a confidence" in said(sound(start(root, "calibration", run="numbers")))


def test_reliance_and_synergy(tmp_path: Path) -> None:
    document = with_estimates(sample_report())
    report = Report.from_json(document)
    (tmp_path / "one").mkdir()
    report.to_json(tmp_path / "one" / "report.json")
    assert charts(sound(start(tmp_path, "reliance", run="one")))
    note = "the filters apply to “All estimates”"
    assert note not in said(sound(start(tmp_path, "reliance", run="one")))
    assert note in said(sound(start(tmp_path, "reliance", run="one", modality=["question"])))
    assert charts(sound(start(tmp_path, "reliance", run="one", view="synergy")))
    at = sound(start(tmp_path, "reliance", run="one", view="estimates"))
    assert len(listed(at)) == len(report.estimates)
    at = sound(start(tmp_path, "reliance", run="one", view="estimates", modality=["question"]))
    assert 0 < len(listed(at)) < len(report.estimates)


def test_reliance_without_estimates(root: Path) -> None:
    assert "no estimates of synergy" in said(sound(start(root, "reliance", run="numbers", view="synergy")))


def test_references(tmp_path: Path, root: Path) -> None:
    at = sound(start(root, "references", run="first"))
    assert any(
        c.value.startswith(f"mmaudit reference {shlex.quote(str(root / 'first'))} --model") for c in at.main.code
    )
    document = sample_report()
    panel = references(document)
    (tmp_path / "one").mkdir()
    Report.from_json({**document, "references": panel.to_json()}).to_json(tmp_path / "one" / "report.json")
    at = sound(start(tmp_path, "references", run="one"))
    assert charts(at)
    assert len(listed(at)) == 1 + len(panel.scored)
    for view in ("conditions", "costs"):
        assert len(listed(sound(start(tmp_path, "references", run="one", view=view)))) >= len(panel.scored)


def test_compare_says_what_the_library_says(root: Path) -> None:
    known = mmaudit.compare(root / "first", root / "second")
    at = sound(start(root, "compare", run="first"))
    assert "Choose a run" in said(at)
    assert "first" not in at.main.selectbox[0].options
    at = sound(start(root, "compare", run="first", **{"with": "second"}))
    text = said(at)
    for verdict, n in known.counts().items():
        assert f" {n} {verdict}]" in text
    assert f"{N} samples, each compared with itself" in text
    assert "not measured under it" in json.dumps([d.value.to_dict() for d in at.main.dataframe])
    assert charts(at)
    kinds = [v for v, n in known.counts().items() if n]
    assert {"worse", "undecided"} <= set(kinds)


def test_compare_refuses_another_task(root: Path) -> None:
    at = sound(start(root, "compare", run="first", **{"with": "numbers"}))
    assert any("cannot be compared" in e.value.replace("\\", "") for e in at.main.error)


@pytest.mark.parametrize("page", PAGES)
def test_hostile_names_are_shown_as_they_are(page: str, hostile: Path) -> None:
    at = sound(start(hostile, page, run="texts", **({"with": "other"} if page == "compare" else {})))
    for kind in ("title", "subheader", "markdown", "caption", "error", "warning", "info"):
        for element in at.main.get(kind):
            assert not re.search(r"(?<!\\)<(script|img)", element.value)
            assert not re.search(r"(?<!\\)\]\(", element.value)
    assert not any(e.allow_html for e in at.main.markdown)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    hostile_texts(folder / "texts", scored=True)
    regression(folder / "other")
    assert HTML
    return folder


# ---- the parts by themselves


def test_a_text_is_compared_word_by_word_and_shown_literally() -> None:
    before, after = diff.marked("is a yellow shape present?", "is a <b>blue</b> shape present?")
    assert before == "is a :red-background[~~yellow~~] shape present\\?"
    assert after == "is a :green-background[**\\<b\\>blue\\<\\/b\\>**] shape present\\?"
    # Words that are replaced together are one mark; white space alone is made visible.
    assert diff.marked("one two three", "x y three")[0] == ":red-background[~~one two~~] three"
    assert diff.marked("a  b", "a b")[0] == "a:red-background[~~␣␣~~]b"
    assert diff.marked("gone", "") == (":red-background[~~gone~~]", "*empty text*")
    assert "\\(1 000 more characters\\)" in diff.literal("a " * 1_500)
    assert "](" not in diff.literal("[click](javascript:alert(1))").replace("\\]\\(", "")


def test_a_row_says_which_values_are_changed() -> None:
    table, changed, total = sides.row({"values": [1.0, 2.5, None], "of": 40}, {"values": [1.0, 3.5, 2.0], "of": 40})
    assert (changed, total) == (2, 40)
    assert list(table["changed"]) == ["", sides.MARK, sides.MARK]
    assert list(table["by"]) == ["", "+1", ""]
    assert table["original"].iloc[2] == "— missing"
    assert list(sides.row({"values": [1.0]}, None)[0]) == ["value", "original"]


def test_a_passport_is_drawn_with_what_was_measured() -> None:
    flips = (
        Flip("photo", "image.fog", 3, 0.2, "share", (1, 2, 3, 5), False),
        Flip("photo", "image.frost", None, None, "share", (1, 2), True),
    )
    figure = sample_figures.passport(flips)
    dots = [d for layer in figure.panels[0].spec["layer"] for d in layer["data"]["values"] if "series" in d]
    assert sorted((d["x"], d["series"]) for d in dots) == sorted(
        [(x, sample_figures.RIGHT) for x in (1, 2, 1, 2)] + [(3, sample_figures.WRONG)]
    )
    assert [row[2].text for row in figure.table.rows] == ["3", "none"]
    assert "1, 2" in figure.table.rows[1][2].reason
    assert "1 of 2 probes flip" in figure.panels[0].alt


def test_the_whole_list_of_samples_can_be_saved(root: Path) -> None:
    at = sound(start(root, "samples", run="first", show="all"))
    labels = [b.label for b in at.get("download_button")]
    assert labels.count("Table as CSV") >= 2, "the list, and every condition of the chosen sample"
