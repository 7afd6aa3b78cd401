"""Spends a budget in rounds: a few samples under every condition first, then more where the intervals are widest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmaudit.budget import Budget, raised, steps
from mmaudit.comparison import measure, score_row
from mmaudit.data import Dataset
from mmaudit.errors import BadInput
from mmaudit.formats import count
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.metrics.primary import PRIMARY
from mmaudit.place import place
from mmaudit.plan import Plan
from mmaudit.portions import random_order
from mmaudit.predict import Progress
from mmaudit.reliance.table import shuffle_conditions, subset_conditions
from mmaudit.store import Run
from mmaudit.timing import Timing
from mmaudit.types import CLEAN, Array, IntArray
from mmaudit.unseen import unseen

PILOT_SHARE = 0.25  # most of a budget that the first samples under every condition may take
PILOT_MOST = 128
LAST_SHARE = 0.25  # what is left below this goes out in one round
SLACK = 0.05  # of a time: less than this is not worth a round
REPLICATES = 200

Predict = Callable[[Progress | None, int], Timing]


def require_room(budget: Budget, out: str | Path, plan: Plan, data: Dataset) -> None:
    """Raise `BadInput` where a budget cannot be kept, or does not suffice for the first samples of every condition."""
    if data.task.kind == "retrieval":
        raise BadInput(
            "a retrieval cannot keep a budget: each query is ranked among all candidates, so all of them have to be "
            "encoded. Leave the budget out, or audit fewer samples."
        )
    folder = place(out)
    run = Run.open(folder) if (folder / "run.json").exists() else None
    if run and not run.header.get("budget") and any(run.lacking()):
        raise BadInput(
            f"{folder} holds an audit without a budget that has not finished, and what it planned would be answered "
            "whatever the budget. Finish it without one, or give the budget another folder."
        )
    if budget.forwards is None:
        return
    spent, known = (sum(run.counts), {c.key for c in run.conditions}) if run else (0, set())
    fewest = _grid(random_order(data.ids, data.cluster), data.cluster)[0]
    new = sum(c.key not in known for c in plan.conditions)
    if new and spent + fewest * new > budget.forwards:
        held = f"beside the {count(spent)} answers that the run holds, " if spent else ""
        raise BadInput(
            f"forwards={budget.forwards} is too few: {held}{count(fewest)} samples under each of {count(new)} "
            f"conditions make {count(spent + fewest * new)}. Give at least that, or a smaller suite."
        )


def spend(run: Run, budget: Budget, predict: Predict, progress: Progress | None = None) -> Timing:
    """Answer what a budget allows, round by round; each round is written to run.json before it begins.

    Killed at any moment, a second call finishes the round at hand and goes on. With `forwards` it ends with the same
    files; with `seconds` the rounds that follow are as large as the time that is left allows.

    Args:
        run: opened or made with this budget.
        budget: to be kept.
        predict: answers what the run lacks; its second argument is the first portion that may not be done.
        progress: called with (answers done, answers planned so far, or allowed).
    """
    timing, speed = Timing(), 0.0
    rounds: list[float] = list(run.header["budget"]["rounds"])

    def told(done: int, total: int) -> None:
        if progress:
            progress(done, max(total, min(budget.forwards or 0, run.n * len(run.conditions))))

    done = 0 if any(run.lacking()) else len(run.portions)
    while True:
        started, before = time.perf_counter(), sum(run.counts)
        if done == len(run.portions):
            counts = _further(run, budget, rounds, speed)
            if counts == run.counts:
                return timing
            run.grow(counts)
        timing.add(predict(told, done))
        done = len(run.portions)
        took = time.perf_counter() - started
        speed = (sum(run.counts) - before) / max(took, 1e-9)
        if budget.seconds is not None:  # else the same audit would not end with the same bytes
            rounds.append(round(took, 3))
            run.update(budget=budget.to_json(rounds))


def _further(run: Run, budget: Budget, rounds: Sequence[float], speed: float) -> list[int]:
    """Samples under each condition after the next round; as they are where the budget is spent."""
    counts = run.counts
    spent = sum(counts)
    grid = _grid(run.order, run.samples.cluster)
    if 0 in counts:
        new = counts.count(0)
        room = float(grid[0])
        if budget.forwards is not None and budget.seconds is None:  # how long answers take is not known yet
            room = PILOT_SHARE * (budget.forwards - spent) / new
        fit = [k for k in grid if k <= min(room, PILOT_MOST)]
        first = fit[-1] if fit else grid[0]
        counts = [k or first for k in counts]
        return [max(counts), *counts[1:]]
    parts: list[float] = []
    rest: list[float] = []
    if budget.forwards is not None:
        rest.append(budget.forwards - spent)
        parts.append(_part(rest[-1], budget.forwards))
    if budget.seconds is not None:
        left = budget.seconds - sum(rounds)
        left = left if left > SLACK * budget.seconds else 0.0
        # Before anything was timed in this process a small round: earlier ones may have been another machine's.
        small = float(grid[0] * len(counts)) if left else 0.0
        rest.append(speed * left if speed else small)
        parts.append(speed * _part(left, budget.seconds) if speed else small)
    units = _units(run)
    known, exact = widths(run)
    widest = [max(unit, key=lambda i: -1.0 if known[i] != known[i] else known[i]) for unit in units]
    worst, powers = [known[i] for i in widest], [1.0 if exact[i] else 0.5 for i in widest]
    found = raised(units, counts, worst, grid, int(min(parts)), powers)
    # Where half of the rest is too little for any step, the rest.
    return found if found != counts else raised(units, counts, worst, grid, int(min(rest)), powers)


def _part(left: float, whole: float) -> float:
    """What of the rest the next round may have: half of it, for a later one knows better; all where it is small."""
    return left if left < LAST_SHARE * whole else left / 2


def _grid(order: IntArray, cluster: Array | None) -> list[int]:
    if cluster is None:
        return steps(len(order))
    ordered = cluster.astype(str)[order]
    return steps(len(order), np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1)


def _units(run: Run) -> list[tuple[int, ...]]:
    """Conditions that share their samples: those that reliance is made of, which has to be of the same samples."""
    conditions = run.conditions
    together = {c.key for c in (*subset_conditions(conditions), *shuffle_conditions(conditions))}
    block = tuple(i for i, c in enumerate(conditions) if c.key in together)
    rest: list[tuple[int, ...]] = [(i,) for i, c in enumerate(conditions) if c.key not in together]
    return [*rest, block] if block else rest


def widths(run: Run) -> tuple[list[float], list[bool]]:
    """Return the width of the 95 % interval of each condition's difference from clean (of clean its own), and its kind.

    In the unit of the primary metric; NaN where it is undefined on the samples measured so far, 0 where more samples
    would tell nothing: the identity, and a model that refuses all of them. It is a bound, which narrows as 1 / n, where
    no sample was seen to change the metric (`unseen.unseen`).
    """
    metric = metrics.get(PRIMARY[run.task.kind])
    rows = run.order[: max(run.counts)]
    target, cluster = run.samples.target[rows], run.samples.cluster
    w = Resamples.draw(len(rows), REPLICATES, 0, None if cluster is None else cluster[rows])
    clean = run.read(CLEAN).outputs[rows]
    answered = np.asarray(np.isfinite(clean).all(axis=1))
    found, exact = [], []
    for condition in run.conditions:
        is_clean = condition.key == CLEAN.key
        outputs = clean if is_clean else run.read(condition).outputs[rows]
        usable = answered & np.asarray(np.isfinite(outputs).all(axis=1))
        if condition.probe == "identity" or not usable.any():
            found.append(0.0)
            exact.append(False)
            continue
        part, p = w.take(usable), Predictions(run.task, outputs[usable], target[usable])
        now = measure(metric, p, part)
        before = None if is_clean else measure(metric, Predictions(run.task, clean[usable], target[usable]), part)
        bound = unseen(metric, p, now, before)
        row = score_row(run.task, condition, metric, now, before)
        width = row.high - row.low if is_clean else row.delta_high - row.delta_low
        found.append(2 * bound if bound else width)
        exact.append(bound > 0)
    return found, exact
