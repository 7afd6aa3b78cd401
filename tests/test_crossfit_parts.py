"""The parts of a cross-fitted predictor, each against a slow twin or a known truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from mmaudit.crossfit.candidates import along_directions, by_networks
from mmaudit.crossfit.directions import Directions
from mmaudit.crossfit.heads import Numbers, Options
from mmaudit.crossfit.network import BOLD, Networks
from mmaudit.crossfit.representation import MOST, Representation
from mmaudit.crossfit.ridge import PENALTIES, Ridge
from mmaudit.crossfit.samples import Table
from mmaudit.crossfit.spaces import Gaussian, linear, quadratic, with_products
from mmaudit.types import Array, FloatArray


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in `crossfit`: matrices as small as these only wait for each other."""
    with threadpool_limits(1, "blas"):
        yield


def table(*blocks: Array, alike: bool = False, codes: int = 0) -> Table:
    return Table.of(blocks, [alike] * len(blocks), np.full(sum(b.shape[1] for b in blocks), codes))


# ---- ridge regression


@pytest.mark.parametrize("clusters", [None, 17, 3], ids=["rows", "clusters", "large clusters"])
def test_left_out_answers_are_those_of_a_fit_without_the_unit(clusters: int | None) -> None:
    rng = np.random.default_rng(0)
    n, d = 60, 9
    x, unit = rng.standard_normal((n, d)), np.arange(n)
    if clusters:
        unit = rng.permutation(np.arange(n) % clusters) * 5
    y = x[:, :2] + rng.standard_normal((n, 2))
    y -= y.mean(axis=0)
    ridge = Ridge(x, unit)
    for penalty in (1e-3, 0.1):
        found = ridge._left_out(y, ridge.rotated.T @ y, penalty)
        for u in np.unique(unit):
            keep = unit != u
            mean, shift = x[keep].mean(axis=0), y[keep].mean(axis=0)
            z = x[keep] - mean
            slow = np.linalg.solve(z.T @ z + penalty * n * np.eye(d), z.T @ (y[keep] - shift))
            np.testing.assert_allclose(found[~keep], (x[~keep] - mean) @ slow + shift, atol=1e-4)


def test_the_penalty_with_the_least_left_out_error_is_taken_for_each_target() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((80, 5)) / np.sqrt(5)
    sure, noise = x @ rng.standard_normal((5, 1)), rng.standard_normal((80, 1))
    targets = [sure - sure.mean(axis=0), noise - noise.mean(axis=0)]
    ridge = Ridge(x, np.arange(80))
    for y, (scores, coefficients) in zip(targets, ridge.fit(targets), strict=True):
        errors = [np.mean(np.square(ridge._left_out(y, ridge.rotated.T @ y, p) - y)) for p in PENALTIES]
        best = PENALTIES[int(np.argmin(errors))]
        np.testing.assert_allclose(np.mean(np.square(scores - y)), min(errors))
        slow = np.linalg.solve((x - ridge.mean).T @ (x - ridge.mean) + best * 80 * np.eye(5), (x - ridge.mean).T @ y)
        np.testing.assert_allclose(coefficients, slow, rtol=1e-6, atol=1e-12)


# ---- feature spaces


def test_a_gaussian_space_with_all_rows_as_landmarks_is_the_kernel() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.standard_normal((30, 2)), rng.standard_normal((30, 3))]
    space = Gaussian(parts)
    features = space(parts)
    far = [np.square(p[:, None] - p[None]).sum(axis=2) for p in parts]
    kernel = np.exp(-sum(f / np.median(f[f > 0]) for f in far))
    np.testing.assert_allclose(features @ features.T, kernel, atol=1e-6)


def test_products_are_those_of_numbers_of_different_modalities() -> None:
    a, b = np.array([[2.0, 3.0]]), np.array([[5.0]])
    np.testing.assert_allclose(with_products([a, b]), [[*(np.array([2, 3, 5]) / np.sqrt(2)), 10, 15]])
    np.testing.assert_allclose(linear([a, b]), np.array([[2, 3, 5]]) / np.sqrt(2))
    np.testing.assert_allclose(quadratic([a, b]), [[2, 3, 5, 8, 12, 20, 18, 30, 50]])


def test_products_of_wide_modalities_are_limited() -> None:
    rng = np.random.default_rng(3)
    parts = [rng.standard_normal((4, 64)) for _ in range(3)]
    assert with_products(parts).shape[1] <= 3 * 64 + 640


