"""The report comes to life on request: charts, tables, commands; and is the same without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from helpers.browser_pages import CHROMIUM, Opened, chromium
from mmaudit.render import live, page
from mmaudit.report import Report
from report_samples import poisoned, sample_report

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def report() -> Report:
    return Report.from_json(sample_report(("photo",), ("image",), baselines=("zero", "mean"), examples=1))


@pytest.fixture(scope="module")
def file(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("live") / "report.html"
    made.write_text(page(report), encoding="utf-8")
    return made


def tip(opened: Opened, figure: str) -> str:
    found = opened.page.locator(f"#{figure} .tip:visible")
    return found.inner_text() if found.count() else ""


def test_a_chart_comes_to_life_says_its_numbers_and_goes_back(browser: Any, file: Path) -> None:
    with Opened(browser, file) as opened:
        drawing = opened.page.locator("#overview .only-wide .draw > svg")
        said = [t for t in drawing.locator("title").all_text_contents() if t]
        explore = opened.page.locator("#overview .tools button", has_text="Explore")
        chart = opened.explore("overview")
        assert not drawing.is_visible()
        assert chart.evaluate("e => e === document.activeElement"), "the keyboard goes on in the chart"
        read = []
        for _ in said:
            opened.page.keyboard.press("ArrowRight")
            read.append(tip(opened, "overview"))
        assert sorted(read) == sorted(said), "every mark of the drawing is read once"
        opened.page.keyboard.press("Escape")
        assert drawing.is_visible()
        assert opened.page.locator(".live").count() == 0
        assert explore.evaluate("e => e === document.activeElement")
        assert opened.trouble() == []


def test_the_pointer_meets_the_nearest_mark(browser: Any, file: Path) -> None:
    with Opened(browser, file) as opened:
        chart = opened.explore("overview")
        mark = chart.locator("g.mark-symbol.role-mark path").first
        wanted = mark.get_attribute("aria-label")
        box = mark.bounding_box()
        assert box is not None
        opened.page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 + 3)
        assert tip(opened, "overview") == wanted


# Numbers on both axes; Vega keeps old labels in another order, so they are sorted.
TICKS = r"""[...document.querySelectorAll('#confidence .live .role-axis-label text')]
    .map(t => parseFloat(t.textContent.replace('\u2212', '-'))).sort((a, b) => a - b).join()"""


def ticks_become(opened: Opened, other_than: str = "", same_as: str = "") -> str:
    """Wait until the axes show something else than before, or the same as before."""
    wanted, sign = (same_as, "===") if same_as else (other_than, "!==")
    opened.page.wait_for_function(f"w => {TICKS} {sign} w", arg=wanted, timeout=8000)
    return str(opened.page.evaluate(TICKS))


def test_dragging_the_wheel_keys_and_buttons_zoom_and_everything_comes_back(browser: Any, file: Path) -> None:
    with Opened(browser, file) as opened:
        chart = opened.explore("confidence")
        whole = str(opened.page.evaluate(TICKS))
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        assert box is not None
        opened.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.3 * box["height"])
        opened.page.mouse.down()
        opened.page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"], steps=3)
        opened.page.mouse.up()
        dragged = ticks_become(opened, other_than=whole)
        shown, before = (sorted({float(t) for t in ticks.split(",")}) for ticks in (dragged, whole))
        assert shown[-1] - shown[0] < 0.8 * (before[-1] - before[0])
        clips = chart.locator("clipPath").evaluate_all("all => all.map(e => e.id)")
        assert clips
        assert all(c.startswith("live") for c in clips), "a clip of another chart must not cut this one"
        opened.page.mouse.wheel(0, -200)
        ticks_become(opened, other_than=dragged)
        opened.page.keyboard.press("0")
        ticks_become(opened, same_as=whole)
        opened.page.locator("#confidence .tools button", has_text="+").click()
        ticks_become(opened, other_than=whole)
        opened.page.locator("#confidence .tools button", has_text="Show all").click()
        ticks_become(opened, same_as=whole)
        assert opened.trouble() == []


@pytest.mark.parametrize(("scheme", "light"), [("dark", True), ("light", False)])
def test_live_charts_follow_the_theme(browser: Any, file: Path, scheme: str, light: bool) -> None:
    with Opened(browser, file, scheme=scheme) as opened:
        chart = opened.explore("severity-1")
        fill = chart.locator("svg text").first.evaluate("e => getComputedStyle(e).fill")
        assert (sum(map(int, re.findall(r"\d+", fill)[:3])) > 380) is light


def test_every_figure_can_be_explored_and_a_phone_reads_it_by_touch(browser: Any, file: Path) -> None:
    with Opened(browser, file, 390, has_touch=True) as opened:
        figures = opened.page.locator("figure:has([data-live])").evaluate_all("all => all.map(e => e.id)")
        assert len(figures) > 5
        for figure in figures:
            opened.explore(figure)
        assert opened.page.locator(".live svg").count() >= len(figures)
        mark = opened.page.locator("#overview .only-narrow .live g.mark-symbol.role-mark path").first
        mark.scroll_into_view_if_needed()
        mark.tap(force=True)
        opened.page.locator("#overview .tip:visible").wait_for()
        assert tip(opened, "overview") == mark.get_attribute("aria-label")
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert opened.trouble() == []


def test_the_whole_library_of_another_version_does_the_same(
    browser: Any, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KNOWN_VERSION", "0.0")
    live.bundle.cache_clear()
    made = tmp_path / "whole.html"
    try:
        made.write_text(page(report), encoding="utf-8")
    finally:
        live.bundle.cache_clear()
    with Opened(browser, made) as opened:
        opened.explore("overview")
        opened.page.keyboard.press("ArrowRight")
        assert "pp [" in tip(opened, "overview").replace("\u00a0", " ")
        opened.page.keyboard.press("+")
        opened.page.locator("#overview .live clipPath").first.wait_for(state="attached")
        assert opened.trouble() == []


def test_tables_are_sorted_by_their_numbers_and_filtered(browser: Any, file: Path) -> None:
    with Opened(browser, file) as opened:
        opened.page.locator("#overview details.numbers summary").click()
        table = opened.page.locator("#overview table.t")
        column = "all => all.map(r => r.cells[2].textContent.replaceAll('\\u2212', '-'))"

        def numbers() -> list[float]:
            texts = table.locator("tbody tr:not([hidden])").evaluate_all(column)
            return [float(m[0]) for t in texts if (m := re.match(r"[-+]?[\d.]+", t))]

        before = numbers()
        head = table.locator("thead th").nth(2)
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert numbers() == sorted(before)
        head.locator("button").press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        assert numbers() == sorted(before, reverse=True)
        head.locator("button").click()
        assert head.get_attribute("aria-sort") is None
        assert numbers() == before
        field = opened.page.locator("#overview .filter input")
        field.fill("gaussian_blur 5/5".replace("_", " "))
        left = table.locator("tbody tr:not([hidden]) th").all_text_contents()
        assert left == [t for t in left if "gaussian blur 5/5" in t]
        assert opened.page.locator("#overview .filter [role=status]").inner_text().startswith(f"{len(left)} of ")
        opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert len(numbers()) == len(before), "paper gets every row"


def test_commands_are_copied(browser: Any, file: Path) -> None:
    with Opened(browser, file, permissions=["clipboard-read", "clipboard-write"]) as opened:
        code = opened.page.locator(".finding code.copy").first
        button = code.locator("xpath=following-sibling::button")
        button.click()
        opened.page.locator(".finding .do", has_text="Copied").wait_for()
        assert opened.page.evaluate("navigator.clipboard.readText()") == code.inner_text()


def test_without_javascript_nothing_is_missing_and_nothing_is_offered(browser: Any, file: Path, report: Report) -> None:
    with Opened(browser, file) as with_it, Opened(browser, file, javascript=False) as without:
        assert without.page.locator("button, input").count() == 0
        for what in ("figure .draw > svg", "table", "section", "h2, h3", "article"):
            assert without.page.locator(what).count() == with_it.page.locator(what).count() > 0, what
        text = without.page.content()
        assert all(f.reproduce in without.page.locator("#findings").inner_text() for f in report.findings)
        assert "Explore" not in re.sub(r"<script.*?</script>", "", text, flags=re.S)


def test_names_of_a_stranger_stay_text_in_live_charts(browser: Any, tmp_path: Path) -> None:
    script = "<img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>{{7*7}}"
    slim = sample_report(("photo",), ("image",), baselines=("zero",), examples=0) | {"reliability": []}
    made = tmp_path / "hostile.html"
    made.write_text(page(Report.from_json(poisoned(slim, script))), encoding="utf-8")
    with Opened(browser, made) as opened:
        for figure in opened.page.locator("figure:has([data-live])").evaluate_all("all => all.map(e => e.id)")[:4]:
            opened.explore(figure)
        opened.page.locator("#overview .live:visible").focus()
        opened.page.keyboard.press("ArrowRight")
        assert "<im" in tip(opened, "overview"), "shortened, but not taken for a picture"
        assert opened.page.title().endswith("mmaudit report")
        assert opened.page.locator("figure img, .live script").count() == 0
        assert opened.trouble() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, file: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python, which ships axe-core, is absent")
    source = next(f for f in resources.files(axe).iterdir() if f.name.startswith("axe") and f.name.endswith(".js"))
    with Opened(browser, file, scheme=scheme) as opened:
        opened.open_all()
        opened.explore("overview")
        # Rows of a table are all alike; the first few stand for hundreds.
        opened.page.evaluate("document.querySelectorAll('table.t tbody tr:nth-child(n+4)').forEach(r => r.remove())")
        opened.page.evaluate(source.read_text(encoding="utf-8"))
        found = opened.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []


def test_everything_that_can_be_used_has_a_name_and_a_place_in_the_order(browser: Any, file: Path) -> None:
    """What axe looks for first, for machines where it is absent."""
    with Opened(browser, file) as opened:
        opened.open_all()
        opened.explore("overview")
        nameless = opened.page.evaluate(
            """() => [...document.querySelectorAll('button, input, a[href], table, ' +
                    ['img', 'region', 'group', 'application'].map(r => `[role=${r}]`).join())]
                .filter(e => e.getClientRects().length)
                .filter(e => !(e.getAttribute('aria-label') || e.textContent || e.caption?.textContent || '').trim())
                .map(e => e.outerHTML.slice(0, 100))"""
        )
        assert nameless == []
        scrolling = opened.page.evaluate(
            """() => [...document.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1
                && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.tabIndex < 0 && e.tagName !== 'OL')
                .map(e => e.outerHTML.slice(0, 100))"""
        )
        assert scrolling == [], "what scrolls can be scrolled by keyboard"
        ids = opened.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))
        small = opened.page.evaluate(
            "[...document.querySelectorAll('.tools button, .do')].filter(e => e.offsetParent).map(e => e.offsetHeight)"
        )
        assert min(small) >= 24, "WCAG 2.5.8"
