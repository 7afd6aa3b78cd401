"""O-information: closed forms, its bias at small n, intervals and nulls."""

import numpy as np
import pytest

from mmaudit.errors import BadInput, Undefined
from mmaudit.information.o_information import (
    discrete_o_information,
    gaussian_o_information,
    gaussian_o_information_of,
    o_information,
)

BITS = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T


def entropy(rows):
    count = np.unique(rows, axis=0, return_counts=True)[1]
    p = count / count.sum()
    return -(p * np.log2(p)).sum()


@pytest.mark.parametrize(
    ("table", "truth"),
    [
        (np.stack([BITS[:4, 0], BITS[:4, 2], BITS[:4, 0] ^ BITS[:4, 2]], axis=1), -1),  # XOR
        (np.repeat([[0], [1]], 3, axis=1), 1),  # three copies of a bit
        (np.repeat([[0], [1]], 5, axis=1), 3),  # five copies: M − 2
        (BITS, 0),  # independent
        (np.hstack([BITS, BITS.sum(axis=1, keepdims=True) % 2]), -2),  # parity of three: −(M − 2)
        (np.stack([BITS[:4, 0], BITS[:4, 0], BITS[:4, 2]], axis=1), 0),  # a copy and something else
    ],
)
def test_discrete_gates(table, truth):
    assert discrete_o_information(np.repeat(table, 3, axis=0), corrected=False) == pytest.approx(truth, abs=1e-12)
    assert discrete_o_information(np.repeat(table, 5000, axis=0)) == pytest.approx(truth, abs=1e-3)


def test_discrete_is_its_formula():
    x = np.random.default_rng(0).integers(0, 3, (200, 4))
    x[:, 3] = (x[:, 0] + x[:, 1]) % 3
    others = [np.delete(x, m, axis=1) for m in range(4)]
    expected = 2 * entropy(x) + sum(entropy(x[:, [m]]) - entropy(others[m]) for m in range(4))
    assert discrete_o_information(x, corrected=False) == pytest.approx(expected, abs=1e-12)


def chain(a, b):
    """Covariance of x1 → x2 → x3 with correlations a and b."""
    return np.array([[1, a, a * b], [a, 1, b], [a * b, b, 1]])


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (0.9, 0.3), (-0.7, 0.7), (0.0, 0.9)])
def test_gaussian_chain(a, b):
    # Ω of three is I(X1; X3) − I(X1; X3 | X2); of a chain the second is 0.
    truth = -np.log2(1 - (a * b) ** 2) / 2
    assert gaussian_o_information_of(chain(a, b), [1, 1, 1]) == pytest.approx(truth, abs=1e-12)
    x = np.random.default_rng(0).multivariate_normal(np.zeros(3), chain(a, b), 4000)
    # The copula does not see what is done to the margins.
    assert gaussian_o_information([np.exp(x[:, 0]), x[:, 1] ** 3, x[:, 2]]) == pytest.approx(truth, abs=0.03)


def test_gaussian_collider_is_synergistic():
    # x3 = x1 + x2 + noise: I(X1; X2) = 0 and I(X1; X2 | X3) > 0.
    covariance = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 2.5]])
    partial = np.linalg.inv(covariance)[:2, :2]
    truth = np.log2(1 - partial[0, 1] ** 2 / (partial[0, 0] * partial[1, 1])) / 2
    assert truth < -0.2
    assert gaussian_o_information_of(covariance, [1, 1, 1]) == pytest.approx(truth, abs=1e-12)


def test_variables_of_several_columns():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    covariance = mix @ mix.T

    def h(columns):
        return np.linalg.slogdet(covariance[np.ix_(columns, columns)])[1] / 2 / np.log(2)

    parts = [[0, 1], [2], [3, 4, 5]]
    expected = h(range(6)) + sum(h(p) - h([i for i in range(6) if i not in p]) for p in parts)
    assert gaussian_o_information_of(covariance, [2, 1, 3]) == pytest.approx(expected, abs=1e-9)
    x = rng.multivariate_normal(np.zeros(6), covariance, 3000)
    found = gaussian_o_information([x[:, p] for p in parts], copula=False)
    assert found == pytest.approx(expected, abs=0.15)
    with_constant = [np.hstack([x[:, :2], np.ones((3000, 1))]), x[:, 2], x[:, 3:]]
    assert gaussian_o_information(with_constant, copula=False) == pytest.approx(found, abs=1e-9)


