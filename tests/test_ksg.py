"""Mutual information from nearest neighbours: kernels beside plain loops, closed forms, what breaks the estimator."""

import numpy as np
import pytest

from mmaudit.errors import BadInput, Undefined
from mmaudit.information.mutual_information import ksg, ksg_discrete, ksg_information, limit
from mmaudit.information.subsampling import halves_interval, jackknife_interval, shuffle_p
from mmaudit.kernels import ksg as kernels


def gaussians(n, rho, d=1, seed=0):
    """x and y whose columns correlate pairwise by rho: I = −d/2 · log2(1 − rho²)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x, rho * x + np.sqrt(1 - rho**2) * rng.normal(size=(n, d))


def twin(x, y, k):
    """All distances, sorted: counts within the distance of the k-th neighbour, the point itself included."""
    far_x = np.abs(x[:, None] - x).max(axis=2)
    far_y = np.abs(y[:, None] - y).max(axis=2)
    far = np.maximum(far_x, far_y)
    np.fill_diagonal(far, np.inf)
    reach = np.sort(far, axis=1)[:, [k - 1]]
    return np.maximum((far_x < reach).sum(axis=1), 1), np.maximum((far_y < reach).sum(axis=1), 1), reach[:, 0]


@pytest.mark.parametrize("n", [4, 17, 100, 700])
@pytest.mark.parametrize("k", [1, 3])
def test_strips_count_as_a_loop_does(n, k):
    rng = np.random.default_rng(n)
    for x in (rng.normal(size=n), np.round(rng.normal(size=n), 1), rng.integers(0, 2, n) + 0.0, np.zeros(n)):
        y = rng.normal(size=n) + x
        counted = kernels.neighbours_1d(x, y, k)
        expected = twin(x[:, None], y[:, None], k)
        np.testing.assert_array_equal(counted, expected[:2])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("d1", "d2"), [(1, 2), (2, 2), (5, 3), (9, 16)])
def test_pairs_count_as_a_loop_does(kind, d1, d2):
    rng = np.random.default_rng(d1)
    x, y = rng.normal(size=(150, d1)).astype(kind), rng.normal(size=(150, d2)).astype(kind)
    y[:, 0] = x[:, 0]
    in_x, in_y, reach = kernels.neighbours(np.ascontiguousarray(x.T), np.ascontiguousarray(y.T), 3)
    expected = twin(x, y, 3)
    np.testing.assert_array_equal([in_x, in_y], expected[:2])
    np.testing.assert_array_equal(reach, expected[2])


@pytest.mark.parametrize("d", [1, 3])
def test_label_neighbours_count_as_a_loop_does(d):
    rng = np.random.default_rng(d)
    sizes = np.array([2, 3, 40, 25])
    x = rng.normal(size=(sizes.sum(), d))
    inside, used, reach = kernels.label_neighbours(np.ascontiguousarray(x.T), sizes, 3)
    label = np.repeat(np.arange(4), sizes)
    far = np.abs(x[:, None] - x).max(axis=2)
    for i in range(len(x)):
        own = np.sort(np.delete(far[i], i)[np.delete(label, i) == label[i]])
        assert used[i] == min(3, sizes[label[i]] - 1)
        assert reach[i] == own[used[i] - 1]
        assert inside[i] == (far[i] < reach[i]).sum()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads_do_not_matter(monkeypatch, threads):
    x, y = gaussians(3000, 0.6)
    wide = gaussians(700, 0.6, d=4)
    monkeypatch.setenv("MMAUDIT_THREADS", "2")
    expected = ksg(x, y), ksg(*wide), ksg_discrete(wide[0], np.arange(700) % 3)
    monkeypatch.setenv("MMAUDIT_THREADS", threads)
    assert (ksg(x, y), ksg(*wide), ksg_discrete(wide[0], np.arange(700) % 3)) == expected


@pytest.mark.parametrize(("rho", "d", "tolerance"), [(0, 1, 0.04), (0.6, 1, 0.05), (0.95, 1, 0.06), (0.6, 2, 0.08)])
def test_gaussians(rho, d, tolerance):
    truth = -d / 2 * np.log2(1 - rho**2)
    assert np.mean([ksg(*gaussians(1000, rho, d, seed)) for seed in range(8)]) == pytest.approx(truth, abs=tolerance)


def test_a_circle_has_information_that_correlation_does_not_show():
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 2000)
    x, y = np.cos(angle) + 0.1 * np.sin(7 * angle), np.sin(angle)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.1
    assert ksg(x, y) > 2


def test_labels_of_uniform_values():
    # Label 0 on [0, 1], label 1 on [½, 3/2]: within the overlap nothing is known; I = ½ bit (Ross 2014's own example).
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 4000)
    assert ksg_discrete(rng.uniform(size=4000) + label / 2, label) == pytest.approx(0.5, abs=0.05)
    assert ksg_discrete(rng.uniform(size=(4000, 2)), label) == pytest.approx(0, abs=0.05)
    names = np.array(["a", "b"], object)[label]
    assert ksg_discrete(rng.uniform(size=4000) + 2 * label, names) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("step", [0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("d", [1, 2])
def test_rounded_values(step, d):
    # The textbook formula reads 1.6 to 12 bits here; rounding can only lose information.
    rounded = [np.mean([ksg(*(np.round(v / step) * step for v in gaussians(600, 0.6, d, s))) for s in range(6)])]
    full = -d / 2 * np.log2(1 - 0.36)
    assert full * (0.7 if step == 1 else 0.85) - 0.06 < rounded[0] < full + 0.06


def test_discrete_values_have_the_information_of_their_table():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, 3000)
    y = np.where(rng.random(3000) < 0.7, x, rng.integers(0, 3, 3000))
    p = np.full((3, 3), 0.1 / 3) + np.eye(3) * 0.7 / 3
    truth = (p * np.log2(p / (p.sum(0) * p.sum(1)[:, None]))).sum()
    assert ksg(x, y) == pytest.approx(truth, abs=0.05)
    assert ksg(np.eye(3)[x], y) == pytest.approx(truth, abs=0.09)
    assert ksg_discrete(x, y) == pytest.approx(truth, abs=0.05)


def test_zeros_of_a_relu():
    x, y = gaussians(2000, 0.8)
    assert 0.3 < ksg(np.maximum(x, 0), y) < ksg(x, y)


def test_constants_say_nothing():
    x, y = gaussians(50, 0.9)
    assert ksg(np.ones(50), y) == ksg(x, np.ones((50, 2))) == ksg(np.ones(50), np.ones(50)) == 0.0
    assert ksg_discrete(np.ones(50), np.arange(50) % 2) == ksg_discrete(x, np.ones(50)) == 0.0
    assert ksg(np.hstack([x, np.full((50, 1), 7.0)]), y) == ksg(x, y)


def test_clusters_finer_than_single_precision():
    rng = np.random.default_rng(0)
    x, y = gaussians(400, 0.9, d=2)
    centre = rng.choice([-1.0, 1.0], size=(400, 1))
    # Far clusters with all information inside them: float32 would merge their points.
    assert ksg(centre + 1e-9 * x, centre + 1e-9 * y) > 2.5


@pytest.mark.parametrize("factor", [1e-300, 1e-6, 1e6, 1e300])
def test_units_do_not_matter(factor):
    x, y = gaussians(300, 0.6, d=2)
    assert ksg(x * [factor, 1.0], y) == pytest.approx(ksg(x, y), abs=1e-9)
    assert ksg(x[:, 0] * factor, y[:, 0]) == pytest.approx(ksg(x[:, 0], y[:, 0]), abs=1e-9)
    assert ksg_discrete(x[:, 0] * factor, y[:, 0] > 0) == pytest.approx(ksg_discrete(x[:, 0], y[:, 0] > 0), abs=1e-9)


def test_what_cannot_be_estimated_says_why():
    x, y = gaussians(10, 0.5)
    with pytest.raises(Undefined, match="3 samples have no 3-th neighbour"):
        ksg(x[:3], y[:3])
    assert np.isfinite(ksg(x[:4], y[:4]))
    with pytest.raises(Undefined, match="0 samples"):
        ksg(np.empty(0), np.empty(0))
    with pytest.raises(Undefined, match="no label occurs twice"):
        ksg_discrete(x, np.arange(10))
    broken = x.copy()
    broken[4] = np.nan
    for call in (lambda: ksg(broken, y), lambda: ksg_discrete(broken, y[:, 0] > 0), lambda: ksg(x, y / 0.0)):
        with np.errstate(all="ignore"), pytest.raises(BadInput, match=r"NaN or infinite values in \d+ rows"):
            call()
    with pytest.raises(BadInput, match="rows differ"):
        ksg(x, y[:5])
    with pytest.raises(BadInput, match="one label for each"):
        ksg_discrete(x, np.zeros(9))
    with pytest.raises(BadInput, match="labels hold NaN"):
        ksg_discrete(x, np.full(10, np.nan))
    for call in (lambda: ksg(x, y, 0), lambda: ksg_discrete(x, y[:, 0] > 0, 0)):
        with pytest.raises(BadInput, match="at least 1"):
            call()
    with pytest.raises(BadInput, match="give numbers"):
        ksg(np.array(["a"] * 10), y)


def test_labels_that_occur_once_are_left_out():
    x, _ = gaussians(60, 0)
    label = np.arange(60) % 3
    label[:2] = 7, 8
    assert ksg_discrete(x, label) == ksg_discrete(x[2:], label[2:])


def test_interval_null_and_p():
    x, y = gaussians(400, 0.6)
    found = ksg_information(x, y, shuffles=49)
    assert found.low < 0.322 < found.high
    assert found.value == ksg(x, y)
    assert abs(found.null) < 0.05
    assert found.p == 1 / 50
    assert found == ksg_information(x, y, shuffles=49)
    nothing = ksg_information(x, np.random.default_rng(1).permutation(y), shuffles=49)
    assert nothing.low < 0 < nothing.high
    assert nothing.p > 0.05
    labels = ksg_information(x, y[:, 0] > 0, discrete=True, shuffles=19)
    assert (labels.p, labels.n, labels.reason) == (1 / 20, 400, "")
    bare = ksg_information(x, y, splits=0, shuffles=0)
    assert np.isnan([bare.low, bare.high, bare.null, bare.p]).all()
    assert bare.reason == ""


def test_interval_without_enough_samples_says_why():
    x, y = gaussians(5, 0.6)
    found = ksg_information(x, y, shuffles=0)
    assert np.isfinite(found.value)
    assert np.isnan(found.low)
    assert "too few samples" in found.reason
    assert ksg_information(x[:3], y[:3]).reason.startswith("3 samples have no 3-th neighbour")


def test_intervals_cover():
    # 100 data sets: a 95 % interval misses 12 or more with probability below 0.5 %.
    missed = 0
    for seed in range(100):
        found = ksg_information(*gaussians(200, 0.6, seed=seed), shuffles=0)
        missed += not found.low <= -np.log2(0.64) / 2 <= found.high
    assert missed < 12


def test_clusters_widen_the_interval():
    x, y = gaussians(100, 0.6)
    often, cluster = np.repeat(np.arange(100), 4), np.repeat(np.arange(100), 4)
    jitter = 1e-3 * np.random.default_rng(0).normal(size=(2, 400, 1))
    a, b = x[often] + jitter[0], y[often] + jitter[1]
    widths = []
    for clusters in (None, cluster):
        low, high = halves_interval(lambda rows: ksg(a[rows], b[rows], 20), 0.0, 400, cluster=clusters)
        widths.append(high - low)
    assert widths[1] > 1.2 * widths[0]


def alike(seed, clusters=40, size=5):
    """Two variables that say nothing of each other, in clusters of nearly equal rows."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), size)
    x, y = (rng.normal(size=clusters)[cluster] + 0.15 * rng.normal(size=len(cluster)) for _ in range(2))
    return x, y, cluster


