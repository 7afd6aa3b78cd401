"""Metrics against scikit-learn and scipy on random and awkward predictions."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk

from helpers.metric_cases import TASKS, predictions, value
from mmaudit.errors import Undefined
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.types import Task

CASES = [(name, n, coarse) for name in ("binary", "classes") for n in (3, 40, 700) for coarse in (False, True)]
LABELS = [(name, n, coarse) for name in ("labels", "one_label") for n in (9, 400) for coarse in (False, True)]
VALUES = [(name, n) for name in ("value", "values") for n in (2, 300)]


def got(name, p):
    return value(metrics.get(name), p)


@pytest.mark.parametrize(("name", "n", "coarse"), CASES)
def test_decisions(name, n, coarse):
    p = predictions(TASKS[name], n, seed=n, coarse=coarse)
    y, guess = p.target, p.outputs.argmax(axis=1)
    assert got("accuracy", p) == pytest.approx(sk.accuracy_score(y, guess))
    recalls = sk.recall_score(y, guess, labels=np.unique(y), average=None, zero_division=np.nan)
    assert got("balanced_accuracy", p) == pytest.approx(recalls.mean())
    assert got("macro_f1", p) == pytest.approx(sk.f1_score(y, guess, average="macro", zero_division=np.nan))


@pytest.mark.parametrize(("name", "n", "coarse"), LABELS)
def test_decisions_on_labels(name, n, coarse):
    p = predictions(TASKS[name], n, seed=n, coarse=coarse)
    guess = (p.probability > 0.5).astype(int)
    assert got("accuracy", p) == pytest.approx((p.target == guess).all(axis=1).mean())
    if TASKS[name].width > 1:
        expected = sk.f1_score(p.target, guess, average="macro", zero_division=np.nan)
    else:
        expected = sk.f1_score(p.target[:, 0], guess[:, 0], zero_division=np.nan)
    assert got("macro_f1", p) == pytest.approx(expected)


def binary_columns(p):
    """(truth, score) of each one-against-rest problem that has both values."""
    columns = [1] if p.task == TASKS["binary"] else range(p.task.width)
    truth = p.target[:, None] == np.arange(p.task.width) if p.task.kind == "classification" else p.target == 1
    return [(truth[:, c], p.probability[:, c]) for c in columns if 0 < truth[:, c].sum() < p.n]


@pytest.mark.parametrize(("name", "n", "coarse"), [c for c in CASES + LABELS if c[1] > 3])
def test_ranking(name, n, coarse):
    p = predictions(TASKS[name], n, seed=n, coarse=coarse)
    columns = binary_columns(p)
    assert got("auroc", p) == pytest.approx(np.mean([sk.roc_auc_score(y, s) for y, s in columns]))
    assert got("average_precision", p) == pytest.approx(np.mean([sk.average_precision_score(y, s) for y, s in columns]))


def test_ranking_of_classes_as_scikit_learn_calls_it():
    p = predictions(TASKS["classes"], 300, seed=5)
    expected = sk.roc_auc_score(p.target, p.probability, multi_class="ovr", average="macro")
    assert got("auroc", p) == pytest.approx(expected)
    binary = predictions(TASKS["binary"], 300, seed=5)
    assert got("auroc", binary) == pytest.approx(sk.roc_auc_score(binary.target, binary.probability[:, 1]))


@pytest.mark.parametrize(("name", "n", "coarse"), CASES)
def test_proper_scores(name, n, coarse):
    p = predictions(TASKS[name], n, seed=n, coarse=coarse)
    labels = np.arange(p.task.width)
    expected = sk.log_loss(p.target, p.probability, labels=labels)
    assert got("nll", p) == pytest.approx(expected)
    onehot = p.target[:, None] == labels
    assert got("brier", p) == pytest.approx(((p.probability - onehot) ** 2).sum(axis=1).mean())
    if p.task.width == 2:
        assert got("brier", p) == pytest.approx(2 * sk.brier_score_loss(p.target, p.probability[:, 1]))


@pytest.mark.parametrize(("name", "n", "coarse"), LABELS)
def test_proper_scores_of_labels(name, n, coarse):
    p = predictions(TASKS[name], n, seed=n, coarse=coarse)
    columns = list(zip(p.target.T, p.probability.T, strict=True))
    assert got("brier", p) == pytest.approx(np.mean([sk.brier_score_loss(y, s) for y, s in columns]))
    assert got("nll", p) == pytest.approx(np.mean([sk.log_loss(y, s, labels=[0, 1]) for y, s in columns]))


def test_nll_of_certain_mistakes_is_exact():
    p = Predictions(Task.classification(2), np.array([[500.0, -500.0]], np.float32), np.array([1]))
    assert got("nll", p) == pytest.approx(1000.0)
    p = Predictions(Task.multilabel(2), np.array([[500.0, -300.0]], np.float32), np.array([[0, 1]]))
    assert got("nll", p) == pytest.approx(400.0)


@pytest.mark.parametrize(("name", "n"), VALUES)
def test_regression(name, n):
    p = predictions(TASKS[name], n, seed=n)
    assert got("rmse", p) == pytest.approx(sk.root_mean_squared_error(p.target, p.outputs))
    assert got("mae", p) == pytest.approx(sk.mean_absolute_error(p.target, p.outputs))
    assert got("r2", p) == pytest.approx(sk.r2_score(p.target, p.outputs))


def test_r2_keeps_its_digits_far_from_zero():
    p = predictions(TASKS["value"], 200, seed=3, with_clean=False)
    far = Predictions(p.task, p.outputs.astype(np.float64) + 1e8, p.target + 1e8)
    assert got("r2", far) == pytest.approx(got("r2", p), rel=1e-6)


def test_replicates_equal_scipy_bootstrap_of_the_same_draws():
    p = predictions(TASKS["binary"], 80, seed=8)
    w = Resamples.draw(80, 50, seed=9)
    replicates = metrics.get("accuracy")(p, w)
    hits = p.hit.astype(float)
    assert replicates == pytest.approx([hits[w.repeat(b)].mean() for b in range(50)])
    theirs = scipy.stats.bootstrap((hits,), np.mean, n_resamples=2000, method="percentile", random_state=1)
    ours = metrics.get("accuracy")(p, Resamples.draw(80, 2000)).std(ddof=1)
    assert ours == pytest.approx(theirs.standard_error, rel=0.06)


@pytest.mark.parametrize("name", ["auroc", "average_precision"])
def test_one_class_cannot_be_ranked(name):
    p = Predictions(Task.classification(3), np.zeros((4, 3)), np.ones(4, int))
    with pytest.raises(Undefined, match="one class"):
        metrics.get(name)(p, Resamples.ones(4))


def test_resamples_without_a_class_have_no_rank():
    p = Predictions(Task.classification(2), np.array([[0.0, 1.0], [0, 2], [0, 3]]), np.array([0, 1, 1]))
    w = Resamples.of(np.array([[1, 1, 1], [0, 2, 1], [3, 0, 0]]))
    for name in ("auroc", "average_precision"):
        assert np.isnan(metrics.get(name)(p, w)).tolist() == [False, True, True]


@pytest.mark.parametrize(("n", "share"), [(40, 0.05), (300, 0.3), (50, 0.98)])
def test_the_floor_of_average_precision_is_that_of_random_scores(n, share):
    """By scikit-learn over 4,000 orders; a constant score has only the prevalence."""
    rng = np.random.default_rng(n)
    target = np.zeros((n, 1), np.int64)
    target[: round(n * share)] = 1
    found = [sk.average_precision_score(target, rng.random(n)) for _ in range(4000)]
    floor = metrics.get("average_precision").chance(Task.multilabel(1), target)
    assert floor == pytest.approx(np.mean(found), abs=4 * np.std(found) / 4000**0.5)
    assert floor > target.mean()
