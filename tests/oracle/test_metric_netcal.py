"""Calibration errors against netcal, and recalibration: repairs that work, never judged on their own fit."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from helpers.metric_cases import TASKS, predictions, value
from mmaudit.errors import BadInput, UnknownName
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.metrics.recalibration import METHODS, _fit, recalibrate
from mmaudit.metrics.reliability import reliability, wilson
from mmaudit.types import Task


@pytest.fixture(scope="module")
def netcal():
    import netcal.metrics

    return netcal.metrics


def stated(confidence, hit):
    """Binary predictions with the given top-label confidences (≥ 0.5) and outcomes."""
    z = scipy.special.logit(np.asarray(confidence, np.float64))
    return Predictions(Task.classification(2), np.stack([z, np.zeros_like(z)], axis=1), 1 - np.asarray(hit, int))


AWKWARD = {
    "one bin": ([0.71, 0.72, 0.725], [1, 0, 1]),
    "certain": ([1 - 1e-12] * 4, [1, 1, 0, 1]),
    "one sample": ([0.8], [0]),
    "near edges": ([0.6 - 1e-9, 0.6 + 1e-9, 0.8 + 1e-9, 2 / 3 - 1e-9, 2 / 3 + 1e-9], [1, 0, 1, 1, 0]),
    "ties": ([0.9] * 5 + [0.75] * 3, [1, 1, 0, 1, 0, 0, 1, 1]),
}


@pytest.mark.parametrize("case", sorted(AWKWARD))
def test_awkward_confidences(netcal, case):
    p = stated(*AWKWARD[case])
    for name, theirs in (("ece", netcal.ECE), ("ace", netcal.ACE), ("mce", netcal.MCE)):
        expected = theirs(15).measure(p.confidence, p.hit.astype(int))
        assert value(metrics.get(name), p) == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("task", ["binary", "classes", "labels"])
@pytest.mark.parametrize("n", [5, 50, 3000])
def test_random_confidences(netcal, task, n):
    p = predictions(TASKS[task], n, seed=n)
    if p.task.kind == "classification":
        score, outcome = p.probability.max(axis=1), (p.probability.argmax(axis=1) == p.target).astype(int)
    else:
        score, outcome = p.probability.ravel(), p.target.ravel().astype(int)
    for name, theirs in (("ece", netcal.ECE), ("ace", netcal.ACE), ("mce", netcal.MCE)):
        assert value(metrics.get(name), p) == pytest.approx(theirs(15).measure(score, outcome)), name
    adaptive = netcal.ECE(15, equal_intervals=False).measure(score, outcome)
    assert value(metrics.get("adaptive_ece"), p) == pytest.approx(adaptive)


@pytest.mark.parametrize("task", ["classes", "labels"])
def test_classwise(netcal, task):
    p = predictions(TASKS[task], 800, seed=1)
    truth = p.target[:, None] == np.arange(4) if p.task.kind == "classification" else p.target
    columns = zip(p.probability.T, truth.T.astype(int), strict=True)
    expected = np.mean([netcal.ECE(15).measure(np.ascontiguousarray(s), y) for s, y in columns])
    assert value(metrics.get("classwise_ece"), p) == pytest.approx(expected)


def test_confidence_exactly_one_is_in_the_last_bin():
    z = np.array([[1000.0, -1000.0], [1000.0, -1000.0]], np.float32)
    p = Predictions(Task.classification(2), z, np.array([0, 1]))
    assert p.confidence.tolist() == [1.0, 1.0]
    for name in ("ece", "mce", "ace", "adaptive_ece"):
        assert value(metrics.get(name), p) == 0.5
    assert reliability(p).count.tolist() == [0] * 14 + [2]


def test_ece_floor_is_what_perfect_calibration_shows():
    rng, n = np.random.default_rng(0), 2000
    confidence = np.clip(rng.beta(6, 2, size=n), 0.5, 1)
    shown = [value(metrics.get("ece"), stated(confidence, rng.random(n) < confidence)) for _ in range(200)]
    floor = value(metrics.get("ece_floor"), stated(confidence, np.ones(n)))
    assert floor == pytest.approx(np.mean(shown), rel=0.05)


def test_reliability_adds_up_to_ece():
    p = predictions(TASKS["classes"], 500, seed=2)
    r = reliability(p)
    gaps = np.nan_to_num(r.count * np.abs(r.accuracy - r.confidence))
    assert gaps.sum() / r.count.sum() == pytest.approx(value(metrics.get("ece"), p))
    assert np.isnan(r.accuracy[r.count == 0]).all()
    known = r.count > 0
    assert (r.low[known] <= r.accuracy[known]).all()
    assert (r.accuracy[known] <= r.high[known]).all()
    assert set(r.to_json()) == {"edges", "count", "confidence", "accuracy", "low", "high"}


def test_wilson_is_the_textbook_interval():
    from scipy.stats import binomtest

    for hits, n in ((0, 5), (3, 7), (20, 20)):
        low, high = wilson(np.array([hits / n]), np.array([n]))
        expected = binomtest(hits, n).proportion_ci(method="wilson")
        assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def overconfident(n=1500, classes=5, factor=3.0, seed=0, clean_factor=None):
    """Predictions whose logits are `factor` times those that would be calibrated."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, classes)) * 1.5
    target = (rng.random((n, 1)) > scipy.special.softmax(z, axis=1).cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    task = Task.classification(classes)
    clean = None if clean_factor is None else Predictions(task, clean_factor * z, target)
    return Predictions(task, factor * z, target, clean)


@pytest.mark.parametrize("classes", [2, 5])
def test_repairs_fitted_here_reach_the_floor(classes):
    p = overconfident(classes=classes)
    rows = recalibrate(p, Resamples.draw(p.n, 200))
    assert [(r.method, r.fitted_on) for r in rows] == [(m, "this condition") for m in METHODS]
    for r in rows:
        assert r.before[0] == pytest.approx(value(metrics.get("ece"), p))
        assert r.before[0] > 5 * r.floor
        assert r.after[0] < 2.5 * r.floor
        assert r.change[0] == pytest.approx(r.after[0] - r.before[0])
        assert r.change[2] < 0
        assert r.before[1] < r.before[0] < r.before[2]
        assert r.reason == ""


def test_a_repair_fitted_on_complete_data_does_not_hold_where_confidence_is_inflated():
    p = overconfident(factor=4.0, clean_factor=1.0)
    rows = {(r.method, r.fitted_on): r for r in recalibrate(p, Resamples.draw(p.n, 200))}
    assert len(rows) == 2 * len(METHODS)
    for method in METHODS:
        assert rows[method, "complete data"].after[0] > 3 * rows[method, "this condition"].after[0]
    # Clean outputs were calibrated, so that temperature is 1 and changes next to nothing.
    assert abs(rows["temperature", "complete data"].change[0]) < 0.02


@pytest.mark.parametrize("factor", [1.0, 20.0, 3000.0])
@pytest.mark.parametrize("task", [Task.classification(2), Task.classification(4), Task.multilabel(3)], ids=str)
def test_the_temperature_is_the_likeliest_however_sure_a_model_is(task, factor):
    """netcal sees probabilities, in which logits further apart than 36 are one: repairs were off by up to 0.3."""
    rng = np.random.default_rng(0)
    several = task.kind == "classification"
    z = rng.normal(size=(600, task.width))
    y = rng.integers(0, task.width, 600) if several else (rng.random(z.shape) < scipy.special.expit(z)).astype(np.int8)
    if several:
        z[np.arange(600), y] += 1.5
    p = Predictions(task, (factor * z).astype(np.float32), y)

    def loss(log_factor):
        scaled = np.exp(log_factor) * p.outputs.astype(np.float64)
        if several:
            return -scipy.special.log_softmax(scaled, axis=1)[np.arange(600), y].mean()
        return -scipy.special.log_expit(np.where(y == 1, scaled, -scaled)).mean()

    best = np.exp(scipy.optimize.minimize_scalar(loss, bounds=(-10, 3), method="bounded", options={"xatol": 1e-9}).x)
    scaled = best * p.outputs.astype(np.float64)
    expected = scipy.special.softmax(scaled, axis=1).max(axis=1) if several else scipy.special.expit(scaled).ravel()
    np.testing.assert_allclose(_fit("temperature", p)(p), expected, atol=2e-5)


def test_a_repair_is_not_judged_on_its_own_fit():
    # Confidences that say nothing, each value once: an isotonic map judged on its own fit would look far better.
    rng = np.random.default_rng(3)
    p = stated(rng.uniform(0.5, 1.0, size=60), rng.random(60) < 0.75)
    after = recalibrate(p, Resamples.draw(60, 50), methods=("isotonic",))[0]
    from netcal.binning import IsotonicRegression

    fitted = IsotonicRegression()
    fitted.fit(p.confidence, p.hit.astype(float))
    from netcal.metrics import ECE

    cheating = ECE(15).measure(np.clip(fitted.transform(p.confidence), 0, 1), p.hit.astype(int))
    assert cheating < 1e-6 < 0.03 < after.after[0]


def test_recalibration_is_deterministic_bounded_and_quiet(capsys):
    p, w = overconfident(n=900), Resamples.draw(900, 50)
    first, again = (recalibrate(p, w, limit=300) for _ in range(2))
    assert first == again
    assert {r.n for r in first} == {300}
    assert recalibrate(p, w, limit=300, seed=1) != first
    # A class that one half lacks makes netcal print.
    rare = Predictions(p.task, p.outputs, np.where(p.target == 4, 0, p.target))
    recalibrate(rare, w, methods=("temperature",))
    assert capsys.readouterr() == ("", "")
    before = list(warnings.filters)
    recalibrate(p, w, limit=100)
    assert list(warnings.filters) == before


def test_repairs_fitted_on_complete_data_are_kept_for_the_next_condition():
    clean, fitted = overconfident(clean_factor=1.0).clean, {}
    assert clean is not None
    w = Resamples.draw(clean.n, 50)
    for factor in (2.0, 3.0):
        p = Predictions(clean.task, factor * clean.outputs, clean.target, clean)
        assert recalibrate(p, w, fitted=fitted) == recalibrate(p, w)
        assert set(fitted) == {(m, half) for m in METHODS for half in (0, 1)}
    # They are used, not fitted again: what was fitted on other data shows.
    other = {key: lambda p: np.full(len(p.graded.score), 0.5) for key in fitted}
    assert recalibrate(p, w, fitted=other) != recalibrate(p, w)


def test_recalibration_keeps_clusters_whole():
    # Every sample four times: halves that parted copies would let isotonic regression remember each outcome.
    rng = np.random.default_rng(5)
    p = stated(rng.uniform(0.5, 1.0, size=40), rng.random(40) < 0.75).take(np.repeat(np.arange(40), 4))
    cluster = np.repeat(np.arange(40), 4)
    together = recalibrate(p, Resamples.draw(160, 20, cluster=cluster), methods=("isotonic",))[0]
    apart = recalibrate(p, Resamples.draw(160, 20), methods=("isotonic",))[0]
    assert apart.after[0] < together.after[0]


def test_recalibration_of_labels():
    rng = np.random.default_rng(6)
    z = rng.normal(size=(900, 3))
    p = Predictions(Task.multilabel(3), 3 * z, (rng.random(z.shape) < scipy.special.expit(z)).astype(np.int8))
    for r in recalibrate(p, Resamples.draw(900, 100)):
        assert r.after[0] < 0.4 * r.before[0], r.method


@pytest.mark.parametrize(("hits", "reason"), [([1] * 8, "is true"), ([0] * 8, "is false"), ([1], "too few")])
def test_what_cannot_be_fitted_says_why(hits, reason):
    p = stated([0.6] * len(hits), hits)
    for r in recalibrate(p, Resamples.draw(p.n, 10)):
        assert reason in r.reason
        assert np.isnan([*r.after, *r.change, r.floor]).all()
        assert r.to_json()["ece_before"] == r.before[0]


def test_bad_recalibration_is_refused():
    p = overconfident(n=20)
    with pytest.raises(UnknownName, match="did you mean 'isotonic'"):
        recalibrate(p, Resamples.draw(20, 5), methods=("isotonik",))
    with pytest.raises(BadInput, match="regression"):
        recalibrate(predictions(TASKS["value"], 20, seed=0), Resamples.draw(20, 5))
