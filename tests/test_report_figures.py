"""The charts: what they draw stands in their tables, axes say unit and direction, gaps have reasons."""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mmaudit.figures import FIGURES, Figure, baselines, confidence, missing_rates, overview, subset_lattice
from mmaudit.figures.base import words
from mmaudit.figures.baselines import judge
from mmaudit.figures.lattice import letters
from mmaudit.figures.marks import DASHES, FAMILIES, series_style
from mmaudit.figures.overview import LIMIT
from mmaudit.figures.recalibration import recalibration
from mmaudit.figures.reliability import reliability
from mmaudit.figures.severity import mostly_above, severity_curves
from mmaudit.render.svg import draw
from mmaudit.report import Report
from mmaudit.types import Score
from report_samples import sample_report, small_report

KINDS = ("image", "text", "audio", "tabular", "series", "embedding")
VARIANTS: dict[str, dict[str, Any]] = {
    "two": {},
    "one": {"modalities": ("wave",), "kinds": ("audio",)},
    "three": {"modalities": ("a", "b", "c"), "kinds": KINDS[:3], "baselines": ("zero", "noise")},
    "five": {"modalities": tuple("vwxyz"), "kinds": KINDS[:5], "baselines": ("zero",)},
    "six": {"modalities": ("im", "in", "it", "i", "j", "k"), "kinds": KINDS, "baselines": ("mean",)},
    "regression": {"task": "regression"},
    "multilabel": {"task": "multilabel"},
}
TINY = 1e-12
# Fields of the specifications that carry measured values, in shown units.
MEASURED = ("value", "delta", "accuracy", "before", "after")


def make(name: str) -> Report:
    return Report.from_json(sample_report(examples=0, groups=False, **VARIANTS[name]))


def all_figures(report: Report) -> list[Figure]:
    return [figure for function in FIGURES.values() for figure in function(report)]


