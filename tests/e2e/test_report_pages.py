"""The report in a real browser: light, dark, on a phone, on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.browser_pages import CHROMIUM, Opened, chromium
from mmaudit.report import Report
from report_samples import poisoned, sample_report

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")
KINDS = ("image", "text", "audio", "tabular")
EXAMPLE = Path(__file__).parents[2] / "reports" / "example.html"
"""The demo's own report, which has every section that a whole audit draws."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    script = "<script>document.title='broken in'</script>"
    long = "a_rather_long_name_without_any_space_in_it_" * 4
    documents = {
        "two": sample_report(examples=8),
        "four": sample_report(("image", "question", "sound", "lab values"), KINDS, baselines=("zero",), examples=4),
        "failed": sample_report(controls_ok=False, examples=0, findings=False),
        "hostile": poisoned(sample_report(examples=2, baselines=("zero",)), script),
        "long": poisoned(sample_report(examples=2, baselines=("zero",)), long),
    }
    made = {name: Report.from_json(d).to_html(folder / f"{name}.html") for name, d in documents.items()}
    return made | {"demo": EXAMPLE}


@pytest.mark.parametrize("name", ["two", "four", "failed", "hostile", "long", "demo"])
@pytest.mark.parametrize("width", [390, 820, 1280])
def test_quiet_alone_and_no_wider_than_the_screen(browser: Any, files: dict[str, Path], name: str, width: int) -> None:
    with Opened(browser, files[name], width) as opened:
        opened.open_all()
        wide = opened.page.evaluate(
            """() => [document.documentElement.scrollWidth, [...document.querySelectorAll('body *')]
                .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
                .filter(e => !e.closest('.scroll, .draw, .eq, nav, svg, .sr'))
                .slice(0, 5).map(e => e.outerHTML.slice(0, 120))]"""
        )
        assert wide[0] <= width, wide
        assert wide[1] == []
        assert opened.trouble() == []
        assert opened.page.title().endswith("mmaudit report"), "no text became a script"


@pytest.mark.parametrize("name", ["two", "four"])
def test_texts_on_a_phone_are_large_enough_to_read(browser: Any, files: dict[str, Path], name: str) -> None:
    with Opened(browser, files[name], 390) as opened:
        sizes = opened.page.evaluate(
            """() => [...document.querySelectorAll('svg text')].filter(t => t.getClientRects().length).map(t => {
                const svg = t.closest('svg'), box = svg.viewBox.baseVal;
                return parseFloat(getComputedStyle(t).fontSize) * svg.getBoundingClientRect().width / box.width; })"""
        )
        assert min(sizes) > 7.5


def test_dark_mode_is_dark_and_its_charts_are_light(browser: Any, files: dict[str, Path]) -> None:
    look = """() => { const rgb = c => c.match(/[0-9.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 3;
        const text = document.querySelector('figure svg text');
        return [rgb(getComputedStyle(document.body).backgroundColor), rgb(getComputedStyle(document.body).color),
                rgb(getComputedStyle(text).fill)]; }"""
    with Opened(browser, files["two"], scheme="dark") as opened:
        ground, ink, chart = opened.page.evaluate(look)
        assert ground < 40
        assert ink > 200
        assert chart > 120
    with Opened(browser, files["two"]) as opened:
        ground, ink, chart = opened.page.evaluate(look)
        assert ground > 230
        assert ink < 60
        assert chart < 130


def test_the_wide_and_the_narrow_drawing_take_turns(browser: Any, files: dict[str, Path]) -> None:
    for width, wide in ((1280, True), (390, False)):
        with Opened(browser, files["two"], width) as opened:
            assert opened.page.locator("#overview .only-wide").first.is_visible() is wide
            assert opened.page.locator("#overview .only-narrow").first.is_visible() is not wide


def test_points_say_their_numbers_on_hover(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["two"]) as opened:
        titles = opened.page.locator("#overview .only-wide svg title").all_text_contents()
        assert len(titles) == 60
        assert all("pp [" in t.replace("\u00a0", " ") for t in titles)


def test_a_failed_control_is_the_first_thing_seen(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["failed"]) as opened:
        alarm = opened.page.locator(".alarm").bounding_box()
        title = opened.page.locator("h1").bounding_box()
        assert alarm is not None
        assert title is not None
        assert alarm["y"] < title["y"]
        colour = opened.page.locator(".alarm h2").evaluate("e => getComputedStyle(e).color")
        assert colour == "rgb(168, 22, 22)"


def test_the_keyboard_reaches_the_findings_and_the_tables(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["two"]) as opened:
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("document.activeElement.className") == "skip"
        opened.page.keyboard.press("Enter")
        assert opened.page.evaluate("location.hash") == "#findings"
        summary = opened.page.locator("#overview details.numbers summary")
        summary.focus()
        opened.page.keyboard.press("Enter")
        assert opened.page.locator("#overview details.numbers table").is_visible()


def test_paper_gets_everything_in_light_colours(browser: Any, files: dict[str, Path], tmp_path: Path) -> None:
    with Opened(browser, files["two"], scheme="dark") as opened:
        pdf = opened.page.pdf(path=str(tmp_path / "report.pdf"), prefer_css_page_size=True)
        assert pdf.startswith(b"%PDF")
        assert pdf.count(b"/Type /Page\n") >= 10
        opened.page.emulate_media(media="print")
        assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not opened.page.locator("nav").is_visible()
        heights = opened.page.evaluate(
            "() => [...document.querySelectorAll('details.numbers table')].map(t => t.getBoundingClientRect().height)"
        )
        assert min(heights) > 10, "folded tables are printed"
