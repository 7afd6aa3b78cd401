"""Metrics in which classes weigh alike rest on the rare ones, and so do their intervals, whatever all samples are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mmaudit
from mmaudit import ArrayData, FunctionModel, Suite, Task
from mmaudit.comparison import measure, score_row
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.metrics.predictions import Rarest, freedom
from mmaudit.metrics.recalibration import recalibrate
from mmaudit.types import CLEAN, Score


def scored(name: str, p: Predictions, w: Resamples) -> Score:
    metric = metrics.get(name)
    return score_row(p.task, CLEAN, metric, measure(metric, p, w))


@pytest.mark.parametrize(
    ("counts", "one", "units"),
    [
        ([5, 495], True, 5),  # (.2 + .002)² / (.04 / 4) + 1
        ([300, 300], True, 599),
        ([3, 66, 66, 66], False, 3),
        ([1, 495], True, 1),
        ([1, 40], False, 40),
        ([1, 1, 1], False, 1),
    ],
)
def test_units_of_a_mean_over_classes_are_those_of_welch_and_satterthwaite(
    counts: list[int], one: bool, units: int
) -> None:
    assert freedom(np.array(counts), one) == units


def test_a_label_goes_by_the_rarer_of_having_and_lacking_it() -> None:
    labels = np.stack([np.arange(200) < 6, np.arange(200) < 194, np.zeros(200)], axis=1).astype(np.int8)
    p = Predictions(Task.multilabel(3), np.where(labels, 9.0, -9.0), labels)
    assert p.rarest(Resamples.draw(200, 50)) == Rarest(6, 2, 11)


@pytest.mark.parametrize("positives", [2, 3, 5])
def test_random_scores_are_not_surely_better_or_worse_than_random(positives: int) -> None:
    wrong = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        y = (np.arange(200) < positives).astype(np.int64)
        p = Predictions(Task.classification(2), np.stack([np.zeros(200), rng.normal(size=200)], axis=1), y)
        row = scored("auroc", p, Resamples.draw(200, 200, seed))
        wrong += not row.low <= 0.5 <= row.high
    assert wrong <= 15, "5 % of 150 are 7.5; with all samples for units 12 to 64"


def test_a_single_positive_says_nothing_of_others() -> None:
    y = (np.arange(60) == 0).astype(np.int64)
    scores = np.random.default_rng(0).normal(size=60)
    p = Predictions(Task.classification(2), np.stack([-scores, scores], axis=1), y)
    row = scored("auroc", p, Resamples.draw(60, 100))
    assert np.isnan(row.low)
    assert "one independent unit" in row.reason


def test_none_recognised_of_few_is_not_surely_worse_than_chance() -> None:
    """True balanced accuracy (0.2 + 0.97) / 2: five ill, of whom a fifth is found, among 500."""
    y, held = (np.arange(500) < 5).astype(np.int64), []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        said = np.where(y == 1, rng.random(500) < 0.2, rng.random(500) < 0.03)
        p = Predictions(Task.classification(2), 4.0 * np.eye(2)[said.astype(int)], y)
        row = scored("balanced_accuracy", p, Resamples.draw(500, 200, seed))
        held.append(row.low <= 0.585 <= row.high)
    assert np.mean(held) >= 0.93


def test_sites_that_are_equally_good_are_not_told_apart(tmp_path: Path) -> None:
    accused = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        y = (rng.random(600) < 0.03).astype(np.int8)[:, None]
        a = 1.6 * y + rng.normal(size=(600, 1))
        data = ArrayData({"a": a, "b": a}, y, Task.multilabel(1), groups={"site": rng.integers(0, 10, 600).astype(str)})
        model = FunctionModel(lambda a, b: a + b, ["a", "b"], outputs="logits", fingerprint="sum")
        report = mmaudit.audit(model, data, out=tmp_path / str(seed), suite=Suite("one", ()), resamples=200)
        accused += [f.claim for f in report.findings if f.rule == "group_gap"]
    assert not accused


@pytest.mark.parametrize("name", ["overconfidence", "brier", "ece", "adaptive_ece"])
def test_all_right_of_few_leaves_open_what_accuracy_does(name: str) -> None:
    """Calibrated, and right in 99 %: of 50 answers none is wrong in six of ten data sets."""
    truth = {"overconfidence": 0.0, "brier": 2 * 0.99 * 0.01}
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y = np.zeros(50, np.int64)
        said = (rng.random(50) >= 0.99).astype(int)
        logits = np.log(0.99 / 0.01) * np.eye(2)[said] + rng.normal(0, 0.05, size=(50, 1)) * np.eye(2)[said]
        p = Predictions(Task.classification(2), logits, y)
        row, accuracy = scored(name, p, Resamples.draw(50, 200, seed)), scored("accuracy", p, Resamples.draw(50, 50))
        if name in truth:
            held.append(row.low <= truth[name] <= row.high)
        elif p.hit.all():
            assert row.high - row.value >= accuracy.value - accuracy.low
    assert np.mean(held or [1.0]) >= 0.95


@pytest.mark.parametrize("off", [0.0, 1e-9])
def test_a_regression_that_is_right_has_signal(tmp_path: Path, off: float) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 120, 3))
    data = ArrayData({"a": a, "b": b}, 2 * a[:, 0] + 0.5 * b[:, 0], Task.regression(["v"]))
    model = FunctionModel(
        lambda a, b: 2 * a[:, :1] + 0.5 * b[:, :1] + off, ["a", "b"], outputs="values", fingerprint=str(off)
    )
    suite = Suite("one", ("missing",), baselines=("mean",))
    report = mmaudit.audit(model, data, out=tmp_path / "run", suite=suite, resamples=100)
    rules = [f.rule for f in report.findings]
    assert "no_signal" not in rules
    assert "single_point_of_failure" in rules


def test_recalibrated_errors_have_no_interval_of_width_0_and_changes_are_shares() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 100)
    right = rng.random(100) < 0.7
    said = np.where(right, y, (y + 1) % 3)
    separable = np.where(right, 4.0, 1.0)[:, None] * np.eye(3)[said]
    worlds = [
        (separable, Resamples.draw(100, 100)),
        (rng.normal(size=(100, 3)), Resamples.draw(100, 100, cluster=np.arange(100) % 2)),
    ]
    for outputs, w in worlds:
        for repaired in recalibrate(Predictions(Task.classification(3), outputs, y), w):
            for value, low, high in (repaired.before, repaired.after, repaired.change):
                assert low < high
                assert -1 <= low <= value <= high <= 1
