"""Scores of groups: the primary metric and overconfidence of every site, speaker or device, each against itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mmaudit.beside import told
from mmaudit.comparison import measure, nothing, score_row
from mmaudit.metrics import Metric, Predictions, Resamples
from mmaudit.metrics.primary import BETWEEN_GROUPS, PRIMARY
from mmaudit.store import Run
from mmaudit.types import CLEAN, BoolArray, Condition, Score

GROUP_METRICS = ("overconfidence",)  # beside the primary one, and that by which groups are compared
SMALLEST_GROUP = 30
MOST_GROUPS = 20


def by_group(
    run: Run,
    metrics: Sequence[Metric],
    condition: Condition,
    predictions: Predictions,
    clean: Predictions,
    w: Resamples,
    usable: BoolArray,
) -> Iterator[Score]:
    """Yield the scores of each value of each group column; nothing for conditions of a severity, of which many are.

    Args:
        run: whose groups.
        metrics: those that are scored.
        condition: what was measured.
        predictions, clean, w: under it, on clean data, and the resamples, of the same samples.
        usable: `bool[n]`, which of the run's samples these are.
    """
    if condition.family not in ("clean", "missing", "mismatch") or condition.severity is not None:
        return
    task = run.task
    wanted = {PRIMARY[task.kind], BETWEEN_GROUPS.get(task.kind), *GROUP_METRICS}
    chosen = [m for m in metrics if m.name in wanted]
    for column, values in run.samples.groups.items():
        names, place, sizes = np.unique(values[usable].astype(str), return_inverse=True, return_counts=True)
        for number in np.argsort(-sizes, kind="stable")[:MOST_GROUPS]:
            rows = np.flatnonzero(place == number)
            group = f"{column}={names[number]}"
            part = Predictions(task, predictions.outputs[rows], predictions.target[rows])
            for metric in chosen:
                if len(rows) < SMALLEST_GROUP:
                    few = nothing(w.take(rows), f"fewer than {SMALLEST_GROUP} samples")
                    yield score_row(task, condition, metric, few, group=group)
                    continue
                reference = None
                if condition.key != CLEAN.key:
                    before = Predictions(task, clean.outputs[rows], clean.target[rows])
                    chance = metric.chances(task, before.target, w.take(rows))
                    reference = measure(metric, before, w.take(rows), chance=chance)
                found = measure(metric, part, w.take(rows), chance=reference.chance if reference else None)
                yield told(task, condition, metric, part, found, reference, group=group)
