"""Bits that predictors give, by hand; bounds of synergy; what resampling rows alone does not see; the shuffle tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmaudit.errors import BadInput, Undefined
from mmaudit.information.predictive import (
    corrected,
    entropy,
    gaussian_pvi,
    independent_product,
    lesser,
    means,
    pvi,
    regression_information,
    substance,
    synergy_bounds,
    widened,
)
from mmaudit.information.shuffles import joined, label_shuffle, one_of_each, within_class_shuffle
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.types import Array

# ---- predictive information


def test_pvi_by_hand() -> None:
    prior = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    posterior = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [1.0, 0.0]])
    bits = pvi(posterior[None], prior, np.array([0, 1, 1, 1]))
    assert bits.shape == (1, 4)
    np.testing.assert_allclose(bits[0, :2], [1.0, np.log2(2 / 3)])
    assert np.isnan(bits[0, 2]), "no training fold holds the class"
    assert bits[0, 3] == pytest.approx(-125), "a stated 0 is float32's smallest number, not minus infinity"
    with pytest.raises(BadInput, match="do not fit"):
        pvi(posterior, prior, np.array([0, 1]))


def test_a_sure_and_right_predictor_knows_the_entropy() -> None:
    target = np.array([0] * 6 + [1] * 2)
    prior = np.tile([0.75, 0.25], (8, 1))
    w = Resamples.draw(8, 100)
    known = means(pvi(np.eye(2)[target], prior, target), w)
    np.testing.assert_allclose(known, entropy(prior, target, w))
    assert known[0] == pytest.approx(0.75 * np.log2(4 / 3) + 0.25 * 2)
    with pytest.raises(Undefined, match="lack"):
        entropy(np.tile([1.0, 0.0], (8, 1)), target, w)


def test_means_are_those_of_the_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    values, w = rng.normal(size=(2, 3, 50)), Resamples.draw(50, 20, 1, rng.integers(0, 9, 50))
    found = means(values, w)
    assert found.shape == (2, 3, 21)
    np.testing.assert_allclose(found[..., 0], values.mean(axis=-1))
    for b in (0, 19):
        np.testing.assert_allclose(found[..., 1 + b], values[..., w.repeat(b)].mean(axis=-1))
    with pytest.raises(BadInput, match="take"):
        means(values, w.take(np.arange(3)))


def test_numbers_have_the_information_of_a_gaussian_channel() -> None:
    rng = np.random.default_rng(1)
    x, noise = rng.normal(size=4000), rng.normal(size=4000)
    y, prior = x + 0.5 * noise, np.zeros(4000)
    w = Resamples.draw(4000, 200)
    found = regression_information(x, prior, y, w)
    assert found[0] == pytest.approx(0.5 * np.log2(np.mean(y**2) / np.mean((y - x) ** 2)))
    assert found[0] == pytest.approx(0.5 * np.log2(1 + 4), abs=0.05)
    np.testing.assert_allclose(gaussian_pvi(x[:, None], prior[:, None], y[:, None]).mean(), found[0])
    assert np.isnan(gaussian_pvi(np.zeros((9, 1)), np.ones((9, 1)), np.ones((9, 1)))).all(), "a target that is constant"
    assert np.isnan(regression_information(x, y, y, w)).all(), "a prior that is never wrong leaves nothing to know"


@given(st.lists(st.floats(-1, 2), min_size=3, max_size=3))
def test_bounds_hold_every_decomposition(bits: list[float]) -> None:
    one, two, both = (np.array([b]) for b in bits)
    found = synergy_bounds(one, two, both)
    assert found.interaction[0] == pytest.approx(bits[2] - bits[0] - bits[1])
    first, second = max(bits[0], 0), max(bits[1], 0)
    assert found.low[0] == pytest.approx(max(0, bits[2] - first - second))
    assert found.high[0] == pytest.approx(bits[2] - max(first, second))
    assert found.inverted == (bits[2] < max(first, second) - 1e-9)
    for shared in np.linspace(max(0, first + second - bits[2]), min(first, second), 5):
        synergy = bits[2] - first - second + shared
        if not found.inverted:
            assert found.low[0] - 1e-9 <= synergy <= found.high[0] + 1e-9


def test_the_smaller_of_two_noisy_numbers_is_not_too_small() -> None:
    """Two equal informations seen through noise: the plain minimum is biased, the corrected one less."""
    rng = np.random.default_rng(2)
    plain, better = [], []
    for _ in range(300):
        centre = 1 + 0.1 * rng.normal(size=2)
        one, two = (np.concatenate([[c], c + 0.1 * rng.normal(size=300)]) for c in centre)
        plain.append(min(one[0], two[0]))
        better.append(lesser(one, two)[0])
    assert np.mean(plain) < 0.95
    assert abs(np.mean(better) - 1) < 0.75 * abs(np.mean(plain) - 1)
    one = np.array([0.5, 0.4, 0.7])
    np.testing.assert_allclose(lesser(one, one), one, err_msg="the same number twice has no minimum to correct")
    np.testing.assert_allclose(corrected(np.array([1.0, 1.5, 1.7])), [0.4, 0.3, 0.5])


def test_where_one_side_is_surely_the_smaller_the_noise_of_the_bootstrap_corrects_nothing() -> None:
    rng = np.random.default_rng(3)
    small, large = (np.concatenate([[c], c + 0.05 * rng.normal(size=300)]) for c in (0.5, 1.0))
    np.testing.assert_allclose(lesser(small, large), small, rtol=1e-14)
    np.testing.assert_allclose(lesser(large, small), small, rtol=1e-14)
    np.testing.assert_allclose(lesser(large[:1], small[:1]), small[:1])


def test_the_product_is_right_for_independent_views() -> None:
    """p(y | a, b) of two flips of a fair bit, from p(y | a) and p(y | b)."""
    e = 0.2
    seen = np.array([[1 - e, e], [e, 1 - e]])
    exact = (seen[:, None] * seen[None]).reshape(4, 2)  # p(a, b | y) by y
    exact = exact / exact.sum(axis=1, keepdims=True)
    first, second = np.repeat(seen, 2, axis=0), np.tile(seen, (2, 1))
    np.testing.assert_allclose(independent_product(first, second, np.full((4, 2), 0.5)), exact)


def test_what_training_adds_is_told_by_new_samples() -> None:
    rng = np.random.default_rng(3)
    n = 4000
    base = np.full((n, 2), 0.5)
    truth = rng.choice([0.2, 0.8], n)
    y = (rng.random(n) < truth).astype(np.int64)
    right, noise = np.stack([1 - truth, truth], axis=1), rng.choice([0.3, 0.7], n)
    assert substance(base, right, y) > 0.9
    assert substance(base, np.stack([1 - noise, noise], axis=1), y) < 0.1
    assert substance(base, base, y) == 1.0, "what adds nothing cannot be overfitted"
    values = np.array([1.0, 0.8, 1.3])
    np.testing.assert_allclose(widened(values, 1.0), values)
    np.testing.assert_allclose(widened(values, 0.0), 1 + (values - 1) * np.sqrt(2))


# ---- shuffles


def sides(kind: str, n: int, seed: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 3, n), rng.integers(0, 3, n)
    if kind == "nothing":
        y = rng.integers(0, 2, n)
    elif kind == "views":
        y = rng.integers(0, 2, n)
        a, b = (np.where(rng.random(n) < 0.2, 1 - y, y) for _ in range(2))
    else:
        y = (a % 2) ^ (b % 2) ^ (rng.random(n) < 0.2)
    return a, b, y


def test_shuffles_have_their_size_and_power() -> None:
    rejected = {
        (test.__name__, kind): np.mean(
            [test(*sides(kind, 150, s), permutations=59, seed=s).p <= 0.05 for s in range(60)]
        )
        for test in (label_shuffle, within_class_shuffle)
        for kind in ("nothing", "views", "xor")
    }
    assert rejected["label_shuffle", "nothing"] <= 0.12
    assert rejected["within_class_shuffle", "nothing"] <= 0.12
    assert rejected["within_class_shuffle", "views"] <= 0.12, "noisy views are independent given the class"
    assert rejected["label_shuffle", "views"] > 0.9
    assert rejected["label_shuffle", "xor"] > 0.9
    assert rejected["within_class_shuffle", "xor"] > 0.9


def plain_information(a: Array, b: Array) -> float:
    """Twin: mutual information in bits, cell by cell."""
    total = 0.0
    for i in set(a.tolist()):
        for j in set(b.tolist()):
            p = np.mean((a == i) & (b == j))
            if p:
                total += p * np.log2(p / np.mean(a == i) / np.mean(b == j))
    return total


def test_statistics_against_plain_loops() -> None:
    a, b, y = sides("xor", 200, 0)
    assert label_shuffle(a, b, y, permutations=1).statistic == pytest.approx(plain_information(a * 3 + b, y))
    within = sum(np.mean(y == c) * plain_information(a[y == c], b[y == c]) for c in (0, 1))
    found = within_class_shuffle(a, b, y, permutations=49)
    assert found.statistic == pytest.approx(within)
    assert found.p == pytest.approx(1 / 50)
    assert found.null == pytest.approx(found.replicates.mean())
    assert 0 < found.null < found.statistic
    same = within_class_shuffle(a, b, y, permutations=49)
    np.testing.assert_array_equal(found.replicates, same.replicates)


def test_within_class_shuffle_keeps_what_each_side_says() -> None:
    """Where one side is the class, there is nothing left to shuffle within it: every permutation is the data."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    found = within_class_shuffle(rng.integers(0, 3, 90), y, y, permutations=19)
    assert found.statistic == pytest.approx(0, abs=1e-12)
    assert found.p == 1.0


