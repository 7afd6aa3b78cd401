"""Are a budget's intervals honest? `python benchmarks/budget_coverage.py [--worlds classes] [--datasets 300]`

A budget looks at the answers before it decides how many more to ask for: does the 95 % interval still hold the truth in
95 % of data sets? Data sets are drawn from populations whose truth is known (`budget_worlds.py`); the code of an audit
spends the budget on them (`spending.spend`) and scores them (`score.ScoreTable`), with answers from memory. Beside it:
as many samples under every condition (`even`), and all of them (`whole`).

Printed is the mean coverage over conditions per kind of row, with its Monte-Carlo standard error (data sets are
independent, the conditions of one are not), and, of the primary metric's changes, the widest and the median interval.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from budget_worlds import CONDITIONS, WORLDS, Population

from mmaudit.budget import Budget
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.metrics.primary import PRIMARY
from mmaudit.score import ScoreTable
from mmaudit.side_tables import SideTables
from mmaudit.summaries import groups, summarise
from mmaudit.types import CLEAN, Condition, Score

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from helpers.budget_cases import Answered, spent

UNITS = 1000
"""Samples of a data set, or clusters."""
RESAMPLES = 400
SHARES = (0.05, 0.1, 0.2, 0.5)
Truths = Mapping[tuple[str, str, str], float]


class NoTables(SideTables):
    """Calibration curves and recalibration are not looked at."""

    def add(self, condition: Condition, predictions: Predictions, w: Resamples, *, shared: bool) -> None:
        pass


def truths(of: Population) -> dict[tuple[str, str, str], float]:
    """By (label, metric, compared with): every value, change, step and summary of the population."""
    primary = PRIMARY[of.task.kind]
    value = {(c.key, m): of.truth(c, m) for c in CONDITIONS for m in of.metrics if c != CLEAN or m != "flip_rate"}
    found = {}
    for c in CONDITIONS:
        for m in of.metrics:
            if (c.key, m) in value:
                found[c.label, m, ""] = value[c.key, m]
                for other in CONDITIONS if m == primary else (CLEAN,):
                    if (other.key, m) in value:
                        found[c.label, m, other.key] = value[c.key, m] - value[other.key, m]
    metric = metrics.get(primary)
    chance = np.array([metric.chance(of.task, of.target)])
    each = {c.key: np.array([value[c.key, primary]]) for c in CONDITIONS}
    for group in groups(CONDITIONS):
        for summary, result in summarise(group, each[CLEAN.key], each, chance, metric.better):
            found[group.name, summary.name, ""] = float(result[0])
    return found


@dataclass
class Held:
    """What was held of one way: by (kind of row, metric), per data set, and widths of the primary metric's changes."""

    held: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    widest: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)

    def add(self, rows: list[Score], truth: Truths, primary: str) -> None:
        now: dict[tuple[str, str], list[bool]] = defaultdict(list)
        widths = []
        for s in rows:
            known = truth.get((s.label, s.metric, ""))
            if known is None or s.group:
                continue
            summary = (s.label, s.metric, CLEAN.key) not in truth and s.metric != "flip_rate"
            if np.isfinite(s.value) and s.against in ("", CLEAN.key):
                now["summary" if summary else "value", s.metric].append(s.low <= known <= s.high)
            if s.against and np.isfinite(s.delta):
                change = truth[s.label, s.metric, s.against]
                kind = "change" if s.against == CLEAN.key else "step"
                # Neighbours of clean have two rows that say the same but for what clean rests on.
                now[kind, s.metric].append(s.delta_low <= change <= s.delta_high)
                if kind == "change" and s.metric == primary:
                    widths.append(s.delta_high - s.delta_low)
        for key, values in now.items():
            self.held[key].append((sum(values), len(values)))
        self.widest.append(max(widths))
        self.median.append(float(np.median(widths)))

    def coverage(self, key: tuple[str, str]) -> tuple[float, float]:
        """Mean coverage and its standard error over data sets, in percent."""
        held, of = np.array(self.held[key], np.float64).T
        mean = held.sum() / of.sum()
        residual = (held - mean * of) / of.mean()
        return 100 * mean, 100 * float(residual.std(ddof=1)) / len(of) ** 0.5


def spend(run: Any, share: float, way: str) -> None:
    """Spend a share of all answers on a run: by a budget, or alike on the first samples of its order."""
    if way == "budget":
        spent(run, Budget(round(share * run.n * len(CONDITIONS))))
        return
    ends = np.arange(1, run.n + 1)
    if run.samples.cluster is not None:
        ordered = run.samples.cluster[run.order]
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1
    run.grow([int(ends[np.searchsorted(ends, round(share * run.n))])] * len(CONDITIONS))


def simulate(name: str, datasets: int, first: int, shares: tuple[float, ...]) -> tuple[Population, dict[Any, Held]]:
    """Every way on every data set of a world."""
    of = WORLDS[name](np.random.default_rng([11, *name.encode()]))
    truth, primary = truths(of), PRIMARY[of.task.kind]
    ways = [("whole", 1.0), *((way, share) for share in shares for way in ("even", "budget"))]
    found: dict[Any, Held] = {way: Held() for way in ways}
    for seed in range(first, first + datasets):
        rows, cluster = of.sample(UNITS, np.random.default_rng([seed, *name.encode()]))
        for way in ways:
            answers = {key: values[rows] for key, values in of.outputs.items()}
            run = Answered(of.task, of.target[rows], answers, CONDITIONS, cluster)
            spend(run, way[1], way[0])
            table = ScoreTable(run, only=of.metrics, resamples=RESAMPLES)
            table.side = NoTables(run.conditions, run.task, [])
            found[way].add(table.rows(), truth, primary)
            found[way].spent.append(sum(run.counts) / (run.n * len(CONDITIONS)))
    return of, found


def table(of: Population, found: dict[Any, Held]) -> str:
    """Coverage by kind of row and metric; a column for each way."""
    keys = list(dict.fromkeys(key for held in found.values() for key in held.held))
    heads = ["whole", *(f"{100 * share:g} % {way}" for way, share in list(found)[1:])]
    lines = [f"| | {' | '.join(heads)} |", "|" + "---|" * (len(heads) + 1)]
    for kind, metric in sorted(keys, key=lambda k: (["value", "change", "step", "summary"].index(k[0]), k[1])):
        cells = ["{:.1f} ± {:.1f}".format(*held.coverage((kind, metric))) for held in found.values()]
        lines.append(f"| {metric}: {kind} | {' | '.join(cells)} |")
    for said in ("widest", "median"):
        cells = [f"{np.mean(getattr(held, said)):.3f}" for held in found.values()]
        lines.append(f"| {said} interval of a change of {PRIMARY[of.task.kind]} | {' | '.join(cells)} |")
    cells = [f"{100 * np.mean(held.spent):.1f} %" for held in found.values()]
    lines.append(f"| answers | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=list(WORLDS))
    parser.add_argument("--datasets", type=int, default=300, help="data sets of each world (300)")
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="of all answers")
    chosen = parser.parse_args()
    for name in chosen.worlds:
        started = time.process_time()
        of, found = simulate(name, chosen.datasets, chosen.first, tuple(chosen.shares))
        print(f"{name}: {WORLDS[name].__doc__} {chosen.datasets} data sets, {time.process_time() - started:.0f} s")
        print(table(of, found), flush=True)


if __name__ == "__main__":
    main()
