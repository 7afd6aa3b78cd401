"""Resamples: what is drawn, that it does not depend on how much is drawn, and that sums are those of the NumPy twin."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.errors import BadInput
from mmaudit.kernels import bootstrap
from mmaudit.kernels.bootstrap import BLOCKS, LARGEST, Resamples, ratio
from mmaudit.kernels.bootstrap_counts import LIMITS, counts


def test_every_replicate_draws_as_many_units_as_there_are():
    assert (counts(137, 200, seed=3).sum(axis=0) == 137).all()


def twin(units: int, replicate: int, seed: int) -> list[int]:
    """Return what `counts` has to give for one replicate: NumPy's generators, plain integers, one unit at a time."""
    generator = np.random.SFC64()
    state = generator.state
    state["state"]["state"] = np.random.Philox(key=[seed, replicate // 4]).random_raw(4)
    generator.state = state
    parts = [x >> 16 * (replicate % 4) & 0xFFFF for x in generator.random_raw(units).tolist()]
    drawn = [sum(part >= limit for limit in LIMITS) for part in parts]
    settling = np.random.Philox(key=[seed, 2**62 + replicate])
    while sum(drawn) != units:
        number = int(settling.random_raw())
        for half in (number & 0xFFFFFFFF, number >> 32):
            unit, rest = divmod(half * units, 2**32)
            if sum(drawn) < units:
                drawn[unit] += 1
            elif sum(drawn) > units and rest >> 29 < drawn[unit]:
                drawn[unit] -= 1
    return drawn


@pytest.mark.parametrize("units", [1, 2, 7, 90, 400])
def test_counts_equal_the_twin_in_plain_integers(units):
    found = counts(units, 300, seed=11)
    for b in (*range(12), 255, 256, 299):
        assert found[:, b].tolist() == twin(units, b, seed=11)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_counts_do_not_depend_on_threads(monkeypatch, threads):
    monkeypatch.setenv("MMAUDIT_THREADS", threads)
    found = counts(600, 520, seed=2)  # large enough for threads
    assert (found[:, 256:300] == np.transpose([twin(600, b, seed=2) for b in range(256, 300)])).all()


def test_the_limits_have_the_moments_of_poisson():
    edges = (0, *LIMITS, 2**16)
    chances = [Fraction(b - a, 2**16) for a, b in pairwise(edges)]
    mean = sum(k * p for k, p in enumerate(chances))
    assert mean == sum((k - mean) ** 2 * p for k, p in enumerate(chances)) == Fraction(63, 64)
    assert [float(p) for p in chances] == pytest.approx(scipy.stats.poisson.pmf(range(8), 63 / 64), abs=3e-5)


def test_small_replicates_are_multinomial():
    """All ways of drawing three of three, where settling is frequent, as often as they should be."""
    drawn, often = np.unique(counts(3, 90_000, seed=6), axis=1, return_counts=True)
    assert drawn.shape[1] == 10
    expected = scipy.stats.multinomial.pmf(drawn.T, 3, [1 / 3] * 3)
    assert scipy.stats.chisquare(often, 90_000 * expected).pvalue > 0.001


def test_a_bootstrap_mean_varies_as_it_should():
    x = np.random.default_rng(1).standard_exponential(500)
    means = Resamples.draw(500, 40_000, seed=8).mean(x)
    assert means.mean() == pytest.approx(x.mean(), abs=4 * x.std() / np.sqrt(500 * 40_000))
    assert means.std() == pytest.approx(x.std() / np.sqrt(500), rel=0.015)  # 4 standard errors
    neighbours = np.corrcoef(means.reshape(-1, 4).T)  # replicates that share random numbers
    assert abs(neighbours[np.triu_indices(4, 1)]).max() < 0.04


def test_seeds_and_replicates_differ():
    a, b = counts(50, 2, seed=0), counts(50, 2, seed=1)
    assert (a != b).any(axis=0).all()
    assert (a[:, 0] != a[:, 1]).any()


def test_draws_are_uniform_over_units():
    c = counts(1000, 500, seed=2)
    per_unit = c.sum(axis=1)
    assert scipy.stats.chisquare(per_unit).pvalue > 0.001
    # The count of one unit in one replicate is binomial(1000, 1/1000).
    observed = np.bincount(c.ravel(), minlength=6)[:6] / c.size
    assert observed == pytest.approx(scipy.stats.binom.pmf(np.arange(6), 1000, 1 / 1000), abs=0.003)


@pytest.mark.parametrize("cluster", [None, "each its own", "pairs"])
def test_the_total_is_the_number_of_samples_drawn(cluster):
    named = {None: None, "each its own": np.arange(40)[::-1], "pairs": np.arange(40) // 2}[cluster]
    w = Resamples.draw(40, 30, seed=3, cluster=named)
    assert w.total.tolist() == w.counts[w.unit].sum(axis=0).tolist()


def test_clusters_are_drawn_whole():
    cluster = np.array(["b", "a", "b", "c", "a", "b"])
    w = Resamples.draw(6, 40, seed=1, cluster=cluster)
    dense = w.counts[w.unit]
    for name in "abc":
        rows = dense[cluster == name]
        assert (rows == rows[0]).all()
    assert len(w.counts) == 3
    assert set(w.total) > {6.0}


def test_cluster_values_of_any_kind_give_the_same_draws():
    numbers = np.array([3, 1, 3, 2])
    as_text, as_objects = numbers.astype(str), numbers.astype(object)
    expected = Resamples.draw(4, 9, cluster=numbers)
    for cluster in (as_text, as_objects):
        w = Resamples.draw(4, 9, cluster=cluster)
        assert (w.counts == expected.counts).all()
        assert (w.unit == expected.unit).all()


def test_many_samples_become_random_blocks_of_equal_size():
    n = LARGEST + 5_001
    w = Resamples.draw(n, 3, seed=4)
    assert w.counts.shape == (BLOCKS, 3)
    sizes = np.bincount(w.unit)
    assert sizes.max() - sizes.min() <= 1
    assert abs(np.corrcoef(w.unit, np.arange(n))[0, 1]) < 0.03
    assert len(Resamples.draw(LARGEST, 1).counts) == LARGEST


def test_many_clusters_become_blocks_of_whole_clusters():
    cluster = np.repeat(np.arange(LARGEST + 1), 2)
    w = Resamples.draw(len(cluster), 1, cluster=cluster)
    assert len(w.counts) == BLOCKS
    assert (w.unit[0::2] == w.unit[1::2]).all()


def test_units_are_what_is_independent_however_they_are_drawn():
    n = LARGEST + 5_001
    whole = Resamples.draw(n, 1)
    assert (whole.units, whole.clustered) == (n, False)
    assert whole.take(np.arange(70)).units == 70
    cluster = np.repeat(np.arange(LARGEST + 1), 2)
    w = Resamples.draw(len(cluster), 1, cluster=cluster)
    assert (w.units, w.clustered, w.take(np.arange(5)).units) == (LARGEST + 1, True, 3)
    assert Resamples.draw(6, 1, cluster=["a", "a", "b", "b", "b", "c"]).units == 3
    alone = Resamples.draw(6, 1, cluster=list("abcdef"))
    assert (alone.units, alone.clustered) == (6, False)


def test_ones_is_the_sample_itself():
    w = Resamples.ones(4)
    assert w.replicates == 1
    assert w.total.tolist() == [4.0]
    assert w.repeat(0).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("weight", [-1, 0.5, 256])
def test_weights_must_be_counts(weight):
    with pytest.raises(BadInput, match="whole numbers"):
        Resamples.of(np.array([[1, weight]]))


def test_take_keeps_the_draws():
    w = Resamples.draw(30, 20, seed=0)
    rows = np.array([4, 4, 9, 29])
    mask = np.arange(30) % 3 == 0
    assert (w.take(rows).counts[w.take(rows).unit] == w.counts[rows]).all()
    assert (w.take(mask).total == w.counts[mask].sum(axis=0)).all()


def test_an_empty_replicate_has_no_mean():
    w = Resamples.of(np.array([[0, 0], [1, 2]]))
    means = w.mean(np.array([3.0, 6.0]))
    assert np.isnan(means[0])
    assert means[1] == 5.0


def test_ratio_is_nan_where_the_denominator_is_zero():
    assert np.isnan(ratio(np.array([0.0, 1.0]), np.array([0.0, 0.0]))).all()
    assert ratio(np.array([1.0]), np.array([2.0])).tolist() == [0.5]


@pytest.mark.parametrize(
    "arguments", [{"n": 0}, {"n": 5, "replicates": 0}, {"n": 5, "seed": -1}, {"n": 5, "cluster": np.zeros(4)}]
)
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(BadInput):
        Resamples.draw(**arguments)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.data())
def test_sums_equal_the_numpy_twin(data):
    n, units, replicates, groups, columns = (data.draw(st.integers(1, 6)) for _ in range(5))
    m = data.draw(st.integers(1, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    w = Resamples(rng.integers(0, 4, (units, replicates)).astype(np.uint8), rng.integers(0, units, n))
    x = rng.integers(-3, 4, (m, columns)) / 4
    group, sample = rng.integers(0, groups, m), rng.integers(0, n, m)
    expected = np.zeros((groups, columns, replicates))
    for i in range(m):
        for b in range(replicates):
            expected[group[i], :, b] += x[i] * w.counts[w.unit[sample[i]], b]
    assert (w.sums(x, group, groups, sample) == expected).all()


def test_sums_do_not_depend_on_the_chunk(monkeypatch):
    rng = np.random.default_rng(0)
    w = Resamples.draw(100, 7, cluster=rng.integers(0, 9, 100))
    x, group = rng.integers(0, 9, (100, 2)), rng.integers(0, 3, 100)
    whole = w.sums(x, group, 3)
    monkeypatch.setattr(bootstrap, "CHUNK", 11)
    assert (w.sums(x, group, 3) == whole).all()
