"""A page keeps to its budget: what goes first, what is said about it, and when nothing more can go."""

from __future__ import annotations

import re
import sys

import pytest

from mmaudit.errors import BadInput
from mmaudit.render.budget import NOTE, Part, chosen, read_size, said
from mmaudit.render.page import page
from mmaudit.report import Report
from report_html import Page, unsafe
from report_samples import sample_report


@pytest.fixture(scope="module")
def report() -> Report:
    return Report.from_json(sample_report(("photo",), ("image",), baselines=("zero", "mean"), examples=8))


@pytest.fixture(scope="module")
def whole(report: Report) -> str:
    return page(report, budget=None)


def size(html: str) -> int:
    return len(html.encode("utf-8"))


def left_out(html: str) -> list[str]:
    found = re.search(r'<details class="left-out".*?</details>', html, re.S)
    return re.findall(r"<li>(.*?)</li>", found[0]) if found else []


def test_a_page_that_fits_is_whole(report: Report, whole: str) -> None:
    assert page(report) == whole
    assert page(report, budget=size(whole)) == whole
    assert left_out(whole) == []


@pytest.mark.parametrize("share", [0.999, 0.9, 0.7, 0.5])
def test_a_smaller_budget_is_kept_and_everything_left_out_is_named(report: Report, whole: str, share: float) -> None:
    budget = round(share * size(whole))
    html = page(report, budget=budget)
    assert size(html) <= budget
    named = left_out(html)
    assert named
    assert f"To stay within {said(budget)}" in html
    read = Page(html)
    assert unsafe(read) == []
    assert {h[1:] for h in read.values("href")} <= set(read.values("id"))
    rows = [int(m[1]) for n in named if (m := re.search(r"\((\d+) rows\)", n))]
    assert len(re.findall(r"rows, left out here", html)) == len(rows)
    assert page(report, budget=budget) == html


def test_secondary_metrics_go_first_and_the_primary_one_stays(report: Report, whole: str) -> None:
    order = left_out(page(report, budget=1))
    assert order[0].startswith("mean confidence of every condition")
    assert not any(n.startswith("accuracy of every condition") for n in order)
    small = page(report, budget=round(0.9 * size(whole)))
    assert left_out(small) == order[: len(left_out(small))]
    assert "accuracy of every condition" in small


def test_a_budget_no_page_can_keep_is_said(report: Report) -> None:
    html = page(report, budget=1)
    assert "It is still larger than that" in html
    assert 'id="live-bundle"' not in html
    assert "data-live=" not in html
    assert "data:image" not in html
    for always in ("Findings", "Every condition, worst first", "Sign-off", "Glossary"):
        assert always in Page(html).text()


def test_on_paper_long_tables_are_named_instead_of_shown(
    report: Report, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["mmaudit.render.page"], "LONG_TABLE", 15)
    html = page(report, scripts=False, long_tables=False)
    assert "To be readable on paper, this document leaves out" in html

    def rows(of: str) -> list[int]:
        return sorted(n for t in re.findall(r"<tbody>.*?</tbody>", of, re.S) if (n := t.count("<tr>")) > 15)

    named = [int(m[1]) for n in left_out(html) if (m := re.search(r"\((\d+) rows\)", n))]
    assert sorted([*rows(html), *named]) == rows(whole)
    assert rows(html) == [len(report.conditions)], "the primary metric stays"
    assert "<script" not in html
    assert all("open" in d for d in re.findall(r"<details[^>]*>", html)), "on paper nothing can be opened"


def test_parts_go_from_the_front_until_it_is_enough() -> None:
    parts = [Part("a", "a", 1000), Part("tiny", "tiny", NOTE), Part("b", "b", 5000), Part("c", "c", 9000)]
    assert chosen(0, parts) == ()
    assert [p.name for p in chosen(1, parts)] == ["a"]
    assert [p.name for p in chosen(1000 - NOTE, parts)] == ["a"]
    assert [p.name for p in chosen(1000 - NOTE + 1, parts)] == ["a", "b"]
    assert [p.name for p in chosen(10**9, parts)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("3MB", 3_000_000), ("2.5 MB", 2_500_000), ("800kB", 800_000), ("8KB", 8_000), ("12345", 12_345), ("None", None)],
)
def test_sizes_as_they_are_typed(text: str, bytes_: int | None) -> None:
    assert read_size(text) == bytes_


@pytest.mark.parametrize("text", ["", "0", "-1", "3GB", "3 000", "MB", "1e6", "0.0001kB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(BadInput, match="is no size"):
        read_size(text)
