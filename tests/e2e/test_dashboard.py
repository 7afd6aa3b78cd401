"""The dashboard as a person uses it: started by its command, in a real browser, on real runs."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.dashboard_runs import N, make_runs
from helpers.dashboard_server import CHROMIUM, Visit, chromium, dashboard

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("streamlit", reason="streamlit is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")

TITLES = {
    "": "Runs",
    "overview": "The first model",
    "robustness": "Robustness",
    "subsets": "Subsets",
    "reliance": "Reliance & synergy",
    "calibration": "Calibration",
    "samples": "Samples",
    "groups": "Groups",
    "references": "References",
    "compare": "Compare",
    "method": "Method",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    make_runs(root)
    half = root / "half"
    shutil.copytree(root / "first", half)
    for file in half.iterdir():
        if file.is_file() and file.name not in ("run.json", "samples.parquet"):
            file.unlink()
    header = json.loads((half / "run.json").read_text())
    header["shard_rows"] = N // 3 + 1  # three shards planned, none of them written yet
    (half / "run.json").write_text(json.dumps(header))
    for file in (half / "predictions").iterdir():
        file.unlink()
    return root


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with dashboard(runs) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    """A visit that in the end has logged no error and asked nobody else."""
    found = Visit(browser, address)
    yield found
    errors, elsewhere = found.errors, found.elsewhere
    found.close()
    assert errors == []
    assert elsewhere == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_every_page_is_drawn_quietly_and_fits_its_screen(browser: Any, address: str, width: int, scheme: str) -> None:
    visit = Visit(browser, address, width, scheme=scheme)
    grounds = set()
    for name, title in TITLES.items():
        visit.go(name, **({"run": "first"} if name else {}))
        assert visit.page.locator("h1").first.inner_text() == title, name
        assert not visit.wide(), name
        assert "Traceback" not in visit.text()
        grounds.add(
            visit.page.evaluate(
                """getComputedStyle(document.querySelector('[data-testid="stApp"]')).backgroundColor
                    .match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 3 < 60"""
            )
        )
    assert grounds == {scheme == "dark"}
    assert visit.errors == []
    assert visit.elsewhere == []
    visit.close()


def test_a_run_is_opened_and_a_finding_shows_its_evidence(visit: Visit) -> None:
    visit.go()
    page = visit.page
    page.get_by_text("The first model", exact=True).first.click()
    page.wait_for_url("**/overview?*run=first*")
    visit.settled()
    page.get_by_text("Evidence").first.click()
    visit.settled()
    page.wait_for_function("document.body.innerText.includes('mmaudit score')")
    shown = visit.text()
    assert "accuracy" in shown
    assert "mmaudit score" in shown, "the command that shows it again"


def test_a_filter_changes_what_is_shown_follows_the_reader_and_can_be_linked_to(
    visit: Visit, browser: Any, address: str
) -> None:
    visit.go("robustness", run="first", section="")
    page = visit.page
    everything = visit.text()
    assert "gaussian snr · sound" in everything
    page.get_by_role("combobox", name="Modalities").click()
    page.get_by_role("option", name="caption").click()
    page.keyboard.press("Escape")
    page.wait_for_function("location.search.includes('modality=caption')")
    page.wait_for_function(
        "!document.querySelector('[data-testid=\"stMain\"]').innerText.includes('gaussian snr · sound')"
    )
    visit.settled()
    filtered = visit.text()
    assert "keyboard · caption" in filtered
    page.get_by_role("link", name="Subsets").click()
    page.wait_for_url("**/subsets?*modality=caption*")
    visit.settled()
    page.get_by_role("link", name="Robustness").click()
    page.wait_for_url("**/robustness?*modality=caption*")
    visit.settled()
    other = Visit(browser, address)
    other.page.goto(page.url)
    other.settled()
    assert other.text() == filtered, "the same address, the same view"
    other.close()


def test_another_metric_is_drawn_everywhere(visit: Visit) -> None:
    visit.go("robustness", run="first", metric="ece")
    assert "ECE" in visit.text()
    assert "Change of accuracy" not in visit.text()


def test_a_sample_is_seen_heard_and_read_before_and_after(visit: Visit, runs: Path) -> None:
    from mmaudit.browse.kept import Kept
    from mmaudit.store import Run

    run, held = Run.open(runs / "first"), Kept(runs / "first")
    for probe, kind in (("image.gaussian_noise", "image"), ("audio.gaussian_snr", "audio"), ("text.keyboard", "text")):
        condition = max((c for c in run.conditions if c.probe == probe), key=lambda c: c.position or 0)
        position = next(
            p
            for p in held.positions()
            if any(s.kind == kind and s.perturbed is not None for s in held.sides(p, condition.key))
        )
        sample = str(run.samples.ids[position])
        visit.go("samples", run="first", condition=condition.key, show="all", sample=sample)
        page = visit.page
        assert f"Sample {sample}" in visit.text()
        if kind == "image":
            assert page.locator('[data-testid="stMain"] img').count() >= 2
            sizes = page.eval_on_selector_all('[data-testid="stMain"] img', "x => x.map(i => i.naturalWidth)")
            assert min(sizes) >= 24, "every picture is decoded"
        elif kind == "audio":
            assert page.locator("audio").count() >= 2
            page.wait_for_function("[...document.querySelectorAll('audio')].every(a => a.duration > 0.2)")
        else:
            side = next(s for s in held.sides(position, condition.key) if s.kind == "text")
            assert str(side.original["text"]).split()[0] in visit.text()
        assert "Fragility passport" in visit.text()


def test_tables_and_charts_are_taken_away(visit: Visit) -> None:
    visit.go("groups", run="first")
    page = visit.page
    page.locator('[data-testid="stPopover"] button').filter(has_text="Download").first.click()
    with page.expect_download() as table:
        page.get_by_role("button", name="CSV").first.click()
    rows = list(csv.reader(io.StringIO(Path(table.value.path()).read_text(encoding="utf-8-sig"))))
    assert {r[0] for r in rows[1:]} == {"all samples", "north", "south"}
    with page.expect_download() as parquet:
        page.get_by_role("button", name="Parquet").first.click()
    assert Path(parquet.value.path()).read_bytes()[:4] == b"PAR1"
    with page.expect_download() as chart:
        page.get_by_role("button", name="Chart as SVG").first.click()
    svg = Path(chart.value.path()).read_text()
    assert svg.startswith("<svg")
    assert "north" in svg
    with page.expect_download() as picture:
        page.get_by_role("button", name="Chart as PNG").first.click()
    assert Path(picture.value.path()).read_bytes()[:4] == b"\x89PNG"


def test_two_runs_are_compared_sample_by_sample(visit: Visit) -> None:
    visit.go("compare", run="first", **{"with": "second"})
    visit.page.wait_for_function("/better/.test(document.querySelector('[data-testid=\"stMain\"]').innerText)")
    visit.settled()
    shown = visit.text()
    assert "paired" in shown
    assert "without caption" in shown
    for verdict in ("worse", "better", "undecided"):
        assert verdict in shown


def test_a_run_being_written_shows_its_progress_and_refreshes(visit: Visit, runs: Path) -> None:
    half = runs / "half"
    # Opened while nobody writes: the audit goes on while somebody looks.
    visit.go("overview", run="half")
    assert "being written" not in visit.text()
    handle = os.open(half, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        visit.page.wait_for_function("document.body.innerText.includes('being written')", timeout=40_000)
        assert "0 of 3" in visit.text()
        first = next((runs / "first" / "predictions").iterdir())
        from mmaudit.store import Run

        # As a writer does: beside its place and renamed, or a look in between would find half a file.
        beside = Path(shutil.copy(first, half / "predictions" / "0.partial"))
        beside.replace(Run.open(half).file(0, 0))
        visit.page.wait_for_function("document.body.innerText.includes('1 of 3')", timeout=40_000)
    finally:
        os.close(handle)


@pytest.mark.parametrize("name", ["../outside", "/etc", "first/../../x", "%2e%2e", "first/predictions", "<b>x</b>"])
def test_what_is_not_listed_is_not_opened(visit: Visit, name: str) -> None:
    visit.go("overview", run=name)
    assert "accuracy" not in visit.text()
    assert visit.page.locator("[data-testid='stMain'] b:text-is('x')").count() == 0


def test_the_keyboard_reaches_the_pages(visit: Visit) -> None:
    visit.go("overview", run="first")
    page = visit.page
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText || ''").strip().endswith("Calibration"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/calibration?*run=first*")
    visit.settled()
    assert page.locator("h1").first.inner_text() == "Calibration"