# ---- representation


def test_representation_is_standardised_by_its_own_rows_only() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((50, 3)) * [1, 100, 0] + [0, 5, 7]
    made = Representation(table(x))
    z = made(table(x))
    assert z.shape == (50, 2)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.square(z).sum(axis=1).mean(), 1, rtol=1e-5)
    np.testing.assert_allclose(z.std(axis=0), np.sqrt(0.5), rtol=1e-4)
    far = made(table(x[:1] + np.array([[1e9, 0, 0]])))
    assert np.abs(far).max() < 8


def test_categories_that_training_rows_do_not_have_are_none_of_theirs() -> None:
    codes = np.arange(30).reshape(-1, 1) % 3
    made = Representation(table(codes, codes=20))
    assert made.width == 4  # the value and one column per category
    np.testing.assert_array_equal(made._expanded(table(np.array([[7]]), codes=20)), [[7, 0, 0, 0]])
    many = np.arange(21).reshape(-1, 1)
    assert Representation(table(many, codes=20)).width == 1
    assert Representation(table(many, codes=21)).width == 22


@pytest.mark.parametrize("shape", [(700, 100), (90, 900), (650, 660)], ids=["narrow", "few rows", "large"])
def test_many_columns_become_their_principal_components(shape: tuple[int, int]) -> None:
    n, d = shape
    rng = np.random.default_rng(5)
    x = rng.standard_normal((n, 3)) @ rng.standard_normal((3, d)) * 5 + 0.1 * rng.standard_normal((n, d))
    z = Representation(table(x, alike=True))(table(x, alike=True))
    assert z.shape == (n, MOST)
    whole = (x - x.mean(axis=0)) / np.sqrt(np.mean(x.var(axis=0)))
    whole /= np.sqrt(np.square(whole).sum(axis=1).mean())
    strongest = np.linalg.svd(whole, compute_uv=False)[:3]
    np.testing.assert_allclose(np.linalg.norm(z, axis=0)[:3], strongest, rtol=1e-3)


# ---- heads


def test_calibration_finds_the_probabilities_that_scores_stand_for() -> None:
    rng = np.random.default_rng(6)
    p = rng.uniform(0.02, 0.98, 4000)
    y = (rng.random(4000) < p).astype(int)
    head = Options(y, 2)
    scores = np.stack([1 - p, p], axis=1) - head.shares[0]
    found, link = head.calibrated(scores)
    np.testing.assert_allclose(found[:, 0, 1], p, atol=0.04)
    np.testing.assert_array_equal(link([scores[:5]]), found[:5])


def test_scores_that_say_nothing_are_answered_with_the_prior() -> None:
    rng = np.random.default_rng(7)
    y = rng.integers(0, 3, 300)
    head = Options(y, 3)
    against = -head.coded  # worse than nothing: weights are not negative
    np.testing.assert_allclose(head.calibrated(against)[0], head.base(300), atol=1e-6)
    noise, _ = head.calibrated(rng.standard_normal((300, 3)) * 0.1)
    mixed = head.stacked([head.base(300), noise])([head.base(300), noise])
    assert np.log(mixed[np.arange(300), 0, y] / head.shares[0, y]).mean() < 0.02


def test_independent_experts_multiply() -> None:
    rng = np.random.default_rng(8)
    y = rng.integers(0, 2, 6000)
    evidence = [(2 * y - 1) + rng.standard_normal(6000) for _ in range(2)]
    experts = [1 / (1 + np.exp(-2 * e)) for e in evidence]
    head = Options(y, 2)
    found, _ = head.product([np.stack([1 - p, p], axis=1)[:, None] for p in experts])
    truth = 1 / (1 + np.exp(-2 * (evidence[0] + evidence[1])))
    np.testing.assert_allclose(found[:, 0, 1], truth, atol=0.05)


def test_stacking_gives_the_weight_to_what_predicts_left_out_rows() -> None:
    rng = np.random.default_rng(9)
    y = rng.integers(0, 2, 500)
    head = Options(y, 2)
    good = np.where(y == 1, 0.8, 0.2)
    bad = rng.uniform(0.05, 0.95, 500)
    candidates = [head.base(500), *(np.stack([1 - p, p], axis=1)[:, None] for p in (good, bad))]
    mixed = head.stacked(candidates)(candidates)
    assert np.log2(mixed[np.arange(500), 0, y]).mean() >= np.log2(0.8) - 0.01
    np.testing.assert_allclose(mixed.sum(axis=2), 1)


