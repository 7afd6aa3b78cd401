"""How fast the dashboard is, in a real browser, on a run of 10⁶ answers and 300 conditions.

    python benchmarks/dashboard.py [--samples 3334] [--conditions 300] [--rounds 3]

Starts `mmaudit dashboard` on a folder with that run and nine small ones, opens it in headless Chromium, and clicks from
page to page. A page is there when Streamlit has run it and every chart is drawn. Prints the first page in a fresh
browser, every change of page (first visit and later ones, the slowest and the median of the rounds), and the memory of
the server in the end. Exits 1 where a target is missed: first page 2 s, page change 1 s, memory 1 GiB.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

FIRST, CHANGE, MEMORY = 2.0, 1.0, 2**30
TITLES = (
    *("Overview", "Robustness", "Subsets", "Reliance & synergy", "Calibration", "Samples", "Groups", "References"),
    *("Method", "Runs"),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=3334)
    parser.add_argument("--conditions", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    from helpers.big_run import big_run
    from helpers.dashboard_server import Visit, chromium, dashboard

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        big_run(root / "big", given.samples, given.conditions)
        for i in range(9):
            big_run(root / f"small-{i}", 100, 20)
        with dashboard(root) as address, chromium() as browser:
            first = Visit(browser, address).go()
            print(f"first page (ten runs listed), fresh browser and server: {first:.2f} s (target {FIRST:g} s)")
            visit = Visit(browser, address)
            took = _rounds(visit, given.rounds)
            memory = _memory(int(address.rpartition(":")[2]))
    print(f"{'page':22s} first visit   later, median   later, slowest")
    for title, seconds in took.items():
        later = seconds[1:] or seconds
        print(f"{title:22s} {seconds[0]:8.2f} s   {statistics.median(later):10.2f} s   {max(later):10.2f} s")
    print(f"server: {memory / 2**20:.0f} MiB (target {MEMORY / 2**20:.0f} MiB)")
    print(_machine())
    slow = [t for t, s in took.items() if statistics.median(s) > CHANGE]
    if first > FIRST or slow or memory > MEMORY:
        print(f"missed: {', '.join([*(['first page'] if first > FIRST else []), *slow])}")
        raise SystemExit(1)


def _rounds(visit: Any, rounds: int) -> dict[str, list[float]]:
    """Seconds of each change of page, by title, round by round."""
    took: dict[str, list[float]] = {title: [] for title in TITLES}
    visit.go("overview", run="big")
    for _ in range(rounds):
        # From Overview on, so that it is a change of page, too.
        for title in (*TITLES[1:], TITLES[0]):
            link = visit.page.get_by_role("link", name=title, exact=False).first
            link.wait_for()
            start = time.perf_counter()
            link.click()
            wanted = "" if title == "Overview" else title
            visit.page.wait_for_function(
                """t => {
                    const h = document.querySelector('[data-testid="stMain"] h1');
                    return h && (t ? h.innerText === t : h.innerText && location.pathname.endsWith('overview'));
                }""",
                arg=wanted,
            )
            took[title].append(visit.settled(start))
    return took


def _memory(port: int) -> int:
    """Resident bytes of the server that listens on a port."""
    import psutil

    for process in psutil.process_iter():
        try:
            if any(c.laddr and c.laddr.port == port and c.status == "LISTEN" for c in process.net_connections("inet")):
                return int(process.memory_info().rss)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    raise SystemExit("the server is gone")


def _machine() -> str:
    import os

    import numpy
    import pyarrow
    import streamlit

    return (
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, "
        f"streamlit {streamlit.__version__}, pyarrow {pyarrow.__version__}, NumPy {numpy.__version__}"
    )


if __name__ == "__main__":
    main()
