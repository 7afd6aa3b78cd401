"""A metric under weights is the metric of the repeated sample, whatever the order of samples: for every metric."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.metric_cases import TASKS, any_predictions, predictions, value
from mmaudit.errors import Undefined
from mmaudit.metrics import Resamples, metrics

slow = settings(deadline=None, derandomize=True, max_examples=150)


def replicates(metric, p, w):
    try:
        return metric(p, w)
    except Undefined:
        # No resample can define what the whole sample does not.
        return np.full(w.replicates, np.nan)


def same(a, b):
    return a == pytest.approx(b, rel=1e-9, abs=1e-12, nan_ok=True)


@slow
@given(any_predictions(), st.data())
def test_weights_are_repetitions(p, data):
    row = st.lists(st.integers(0, 3), min_size=p.n, max_size=p.n)
    w = Resamples.of(np.array(data.draw(st.lists(row, min_size=1, max_size=3))))
    for metric in metrics:
        if p.task.kind not in metric.tasks:
            continue
        got = replicates(metric, p, w)
        repeated = [p.take(w.repeat(b)) for b in range(w.replicates)]
        assert same(got, [value(metric, r) for r in repeated]), metric.name
        if metric.floor:
            floors = metric.floor(p.task, p.target, w)
            assert same(floors, [metric.chance(p.task, r.target) for r in repeated]), metric.name


@slow
@given(any_predictions(), st.randoms(use_true_random=False))
def test_order_of_samples_does_not_matter(p, random):
    rows = list(range(p.n))
    random.shuffle(rows)
    for metric in metrics:
        if p.task.kind in metric.tasks:
            assert same(value(metric, p), value(metric, p.take(np.array(rows)))), metric.name


@slow
@given(any_predictions())
def test_values_lie_in_the_declared_range(p):
    w = Resamples.draw(p.n, 20)
    for metric in metrics:
        if p.task.kind in metric.tasks:
            low, high = metric.range
            values = [value(metric, p)]
            if not np.isnan(values[0]):
                values += metric(p, w).tolist()
            assert all(np.isnan(v) or low - 1e-9 <= v <= high + 1e-9 for v in values), metric.name


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("units", ["samples", "clusters"])
def test_bootstrap_replicates_are_metrics_of_resamples(name, units):
    p = predictions(TASKS[name], 150, seed=1, coarse=True)
    w = Resamples.draw(150, 6, seed=2, cluster=np.arange(150) // 4 if units == "clusters" else None)
    for metric in metrics:
        if p.task.kind in metric.tasks:
            got = replicates(metric, p, w)
            expected = [value(metric, p.take(w.repeat(b))) for b in range(6)]
            assert same(got, expected), metric.name


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_part_of_the_samples_keeps_its_draws(name):
    p, w = predictions(TASKS[name], 60, seed=3), Resamples.draw(60, 5, seed=4)
    mask = np.arange(60) % 3 != 0
    for metric in metrics:
        if p.task.kind in metric.tasks:
            got = replicates(metric, p.take(mask), w.take(mask))
            rows = [w.repeat(b) for b in range(5)]
            assert same(got, [value(metric, p.take(r[mask[r]])) for r in rows]), metric.name
