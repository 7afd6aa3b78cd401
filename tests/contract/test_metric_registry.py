"""What every registered metric promises: unit, direction, docstring, best value, chance floor. New ones are covered."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from helpers.metric_cases import TASKS, predictions, value
from mmaudit.errors import BadInput, ContractBroken, Undefined, UnknownName
from mmaudit.metrics import Predictions, Resamples, metric, metrics
from mmaudit.types import Task

ALL = [(m.name, t) for m in metrics for t in sorted(TASKS) if TASKS[t].kind in m.tasks]
EXPECTED = """accuracy ace adaptive_ece auroc average_precision aurc balanced_accuracy brier classwise_ece
confidence_exchanged confidence_kept confidence_neither follows_exchanged follows_kept follows_neither
confidence_rise ece ece_floor flip_rate macro_f1 mae mce mean_confidence nll overconfidence r2 rmse""".split()  # noqa: SIM905


def test_the_metrics_are_these():
    assert set(EXPECTED) <= set(metrics.names())


@pytest.mark.parametrize("m", list(metrics), ids=lambda m: m.name)
def test_declarations(m):
    assert m.better in ("higher", "lower", "neither")
    assert m.summary.endswith(".")
    assert len(m.summary) <= 120
    assert m.range[0] < m.range[1]
    assert m.unit_of(Task.regression(1, unit="mm"))


def perfect(p):
    """Outputs that are certain and right."""
    if p.task.kind == "regression":
        return p.target
    truth = p.target[:, None] == np.arange(p.task.width) if p.task.kind == "classification" else p.target
    return np.where(truth, 100.0, -100.0)


@pytest.mark.parametrize(("name", "task"), ALL)
def test_a_perfect_prediction_scores_best(name, task):
    m, p = metrics.get(name), predictions(TASKS[task], 120, seed=0)
    if m.needs_clean:
        # Nothing changed: the best a comparison with clean can be.
        best = value(m, Predictions(p.task, p.clean.outputs, p.target, p.clean))
    else:
        best = value(m, Predictions(p.task, perfect(p), p.target, p.clean, p.rival))
    if m.better == "neither":
        if m.needs_rival and np.isnan(best):
            return  # a right answer follows the modalities kept in place, so nothing is known of the others
        assert m.range[0] <= best <= m.range[1]
        return
    end = m.range[1] if m.better == "higher" else m.range[0]
    assert best == pytest.approx(end, abs=1e-9)
    sign = 1 if m.better == "higher" else -1
    for seed in range(5):
        other = predictions(TASKS[task], 120, seed=seed)
        assert sign * value(m, other) < sign * best


@pytest.mark.parametrize(("name", "task"), ALL)
def test_the_floor_is_the_best_of_all_constant_predictions(name, task):
    m, p = metrics.get(name), predictions(TASKS[task], 90, seed=1)
    floor = m.chance(p.task, p.target)
    if m.floor is None:
        assert np.isnan(floor)
        return
    assert m.better != "neither"
    assert not np.isnan(floor)
    constants = []
    if p.task.kind == "regression":
        constants = [p.target.mean(axis=0), np.median(p.target, axis=0)]
    else:
        if p.task.kind == "classification":
            share = np.bincount(p.target, minlength=p.task.width) / p.n
            constants = [np.log(share), *(np.where(np.eye(p.task.width)[c], 50, -50) for c in range(p.task.width))]
        else:
            share = p.target.mean(axis=0)
            answers = itertools.product([-50.0, 50.0], repeat=p.task.width)
            constants = [np.log(share / (1 - share)), *map(np.array, answers)]
    reached = [value(m, Predictions(p.task, np.tile(c, (p.n, 1)), p.target)) for c in constants]
    best = max(reached) if m.better == "higher" else min(reached)
    if name == "average_precision":  # a random order is above any constant; see the oracle test of its floor
        assert best < floor < 1
        return
    assert best == pytest.approx(floor, abs=1e-9)


@pytest.mark.parametrize(("name", "task"), ALL)
def test_no_samples_means_undefined(name, task):
    p = predictions(TASKS[task], 5, seed=2)
    none = p.take(np.zeros(0, int))
    with pytest.raises(Undefined, match="no samples"):
        metrics.get(name)(none, Resamples.ones(0))
    assert np.isnan(metrics.get(name).chance(none.task, none.target))


@pytest.mark.parametrize("m", [m for m in metrics if m.needs_clean], ids=lambda m: m.name)
def test_comparisons_need_clean_predictions(m):
    p = predictions(TASKS["classes"], 5, seed=3, with_clean=False)
    with pytest.raises(Undefined, match="clean"):
        m(p, Resamples.ones(5))


@pytest.mark.parametrize("m", [m for m in metrics if m.needs_rival], ids=lambda m: m.name)
def test_arbitration_needs_a_conflict(m):
    p = predictions(TASKS["classes"], 5, seed=3)
    with pytest.raises(Undefined, match="contradict"):
        m(Predictions(p.task, p.outputs, p.target), Resamples.ones(5))
    with pytest.raises(Undefined, match="no "):
        m(Predictions(p.task, p.outputs, p.target, rival=np.full(5, -1)), Resamples.ones(5))


@pytest.mark.parametrize(
    ("name", "task"), [(m.name, t) for m in metrics for t in TASKS if TASKS[t].kind not in m.tasks]
)
def test_other_tasks_are_undefined(name, task):
    with pytest.raises(Undefined, match="the task is"):
        metrics.get(name)(predictions(TASKS[task], 5, seed=4), Resamples.ones(5))


def test_resamples_of_other_samples_are_refused():
    p = predictions(TASKS["classes"], 5, seed=5)
    with pytest.raises(BadInput, match="5 rows"):
        metrics.get("accuracy")(p, Resamples.ones(6))


def test_a_misspelt_metric_gets_a_suggestion():
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        metrics.get("acuracy")


@pytest.mark.parametrize(
    ("declared", "clause"),
    [
        ({"unit": "share"}, "direction"),
        ({"better": "up", "unit": "share"}, "direction"),
        ({"better": "higher"}, "unit"),
        ({"better": "higher", "unit": "share", "tasks": ("clustering",)}, "tasks"),
        ({"better": "higher", "unit": "share"}, "docstring"),
    ],
)
def test_an_incomplete_metric_is_not_registered(declared, clause):
    with pytest.raises(ContractBroken) as error:
        metric("incomplete", **declared)(lambda p, w: w.mean(p.hit))
    assert error.value.clause == clause
    assert "incomplete" not in metrics


def test_a_taken_name_is_refused():
    def twice(p, w):
        """Accuracy again."""
        return w.mean(p.hit)

    with pytest.raises(ContractBroken, match="already registered"):
        metric("accuracy", better="higher", unit="share")(twice)


def test_a_metric_that_returns_one_number_is_told():
    p = predictions(TASKS["classes"], 5, seed=6)
    import dataclasses

    broken = dataclasses.replace(metrics.get("accuracy"), fn=lambda p, w: np.float64(0.5))
    with pytest.raises(ContractBroken, match=r"expected \(3,\)"):
        broken(p, Resamples.draw(5, 3))


@pytest.mark.parametrize(
    ("task", "outputs", "target", "message"),
    [
        (Task.classification(2), np.zeros((3, 3)), np.zeros(3, int), r"needs \[n, 2\]"),
        (Task.classification(2), np.zeros((3, 2)), np.zeros((3, 2), int), "target has shape"),
        (Task.classification(2), np.zeros((3, 2)), np.array([0, 1, 2]), "target 2 is not legal"),
        (Task.multilabel(2), np.zeros((1, 2)), np.array([[0, 3]]), "target 3 is not legal"),
        (Task.regression(1), np.zeros((2, 1)), np.array([0.0, np.nan]), "target nan"),
        (Task.classification(2), np.array([[0, 0], [np.nan, 0]]), np.zeros(2, int), r"1 rows \(first: 1\)"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(task, outputs, target, message):
    with pytest.raises(BadInput, match=message):
        Predictions(task, outputs, target)


def test_clean_predictions_must_be_of_the_same_rows():
    p = predictions(TASKS["classes"], 5, seed=7)
    with pytest.raises(BadInput, match="same rows"):
        Predictions(p.task, p.outputs[:4], p.target[:4], p)


def test_metrics_load_neither_torch_nor_netcal():
    code = "import sys, mmaudit.metrics; sys.exit(bool({'torch', 'netcal', 'pandas', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
