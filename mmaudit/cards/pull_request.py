"""The Markdown summary of a report: a comment on a pull request, or the summary of a build."""

from __future__ import annotations

from mmaudit.cards import sections
from mmaudit.cards.text import plain
from mmaudit.render.summary import MARKS, verdict_sentences
from mmaudit.report import Report

LIMIT = 60_000
"""Bytes. A comment on GitHub holds 65,536 characters, a step summary 1 MiB."""

# How many findings, conditions and gaps are shown; the next is taken where a summary would be longer than the limit.
DETAIL = ((12, 15, 12), (8, 8, 8), (4, 4, 4), (1, 1, 1))


def markdown(report: Report) -> str:
    """Return a summary in GitHub's Markdown: verdict, findings, worst conditions, what was not tested, how to repeat.

    At most 60,000 bytes; what does not fit is counted. The same report gives the same text. Names from the run are
    escaped: they cannot make links, mentions, references, headings or HTML.
    """
    for most_findings, most_conditions, most_gaps in DETAIL:
        text = _text(report, most_findings, most_conditions, most_gaps)
        if len(text.encode()) <= LIMIT:
            break
    return text


def _text(report: Report, most_findings: int, most_conditions: int, most_gaps: int) -> str:
    level, sentences = verdict_sentences(report)
    lines = [f"## {MARKS.get(level, '✓')} Multimodal audit: {plain(report.document['title'], 120)}", ""]
    lines += [sections.verdict(sentences), ""]
    lines += [*sections.alarms(report, most_findings), "", *sections.about(report, level), ""]
    lines += ["### Findings", "", *sections.findings(report, most_findings), ""]
    lines += ["### Conditions that cost most", "", *sections.conditions(report, most_conditions), ""]
    lines += ["<details><summary>Unperturbed data</summary>", "", *sections.clean(report), "", "</details>", ""]
    lines += ["<details><summary>Not tested, and limits</summary>", "", *sections.untested(report, most_gaps)]
    lines += [*sections.limits(report, most_gaps), "", "</details>", ""]
    lines += ["<details><summary>How to reproduce it</summary>", "", *sections.again(report), "", "</details>", ""]
    return "\n".join(_joined(lines))


def _joined(lines: list[str]) -> list[str]:
    """The lines without empty ones that follow each other."""
    return [line for i, line in enumerate(lines) if line or i == 0 or lines[i - 1]]
