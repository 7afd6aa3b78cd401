"""Missing mechanisms and sampled subsets against what statistics says of them in closed form."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.special
import scipy.stats

from mmaudit.data import ArrayData, all_statistics
from mmaudit.probes import Source, probes
from mmaudit.probes.mechanisms import SLOPE
from mmaudit.probes.subset_sampling import sampled_subsets
from mmaudit.types import Array, BoolArray, Task

N = 20_000
LINK = 0.6
RATES = (0.1, 0.3, 0.5, 0.8)


@cache
def world() -> tuple[Source, Array, Array, Array]:
    """Two correlated standard normal modalities `a` and `b`, and a binary target that `a` knows about."""
    rng = np.random.default_rng(5)
    a, b = rng.multivariate_normal([0, 0], [[1, LINK], [LINK, 1]], N).T
    target = (a + rng.normal(size=N) * 0.8 > 0.5).astype(np.int64)
    data = ArrayData({"a": a[:, None], "b": b[:, None]}, target, Task.classification(2))
    return Source(data, all_statistics(data)), a, b, target


def lost(probe: str, rate: float, *options: tuple[str, str]) -> BoolArray:
    """Which samples lose `a`."""
    source = world()[0]
    batch = source.data.rows(np.arange(N))
    condition = probes.get(probe).condition(("a",), rate, (("baseline", "native"), *options))
    gone: BoolArray = ~probes.get(probe).apply(batch, condition, source).present["a"]
    return gone


def logistic(gone: BoolArray, *columns: Array) -> Array:
    """Maximum likelihood slopes of the log-odds of being missing on standardised columns, and their standard errors."""
    x = np.column_stack([np.ones(N), *((c - c.mean()) / c.std() for c in columns)])
    w = np.zeros(x.shape[1])
    for _ in range(30):  # Newton's method
        p = scipy.special.expit(x @ w)
        hessian = (x * (p * (1 - p))[:, None]).T @ x
        w = w + np.linalg.solve(hessian, x.T @ (gone - p))
    return np.column_stack([w[1:], np.sqrt(np.diag(np.linalg.inv(hessian)))[1:]])


def moment(intercept: float, power: int) -> float:
    """E[z^power · P(missing | z)] for a standard normal z."""
    found, _ = scipy.integrate.quad(
        lambda z: z**power * scipy.special.expit(intercept + SLOPE * z) * scipy.stats.norm.pdf(z), -12, 12
    )
    return float(found)


def shift(rate: float) -> float:
    """The mean of a standard normal among the samples that a logistic mechanism leaves."""
    intercept = scipy.optimize.brentq(lambda a: moment(a, 0) - rate, -30, 30)
    return -moment(intercept, 1) / (1 - rate)


MECHANISMS: list[Any] = [
    pytest.param("missing_rate", (), (0.0, 0.0), id="mcar"),
    pytest.param("missing_mar", (("mechanism", "mar"), ("by", "b")), (0.0, SLOPE), id="mar"),
    pytest.param("missing_mnar", (("mechanism", "mnar"), ("by", "itself")), (SLOPE, 0.0), id="mnar"),
]


@pytest.mark.parametrize(("probe", "options", "truth"), MECHANISMS)
def test_absence_depends_on_what_rubin_says_and_with_the_stated_slope(probe: str, options: Any, truth: Any) -> None:
    """MCAR: on nothing. MAR: on the other modality, and given it not on the value. MNAR: on the value itself."""
    _, a, b, _ = world()
    for rate in (0.2, 0.5):
        found = logistic(lost(probe, rate, *options), a, b)
        assert np.all(np.abs(found[:, 0] - truth) < 4 * found[:, 1]), (rate, found)


@pytest.mark.parametrize("rate", RATES)
def test_what_is_left_is_shifted_as_the_mechanism_says(rate: float) -> None:
    """MCAR leaves the distribution; MNAR shifts the values left by a known amount, MAR by the correlation of that."""
    _, a, b, _ = world()
    error = 4 / np.sqrt(N * (1 - rate))
    kept = {p.id: ~lost(p.values[0], rate, *p.values[1]) for p in MECHANISMS}
    assert abs(a[kept["mcar"]].mean() - a.mean()) < error
    assert abs(a[kept["mnar"]].mean() - shift(rate)) < error
    assert abs(b[kept["mar"]].mean() - shift(rate)) < error
    assert abs(a[kept["mar"]].mean() - LINK * shift(rate)) < error
    for rows in kept.values():
        assert abs(rows.mean() - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / N)


@pytest.mark.parametrize("rate", RATES)
def test_absence_by_target_shifts_the_accuracy_of_a_model_that_then_guesses_as_computed(rate: float) -> None:
    """A model that answers the sign of `a`, and class 0 where it is absent.

    By target, class 0 is missing most, so the guess is right more often than under MCAR: by how much follows from the
    two probabilities p₀ > p₁, which solve π₀ p₀ + π₁ p₁ = rate and logit p₀ − logit p₁ = slope · (distance of the two
    normal scores).
    """
    _, a, _, target = world()
    share = target.mean()
    # Two tied groups, standardised: their distance is 1 / √(π₀ π₁), whatever the scores were.
    step = SLOPE / np.sqrt(share * (1 - share))
    low = scipy.optimize.brentq(
        lambda x: (1 - share) * scipy.special.expit(x + step) + share * scipy.special.expit(x) - rate, -60, 60
    )
    chance = np.where(target == 0, scipy.special.expit(low + step), scipy.special.expit(low))
    answers = (a > 0).astype(np.int64)
    for probe, options, p in (
        ("missing_rate", (), np.full(N, rate)),
        ("missing_mnar", (("mechanism", "mnar"), ("by", "target")), chance),
    ):
        gone = lost(probe, rate, *options)
        truth = np.mean((1 - p) * (answers == target) + p * (target == 0))
        found = np.mean(np.where(gone, 0, answers) == target)
        assert abs(found - truth) < 4 * np.sqrt(np.mean(p * (1 - p)) / N), probe
    assert chance[target == 0].mean() > rate > chance[target == 1].mean()


# ---- sampled subsets


def shapley(game: Any, m: int) -> Array:
    """Exact Shapley values, from all subsets."""
    values = np.zeros(m)
    for i in range(m):
        others = [j for j in range(m) if j != i]
        for size in range(m):
            weight = 1 / (m * scipy.special.comb(m - 1, size))
            values[i] += weight * sum(game({*s, i}) - game(set(s)) for s in combinations(others, size))
    return values


def regressed(game: Any, subsets: list[set[int]], m: int) -> Array:
    """Shapley values by KernelSHAP's constrained least squares over the subsets run.

    Those of a size share the kernel's weight of the size, as the docstring of `sampled_subsets` says.
    """
    rows = [s for s in subsets if 0 < len(s) < m]
    many = Counter(len(s) for s in rows)
    weight = np.sqrt([1 / (len(s) * (m - len(s)) * many[len(s)]) for s in rows])
    x = np.array([[i in s for i in range(m)] for s in rows], np.float64)
    empty, full = game(set()), game(set(range(m)))
    y = np.array([game(s) for s in rows]) - empty
    # The last value follows from the sum, which is the whole gain.
    z, rest = x[:, :-1] - x[:, -1:], y - x[:, -1] * (full - empty)
    front = np.linalg.lstsq(z * weight[:, None], rest * weight, rcond=None)[0]
    return np.append(front, full - empty - front.sum())


def test_shapley_values_of_pairwise_games_are_exact_from_the_sampled_subsets() -> None:
    """Complementary pairs cancel what effects of one or two modalities would leave of error (Covert and Lee 2021)."""
    m = 9
    names = tuple(f"m{i}" for i in range(m))
    rng = np.random.default_rng(2)
    alone, together = rng.normal(size=m), np.triu(rng.normal(size=(m, m)), 1)

    def game(s: set[int]) -> float:
        x = np.isin(np.arange(m), list(s)).astype(float)
        return float(3 + alone @ x + x @ together @ x)

    run = [{names.index(n) for n in s} for s in sampled_subsets(names, 64)]
    truth = alone + (together + together.T).sum(axis=1) / 2
    assert np.allclose(shapley(game, m), truth)
    assert np.allclose(regressed(game, run, m), truth, atol=1e-9)
    # The same budget without its complements does not do it: what the pairing is for.
    half = [s for s in run if len(s) <= m // 2]
    assert np.abs(regressed(game, half, m) - truth).max() > 0.05


def test_shapley_values_of_any_game_come_nearer_with_the_budget() -> None:
    m = 8
    names = tuple(f"m{i}" for i in range(m))
    rng = np.random.default_rng(4)
    effects = [(set(s), rng.normal()) for size in (1, 2, 3, 4) for s in combinations(range(m), size)]

    def game(s: set[int]) -> float:
        return float(sum(value for members, value in effects if members <= s))

    truth = shapley(game, m)
    errors: list[float] = [
        np.abs(regressed(game, [{names.index(n) for n in s} for s in sampled_subsets(names, budget)], m) - truth).mean()
        for budget in (32, 128, 255)
    ]
    assert errors[1] < 0.7 * errors[0]
    assert errors[1] < 0.15 * np.abs(truth).mean()
    assert errors[2] < 1e-9
