"""Intervals cover, p values are uniform under no effect, adjusted p values are Benjamini's, blocks keep the error."""

import numpy as np
import pytest
import scipy.stats

from mmaudit.kernels.bootstrap import Resamples
from mmaudit.kernels.inference import (
    benjamini_hochberg,
    interval,
    minimum_detectable_effect,
    p_value,
    skewed_arms,
    standard_error,
    stretch,
    undefined,
)


def test_interval_covers_a_share_in_95_percent_of_data_sets():
    rng, n, truth = np.random.default_rng(0), 300, 0.8
    w = Resamples.draw(n, 500, seed=1)
    hits = rng.random((400, n)) < truth
    ends = np.array([interval(w.mean(h), h.mean(), (0.0, 1.0)) for h in hits])
    covered = ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()
    assert 0.92 <= covered <= 0.975


def test_interval_of_a_difference_covers():
    rng, n = np.random.default_rng(1), 200
    w = Resamples.draw(n, 500, seed=2)
    differences = rng.normal(0.3, 1.0, size=(400, n))
    ends = np.array([interval(w.mean(d), d.mean()) for d in differences])
    assert 0.92 <= ((ends[:, 0] <= 0.3) & (ends[:, 1] >= 0.3)).mean() <= 0.975


def test_interval_is_the_percentile_interval_where_the_median_is_the_value():
    replicates = np.linspace(0, 1, 1001)
    assert interval(replicates, 0.5) == pytest.approx((0.025, 0.975))
    assert interval(replicates, 0.5, level=0.5) == pytest.approx((0.25, 0.75))


@pytest.mark.parametrize("errors", [2, 3, 5, 8, 12])
def test_the_far_arm_of_a_few_errors_is_nearly_the_exact_limit(errors):
    wrong = np.arange(1000) < errors
    replicates = Resamples.draw(1000, 20_000, seed=0).mean(wrong.astype(np.float64))
    exact = scipy.stats.binomtest(errors, 1000).proportion_ci(method="exact").high
    assert interval(replicates, errors / 1000, (0.0, 1.0))[1] == pytest.approx(exact, rel=0.06)
    # Right answers instead of wrong ones: the same arm on the other side.
    low, high = interval(1 - replicates, 1 - errors / 1000, (0.0, 1.0))
    assert (1 - high, 1 - low) == pytest.approx(interval(replicates, errors / 1000, (0.0, 1.0)))


@pytest.mark.parametrize(("touched", "plain", "now"), [(0.003, 0.85, 0.83), (0.01, 0.91, 0.89), (0.03, 0.94, 0.92)])
def test_a_few_large_errors_are_covered_better_than_by_percentiles(touched, plain, now):
    rng, n = np.random.default_rng(6), 1000
    w = Resamples.draw(n, 1000, seed=7)
    truth, held = 3.0 * touched, []
    for _ in range(200):
        d = np.where(rng.random(n) < touched, rng.exponential(3.0, n), 0.0)
        if d.any():
            replicates, value = w.mean(d), d.mean()
            percentiles = np.quantile(replicates, [0.025, 0.975])
            low, high = interval(replicates, value)
            assert low == pytest.approx(percentiles[0])
            assert high >= percentiles[1] - 1e-12
            held.append((percentiles[0] <= truth <= percentiles[1], low <= truth <= high))
    before, after = np.mean(held, axis=0)
    assert before <= plain
    assert after >= max(now, before)


def test_arms_of_replicates_without_skewness_are_none_and_outliers_do_not_count():
    rng = np.random.default_rng(8)
    normal = rng.normal(size=1000)
    assert skewed_arms(normal) == (0.0, 0.0)
    assert skewed_arms(np.full(1000, 3.0)) == (0.0, 0.0)
    assert skewed_arms(0.1 + np.array([0, 1e-17, -1e-17, 2e-17] * 250)) == (0.0, 0.0)
    assert skewed_arms(np.array([1.0])) == (0.0, 0.0)
    for outlier in (1e12, 1e300, np.inf):
        assert max(skewed_arms(np.append(normal, outlier))) < 4
    # As of one row that carries all.
    assert max(skewed_arms(rng.exponential(size=1000))) == pytest.approx(4.57, rel=0.1)


def test_interval_moves_with_biased_replicates_and_stays_within_the_range():
    replicates = np.linspace(0.2, 0.4, 1001)
    assert interval(replicates, 0.26, (0.0, 1.0)) == pytest.approx((0.205, 0.395))
    assert interval(replicates, 0.1, (0.0, 1.0)) == pytest.approx((0.005, 0.195))
    assert interval(replicates, 0.05, (0.0, 1.0)) == pytest.approx((0.0, 0.145))


def test_interval_without_enough_replicates_is_undefined():
    nan = float("nan")
    assert np.isnan(interval(np.array([nan, nan, 1.0]), 1.0)).all()
    assert np.isnan(interval(np.array([1.0, 2.0]), nan)).all()
    assert np.isnan(interval(np.zeros(0), 1.0)).all()
    assert interval(np.array([nan, 1.0, 1.0]), 1.0) == (1.0, 1.0)
    assert undefined(np.array([nan, 1.0])) == 1


def test_p_is_uniform_where_there_is_no_effect():
    rng, n = np.random.default_rng(2), 150
    w = Resamples.draw(n, 300, seed=3)
    d = rng.normal(size=(500, n))
    p = [p_value(x.mean(), w.mean(x)) for x in d]
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01
    assert 0.03 <= np.mean(np.array(p) < 0.05) <= 0.075


