"""Runs from strangers, in a real browser: nothing of them is executed, nothing stops, and the damage is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.dashboard_server import CHROMIUM, Visit, chromium, dashboard
from helpers.hostile_runs import HOSTILE, SOUND, write_all

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("streamlit", reason="streamlit is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")
PAGES = ("overview", "robustness", "subsets", "reliance", "calibration", "samples", "groups", "references", "method")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strangers") / "runs"
    write_all(folder)
    return folder


@pytest.fixture(scope="module")
def visit(root: Path) -> Iterator[Visit]:
    with dashboard(root) as address, chromium() as browser:
        found = Visit(browser, address)
        found.page.on("dialog", lambda d: found.errors.append(f"dialog: {d.message}"))
        yield found
        found.close()


def unharmed(visit: Visit) -> None:
    """Nothing ran, nothing was asked elsewhere, nothing broke."""
    assert visit.errors == []
    assert visit.elsewhere == []
    assert "Traceback" not in visit.text()
    marks = visit.page.evaluate(
        """() => [document.querySelectorAll('[data-testid="stMain"] script, [data-testid="stMain"] iframe').length,
                  window.broken === undefined, document.title.includes('broken')]"""
    )
    assert marks == [0, True, False]


def test_the_list_shows_every_run_damaged_ones_too(visit: Visit) -> None:
    visit.go()
    unharmed(visit)
    shown = visit.text()
    assert "damaged" in shown.lower()
    assert not visit.wide()


@pytest.mark.parametrize("page", PAGES)
def test_hostile_texts_stay_texts(visit: Visit, page: str) -> None:
    visit.go(page, run="texts")
    unharmed(visit)
    assert not visit.wide()


# What the listing refuses is on one page, above, and tests/test_browse_hostile.py has all of it; here is a part.
REFUSED = [c.name for c in HOSTILE if c.where == "listing"][::6]
DEEPER = [c.name for c in HOSTILE if c.where in ("samples", "answers")][::2]
# What a browser might act upon is opened in one, all of it.
DEEPER += [c.name for c in HOSTILE if c.where == "kept"]


@pytest.mark.parametrize(("page", "name"), [*(("overview", n) for n in REFUSED), *(("samples", n) for n in DEEPER)])
def test_damage_is_shown_as_a_page(visit: Visit, page: str, name: str) -> None:
    visit.go(page, run=name)
    unharmed(visit)
    assert len(visit.text()) > 20, "something is said"


def test_a_sound_run_beside_them_is_shown(visit: Visit) -> None:
    visit.go("overview", run=SOUND)
    unharmed(visit)
    assert "accuracy" in visit.text()


def test_two_hostile_runs_are_compared(visit: Visit) -> None:
    visit.go("compare", run=SOUND, **{"with": "texts"})
    unharmed(visit)
