"""Take pictures of every page of the dashboard and of the report: light, dark, on a phone, on paper.

    python scripts/screenshots.py RUNS OUT [--run NAME] [--other NAME] [--chosen docs/images]

RUNS is a folder of runs, NAME one of them (the newest without it), --other the one that Compare shows beside it. Needs
chromium and the extra `test`. With --chosen the three that README shows are written there, too.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "light": {"width": 1440, "scheme": "light"},
    "dark": {"width": 1440, "scheme": "dark"},
    "phone": {"width": 390, "height": 844, "scheme": "light"},
}
PAGES = (
    *("runs", "overview", "robustness", "subsets", "reliance", "calibration", "samples", "groups", "references"),
    *("compare", "method"),
)
# What README shows: page, look, the heading its picture begins at ("" for the top), and its height.
CHOSEN = {
    "overview": ("light", "", 1000),
    "samples": ("light", "Sample ", 1000),
    "robustness": ("dark", "", 1000),
}
TALLEST = 6000


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", default="")
    parser.add_argument("--other", default="")
    parser.add_argument("--chosen", type=Path)
    given = parser.parse_args()
    from helpers.dashboard_server import chromium, dashboard
    from mmaudit.browse.library import runs

    found = [e.name for e in runs(given.runs) if e.level]
    name = given.run or found[0]
    other = given.other or next((n for n in found if n != name), "")
    given.out.mkdir(parents=True, exist_ok=True)
    with dashboard(given.runs) as address, chromium() as browser:
        for look, options in LOOKS.items():
            _dashboard(browser, address, look, options, name, other, given)
            _report(browser, given.runs / name / "report.html", look, options, given.out)
        _printed(browser, given.runs / name / "report.html", given.out)


def _dashboard(
    browser: Any, address: str, look: str, options: Mapping[str, Any], name: str, other: str, given: argparse.Namespace
) -> None:
    from helpers.dashboard_server import Visit

    visit = Visit(browser, address, **options)
    for page in PAGES:
        query = {} if page == "runs" else {"run": name}
        if page == "compare" and other:
            query["with"] = other
        if page == "samples":
            query |= _harmed(given.runs / name)
        took = visit.go("" if page == "runs" else page, **query)
        # The app scrolls inside itself: as tall a window as the page is shows all of it.
        tall = visit.page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
        visit.page.set_viewport_size({"width": options["width"], "height": min(int(tall) + 40, TALLEST)})
        visit.settled()
        visit.page.wait_for_timeout(300)
        picture = visit.page.screenshot()
        (given.out / f"{page}-{look}.png").write_bytes(picture)
        print(f"{page}-{look}.png  {took:.1f} s  {tall} px{'  WIDER THAN ITS SCREEN' if visit.wide() else ''}")
        if given.chosen and page in CHOSEN and CHOSEN[page][0] == look:
            _keep(picture, _top(visit, CHOSEN[page][1]), CHOSEN[page][2], given.chosen / f"{page}.png")
        visit.page.set_viewport_size({"width": options["width"], "height": options.get("height", 900)})
    for said in (*visit.errors, *visit.elsewhere):
        print(f"  {look}: {said}", file=sys.stderr)
    visit.close()


def _harmed(folder: Path) -> dict[str, str]:
    """The condition and sample to look at: the kept one that a corruption harms most, if possible of a picture."""
    from mmaudit.browse.answers import Answers
    from mmaudit.browse.kept import Kept
    from mmaudit.store import Run

    run, found = Run.open(folder), list[tuple[bool, float, str, str]]()
    pictures = {m.name for m in run.modalities if m.kind == "image"}
    answers, held = Answers(run), Kept(folder).positions()
    for condition in run.conditions:
        if condition.family == "corruption" and len(condition.modalities) == 1 and held:
            table = answers.table(condition)
            table = table[table["position"].isin(held) & table["damage"].notna()].sort_values("damage")
            if len(table):
                seen = condition.modalities[0] in pictures
                found.append((seen, float(table["damage"].iloc[-1]), condition.key, str(table["sample"].iloc[-1])))
    if not found:
        return {}
    *_, condition_key, sample = max(found)
    return {"condition": condition_key, "sample": sample, "show": "all"}


def _top(visit: Any, heading: str) -> int:
    """Where the heading that begins so stands in the picture, in px; 0 for the top."""
    if not heading:
        return 0
    return max(
        int(
            visit.page.evaluate(
                """t => [...document.querySelectorAll('h2, h3')].filter(h => h.innerText.startsWith(t))
                    .map(h => h.getBoundingClientRect().top)[0] || 0""",
                heading,
            )
        )
        - 30,
        0,
    )


def _keep(picture: bytes, top: int, height: int, file: Path) -> None:
    """A part of a picture, small enough for a repository."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image = image.crop((0, top, image.width, min(top + height, image.height)))
    file.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(128).save(file, "PNG", optimize=True)


def _report(browser: Any, file: Path, look: str, options: Mapping[str, Any], out: Path) -> None:
    page = browser.new_page(viewport={"width": options["width"], "height": 900}, color_scheme=options["scheme"])
    page.goto(file.resolve().as_uri())
    tall = int(page.evaluate("document.documentElement.scrollHeight"))
    for i, top in enumerate(range(0, tall, TALLEST)):
        clip = {"x": 0, "y": top, "width": options["width"], "height": min(TALLEST, tall - top)}
        page.screenshot(path=out / f"report-{look}-{i}.png", clip=clip, full_page=True)
    print(f"report-{look}  {tall} px")
    page.close()


def _printed(browser: Any, file: Path, out: Path) -> None:
    page = browser.new_page()
    page.goto(file.resolve().as_uri())
    for paper in ("A4", "Letter"):
        page.pdf(path=out / f"report-{paper.lower()}.pdf", format=paper, prefer_css_page_size=False)
    page.close()


if __name__ == "__main__":
    main()