def test_a_large_effect_survives_the_adjustment_over_a_large_grid():
    rng = np.random.default_rng(3)
    x = rng.normal(0.8, 1.0, size=200)
    p = np.full(770, 0.9)
    p[0] = p_value(x.mean(), Resamples.draw(200, 1000).mean(x))
    assert benjamini_hochberg(p)[0] < 0.001


def test_p_without_variation():
    assert p_value(0.0, np.zeros(99)) == 1.0
    assert p_value(-1.0, np.full(99, -1.0)) == 0.01
    assert np.isnan(p_value(float("nan"), np.zeros(9)))
    assert np.isnan(p_value(1.0, np.full(9, np.nan)))
    # Rounding is no variation.
    assert p_value(0.1, 0.1 + np.array([0, 1e-17, -1e-17] * 33)) == 0.01


def test_benjamini_hochberg_is_the_textbook_rule():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.5])
    ranks = np.argsort(np.argsort(p)) + 1
    expected = [min(min(p[j] * len(p) / ranks[j] for j in range(len(p)) if p[j] >= p[i]), 1.0) for i in range(len(p))]
    assert benjamini_hochberg(p) == pytest.approx(expected)


def test_benjamini_hochberg_leaves_nan_out():
    with_nan = benjamini_hochberg(np.array([0.01, np.nan, 0.04]))
    assert np.isnan(with_nan[1])
    assert with_nan[[0, 2]] == pytest.approx(benjamini_hochberg(np.array([0.01, 0.04])))
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()
    assert benjamini_hochberg(np.zeros(0)).shape == (0,)


def test_minimum_detectable_effect_is_found_with_80_percent_power():
    rng, n = np.random.default_rng(4), 400
    w = Resamples.draw(n, 300, seed=5)
    effect = minimum_detectable_effect(1 / np.sqrt(n))
    assert effect == pytest.approx(2.8016 / np.sqrt(n), rel=1e-4)
    found = [p_value(x.mean(), w.mean(x)) < 0.05 for x in rng.normal(effect, 1.0, size=(400, n))]
    assert 0.74 <= np.mean(found) <= 0.86


@pytest.mark.parametrize("error", [0.0, float("nan")])
def test_nothing_is_known_to_be_detectable_without_variation(error):
    assert np.isnan(minimum_detectable_effect(error))


def test_random_blocks_keep_the_standard_error():
    rng, n = np.random.default_rng(5), 60_000
    x = np.sort(rng.exponential(size=n))  # sorted: blocks of neighbours would overstate it a hundredfold
    error = standard_error(Resamples.draw(n, 1000, seed=6).mean(x))
    assert error == pytest.approx(x.std() / np.sqrt(n), rel=0.08)


def test_clusters_widen_the_standard_error():
    rng, clusters, size = np.random.default_rng(6), 400, 10
    x = np.repeat(rng.normal(size=clusters), size)
    cluster = np.repeat(np.arange(clusters), size)
    together = standard_error(Resamples.draw(len(x), 1000, cluster=cluster).mean(x))
    apart = standard_error(Resamples.draw(len(x), 1000).mean(x))
    assert together == pytest.approx(x.std() / np.sqrt(clusters), rel=0.1)
    assert together / apart == pytest.approx(np.sqrt(size), rel=0.15)


def test_standard_error_of_too_few_replicates_is_undefined():
    assert np.isnan(standard_error(np.array([1.0])))
    assert np.isnan(standard_error(np.array([1.0, 2.0, np.nan, np.nan, np.nan])))


@pytest.mark.parametrize("m", [2, 3, 5, 12])
def test_of_few_clusters_intervals_cover_and_p_is_that_of_a_t_test(m: int) -> None:
    """Means of clusters are normal; of each, 20 alike samples."""
    rng, sets = np.random.default_rng(m), 400
    w = Resamples.draw(20 * m, 500, seed=5, cluster=np.repeat(np.arange(m), 20))
    assert (w.units, w.clustered) == (m, True)
    means = rng.normal(size=(sets, m))
    covered, p = [], []
    for mean in means:
        replicates = w.mean(np.repeat(mean, 20))
        low, high = interval(replicates, mean.mean(), units=w.units)
        covered.append(low <= 0 <= high)
        p.append(p_value(float(mean.mean()), replicates, w.units))
    assert 0.92 <= np.mean(covered) <= 0.985
    expected = scipy.stats.ttest_1samp(means, 0, axis=1).pvalue
    assert np.median(np.abs(np.log(np.array(p) / expected))) < 0.1, "up to the error of 500 replicates"
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08


def test_one_unit_says_nothing_of_others() -> None:
    same = np.full(100, 0.8)
    assert np.isnan(interval(same, 0.8, (0.0, 1.0), units=1)).all()
    assert np.isnan(p_value(0.8, same, units=1))
    assert np.isnan(minimum_detectable_effect(0.1, units=1))
    assert stretch(None) == stretch(30) == 1.0 < stretch(29) < stretch(5) < stretch(2)


def test_few_units_that_all_changed_alike_are_as_many_coins() -> None:
    assert p_value(0.1, np.full(999, 0.1), units=4) == 2.0**-3
    assert p_value(0.1, np.full(999, 0.1), units=25) == p_value(0.1, np.full(999, 0.1)) == 1 / 1000


def test_p_is_never_zero() -> None:
    assert 0 < p_value(5.0, np.random.default_rng(0).normal(5, 0.02, 1000)) < 1e-300
