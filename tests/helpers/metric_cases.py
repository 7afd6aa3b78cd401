"""Predictions that metrics are tried on: random ones and awkward ones, for every kind of task."""

from __future__ import annotations

import numpy as np
import scipy.special
from hypothesis import strategies as st

from mmaudit.errors import Undefined
from mmaudit.metrics import Metric, Predictions, Resamples
from mmaudit.types import Task

TASKS = {
    "binary": Task.classification(2),
    "classes": Task.classification(4),
    "labels": Task.multilabel(3),
    "one_label": Task.multilabel(1),
    "value": Task.regression(1, unit="mm"),
    "values": Task.regression(2, unit="mm"),
}


def predictions(task: Task, n: int, seed: int, coarse: bool = False, with_clean: bool = True) -> Predictions:
    """Return predictions that are related to the truth; `coarse` rounds outputs, so that scores tie.

    Classes come with rivals, as in a conflict; one row in ten has none.
    """
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, task.width)) * 2
    if task.kind == "classification":
        noisy = scipy.special.softmax(z + rng.normal(size=z.shape), axis=1).cumsum(axis=1)
        target = np.minimum((rng.random((n, 1)) > noisy).sum(axis=1), task.width - 1)
    elif task.kind == "multilabel":
        target = (rng.random(z.shape) < scipy.special.expit(z + rng.normal(size=z.shape) - 1)).astype(np.int8)
    else:
        target = z + rng.normal(size=z.shape)
        target = np.round(target) if coarse else target
    outputs = np.round(z) if coarse else z
    clean = None
    if with_clean:
        other = outputs + rng.normal(size=z.shape)
        clean = Predictions(task, (np.round(other) if coarse else other).astype(np.float32), target)
    rival = None
    if task.kind == "classification":
        rival = (target + rng.integers(1, task.width, n)) % task.width
        rival[rng.random(n) < 0.1] = -1
    return Predictions(task, outputs.astype(np.float32), target, clean, rival)


@st.composite
def any_predictions(draw: st.DrawFn, largest: int = 12) -> Predictions:
    """Small predictions of any task, with ties, missing classes, certain outputs and repeated rows."""
    task = TASKS[draw(st.sampled_from(sorted(TASKS)))]
    n = draw(st.integers(1, largest))
    logits = st.sampled_from([-100.0, -2.0, -1.0, 0.0, 0.5, 1.0, 3.0, 100.0])
    rows = st.lists(logits, min_size=task.width, max_size=task.width)

    def outputs() -> np.ndarray:
        return np.array(draw(st.lists(rows, min_size=n, max_size=n)), np.float32).reshape(n, task.width)

    if task.kind == "classification":
        target = np.array(draw(st.lists(st.integers(0, task.width - 1), min_size=n, max_size=n)))
    elif task.kind == "multilabel":
        bits = st.lists(st.integers(0, 1), min_size=task.width, max_size=task.width)
        target = np.array(draw(st.lists(bits, min_size=n, max_size=n)), np.int8).reshape(n, task.width)
    else:
        target = outputs().astype(np.float64) / 7
    rival = None
    if task.kind == "classification":
        away = draw(st.lists(st.integers(0, task.width - 1), min_size=n, max_size=n))
        rival = np.where(np.array(away) == 0, -1, (target + np.array(away)) % task.width)
    return Predictions(task, outputs(), target, Predictions(task, outputs(), target), rival)


def value(metric: Metric, p: Predictions) -> float:
    """Return the estimate, NaN where it is undefined."""
    try:
        return float(metric(p, Resamples.ones(p.n))[0])
    except Undefined:
        return float("nan")
