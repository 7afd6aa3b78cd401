"""What a budget's few samples may have missed: bounds by hand, and intervals that hold the truth as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from helpers.budget_cases import Answered
from mmaudit.beside import Beside, beside, opened, told, widened
from mmaudit.comparison import Measured, measure, score_row
from mmaudit.kernels.inference import interval
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.score import ScoreTable
from mmaudit.side_tables import SideTables
from mmaudit.types import CLEAN, Array, Condition, Task
from mmaudit.unseen import unseen

BOUND = 1 - 0.025 ** (1 / 40)
ACCURACY, RMSE = metrics.get("accuracy"), metrics.get("rmse")
TWO, LINE = Task.classification(2), Task.regression(1)


def noise(position: int) -> Condition:
    return Condition("a.noise", "corruption", 1, ("a",), float(position), position, unit="σ")


def said(right: Array) -> Predictions:
    """Answers to samples of class 1 that are right where it says so."""
    outputs = np.where(right[:, None] == np.arange(2), 1.0, -1.0)
    return Predictions(TWO, outputs, np.ones(len(right), np.int64))


def answers(*changed: int) -> tuple[Predictions, Predictions, Resamples]:
    """40 samples under a condition that makes the named ones wrong, and on clean data, where the last ten are."""
    right = np.arange(40) < 30
    now = right.copy()
    now[list(changed)] = False
    return said(now), said(right), Resamples.draw(40, 400)


def missed(*changed: int) -> float:
    now, clean, w = answers(*changed)
    return unseen(ACCURACY, now, measure(ACCURACY, now, w), measure(ACCURACY, clean, w))


def test_of_a_share_it_is_the_exact_bound() -> None:
    assert missed() == pytest.approx(BOUND)
    assert missed(3) == 0.0


def test_of_an_error_it_is_what_four_more_of_the_worst_sample_would_do() -> None:
    rng = np.random.default_rng(0)
    error = rng.normal(size=40)
    p = Predictions(LINE, error[:, None], np.zeros((40, 1)))
    found = measure(RMSE, p, Resamples.draw(40, 200))
    worst = np.abs(error).max()
    assert math.ceil(BOUND / (1 - BOUND) * 40) == 4
    expected = np.sqrt(((error**2).sum() + 4 * worst**2) / 44) - np.sqrt((error**2).mean())
    assert unseen(RMSE, p, found, found) == pytest.approx(expected, rel=1e-6)
    row = score_row(LINE, noise(1), RMSE, found, found)
    assert math.isnan(row.delta_low)
    assert "no resample differs" in row.reason
    row = opened(row, RMSE, expected, found)
    assert (row.delta_low, row.delta_high) == (pytest.approx(-expected), pytest.approx(expected))
    assert (row.mde, row.reason) == (expected, "")


@pytest.mark.parametrize("name", ["rmse", "mae", "r2"])
def test_no_change_seen_is_not_no_change(name: str) -> None:
    """All samples measured, none moved: the bound is in the row; of answers without an error there is none."""
    rng, metric = np.random.default_rng(1), metrics.get(name)
    y = rng.normal(size=(2000, 1))
    w = Resamples.draw(2000, 100)
    p = Predictions(LINE, y + 0.4 * rng.standard_t(4, size=(2000, 1)), y)
    found = measure(metric, p, w, chance=metric.chances(LINE, y, w))
    row = told(LINE, noise(1), metric, p, found, found)
    error = np.abs(p.outputs - y)[:, 0]
    some = p.take(np.concatenate([np.arange(2000), np.full(4, error.argmax())]))
    assert math.ceil(2000 * (0.025 ** (-1 / 2000) - 1)) == 4
    expected = abs(metric(some, Resamples.ones(2004))[0] - found.values[0])
    assert (row.delta, row.p, row.reason) == (0.0, 1.0, "")
    assert -row.delta_low == pytest.approx(row.delta_high) == pytest.approx(row.mde)
    # Of R² another sample may move it a little more, by its target.
    assert row.delta_high == pytest.approx(expected, rel=1e-6)
    assert row.lost_high == pytest.approx(row.delta_high / abs(found.values[0] - found.floor))
    exact = Predictions(LINE, y, y)
    found = measure(metric, exact, w)
    row = told(LINE, noise(1), metric, exact, found, found)
    assert row.delta == 0.0
    assert row.reason.startswith("no interval")
    assert np.isnan([row.low, row.high, row.delta_low, row.delta_high, row.mde]).all()


def test_few_clusters_of_many_samples_leave_more_open_than_a_resample_holds() -> None:
    """Of 4 clusters more than half may be unlike them: 454 more of the worst sample in 300."""
    error = np.random.default_rng(2).normal(size=300)
    p = Predictions(LINE, error[:, None], np.zeros((300, 1)))
    found = measure(RMSE, p, Resamples.draw(300, 50, cluster=np.arange(300) % 4))
    bound = 1 - 0.025 ** (1 / 4)
    more = math.ceil(bound / (1 - bound) * 300)
    assert more == 455
    expected = np.sqrt(((error**2).sum() + more * (error**2).max()) / (300 + more)) - found.values[0]
    assert unseen(RMSE, p, found, found) == pytest.approx(expected)


def test_clusters_are_what_a_bound_counts() -> None:
    now, clean, _ = answers()
    w = Resamples.draw(40, 200, 0, np.arange(40) // 4)
    found = unseen(ACCURACY, now, measure(ACCURACY, now, w), measure(ACCURACY, clean, w))
    assert found == pytest.approx(1 - 0.025 ** (1 / 10))


def test_in_replicates_the_bound_is_the_end_of_the_interval() -> None:
    w = Resamples.draw(40, 1000)
    side = Beside(Measured(np.full(1001, 0.8), w), BOUND)
    low, high = interval(side.spread.values[1:], 0.8)
    assert (low, high) == (pytest.approx(0.8 - BOUND, rel=0.02), pytest.approx(0.8 + BOUND, rel=0.02))
    assert side.spread.values[0] == 0.8
    assert Beside(side.measured).spread is side.measured


def test_a_step_knows_the_bounds_of_both_its_sides() -> None:
    now, clean, w = answers()
    some, _, _ = answers(1, 2, 3, 4)
    whole = measure(ACCURACY, clean, w)
    still, moved = (
        beside(whole, found, whole, unseen(ACCURACY, p, found, whole))
        for p in (now, some)
        for found in (measure(ACCURACY, p, w),)
    )
    assert (still.unseen, moved.unseen) == (pytest.approx(BOUND), 0.0)

    def step(one: Beside, other: Beside) -> tuple[float, float, float, float]:
        row = score_row(TWO, noise(2), ACCURACY, other.measured, one.measured, against=noise(1))
        wide = widened(row, one, other, 0.25)
        assert (wide.delta, wide.value, wide.n) == (row.delta, row.value, row.n)
        return row.delta_low, row.delta_high, wide.delta_low, wide.delta_high

    _, _, low, high = step(still, still)
    assert (low, high) == (pytest.approx(-BOUND), pytest.approx(BOUND))
    few = Beside(still.measured, 2 * BOUND)
    for sides in ((few, still), (still, few)):
        _, _, low, high = step(*sides)
        assert (low, high) == (pytest.approx(-2 * BOUND), pytest.approx(2 * BOUND))
    before, after, low, high = step(still, moved)
    assert low == pytest.approx(-0.1 - math.hypot(-0.1 - before, BOUND))
    assert high == pytest.approx(-0.1 + math.hypot(after + 0.1, BOUND))
    before, after, low, high = step(Beside(whole), moved)
    assert (low, high) == (before, after)
    # Clean data on one side: what is missed is that of the other.
    _, _, low, high = step(Beside(whole), still)
    assert (low, high) == (pytest.approx(-BOUND), pytest.approx(BOUND))


# ---- against truth

SHARES = {1: 0.005, 3: 0.015, 5: 0.04}
CONDITIONS = [CLEAN, *(noise(p) for p in SHARES)]
N, FEW = 300, 48


class NoTables(SideTables):
    def add(self, condition: Condition, predictions: Predictions, w: Resamples, *, shared: bool) -> None:
        pass


def seldom(rng: np.random.Generator) -> Answered:
    """Right with probability 0.8; noise makes a few samples a coin toss, the same ones and more with its severity."""
    target = rng.integers(0, 2, N)
    right, hit, coin = rng.random(N) < 0.8, rng.random(N), rng.random(N) < 0.5
    outputs = {}
    for c in CONDITIONS:
        now = np.where(hit < SHARES.get(c.position or 0, 0.0), coin, right)
        outputs[c.key] = (2.0 * np.eye(2)[np.where(now, target, 1 - target)]).astype(np.float32)
    return Answered(TWO, target, outputs, CONDITIONS)


def test_intervals_hold_the_truth_where_few_samples_show_no_change() -> None:
    """Without the bounds in their replicates 43 % of the summaries do."""
    truth = {c.key: 0.8 - 0.3 * SHARES.get(c.position or 0, 0.0) for c in CONDITIONS}
    chance, held = 0.5, {"change": [], "step": [], "summary": []}
    severity = np.array([float(c.position or 0) for c in CONDITIONS[1:]])
    kept = np.array([(truth[c.key] - chance) / 0.3 for c in CONDITIONS])
    area = float(np.trapezoid(kept, np.array([0.0, *severity])) / severity[-1])
    rng = np.random.default_rng(7)
    for _ in range(150):
        run = seldom(rng)
        run.grow([N] + [FEW] * 3)
        table = ScoreTable(run, only=["accuracy"], resamples=200)
        table.side = NoTables(run.conditions, run.task, [])
        for s in table.rows():
            if s.metric == "accuracy" and s.against:
                kind = "change" if s.against == CLEAN.key else "step"
                held[kind].append(s.delta_low <= truth[s.condition] - truth[s.against] <= s.delta_high)
            elif s.metric == "severity_area":
                held["summary"].append(s.low <= area <= s.high)
    assert {kind: len(of) for kind, of in held.items()} == {"change": 450, "step": 300, "summary": 150}
    for kind, of in held.items():
        assert np.mean(of) > 0.93, kind