def test_an_option_that_no_row_has_is_rare_not_impossible() -> None:
    head = Options(np.array([0, 0, 1, 0]), 4)
    np.testing.assert_allclose(head.prior, np.array([3.25, 1.25, 0.25, 0.25]) / 5)
    labels = Options(np.array([[0, 1], [0, 1], [0, 0]], np.int8), 0)
    np.testing.assert_allclose(labels.prior, [0.5 / 4, 2.5 / 4])


def test_convex_weights_of_numbers_never_amplify() -> None:
    rng = np.random.default_rng(10)
    truth = rng.standard_normal((400, 1)) * 3 + 7
    head = Numbers(truth)
    half = head.prior + 0.3 * (truth - head.prior)
    candidates = [head.base(400), half, truth.copy()]
    np.testing.assert_allclose(head.stacked(candidates)(candidates), truth, atol=1e-2)
    shrunk = head.stacked(candidates[:2])(candidates[:2])
    np.testing.assert_allclose(shrunk, half, atol=1e-2)
    noise = head.prior + rng.standard_normal((400, 1)) * 3
    kept = head.stacked([head.base(400), noise])([head.base(400), noise])
    assert np.abs(kept - head.prior).mean() < 0.5


# ---- networks and directions


def test_gradients_of_a_network_are_those_of_its_loss() -> None:
    rng = np.random.default_rng(11)
    x, y = rng.standard_normal((12, 4)), np.eye(3)[rng.integers(0, 3, 12)]
    head = Options(y.argmax(axis=1), 3)
    networks = Networks(x, y, head.start, head.activated, [np.arange(12)], [BOLD], 0)
    networks.weights = [w.astype(np.float64) for w in networks.weights]  # type: ignore[misc]
    networks.size = 1.0  # type: ignore[assignment]
    batch = x[None]

    def loss() -> float:
        first, bias, second, shift = networks.weights
        p = head.activated(np.maximum(batch @ first + bias, 0) @ second + shift + networks.base)
        return float(-np.log(p[0][y > 0]).mean())

    found = networks._gradients(batch, y[None], head.activated)  # type: ignore[arg-type]
    for w, g in zip(networks.weights, found, strict=True):
        for place in [tuple(rng.integers(0, s) for s in w.shape) for _ in range(5)]:
            kept, h = w[place], 1e-6
            w[place] = kept + h
            above = loss()
            w[place] = kept - h
            below = loss()
            w[place] = kept
            assert g[place] == pytest.approx((above - below) / (2 * h), abs=1e-6)


def exclusive_or(n: int, d: int, seed: int) -> tuple[list[FloatArray], Array]:
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (n, 2))
    parts = [rng.standard_normal((n, d)) for _ in range(2)]
    for m in range(2):
        parts[m][:, 0] += 1.5 * (2 * bits[:, m] - 1)
    return parts, (bits[:, 0] ^ bits[:, 1])


def test_the_two_directions_of_an_exclusive_or_are_found() -> None:
    parts, y = exclusive_or(800, 12, 0)
    found = Directions(parts, (y - y.mean())[:, None])
    for white, axes in zip(found.white, found.axes, strict=True):
        assert 1 <= axes.shape[1] <= 5
        basis, _ = np.linalg.qr(white @ axes)
        assert np.linalg.norm(basis[0]) > 0.95  # the first number is nearly all in what they span


def test_no_direction_speaks_about_noise() -> None:
    counts = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        y = rng.standard_normal((300, 1))
        counts.append(Directions([rng.standard_normal((300, 10)) for _ in range(2)], y).count)
    # Seven strongest values, each against three shuffles: two or so of them pass by chance.
    assert np.mean(counts) < 4


@pytest.mark.parametrize("how", ["directions", "networks"])
def test_what_a_committee_says_of_training_rows_does_not_know_their_labels(how: str) -> None:
    rng = np.random.default_rng(12)
    parts = [rng.standard_normal((240, 20)) for _ in range(2)]
    unit = np.repeat(np.arange(80), 3)
    y = np.repeat(rng.integers(0, 2, 80), 3)
    head = Options(y, 2)
    found: list[Any] = []
    found += along_directions(parts, unit, head.coded, 0) if how == "directions" else by_networks(parts, unit, head, 0)
    assert found or how == "directions"
    for scores, _ in found:
        sure = scores[:, 1] - scores[:, 0]
        assert abs(np.corrcoef(sure, y)[0, 1]) < 0.25