def data(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for layer in spec["layer"]:
        yield from layer["data"]["values"]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_drawn_number_stands_in_the_table(name: str) -> None:
    report = make(name)
    for figure in all_figures(report):
        known = [c.value for row in figure.table.rows for c in row if c.value is not None]
        texts = {c.text for row in figure.table.rows for c in row}
        fields = ("x", "y") if figure.id == "confidence" else MEASURED
        drawn = 0
        for panel in figure.panels:
            for datum in data(panel.spec):
                if figure.id == "lattice" and "text_y" in datum:
                    drawn += 1
                    assert any(t.startswith(datum["text"]) for t in texts), datum["text"]
                if "tip" not in datum or figure.id == "lattice":
                    continue  # reference lines and labels; their numbers are those of the clean row
                for value in (datum[f] for f in fields if datum.get(f) is not None):
                    drawn += 1
                    near = [math.isclose(value / u, k, rel_tol=1e-6, abs_tol=1e-7) for u in (1, 100) for k in known]
                    assert any(near), (figure.id, value)
        assert drawn, figure.id


@pytest.mark.parametrize("name", VARIANTS)
def test_specifications_are_plain_closed_and_drawable(name: str) -> None:
    report = make(name)
    figures = all_figures(report)
    assert len({f.id for f in figures}) == len(figures)
    for figure in figures:
        assert figure.table.rows
        assert all(len(row) == len(figure.table.columns) for row in figure.table.rows)
        for i, panel in enumerate(figure.panels):
            text = json.dumps(panel.spec, allow_nan=False)
            assert '"url"' not in text
            assert '"href"' not in text
            assert len(panel.alt) > 20
            svg = draw(panel.spec, panel.alt, f"x{i}")
            assert svg.count("<path") + svg.count("<line") > 3, figure.id
            assert "NaN" not in svg
            assert "undefined" not in svg


@pytest.mark.parametrize("name", ["two", "regression"])
def test_axes_name_unit_and_direction(name: str) -> None:
    report = make(name)
    unit = {"two": "%", "regression": "°C"}[name]
    arrow = {"two": "↑ better", "regression": "↓ better"}[name]
    for function in (severity_curves, missing_rates, baselines):
        for figure in function(report):
            for panel in figure.panels:
                titles = axis_titles(panel.spec)
                assert any(unit in t and arrow in t for t in titles), (figure.id, titles)
                assert all(t for t in titles)
    titles = axis_titles(overview(report)[0].panels[0].spec)
    sides = {"two": "← worse · better →", "regression": "← better · worse →"}[name]
    assert any(sides in t and {"two": "pp", "regression": "°C"}[name] in t for t in titles), titles


def axis_titles(spec: dict[str, Any]) -> set[str]:
    channels = [e for layer in spec["layer"] for e in layer["encoding"].values() if isinstance(e, dict)]
    titles = [c["axis"]["title"] for c in channels if c.get("axis")]
    return {t if isinstance(t, str) else " ".join(t) for t in titles}


def test_severity_panels_show_band_clean_line_and_chance() -> None:
    for figure in severity_curves(make("two")):
        for panel in figure.panels:
            marks = [layer["mark"]["type"] for layer in panel.spec["layer"]]
            assert {"area", "line", "point", "rule", "text"} <= set(marks)
            texts = [d["text"] for d in data(panel.spec) if "text" in d]
            assert [t.split()[0] for t in texts] == ["clean", "chance"]


@pytest.mark.parametrize(
    ("better", "ends", "under"),
    [("higher", [0.7], False), ("higher", [0.95], True), ("higher", [0.9], False), ("higher", [0.92, 0.6], False),
     ("lower", [0.9], True), ("lower", [0.7], False), ("higher", [math.nan], False)],
)  # fmt: skip
def test_the_label_of_the_clean_line_stands_where_no_curve_ends(better: Any, ends: list[float], under: bool) -> None:
    clean = Score("clean", "clean", "m", value=0.9, better=better)
    assert mostly_above(clean, [replace(clean, value=v) for v in ends]) == under


def test_variants_of_a_corruption_differ_in_colour_shape_and_dash() -> None:
    noise = next(p for f in severity_curves(make("two")) for p in f.panels if p.title.startswith("gaussian noise"))
    lines = [layer["mark"] for layer in noise.spec["layer"] if layer["mark"]["type"] == "line"]
    assert len({m["color"] for m in lines}) == len(lines) == 2
    assert len({tuple(m["strokeDash"]) for m in lines}) == 2
    points = next(layer for layer in noise.spec["layer"] if layer["mark"]["type"] == "point")
    assert len(set(points["encoding"]["shape"]["scale"]["range"])) == 2
    assert points["encoding"]["shape"]["legend"] is not None


def test_styles_can_be_told_apart_without_colour() -> None:
    others = {f: style for f, style in FAMILIES.items() if f not in ("clean", "control")}
    assert len({shape for _, shape in others.values()}) == len(others)
    assert len({series_style(i) for i in range(30)}) == 30
    assert len({tuple(d) for d in DASHES}) == len(DASHES)


def test_overview_is_sorted_worst_first_and_limited() -> None:
    kinds, stand_ins = ("image", "audio", "series"), ("zero", "mean", "noise")
    report = Report.from_json(sample_report(("a", "b", "c"), kinds, examples=0, groups=False, baselines=stand_ins))
    figure = overview(report)[0]
    conditions = len(report.conditions) - 1
    assert len(figure.table.rows) == conditions > LIMIT
    assert f"{LIMIT} largest losses of {conditions}" in figure.caption
    wide, narrow = figure.panels
    assert (wide.show, narrow.show) == ("wide", "narrow")
    for panel in figure.panels:
        deltas = [d["delta"] for d in panel.spec["layer"][-1]["data"]["values"]]
        assert len(deltas) == LIMIT
        assert deltas == sorted(deltas)


def test_regression_overview_starts_with_the_largest_growth_of_error() -> None:
    deltas = [d["delta"] for d in overview(make("regression"))[0].panels[0].spec["layer"][-1]["data"]["values"]]
    assert deltas == sorted(deltas, reverse=True)


@pytest.mark.parametrize(
    ("name", "modalities", "baselines_"), [("one", 1, 4), ("two", 2, 4), ("three", 3, 2), ("six", 6, 1)]
)
def test_lattice_has_every_subset_and_every_step(name: str, modalities: int, baselines_: int) -> None:
    figure = subset_lattice(make(name))[0]
    wide = [p for p in figure.panels if p.show != "narrow"]
    assert len(wide) == baselines_
    for panel in wide:
        boxes = next(layer for layer in panel.spec["layer"] if layer["mark"]["type"] == "rect")["data"]["values"]
        edges = [d for layer in panel.spec["layer"][:3] for d in layer["data"]["values"]]
        assert len(boxes) == 2**modalities
        assert len(edges) == modalities * 2 ** (modalities - 1)
        places = {(b["x"], b["y"]) for b in boxes}
        assert len(places) == len(boxes)
        tops = sorted((b["x"], b["y"], b["y2"]) for b in boxes)
        assert all(b[1] >= a[2] for a, b in pairwise(tops) if a[0] == b[0]), "boxes do not overlap"


def test_lattice_letters_are_different_even_for_like_names() -> None:
    for names in (("image", "imu", "im", "i", "I", "infrared"), ("a b", "a c", " "), ("1", "12", "123", "1234")):
        codes = letters(names)
        assert set(codes) == set(names)
        assert len(set(codes.values())) == len(names)


def test_lattice_marks_a_harmful_modality() -> None:
    doc = sample_report(examples=0, groups=False, baselines=("zero",))
    columns = doc["scores"]["columns"]
    for row in doc["scores"]["rows"]:
        if row[1].startswith("missing[question,") and row[2] == "accuracy":
            for name, value in {
                "value": 0.999,
                "low": 0.998,
                "high": 1.0,
                "delta": 0.03,
                "delta_low": 0.02,
                "delta_high": 0.04,
            }.items():
                row[columns.index(name)] = value  # fmt: skip
    panel = subset_lattice(Report.from_json(doc))[0].panels[0]
    hurt = panel.spec["layer"][2]["data"]["values"]
    assert [e["label"] for e in hurt] == ["−3.0"]


def test_baselines_say_whether_the_conclusion_flips() -> None:
    def score(value: float, delta: float, half: float = 0.01) -> Score:
        ends = {"low": value - half, "high": value + half, "delta_low": delta - half, "delta_high": delta + half}
        return Score("k", "l", "accuracy", value=value, delta=delta, unit="share", better="higher", **ends)

    assert judge([score(0.9, -0.1), score(0.895, -0.105)], "share") == (True, "yes")
    assert not judge([score(0.99, -0.005), score(0.97, -0.03)], "share")[0]
    assert not judge([score(0.9, -0.1), score(0.7, -0.3)], "share")[0]
    assert judge([score(0.9, -0.1)], "share") == (True, "not known: fewer than two have a value")
    assert "not known" in baselines(make("five"))[0].caption
    assert "the choice matters (marked ≠)" in baselines(make("two"))[0].caption


def test_confidence_joins_severities_and_names_the_widest_gaps() -> None:
    report = make("two")
    panel = confidence(report)[0].panels[0]
    dots = next(layer for layer in panel.spec["layer"] if layer["mark"]["type"] == "point")["data"]["values"]
    assert len(dots) == len(report.conditions)
    labels = panel.spec["layer"][-1]["data"]["values"]
    assert 0 < len(labels) <= 6
    assert confidence(make("regression")) == ()


def test_confidence_in_labels_is_held_against_right_labels() -> None:
    report = make("multilabel")
    figure = confidence(report)[0]
    assert "the share of right labels" in figure.caption
    by_name = {words(m.condition): m for m in report.conditions}
    for row in figure.table.rows:
        m = by_name[row[0].text]
        sure, over = report.score(m.key, "mean_confidence"), report.score(m.key, "overconfidence")
        assert sure is not None
        assert over is not None
        assert row[3].value == pytest.approx(sure.value - over.value)
        assert row[4].value == pytest.approx(over.value)


def test_conflicts_are_counted_by_the_samples_in_conflict() -> None:
    report = make("two")
    figure = FIGURES["arbitration"](report)[0]
    counted = {item["condition"]: int(np.sum(item["n"])) for item in report.document["arbitration"]}
    assert {int(row[2].value or 0) for row in figure.table.rows} == set(counted.values())
    assert report.document["data"]["n"] not in counted.values()


def test_reliability_covers_each_condition_and_folds_the_rest() -> None:
    figure = reliability(make("three"))[0]
    assert len(figure.panels) == len(make("three").document["reliability"]) or not figure.panels
    two = reliability(make("two"))[0]
    assert [p.folded for p in two.panels] == [i >= 6 for i in range(len(two.panels))]
    empty = [c for row in two.table.rows for c in row if c.reason]
    assert {c.reason for c in empty} == {"no sample falls into this bin"}


def test_recalibration_without_a_value_is_said_not_drawn() -> None:
    doc = sample_report(examples=0, groups=False)
    for e in doc["recalibration"]:
        if e["fitted_on"] == "clean":
            e.update(ece_after=None, low=None, high=None)
    figure = recalibration(Report.from_json(doc))[0]
    assert [p.title for p in figure.panels] == ["fitted on: same condition"]
    assert "fitted on clean" in figure.caption
    assert any("could not be fitted" in c.reason for row in figure.table.rows for c in row)


def test_recalibration_draws_the_conditions_with_curves_and_lists_all() -> None:
    doc = sample_report(examples=0, groups=False)
    shown = list(dict.fromkeys(e["condition"] for e in doc["reliability"]))
    first = doc["recalibration"][0]
    doc["recalibration"] = [
        {**first, "condition": key, "label": key, "change_low": -0.02, "change_high": 0.01, "reason": ""}
        for key in [*shown, *(f"other{i}" for i in range(40))]
    ]
    figure = recalibration(Report.from_json(doc))[0]
    assert f"{len(shown)} conditions" in figure.caption
    assert f"in {len(shown)} conditions" in figure.panels[0].alt
    assert len(figure.table.rows) == len(shown) + 40
    assert all("[−2.0," in row[-1].text for row in figure.table.rows)


def test_undefined_values_are_gaps_with_reasons() -> None:
    doc = copy.deepcopy(small_report())
    columns = doc["scores"]["columns"]
    numbers = [
        i
        for i, c in enumerate(columns)
        if c in ("value", "low", "high", "delta", "delta_low", "delta_high", "mde", "lost")
    ]
    for row in doc["scores"]["rows"]:
        if row[1].endswith(("@3", "baseline=zero]")):
            for i in numbers:
                row[i] = None
            row[columns.index("reason")] = "the model raised on every sample"
    report = Report.from_json(doc)
    for figure in all_figures(report):
        for row in figure.table.rows:
            for cell in row:
                assert cell.text != "—" or cell.reason, figure.id
        for panel in figure.panels:
            assert "NaN" not in draw(panel.spec, panel.alt, "x")
    reasons = {c.reason for row in overview(report)[0].table.rows for c in row if c.reason}
    assert "the model raised on every sample" in reasons


def test_tiny_units_keep_their_digits() -> None:
    doc = sample_report(examples=0, groups=False, task="regression")
    columns = doc["scores"]["columns"]
    for row in doc["scores"]["rows"]:
        for name in ("value", "low", "high", "delta", "delta_low", "delta_high", "floor", "mde"):
            i = columns.index(name)
            row[i] = None if row[i] is None else row[i] * TINY
    panel = overview(Report.from_json(doc))[0].panels[0]
    deltas = [d["delta"] for d in panel.spec["layer"][-1]["data"]["values"]]
    assert len(set(deltas)) > 20
    draw(panel.spec, panel.alt, "x")


def test_nothing_measured_draws_nothing() -> None:
    doc = small_report(findings=False)
    doc |= {"conditions": doc["conditions"][:1], "reliability": [], "recalibration": []}
    report = Report.from_json(doc)
    assert [f.id for f in all_figures(report)] == ["confidence", "groups-1"]


def test_the_tolerance_chart_reads_what_desync_writes() -> None:
    from mmaudit import desync
    from mmaudit.figures import tolerance as chart

    module = sys.modules[chart.__module__]
    assert (module.PROBES, module.HALF_WIDTH, module.ASYMMETRY) == (desync.PROBES, desync.HALF_WIDTH, desync.ASYMMETRY)
