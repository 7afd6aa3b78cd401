"""Ranking and equal-mass kernels against twins that follow the definitions word by word."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.kernels.calibration import equal_mass_gap, equal_width_bin
from mmaudit.kernels.ranking import concordance, precision_sum, risk_at, risk_sum
from mmaudit.metrics.predictions import Order

COUNTS, UNIT = np.ones((1, 1), np.uint8), np.zeros(1000, np.int64)

scores = st.lists(st.sampled_from([0.1, 0.2, 0.2000001, 0.5, 0.9]), min_size=1, max_size=7).map(np.array)
quick = settings(deadline=None, derandomize=True, max_examples=80)


def bits(n, data):
    return np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))


@quick
@given(scores, st.data())
def test_concordance_counts_pairs(score, data):
    positive, order = bits(len(score), data), Order.of(score)
    pairs = sum(
        1.0 if score[i] > score[j] else 0.5 * (score[i] == score[j])
        for i in np.flatnonzero(positive)
        for j in np.flatnonzero(~positive)
    )
    got = concordance(COUNTS, UNIT, order.order, order.tied, positive, np.full(1, float(len(score))))
    assert [float(x[0]) for x in got] == [pairs, positive.sum(), (~positive).sum()]


@quick
@given(scores, st.data())
def test_precision_sum_is_precision_at_each_positive(score, data):
    positive, order = bits(len(score), data), Order.of(score)
    expected = sum(positive[score >= score[i]].mean() for i in np.flatnonzero(positive))
    got = precision_sum(COUNTS, UNIT, order.order, order.tied, positive)
    assert got[0][0] == pytest.approx(expected)
    assert got[1][0] == positive.sum()


@quick
@given(scores, st.data())
def test_risk_sum_is_the_mean_over_all_orders_of_ties(score, data):
    wrong, order = bits(len(score), data).astype(float), Order.of(score)
    n = len(score)
    curves = [
        (np.cumsum(wrong[list(arrangement)]) / np.arange(1, n + 1)).sum()
        for arrangement in itertools.permutations(range(n))
        if all(score[a] >= score[b] for a, b in itertools.pairwise(arrangement))
    ]
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])
    got = risk_sum(COUNTS, UNIT, order.order, order.tied, wrong, harmonic)
    assert got[0] == pytest.approx(np.mean(curves))


@quick
@given(scores, st.data())
def test_risk_at_is_the_mean_over_all_orders_of_ties(score, data):
    wrong, order = bits(len(score), data).astype(float), Order.of(score)
    n = len(score)
    arrangements = [
        list(a) for a in itertools.permutations(range(n)) if all(score[i] >= score[j] for i, j in itertools.pairwise(a))
    ]
    expected = np.mean([np.cumsum(wrong[a]) / np.arange(1, n + 1) for a in arrangements], axis=0)
    shares = np.arange(1, n + 1) / n
    got = risk_at(COUNTS, UNIT, order.order, order.tied, wrong, shares)
    assert got[:, 0] == pytest.approx(expected)


def test_risk_at_of_a_drawn_sample_counts_it_as_often_as_it_was_drawn():
    score, wrong = np.array([0.9, 0.5, 0.7]), np.array([0.0, 1.0, 1.0])
    counts = np.array([[2], [1], [0]], np.int16)
    order = Order.of(score)
    got = risk_at(counts, np.arange(3), order.order, order.tied, wrong, np.array([1 / 3, 2 / 3, 1.0]))
    assert got[:, 0].tolist() == pytest.approx([0.0, 0.0, 1 / 3])
    # Half of the tie of two right answers is right, too: a share may end between two samples.
    got = risk_at(counts, np.arange(3), order.order, order.tied, wrong, np.array([0.5, 5 / 6]))
    assert got[:, 0].tolist() == pytest.approx([0.0, 0.5 / 2.5])


def test_risk_sum_stays_accurate_over_many_samples():
    rng, n = np.random.default_rng(0), 200_000
    score, wrong = rng.random(n), (rng.random(n) < 0.2).astype(float)
    order = Order.of(score)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])
    expected = (np.cumsum(wrong[np.argsort(-score)]) / np.arange(1, n + 1)).sum()
    got = risk_sum(COUNTS, np.zeros(n, np.int64), order.order, order.tied, wrong, harmonic)
    assert got[0] == pytest.approx(expected, rel=1e-10)


@quick
@given(scores, st.data(), st.integers(1, 6))
def test_equal_mass_gap_uses_numpy_quantiles(score, data, bins):
    outcome, order = bits(len(score), data).astype(float), Order.of(score)
    edges = np.quantile(score, np.arange(1, bins) / bins)
    place = np.searchsorted(edges, score, side="right")
    expected = sum(abs((outcome - score)[place == b].sum()) for b in range(bins))
    # np.quantile interpolates between equal numbers with rounding, so an edge may miss its own score by one ulp.
    if any(0 < abs(e - s) < 1e-12 for e in edges for s in score):
        return
    got = equal_mass_gap(COUNTS, UNIT, order.order, order.tied, outcome - score, bins)
    assert got[0][0] == pytest.approx(expected)
    assert got[1][0] == len(score)


@pytest.mark.parametrize(
    ("score", "place"), [(0.0, 0), (1 / 15, 1), (np.nextafter(1 / 15, 0), 0), (14 / 15, 14), (1.0, 14)]
)
def test_equal_width_bins_are_closed_below_and_the_last_one_above(score, place):
    assert equal_width_bin(np.array([score]), 15).tolist() == [place]
