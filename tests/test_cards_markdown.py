"""The Markdown summary and the model card: complete, within bounds, and closed to names that pretend to be markup."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from markdown_it import MarkdownIt

from mmaudit import cards
from mmaudit.cards.pull_request import LIMIT
from mmaudit.render.reproduce import reproduce
from mmaudit.render.summary import verdict_sentences
from mmaudit.report import Report
from report_html import Page
from report_samples import poisoned, sample_report, small_report

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
HOSTILE = (
    "<img src=x onerror=alert(1)>`|` **b** [l](https://example.org) ![i](x) @someone #1 GH-2 \n\n# h\n\n- i\n\n"
    "```\n</details></summary><script>alert(1)</script> www.example.org \u202e\u05d0\u05d1 $x$ :tada:"
)
OURS = {
    *("h2", "h3", "p", "br", "strong", "code", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td", "ul", "li"),
}  # fmt: skip


def read(markdown: str) -> Page:
    """The page that Markdown makes of a card, without the metadata before it."""
    return Page(MARKDOWN.render(re.sub(r"(?s)^---\n.*?\n---\n", "", markdown)))


def text_of(markdown: str) -> str:
    return " ".join(" ".join(t for _, t in read(markdown).texts).replace("\u2060", "").split())


@pytest.fixture(scope="module")
def report() -> Report:
    return Report.from_json(sample_report(examples=0))


@pytest.mark.parametrize("make", [cards.markdown, cards.model_card])
def test_verdict_findings_conditions_and_scope_are_there(report: Report, make: Any) -> None:
    text = text_of(make(report))
    for sentence in verdict_sentences(report)[1]:
        assert " ".join(sentence.split()) in text
    for said in (
        "easy-vqa-cnn-bow",
        "3f9a1c52e07b44d1",
        "a77b10c4d2e9f083",
        "1 critical, 2 major, 1 minor, 1 info",
        "3 passed",
        report.findings[0].claim,
        report.findings[0].reproduce,
        "97.5 % [97.2, 97.8]",
        "36.9 %",
        "gradient attacks: no condition",
        "Other data:",
        "One training run of one model",
        f"mmaudit score {reproduce(report).folder}",
        "pip install mmaudit==0.1.0",
    ):
        assert " ".join(said.split()) in text, said


def test_the_worst_conditions_come_first_with_interval_and_p(report: Report) -> None:
    rows = [line for line in cards.markdown(report).split("\n") if line.startswith("| ") and "pp" in line]
    assert len(rows) == 15
    drops = [float(re.search(r"\u2212([\d.]+)\u00a0pp", line)[1]) for line in rows]  # type: ignore[index]
    assert drops == sorted(drops, reverse=True)
    assert all(line.count(r"\[") >= 2 and "0.001" in line for line in rows)
    measured = sum(m.condition.family not in ("clean", "control") for m in report.conditions)
    assert f"{measured - 15} conditions that cost less are left out." in cards.markdown(report)


def test_failed_controls_come_before_everything_else() -> None:
    failed = cards.markdown(Report.from_json(sample_report(examples=0, controls_ok=False)))
    assert "Do not rely on this report" in failed
    assert "**control failed**: destroy: accuracy stays at 71.0 %" in failed
    assert "**1 FAILED**" in failed
    assert failed.index("control failed") < failed.index("### Findings")


def test_nothing_found_and_nothing_measured_are_said() -> None:
    document = sample_report(examples=0, findings=False)
    assert "No rule fired" in cards.markdown(Report.from_json(document))
    document["conditions"] = [c for c in document["conditions"] if c["family"] == "clean"]
    document["controls"] = []
    text = cards.markdown(Report.from_json(document))
    assert "No perturbed condition has a value." in text
    assert "**none run**" in text
    document["conditions"] = []
    assert "No metric has a value on unperturbed data." in cards.markdown(Report.from_json(document))


@pytest.mark.parametrize("make", [cards.markdown, cards.model_card])
@pytest.mark.parametrize("text", [HOSTILE, "\u05d0 1 " * 100, "`" * 10_000, "|$#@<" * 100])
def test_a_hostile_report_makes_no_markup(make: Any, text: str) -> None:
    poison = poisoned(small_report(), text)
    made = make(Report.from_json(poison))
    page = read(made)
    assert {tag for tag, _ in page.tags} <= OURS
    assert [a for _, a in page.tags if set(a) - {"style"}] == []
    # The same headings and lists as for a harmless report: no name added or closed one.
    calm = read(make(Report.from_json(small_report())))
    for tag in ("h2", "h3", "details", "table", "tr"):
        assert len(page.all(tag)) == len(calm.all(tag)), tag
    seen = html.unescape(" ".join(t for where, t in page.texts if where != "code"))
    for pattern in (r"@\w", r"#\w", r"GH-\d", r"://", r"www\.", r":tada:"):
        assert not re.search(pattern, seen), pattern
    assert "\u202e" not in made
    assert made.count("\u2068") == made.count("\u2069")


def test_a_large_report_stays_within_the_limit() -> None:
    document = sample_report(("a", "b", "c"), ("image", "text", "audio"), baselines=("zero",), examples=0)
    document["findings"] = [
        {**f, "claim": "|#$\u05d0a" * 400, "id": f"{i:016x}"} for i in range(40) for f in document["findings"]
    ]
    document["limits"] = ["\u05d0a" * 2000] * 50
    document["model"]["name"] = "\u05d0a" * 5000
    made = cards.markdown(Report.from_json(document))
    assert 10_000 < len(made.encode()) <= LIMIT
    assert re.search(r"- and \d+ more in the report", made)


def test_the_same_report_gives_the_same_text(report: Report) -> None:
    again = Report.from_json(report.document)
    assert cards.markdown(report) == cards.markdown(again)
    assert cards.model_card(report) == cards.model_card(again)


def test_a_section_without_metadata() -> None:
    report = Report.from_json(small_report())
    section = cards.model_card(report, metadata=False)
    assert section.startswith("## Robustness")
    assert cards.model_card(report).endswith(section)
