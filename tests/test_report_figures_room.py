"""Room in figures: labels that keep what tells them apart, ticks that stand apart, pictures of one width."""

from __future__ import annotations

import copy
import math
import re

import pytest

from mmaudit.figures.arbitration import arbitration
from mmaudit.figures.dots import (
    HALF,
    LETTER,
    PHONE,
    PHONE_LETTERS,
    Dot,
    Row,
    Scale,
    dot_rows,
    label_lines,
    plot_width,
    slack,
    tick_count,
    tick_step,
)
from mmaudit.figures.lattice import subset_lattice
from mmaudit.figures.marks import BLUE, PAPER
from mmaudit.figures.overview import overview
from mmaudit.formats import DASH, shorten
from mmaudit.render.svg import draw
from mmaudit.report import Report
from report_html import Page
from report_samples import sample_report


@pytest.fixture(scope="module")
def report() -> Report:
    return Report.from_json(sample_report(examples=0))


@pytest.mark.parametrize(
    ("limits", "plot", "most"),
    [((0.0, 0.0066), 144.0, 4), ((0.0, 1.5), 144.0, 4), ((0.0, 100.0), 600.0, 6), ((-1e6, 1e6), 144.0, 3)],
)
def test_labels_of_ticks_stand_apart(limits: tuple[float, float], plot: float, most: int) -> None:
    """The within-class shuffle on 144 px read "0.0000.0010.002…"."""
    count = tick_count(limits, plot)
    step = tick_step(limits, count)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    assert plot * step / (limits[1] - limits[0]) > LETTER * max(len(f"{v:,.{decimals}f}") for v in limits)
    picture = dot_rows([Row("image + question", (Dot("a", limits[1]),), "p 0.235")], {"a": (BLUE, "circle")},
                       Scale("bits", ends=limits), width=HALF)  # fmt: skip
    labels = [t for t in Page(draw(picture, "alt", "x")).text().split() if t.lstrip("\u2212")[0].isdigit()]
    assert 2 <= len([t for t in labels if t != "0.235"]) <= most


@pytest.mark.parametrize("letters", [0, 3, 14, 22])
def test_pictures_beside_each_other_are_as_wide_as_a_phone(letters: int) -> None:
    assert plot_width(HALF, ["x" * letters], [""]) + LETTER * letters == pytest.approx(PHONE, abs=16)


def test_a_label_too_long_for_a_phone_stands_in_two_lines_above_its_dots() -> None:
    label = "attribution share, integrated gradients, absolute parts"
    rows = [Row("image", (Dot("a", 0.2),)), Row(label, (Dot("a", 0.3),), "p 0.235"), Row("text", (Dot("a", 0.4),))]
    layers = dot_rows(rows, {"a": (BLUE, "circle")}, Scale("share"), width=PHONE)["layer"]
    words = {d["text"]: d for part in layers for d in part["data"]["values"] if "text" in d}
    first, second = words["attribution share, integrated gradients,"], words["absolute parts"]
    dots = [d["y"] for part in layers if part["mark"]["type"] == "point" for d in part["data"]["values"]]
    assert [w["numbers"] for w in (first, second)] == ["", "p 0.235"]
    assert dots[0] < first["y"] < second["y"] < dots[1] < words["text"]["y"] < dots[2]
    assert second["y"] - first["y"] >= 13
    assert dots[1] - second["y"] >= 13
    assert label_lines("x" * 60) == [shorten("x" * 60, PHONE_LETTERS)]
    assert [len(line) for line in label_lines("word " * 40)] == [49, PHONE_LETTERS]


def test_on_a_phone_severity_and_modality_stay_and_numbers_stand_before_the_lines(report: Report) -> None:
    narrow = next(p for p in overview(report)[0].panels if p.show == "narrow")
    layers = narrow.spec["layer"]
    texts = [part for part in layers if part["mark"]["type"] == "text" and "label" in part["data"]["values"][0]]
    rows = texts[0]["data"]["values"]
    labels = [r["label"] for r in rows]
    graded = {r["tip"].split(": ")[0]: r["label"] for r in rows if r["tip"].count("/5 · ") == 1}
    assert graded
    for whole, label in graded.items():
        kept = re.search(r" \d/5 · [^·]+?(?= ·|$)", whole)
        assert kept
        assert kept[0] in label, "severity and modality"
    assert len(set(labels)) == len(labels)
    ends = [0.0, *(r["end"] for r in rows)]
    for r, top, end in zip(rows, ends, ends[1:], strict=False):
        shared = len(r["label"]) + len(r["numbers"]) <= 49
        assert (r["label_row"] == r["numbers_row"]) == shared, "a long label has a line of its own"
        assert top < r["label_row"] <= r["numbers_row"] < r["row"] < end
    assert any(r["label_row"] != r["numbers_row"] for r in rows)
    lines = [i for i, part in enumerate(layers) if part["mark"]["type"] in ("rule", "point")]
    assert [t["mark"]["color"] for t in texts].count(PAPER) == 2, "a rim in the ground's colour for both"
    assert layers.index(texts[0]) > max(lines)


def test_numbers_on_a_phone_s_lattice_fit_between_the_boxes() -> None:
    two = Report.from_json(sample_report(("image", "question"), ("image", "text"), examples=0))
    narrow = next(p for p in subset_lattice(two)[0].panels if p.show == "narrow")
    boxes = next(part["data"]["values"] for part in narrow.spec["layer"] if part["mark"]["type"] == "rect")
    edges = [d for part in narrow.spec["layer"] for d in part["data"]["values"] if d.get("label")]
    assert edges
    starts = sorted({b["x"] for b in boxes})
    gap = starts[1] - max(b["x2"] for b in boxes if b["x"] == starts[0])
    assert all(6.8 * len(e["label"]) + 6 < gap for e in edges)


def test_cells_without_samples_are_told_from_shares_of_nothing(report: Report) -> None:
    document = copy.deepcopy(report.document)
    for item in document["arbitration"]:
        item["n"] = [[0 if i == j else 2109 for j in range(len(item["n"]))] for i in range(len(item["n"]))]
        item["exchanged"] = [[None if i == j else 0.0 for j in range(len(item["n"]))] for i in range(len(item["n"]))]
    figure = next(f for f in arbitration(Report.from_json(document)) if f.id == "arbitration-classes-1")
    assert "Cells rest on 2\u202f109 samples each. An empty cell, with a dashed rim, has none." in figure.caption
    assert "few" not in figure.caption
    layers = figure.panels[0].spec["layer"]
    n = len(figure.table.rows)
    empty = next(part for part in layers if part["mark"]["type"] == "rect" and part["mark"].get("strokeDash"))
    assert len(empty["data"]["values"]) == n
    assert {d["text"] for d in empty["data"]["values"]} == {DASH}
    document["arbitration"][0]["n"][0][1] = 1
    figure = next(f for f in arbitration(Report.from_json(document)) if f.id == "arbitration-classes-1")
    assert "Cells rest on 1 to 2\u202f109 samples each." in figure.caption


def test_signs_that_pages_draw_wider_have_more_room() -> None:
    assert slack(["a name"]) < slack(["a<b>c="]) < slack(["<<<===", "a"])
    assert slack([]) == 0
