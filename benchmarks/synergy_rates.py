"""How often the intervals of synergy hold the truth, and how often synergy is reported where there is none.

    python benchmarks/synergy_rates.py [--n 200 1000 10000] [--seeds 500] [--worlds xor] [--jobs 2] [--out rates.json]

Data sets are drawn from worlds known in closed form (`tests/theory/synergy_worlds.py`), predicted by cross-fitted
counts.

    coverage      share of data sets whose 95 % interval holds the truth. The truth of everything that rests on
                  predictors is what these predictors know of infinitely many new samples, a finite sum over the
                  world's table: intervals cover the sampling of the audited rows, not training. The truth of
                  `plug_in_synergy` is that of the codes it counts.
    at the edge   the truth lies on the edge of what is possible (0 bits, or the interval's end), where an interval
                  that is never wrong is the aim: these cells are not held to 93-97 %.
    reported      data sets in which `present` says that there is synergy, with Wilson's interval: false alarms in
                  worlds without it.

Pieces add up: with --out the counts are added to those in the file, so that seeds and sizes can be run one by one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib import import_module
from math import sqrt
from pathlib import Path
from typing import Any

from mmaudit.decomposition import Sides, of_data, present
from mmaudit.decomposition.shuffled import code_rows
from mmaudit.estimates import Estimate
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.types import Task

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
worlds: Any = import_module("theory.synergy_worlds")

SIZES = (200, 1000, 10_000)
EDGE = 0.01  # bits: nearer to an end of what is possible than this is on the edge
TINY = 0.0002  # bits: an interval that misses the truth by less does not matter
SINGLE = ("synergy_low", "synergy_high", "interaction_information", "redundancy", "synergy")


def one(job: tuple[str, int, int]) -> dict[str, int]:
    """Counts of one data set: `world|n|estimate|covered` and so on."""
    name, n, seed = job
    world = worlds.WORLDS[name]
    fitted = worlds.fit(world, n, seed)
    w = Resamples.draw(n, 1000, seed)
    estimates = of_data(fitted.crossfitted, worlds.NAMES, Task.classification(world.joint.shape[2]), w)
    counts = list(code_rows(fitted.codes, fitted.crossfitted.target, "classification", Sides.every(worlds.NAMES)[0], w))
    shuffled = next(e for e in counts if e.estimator == "label_shuffle")
    truth, coded = fitted.truth(), worlds.coded_synergy(world)
    out: Counter[str] = Counter()

    def add(what: str, outcome: bool, kind: str = "covered") -> None:
        out[f"{name}|{n}|{what}|{kind}|{'yes' if outcome else 'no'}"] += 1

    for e, what in _named(estimates):
        if what in truth:
            add(what, _holds(e, truth[what]))
            out[f"{name}|{n}|{what}|edge|{'yes' if _edge(what, truth) else 'no'}"] += 1
        if what == "synergy":
            tested = replace(e, p=max(e.p, shuffled.p))
            add("synergy", present(tested), "present")
    for e in counts:
        if e.estimator == "plug_in_synergy" and e.value == e.value:
            add("plug_in_synergy", _holds(e, coded))
            out[f"{name}|{n}|plug_in_synergy|edge|{'yes' if coded < EDGE else 'no'}"] += 1
        if e.estimator == "within_class_shuffle" and e.p == e.p:
            add("within_class_shuffle", e.p <= 0.05, "rejects")
        if e.estimator == "label_shuffle" and e.p == e.p:
            add("label_shuffle", e.p <= 0.05, "rejects")
    return dict(out)


def _holds(e: Estimate, truth: float) -> bool:
    """Whether the interval holds the truth; what no resample changes has none, and has to be right by itself."""
    low, high = (e.value, e.value) if e.low != e.low else (e.low, e.high)
    return low - TINY <= truth <= high + TINY


def _named(estimates: list[Estimate]) -> Iterator[tuple[Estimate, str]]:
    for e in estimates:
        if e.estimator in SINGLE:
            yield e, e.estimator
        elif e.estimator in ("information", "unique"):
            yield e, f"{e.estimator}[{'+'.join(e.modalities)}]"


def _edge(what: str, truth: dict[str, float]) -> bool:
    """Whether the truth is at an end of what is possible, where the estimate can err to one side only."""
    if what in ("information[a]", "information[b]", "information[a+b]", "interaction_information"):
        return False
    one, two = max(truth["information[a]"], 0), max(truth["information[b]"], 0)
    if what in ("redundancy", "unique[a]", "unique[b]", "synergy"):
        # R between 0 and the weaker side's information decides all four.
        room = min(truth["redundancy"], min(one, two) - truth["redundancy"])
        return bool(room < EDGE)
    return abs(one - two) < EDGE if what == "synergy_high" else truth["synergy_low"] < EDGE


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z, p = 1.96, hits / n
    middle, width = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - width) / (1 + z * z / n), (middle + width) / (1 + z * z / n)


def table(counts: Counter[str]) -> str:
    """The rates in words."""
    keys = sorted({tuple(k.split("|")[:3]) for k in counts})
    sizes = sorted({int(k[1]) for k in keys})
    names = [w for w in worlds.WORLDS if any(k[0] == w for k in keys)]
    lines: list[str] = []

    def rate(world: str, n: int, what: str, kind: str) -> tuple[int, int]:
        yes, no = (counts[f"{world}|{n}|{what}|{kind}|{o}"] for o in ("yes", "no"))
        return yes, yes + no

    whats = list(dict.fromkeys(k[2] for k in keys if any(counts[f"{'|'.join(k)}|covered|{o}"] for o in ("yes", "no"))))
    for n in sizes:
        lines += [f"\ncoverage in percent, n = {n:,} (* at the edge)", ""]
        lines.append("| world | data sets | " + " | ".join(whats) + " |")
        lines.append("|---" * (2 + len(whats)) + "|")
        for world in names:
            cells = []
            for what in whats:
                hits, total = rate(world, n, what, "covered")
                edge = counts[f"{world}|{n}|{what}|edge|yes"] > total / 2
                cells.append(f"{100 * hits / total:.1f}{'*' if edge else ''}" if total else "–")
            total = rate(world, n, "synergy", "covered")[1]
            lines.append(f"| {world} | {total} | " + " | ".join(cells) + " |")
        inner = [rate(w, n, x, "covered") for w in names for x in whats if not counts[f"{w}|{n}|{x}|edge|yes"]]
        hits, total = sum(h for h, _ in inner), sum(t for _, t in inner)
        if total:
            lines.append(f"\naway from the edge: {100 * hits / total:.1f} % of {total}")
    lines += [
        "\nsynergy reported, and tests that reject, in percent",
        "",
        "| world | n | S | reported | of | 95 % | label shuffle | within-class shuffle |",
    ]
    lines.append("|---" * 8 + "|")
    for world in names:
        for n in sizes:
            hits, total = rate(world, n, "synergy", "present")
            if not total:
                continue
            low, high = wilson(hits, total)
            tests = []
            for test in ("label_shuffle", "within_class_shuffle"):
                rejected, tried = rate(world, n, test, "rejects")
                tests.append(f"{100 * rejected / tried:.1f}" if tried else "–")
            lines.append(
                f"| {world} | {n:,} | {worlds.WORLDS[world].synergy:.3f} | {100 * hits / total:.1f} | {total} | "
                f"{100 * low:.1f}-{100 * high:.1f} | {' | '.join(tests)} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=SIZES, help="samples per data set")
    parser.add_argument("--seeds", type=int, default=50, help="data sets of every world and size (50)")
    parser.add_argument("--first", type=int, default=1000, help="first seed (1000; the tests use smaller ones)")
    parser.add_argument("--worlds", nargs="+", default=list(worlds.WORLDS), help="some of the worlds")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--out", type=Path, help="JSON file that counts are added to")
    chosen = parser.parse_args()
    jobs = [
        (w, n, s) for n in chosen.n for w in chosen.worlds for s in range(chosen.first, chosen.first + chosen.seeds)
    ]
    counts: Counter[str] = Counter()
    started = time.perf_counter()
    if chosen.jobs > 1:
        with ProcessPoolExecutor(chosen.jobs) as pool:
            for found in pool.map(one, jobs, chunksize=10):
                counts.update(found)
    else:
        for job in jobs:
            counts.update(one(job))
    seconds = time.perf_counter() - started
    if chosen.out:
        if chosen.out.exists():
            counts.update(json.loads(chosen.out.read_text(encoding="utf-8")))
        chosen.out.write_text(json.dumps(counts, indent=1, sort_keys=True), encoding="utf-8")
    print(table(counts))
    print(f"\n{len(jobs)} data sets in {seconds:.0f} s, {1000 * seconds / max(1, len(jobs)):.0f} ms each")


if __name__ == "__main__":
    main()