def test_alike_rows_are_no_evidence():
    # 30 data sets of independent variables: p <= 0.05 in 6 or more with probability below 0.5 %.
    found = [ksg_information(*data[:2], splits=0, shuffles=19, cluster=data[2]) for data in map(alike, range(30))]
    assert sum(f.p <= 0.05 for f in found) < 6
    assert all(ksg_information(*alike(s)[:2], splits=0, shuffles=19).p <= 0.05 for s in range(3)), "were they single"
    assert "of one sample of each of 40 clusters" in found[0].limit
    x, y = gaussians(200, 0.9)
    apart = ksg_information(x, y, cluster=np.arange(200) // 2)
    assert (apart.value, apart.p) == (ksg(x, y), 0.01)
    single, plain = (ksg_information(x, y, splits=0, cluster=c) for c in (np.arange(200), None))
    assert (single.null, single.p, single.limit) == (plain.null, plain.p, "")


def test_too_few_clusters_to_shuffle_say_why():
    x, y, cluster = alike(0, clusters=19)
    found = ksg_information(x, y, cluster=cluster)
    assert np.isfinite([found.value, found.low, found.high]).all()
    assert np.isnan([found.null, found.p]).all()
    assert found.reason == "no p: the samples belong to 19 clusters, and a shuffle needs 20"


def test_a_bootstrap_is_refuted():
    # Resampling with replacement makes pairs of equal points: independent variables seem to share over half a bit.
    x, y = gaussians(1000, 0)
    drawn = np.random.default_rng(0).integers(0, 1000, 1000)
    assert abs(ksg(x, y)) < 0.1
    assert ksg(x[drawn], y[drawn]) > 0.5


def test_intervals_of_a_mean_are_the_textbook_ones():
    x = np.random.default_rng(0).normal(size=500)
    expected = 1.96 * x.std(ddof=1) / np.sqrt(500)

    def mean(rows):
        return float(x[rows].mean())

    for low, high in (halves_interval(mean, x.mean(), 500, 200), jackknife_interval(mean, x.mean(), 500, 100)):
        assert (low + high) / 2 == pytest.approx(x.mean())
        assert (high - low) / 2 == pytest.approx(expected, rel=0.2)
    assert np.isnan(jackknife_interval(mean, float("nan"), 500)).all()
    assert np.isnan(jackknife_interval(mean, 1.0, 1)).all()
    for call in (halves_interval, jackknife_interval):
        with pytest.raises(BadInput, match="at least 2"):
            call(mean, 1.0, 500, 1)
        with pytest.raises(BadInput, match="one per sample"):
            call(mean, 1.0, 500, cluster=np.zeros(3))


def test_shuffle_p():
    null = np.arange(99.0)
    assert shuffle_p(100, null) == 0.01
    assert shuffle_p(-1, null) == 1
    assert shuffle_p(-1, null, sides=2) == 0.02
    assert shuffle_p(49, null, sides=2) == 1
    assert np.isnan(shuffle_p(float("nan"), null))
    assert np.isnan(shuffle_p(1, np.array([])))


def test_limits_are_said():
    assert limit(10_000, 2) == ""
    assert "32 dimensions" in limit(10_000, 32)
    assert "3 of them is 10%" in limit(30, 2)
    # What the limit says: two thirds are lost.
    lost = 1 - ksg(*gaussians(2000, 0.6, d=16)) / (-8 * np.log2(0.64))
    assert 0.6 < lost < 0.8


def test_negative_estimates_are_not_clipped():
    assert min(ksg(*gaussians(50, 0, seed=s)) for s in range(10)) < 0