def test_bias_at_small_n():
    rng = np.random.default_rng(0)
    gaussian = [gaussian_o_information(list(rng.normal(size=(4, 15)))) for _ in range(600)]
    assert abs(np.mean(gaussian)) < 4 * np.std(gaussian) / np.sqrt(600) + 0.01
    plain, corrected = [], []
    for _ in range(200):
        x = rng.integers(0, 3, (300, 3))
        plain.append(discrete_o_information(x, corrected=False))
        corrected.append(discrete_o_information(x))
    # Counting alone looks like synergy, by (K − 1)³ / (2 n ln 2).
    assert np.mean(plain) == pytest.approx(-8 / (600 * np.log(2)), rel=0.2)
    assert abs(np.mean(corrected)) < 0.3 * abs(np.mean(plain))
    # With fewer samples than cells the correction fails, and the null shows it.
    few = o_information(list(rng.integers(0, 5, (3, 40))), discrete=True, blocks=0)
    assert few.null < -0.3
    assert few.p > 0.05


def test_interval_null_and_p():
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal(np.zeros(3), chain(0.7, 0.7), 500)
    found = o_information(list(x.T))
    assert found.low < -np.log2(1 - 0.49**2) / 2 < found.high
    assert abs(found.null) < 0.01
    assert found.p == 0.02
    assert "balance" in found.limit
    assert found == o_information(list(x.T))
    bits = rng.integers(0, 2, (2, 400))
    xor = o_information([*bits, bits[0] ^ bits[1]], discrete=True)
    assert xor.low < -1 + 0.01 < xor.high + 0.02
    assert xor.p == 0.02
    nothing = o_information(list(rng.normal(size=(3, 200))))
    assert nothing.p > 0.05
    assert nothing.low < 0 < nothing.high


def alike(seed, clusters=40, size=5):
    """Three variables that say nothing of each other, in clusters of nearly equal rows."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), size)
    return [rng.normal(size=clusters)[cluster] + 0.15 * rng.normal(size=len(cluster)) for _ in range(3)], cluster


def test_alike_rows_are_no_evidence():
    # 40 data sets of independent variables: p <= 0.05 in 8 or more with probability below 0.5 %.
    made = [alike(seed) for seed in range(40)]
    found = [o_information(x, blocks=0, shuffles=39, cluster=cluster) for x, cluster in made]
    assert sum(f.p <= 0.05 for f in found) < 8
    assert sum(o_information(x, blocks=0, shuffles=39).p <= 0.05 for x, _ in made) > 12, "were they single"
    assert [f.value for f in found] == [o_information(x, blocks=0, shuffles=0).value for x, _ in made]
    x, cluster = alike(0, clusters=19)
    few = o_information(x, cluster=cluster)
    assert np.isnan([few.null, few.p]).all()
    assert few.reason == "no p: the samples belong to 19 clusters, and a shuffle needs 20"
    assert few.low < few.value < few.high


def test_intervals_cover():
    # 80 data sets: a 95 % interval misses 11 or more with probability below 0.5 %.
    truth, missed = -np.log2(1 - 0.49**2) / 2, 0
    for seed in range(80):
        x = np.random.default_rng(seed).multivariate_normal(np.zeros(3), chain(0.7, 0.7), 200)
        found = o_information(list(x.T), shuffles=0, seed=seed)
        missed += not found.low <= truth <= found.high
    assert missed < 11


def test_what_cannot_be_estimated_says_why():
    x = np.random.default_rng(0).normal(size=(3, 30))
    with pytest.raises(BadInput, match="at least 3"):
        gaussian_o_information(list(x[:2]))
    with pytest.raises(BadInput, match="at least 3"):
        discrete_o_information(np.zeros((5, 2)))
    with pytest.raises(Undefined, match="no bound"):
        gaussian_o_information([x[0], x[1], x[0]])
    with pytest.raises(Undefined, match="too few"):
        gaussian_o_information(list(x[:, :5]))
    with pytest.raises(Undefined, match="no samples"):
        discrete_o_information(np.zeros((0, 3)))
    with pytest.raises(BadInput, match="one code per sample"):
        o_information([x[0], x[1], x[2, :5]], discrete=True)
    with pytest.raises(BadInput, match="rows differ"):
        o_information([x[0], x[1], x[2, :5]])
    assert "no bound" in o_information([x[0], x[1], x[0]]).reason
    assert "too few" in o_information(list(x[:, :4])).reason
    assert gaussian_o_information([np.ones(10)] * 3) == 0
    single = o_information(list(x[:, :7]), shuffles=0)
    assert np.isfinite(single.value)
    assert np.isfinite(single.low) or "outside a block" in single.reason