def test_rows_of_a_cluster_count_once() -> None:
    """Ten copies of each row make anything significant; with clusters only one of each is looked at."""
    a, b, y = sides("nothing", 40, 1)
    copies = [np.repeat(x, 10) for x in (a, b, y)]
    assert label_shuffle(*copies).p <= 0.01
    found = label_shuffle(*copies, cluster=np.repeat(np.arange(40), 10))
    assert found.n == 40
    assert found.p > 0.05
    assert len(one_of_each(np.array([3, 3, 3, 1]))) == 2


def test_shuffles_refuse() -> None:
    a, b, y = sides("views", 60, 0)
    with pytest.raises(Undefined, match="same for every sample"):
        label_shuffle(a, b, np.zeros(60, np.int64))
    with pytest.raises(Undefined, match="fewer than 20"):
        within_class_shuffle(a[:19], b[:19], y[:19])
    with pytest.raises(BadInput, match="codes"):
        label_shuffle(np.arange(60), b, y)
    with pytest.raises(BadInput, match="rows"):
        label_shuffle(a[:50], b, y)


def test_few_clusters_are_shuffled_within() -> None:
    """Six speakers, each with a class and a code of its own: nothing but the speaker relates them."""
    rng = np.random.default_rng(4)
    speaker = np.repeat(np.arange(6), 30)
    a, y = (np.where(rng.random(180) < 0.9, speaker % 2, 1 - speaker % 2) for _ in range(2))
    b = rng.integers(0, 3, 180)
    assert label_shuffle(a, b, y).p <= 0.01
    within = label_shuffle(a, b, y, cluster=speaker)
    assert within.n == 180
    assert within.p > 0.05
    rejected = [within_class_shuffle(*sides("nothing", 180, s), cluster=speaker, seed=s).p <= 0.05 for s in range(40)]
    assert np.mean(rejected) <= 0.12
    assert within_class_shuffle(*sides("xor", 180, 0), cluster=speaker).p <= 0.01


def test_codes_of_several_modalities() -> None:
    which = np.arange(90) % 3
    assert len(np.unique(joined([which, 2 - which]))) == 3
    assert joined([np.arange(100), np.arange(100)]).max() == 24
