"""A large report keeps to its budget, and a report prints well: A4 and Letter, from the command."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.big_report import big_report
from helpers.browser_pages import CHROMIUM, Opened, chromium
from mmaudit.render import page
from mmaudit.render.budget import BUDGET
from mmaudit.report import Report
from report_samples import small_report

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")
POINTS = {"a4": (595, 842), "letter": (612, 792)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.mark.slow
def test_300_conditions_fit_three_megabytes_and_work(browser: Any, tmp_path: Path) -> None:
    report = Report.from_json(big_report(300))
    assert len(report.conditions) >= 300
    html = page(report)
    assert len(html.encode("utf-8")) <= BUDGET
    # What a reviewer reads first is never what goes.
    gone = re.findall(r"<li>(.*?)</li>", "".join(re.findall(r'<details class="left-out".*?</details>', html, re.S)))
    assert len(gone) <= 4  # older versions of the drawing library draw a little larger
    assert all("of every condition" in part for part in gone)
    made = tmp_path / "big.html"
    made.write_text(html, encoding="utf-8")
    with Opened(browser, made) as opened:
        assert opened.page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive") < 5_000
        opened.explore("overview")
        field = "#everything details:first-of-type"
        opened.page.locator(f"{field} summary").click()
        opened.page.locator(f"{field} .filter input").fill("made up 03")
        assert opened.page.locator(f"{field} tbody tr:not([hidden])").count() == 20
        assert opened.trouble() == []


@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_the_command_prints_a_pdf(tmp_path: Path, paper: str) -> None:
    source = Report.from_json(small_report()).to_json(tmp_path / "report.json")
    target = tmp_path / f"{paper}.pdf"
    command = [sys.executable, "-m", "mmaudit.cli", "report", str(source), "--pdf", str(target), "--paper", paper]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    pdf = target.read_bytes()
    boxes = {tuple(round(float(v)) for v in m) for m in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)}
    assert boxes == {POINTS[paper]}
    assert 5 <= len(re.findall(rb"/Type /Page\b[^s]", pdf)) <= 40
    assert b"/MarkInfo" in pdf, "tagged: it can be read aloud"
    assert b"/Outlines" in pdf
    assert text_operators(pdf) > 200, "text is text"
    assert b"/Title" in pdf


def text_operators(pdf: bytes) -> int:
    """How many pieces of text the pages show."""
    shown = 0
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S):
        try:
            shown += len(re.findall(rb"\bT[jJ]\b", zlib.decompress(stream)))
        except zlib.error:
            continue
    return shown


def test_paper_shows_drawings_even_of_live_charts_and_no_buttons(browser: Any, tmp_path: Path) -> None:
    made = tmp_path / "report.html"
    made.write_text(page(Report.from_json(small_report())), encoding="utf-8")
    with Opened(browser, made) as opened:
        opened.explore("overview")
        opened.page.emulate_media(media="print")
        assert opened.page.locator("button:not(.sort):visible, input:visible, .live:visible").count() == 0
        assert opened.page.locator("#overview .only-wide .draw > svg").is_visible()
        assert opened.page.locator("#signoff .sign td").first.is_visible()
        wide = opened.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1]
