"""Differences between conditions: paired, of independent units, and within what they can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from helpers.run_cases import Rowwise, dataset
from mmaudit import ArrayData, Run, audit
from mmaudit.comparison import adjust, measure, score_row
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.types import CLEAN, Condition, Score, Task


def test_differences_are_paired_and_their_error_is_that_of_the_paired_differences(tmp_path: Path) -> None:
    data = dataset("classification", 1000, seed=3, noise=1.2)
    report = audit(Rowwise(), data, out=tmp_path / "run", suite={"probes": ["mismatch"], "pools": ["random"]})
    run = Run.open(tmp_path / "run")
    y = data.target
    clean = (run.read(CLEAN).outputs.argmax(axis=1) == y).astype(float)
    for condition in run.conditions[1:]:
        row = report.score(condition.key, "accuracy")
        assert row is not None
        if condition.probe == "identity":
            assert (row.delta, row.p) == (0.0, 1.0)
            continue
        difference = (run.read(condition).outputs.argmax(axis=1) == y) - clean
        error = difference.std(ddof=1) / np.sqrt(1000)
        assert row.delta == pytest.approx(difference.mean(), abs=1e-12)
        assert row.value == pytest.approx(clean.mean() + row.delta)
        assert (row.delta_high - row.delta_low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.12)
        assert row.mde / (2.8016 * error) == pytest.approx(1, abs=0.1)
        assert row.delta_low < row.delta < row.delta_high
        # Unpaired, the error would be larger: what is right under a mismatch is mostly right on clean data.
        assert condition.family == "control" or error < np.sqrt((clean.var() + (clean + difference).var()) / 1000)
        assert row.drop == pytest.approx(-row.delta / clean.mean())
        floor = np.bincount(y).max() / 1000
        assert row.floor == pytest.approx(floor)
        assert row.lost == pytest.approx(-row.delta / (clean.mean() - floor))


def test_copies_of_a_sample_make_no_more_evidence_when_they_are_one_cluster(tmp_path: Path) -> None:
    base = dataset("regression", 150, seed=1)
    batch = base.rows(np.repeat(np.arange(150), 8))
    widths = {}
    for name, cluster in (("apart", None), ("together", np.repeat(np.arange(150), 8))):
        data = ArrayData(
            {"table": batch.inputs["table"], "note": batch.inputs["note"].tolist()},
            batch.target[:, 0],
            base.task,
            cluster=cluster,
        )
        report = audit(
            Rowwise("regression"), data, out=tmp_path / name, suite={"probes": ["missing"], "baselines": ["zero"]}
        )
        rows = [s for s in report.rows if s.metric == "rmse" and s.against in ("", report.clean)]
        widths[name] = {s.label: (s.high - s.low, s.delta_high - s.delta_low, s.value, s.mde) for s in rows}
    for label in ("clean", "missing[table, baseline=zero]", "missing[note, baseline=zero]"):
        apart, together = widths["apart"][label], widths["together"][label]
        assert together[2] == pytest.approx(apart[2], rel=1e-9)
        assert together[0] / apart[0] == pytest.approx(np.sqrt(8), rel=0.15)
        if label != "clean":
            assert together[1] / apart[1] == pytest.approx(np.sqrt(8), rel=0.15)
            assert together[3] / apart[3] == pytest.approx(np.sqrt(8), rel=0.15)


def changed(worse: int, better: int, n: int = 800, cluster: int = 1) -> Score:
    """Accuracy where so many answers of a model that is right in all but ten turn wrong, and so many right."""
    start = np.ones(n, bool)
    start[-10:] = False
    now = start.copy()
    now[:worse], now[n - 10 : n - 10 + better] = False, True
    w = Resamples.draw(n, 1000, 0, np.repeat(np.arange(n // cluster), cluster) if cluster > 1 else None)
    accuracy, task = metrics.get("accuracy"), Task.classification(2)
    target = np.arange(n) % 2
    said = [np.eye(2, dtype=np.float32)[np.where(hit, target, 1 - target)] for hit in (now, start)]
    made = [measure(accuracy, Predictions(task, outputs, target), w) for outputs in said]
    return score_row(task, Condition("x", "corruption", 1, ("a",)), accuracy, *made)


@pytest.mark.parametrize("k", range(1, 11))
def test_few_answers_that_change_one_way_prove_what_an_exact_test_of_signs_says(k: int) -> None:
    """McNemar's exact test, by SciPy; one changed answer must not say more of the other side than none."""
    none, down, up = changed(0, 0), changed(k, 0), changed(0, k)
    exact = scipy.stats.binomtest(k, k).pvalue
    assert (down.delta_high < 0) == (up.delta_low > 0) == (exact < 0.05) == (k >= 6)
    if k < 7:  # of more changed answers no resample is without one
        assert down.delta_high - down.delta >= none.delta_high - none.delta
        assert up.delta - up.delta_low >= none.delta - none.delta_low
        assert min(down.p, up.p) >= exact * (1 - 1e-9)
        assert down.lost_low * (-down.delta / down.lost) == pytest.approx(-down.delta_high, abs=0.3 / 800)


def test_answers_that_change_both_ways_are_left_to_the_resamples() -> None:
    row = changed(9, 1)
    assert row.p < 0.02  # 8 of 10 against the error of their sum
    assert row.delta_high < 0


def test_one_cluster_that_changes_is_no_row_of_coins() -> None:
    """Forty answers of one speaker turn wrong: that is one change, and the bound is that of twenty speakers."""
    row = changed(40, 0, cluster=40)
    assert row.delta_high > 0
    assert row.delta_high - row.delta >= 1 - 0.025 ** (1 / 20)


def test_groups_are_adjusted_among_themselves() -> None:
    assert [r.p_adjusted != r.p_adjusted for r in adjust([Score("a", "a", "accuracy", value=0.5)])] == [True]
    every = [Score(str(i), "a", "accuracy", p=p) for i, p in enumerate((0.01, 0.2))]
    groups = [Score("0", "a", "accuracy", group=f"x={i}", p=p) for i, p in enumerate((0.04, 0.02, 0.5, 0.03))]
    groups.append(Score("0", "a", "accuracy", group="x=few", reason="fewer than 30 samples"))
    found = [r.p_adjusted for r in adjust([*every, *groups])]
    expected = scipy.stats.false_discovery_control([0.04, 0.02, 0.5, 0.03])
    assert found[:2] == pytest.approx([0.02, 0.2])
    assert found[2:6] == pytest.approx(expected.tolist())
    assert found[6] != found[6]


def test_a_difference_of_shares_stays_within_what_shares_can_differ() -> None:
    task, target = Task.classification(2), np.zeros(40, np.int64)
    w = Resamples.draw(40, 50)
    right = Predictions(task, np.tile([1.0, 0.0], (40, 1)), target)
    wrong = Predictions(task, np.tile([0.0, 1.0], (40, 1)), target)
    accuracy = metrics.get("accuracy")
    row = score_row(task, CLEAN, accuracy, measure(accuracy, wrong, w), measure(accuracy, right, w))
    assert (row.delta, row.delta_low) == (-1.0, -1.0)
    assert row.delta_high == pytest.approx(-(0.025 ** (1 / 40)))
