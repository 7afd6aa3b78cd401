"""The report page: complete, closed, offline, in order, and honest about what is missing."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mmaudit.figures import FIGURES
from mmaudit.render import inline, page
from mmaudit.report import Report
from mmaudit.report_schema import asset
from report_html import Page, unsafe
from report_samples import poisoned, sample_report, small_report

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}</style></svg>"
FIVE = ("image", "text", "audio", "tabular", "series")
CASES: dict[str, dict[str, Any]] = {
    "two": {"examples": 20},
    "one": {"modalities": ("wave",), "kinds": ("audio",)},
    "five": {"modalities": tuple("vwxyz"), "kinds": FIVE, "baselines": ("zero",)},
    "regression": {"task": "regression"},
    "multilabel": {"task": "multilabel", "groups": False},
    "nothing found": {"findings": False, "examples": 0},
    "failed": {"controls_ok": False},
}  # fmt: skip


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {name: page(Report.from_json(sample_report(**case))) for name, case in CASES.items()}


@pytest.fixture(scope="module")
def html(pages: dict[str, str]) -> str:
    return pages["two"]


@pytest.mark.parametrize("name", CASES)
def test_well_formed_closed_and_offline(name: str, pages: dict[str, str]) -> None:
    read = Page(pages[name])
    assert unsafe(read) == []
    ids = read.values("id")
    assert len(ids) == len(set(ids)), [i for i in ids if ids.count(i) > 1]
    assert {h[1:] for h in read.values("href")} <= set(ids), "every link has a target"
    for attribute in ("aria-labelledby",):
        assert set(read.values(attribute)) <= set(ids)
    # The scripts are the same for every report; what they may do is in test_report_live.py.
    text = re.sub(r"<script.*?</script>", "", pages[name], flags=re.S).replace("http-equiv", "")
    assert "http" not in text
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    assert "@import" not in text


def test_policy_forbids_everything_but_inline_style_images_and_two_scripts(html: str) -> None:
    policy = Page(html).policy()
    rest = re.sub(r"script-src 'sha256-[A-Za-z0-9+/=]{44}' 'sha256-[A-Za-z0-9+/=]{44}'; ", "", policy)
    assert rest == "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_size_of_a_page_of_50_conditions_and_20_examples(html: str) -> None:
    assert len(html.encode()) < 3_000_000


@pytest.mark.parametrize("name", CASES)
def test_headings_go_down_one_step_at_a_time(name: str, pages: dict[str, str]) -> None:
    levels = [int(t[1]) for t, _ in Page(pages[name]).tags if re.fullmatch("h[1-6]", t)]
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels)), levels


def test_order_of_the_sections(html: str) -> None:
    read = Page(html)
    ids = [a["id"] for t, a in read.tags if t in ("section", "header") and "id" in a]
    assert ids == [
        "summary", "findings", "conditions", "severity", "scenarios", "modalities", "alignment", "calibration",
        "samples", "groups", "everything", "method", "limits", "glossary", "environment", "signoff",
    ]  # fmt: skip


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    document = small_report()
    first = Report.from_json(document).to_html(tmp_path / "a.html").read_bytes()
    page(Report.from_json(sample_report(("x", "y"), ("text", "audio"), examples=0)))  # moves vl-convert's counters on
    second = Report.from_json(copy.deepcopy(document)).to_html(tmp_path).read_bytes()
    assert (tmp_path / "report.html").exists()
    assert first == second


def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    file = Report.from_json(sample_report(("a", "b", "c"), FIVE[:3], baselines=("zero",), examples=1)).to_json(
        tmp_path / "report.json"
    )
    code = "import sys, mmaudit.report as r; r.Report.read(sys.argv[1]).to_html(sys.argv[2])"
    made = []
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.html"
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(file), str(out)], check=True, env=environment)
        made.append(out.read_bytes())
    assert made[0] == made[1]


def test_findings_come_first_with_evidence_and_command(html: str) -> None:
    report = Report.from_json(sample_report(examples=20))
    read = Page(html)
    articles = [a for a in read.all("article") if (a["class"] or "").startswith("finding")]
    assert [a["id"] for a in articles] == [f"finding-{f.id}" for f in report.findings]
    assert [(a["class"] or "").split()[1] for a in articles] == [f.level for f in report.findings]
    text = read.text()
    for f in report.findings:
        assert f.claim in text
        assert f.reproduce in text
    assert html.index('id="findings"') < html.index('id="overview"') < html.index('id="method"')


def test_a_failed_control_stands_on_top_and_changes_the_verdict(pages: dict[str, str]) -> None:
    read = Page(pages["failed"])
    alert = pages["failed"].index('role="alert"')
    assert alert < pages["failed"].index("<h1>")
    assert "Do not rely on this report" in read.text()
    assert "accuracy stays at 71.0 %" in pages["failed"][alert : alert + 1500]
    assert 'role="alert"' not in pages["two"]
    assert "✗ FAILED" in read.text()
    assert "✗ FAILED" not in Page(pages["two"]).text()


def test_no_finding_is_not_sold_as_robustness(pages: dict[str, str]) -> None:
    text = Page(pages["nothing found"]).text()
    assert "No rule fired" in text
    assert "does not mean that the model is robust" in text
    assert "holds no inputs of samples" in text


def test_audit_without_controls_says_so() -> None:
    text = Page(page(Report.from_json(small_report() | {"controls": []}))).text()
    assert "ran without controls" in text


def test_every_chart_has_words_and_a_table_with_its_numbers(html: str) -> None:
    report = Report.from_json(sample_report(examples=20))
    read = Page(html)
    for svg in read.all("svg"):
        assert svg["role"] == "img"
        assert len(svg["aria-label"] or "") > 10
    figures = [f for function in FIGURES.values() for f in function(report)]
    assert {a["id"] for a in read.all("figure")} == {f.id for f in figures}
    for f in figures:
        start = html.index(f'<figure id="{f.id}"')
        part = html[start : html.index("</figure>", start)]
        assert part.count("<tr>") == len(f.table.rows) + 1
        shown = Page(part + "</figure>").text()
        for row in f.table.rows:
            for cell in row:
                assert cell.text.partition(" [")[0] in shown, (f.id, cell)


def test_every_dash_has_a_letter_and_every_letter_a_reason() -> None:
    document = small_report()
    columns = document["scores"]["columns"]
    for row in document["scores"]["rows"][5:40]:
        for name in ("value", "low", "high", "delta", "delta_low", "delta_high", "lost", "p_adjusted", "mde"):
            row[columns.index(name)] = None
        row[columns.index("reason")] = "only one class is left"
    html = page(Report.from_json(document))
    tables = re.findall(r"<table class=\"t\">.*?</table>\n</div>\n(?:<p class=\"notes\">.*?</p>)?", html, re.S)
    dashes = 0
    for table in tables:
        for note in re.findall(r"<td[^>]*>—(.*?)</td>", table):
            dashes += 1
            letter = re.search(r"<sup>([a-z]+)</sup>", note)
            assert letter is not None, table[:200]
            assert f"<sup>{letter[1]}</sup> " in table.split("</table>")[1]
    assert dashes > 20
    assert "only one class is left" in html


@pytest.mark.parametrize("name", ["everything", "in svg alone"])
def test_hostile_names_stay_text(name: str) -> None:
    document = poisoned(
        sample_report(examples=3, baselines=("zero", "mean")), HOSTILE if name == "everything" else "</text>&<g>"
    )
    html = page(Report.from_json(document))
    read = Page(html)
    assert unsafe(read) == []
    assert {t for t, _ in read.tags} == {t for t, _ in Page(page(Report.from_json(sample_report(examples=3)))).tags}
    text = read.text()
    assert "49" not in re.findall(r"alert\(2\)>(\d+)", text)
    for field in (document["title"], document["limits"][0], document["examples"][0]["target"], document["command"]):
        assert field in text


def test_hostile_names_stay_text_in_a_notebook() -> None:
    fragment = inline(Report.from_json(poisoned(small_report(), HOSTILE)))
    read = Page(fragment)
    assert [u for u in unsafe(read) if not u.startswith("<span style='width:")] == []
    assert {t for t, _ in read.tags} == {t for t, _ in Page(inline(Report.from_json(small_report()))).tags}


def test_notebook_summary_is_compact_and_scoped() -> None:
    report = Report.from_json(sample_report())
    fragment = report._repr_html_()
    assert len(fragment) < 20_000
    style = fragment[fragment.index("<style>") + 7 : fragment.index("</style>")]
    rules = re.sub(r"/\*.*?\*/", "", style, flags=re.S)
    for selector in re.findall(r"([^{}]+)\{", rules):
        assert all(s.strip().startswith(".mmaudit-inline") for s in selector.split(",")), selector
    assert "var(" not in style
    assert report.findings[0].claim in Page(fragment).text()
    assert "✗" in inline(Report.from_json(sample_report(controls_ok=False, examples=0)))


def test_worst_samples_show_both_sides_and_mark_what_changed(html: str) -> None:
    read = Page(html)
    assert len([a for a in read.all("article") if a["class"] == "sample"]) == 20
    assert len(read.all("img")) == 20 + 8
    assert all(i["alt"] for i in read.all("img"))
    assert {"del", "ins"} <= {t for t, _ in read.tags}
    assert "absent" in read.text()


def test_too_many_images_are_left_out_with_a_note() -> None:
    document = sample_report(examples=12)
    big = max(
        (s["png"] for e in document["examples"] for m in e["modalities"] for s in (m["perturbed"],) if "png" in s),
        key=len,
    )
    document["examples"] = [copy.deepcopy(document["examples"][0]) for _ in range(300)]
    html = page(Report.from_json(document))
    assert 100 * len(big) < len(html) < 3_000_000
    assert "image left out to keep this page small" in html


def test_groups_declined_limits_and_environment_are_told(html: str) -> None:
    text = Page(html).text()
    for said in (
        "yes/no",
        "uestion is text, the probe needs numbers",
        "One training run of one model",
        "3f9a1c52e07b44d1",
    ):
        assert said in text
    assert "mmaudit demo --out runs/demo" in text


def test_raised_errors_are_counted_and_quoted() -> None:
    document = small_report()
    document["conditions"][4] |= {"raised": 3, "error": "RuntimeError: <b>shape</b>"}
    text = Page(page(Report.from_json(document))).text()
    assert f"raised an error under 1 of {len(document['conditions'])} conditions" in text
    assert "3: RuntimeError: <b>shape</b>" in text


def contrast(a: str, b: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    x, y = sorted((luminance(a), luminance(b)), reverse=True)
    return (x + 0.05) / (y + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_have_enough_contrast(theme: str) -> None:
    css = asset("page.css").read_text(encoding="utf-8")
    light, dark = css[: css.index("@media")], css[css.index("prefers-color-scheme: dark") :]
    found = dict(re.findall(r"--([a-z\-]+): (#[0-9a-f]{6})", light))
    if theme == "dark":
        found |= dict(re.findall(r"--([a-z\-]+): (#[0-9a-f]{6})", dark[: dark.index("* {")]))
    for ground in ("ground", "card"):
        for text in ("ink", "muted", "link", "critical", "major", "minor", "info", "good"):
            assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
        for mark in ("blue", "red", "green", "purple", "amber", "teal"):
            assert contrast(found[mark], found[ground]) >= 3, (mark, ground)
    for level in ("critical", "major", "minor", "info"):
        assert contrast(found["on-badge"], found[level]) >= 4.5, level
    for ground in ("soft", "gone", "new"):
        assert contrast(found["ink"], found[ground]) >= 4.5, ground


def test_the_palette_of_charts_is_that_of_the_page() -> None:
    from mmaudit.render.svg import COLOURS

    css = asset("page.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"--([a-z\-]+): (#[0-9a-f]{6})", css[: css.index("@media")]))
    assert {name: light[name] for name in COLOURS.values()} == {name: colour for colour, name in COLOURS.items()}


def test_a_perturbation_that_changed_nothing_is_loud_but_takes_back_nothing_else() -> None:
    message = "stale_order[image]@1 changed no sample, so it says nothing about the model."
    idle = {"control": "applied", "label": "stale_order[image]@1", "ok": False, "message": message}
    document = small_report()
    document |= {"controls": [*document["controls"], idle]}
    report = Report.from_json(document)
    html = page(report)
    alert = html.index('role="alert"')
    assert alert < html.index("<h1>")
    assert "One condition was not applied" in html[alert : alert + 600]
    assert message in html[alert : alert + 1200]
    assert "Do not rely" not in html
    assert report.failed_controls() == ()
    assert f"NOT APPLIED: {message}" in repr(report)
    assert message in inline(report)
