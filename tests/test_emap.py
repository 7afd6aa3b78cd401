from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mmaudit.crossing.design import all_combinations, draw_rounds
from mmaudit.metrics import metrics
from mmaudit.reliance.additive import Design, fit_additive, fit_with_products
from mmaudit.reliance.emap import effects_full, emap_full, estimate_emap, estimate_emaps, with_own_answers
from mmaudit.reliance.jackknife import averages, group_samples, jackknife_error, touched, without
from mmaudit.reliance.likely import coded, likely_truths
from mmaudit.types import Array, FloatArray, Task

ACCURACY = metrics.get("accuracy")


def asked(design: Design, grid: Array) -> Array:
    """The entries of a full grid `[n, …, n, k]` that a design asks for."""
    return np.asarray(grid[tuple(design.index)])


def names(modalities: int) -> list[str]:
    return [f"m{i}" for i in range(modalities)]


def additive_grid(modalities: int, n: int, k: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    grid = np.full((*(n,) * modalities, k), 3.0)
    for m in range(modalities):
        shape = [1] * modalities + [k]
        shape[m] = n
        grid = grid + rng.normal(size=shape)
    return grid


def published(grid: FloatArray) -> FloatArray:
    """The projection as MultiViz computes it: the grand mean taken off once, whatever the number of modalities."""
    mean, effects = effects_full(grid)
    return np.asarray(sum(e + mean for e in effects) - mean)


def test_two_modalities_are_row_mean_plus_column_mean_minus_grand_mean() -> None:
    grid = np.random.default_rng(0).normal(size=(6, 6, 3))
    expected = [grid[i].mean(axis=0) + grid[:, i].mean(axis=0) - grid.mean(axis=(0, 1)) for i in range(6)]
    np.testing.assert_allclose(emap_full(grid), expected, atol=1e-12)


def test_by_loops_over_all_combinations_of_three_modalities() -> None:
    n = 4
    grid = np.random.default_rng(1).normal(size=(n, n, n, 2))
    cells = list(product(range(n), repeat=3))
    expected = []
    for i in range(n):
        total = -2 * np.mean([grid[c] for c in cells], axis=0)
        for m in range(3):
            total = total + np.mean([grid[c] for c in cells if c[m] == i], axis=0)
        expected.append(total)
    np.testing.assert_allclose(emap_full(grid), expected, atol=1e-12)


@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_an_additive_model_is_its_own_projection_and_the_published_formula_is_wrong_from_three_on(
    modalities: int,
) -> None:
    n = 5
    grid = additive_grid(modalities, n, 3)
    own = np.stack([grid[(i,) * modalities] for i in range(n)])
    np.testing.assert_allclose(emap_full(grid), own, atol=1e-12)
    off = np.abs(published(grid) - own).max()
    assert (off < 1e-12) if modalities == 2 else (off > 1)


@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_a_part_of_the_combinations_gives_an_additive_function_exactly(modalities: int) -> None:
    n, k = 30, 3
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(modalities, n, k)) * 5
    design = draw_rounds(names(modalities), n, 20, 0)
    outputs = 7 + sum(effects[m][design.index[m]] for m in range(modalities))
    for fit in (fit_additive(design, outputs), fit_with_products(design, outputs)):
        np.testing.assert_allclose(fit.values, 7 + effects.sum(axis=0), atol=1e-6)
        np.testing.assert_allclose(fit.effects, effects - effects.mean(axis=1, keepdims=True), atol=1e-6)
        assert np.abs(fit.residual).max() < 1e-6


@pytest.mark.parametrize("modalities", [2, 3])
def test_all_combinations_give_the_projection_itself(modalities: int) -> None:
    n = 6
    grid = np.random.default_rng(2).normal(size=(*(n,) * modalities, 4))
    design = all_combinations(modalities, n)
    assert len({tuple(c) for c in design.index.reshape(modalities, -1).T}) == n**modalities
    for fit in (fit_additive(design, asked(design, grid)), fit_with_products(design, asked(design, grid))):
        np.testing.assert_allclose(fit.values, emap_full(grid), atol=1e-6)


def test_least_squares_with_unanswered_combinations_is_that_of_numpy() -> None:
    n, rounds = 12, 7
    rng = np.random.default_rng(3)
    drawn = draw_rounds(names(3), n, rounds, 1)
    use = rng.random((rounds, n)) > 0.2
    design = Design(drawn.index, use, drawn.family, drawn.kept)
    outputs = rng.normal(size=(rounds, n, 2))
    outputs[~use] = np.nan
    x = np.zeros((rounds * n, 3 * n))
    for m in range(3):
        x[np.arange(rounds * n), m * n + design.index[m].reshape(-1)] = 1
    keep = use.reshape(-1)
    solution = np.linalg.lstsq(x[keep], outputs.reshape(-1, 2)[keep], rcond=None)[0]
    fit = fit_additive(design, outputs)
    expected = outputs.reshape(-1, 2)[keep] - x[keep] @ solution
    np.testing.assert_allclose(fit.residual.reshape(-1, 2)[keep], expected, atol=1e-6)
    assert not fit.residual[~use].any()
    np.testing.assert_allclose(fit.values, sum(solution[m * n : (m + 1) * n] for m in range(3)), atol=1e-6)


def test_products_of_effects_take_noise_away_and_leave_the_projection_where_it_is() -> None:
    rng = np.random.default_rng(4)
    n, plain, less = 200, [], []
    a, b = rng.normal(size=(n, 4)), rng.normal(size=(n, 4))
    product_part = 0.5 * (a - a.mean(axis=0))[:, None] * (b - b.mean(axis=0))[None]
    grid = a[:, None] + b[None] + product_part + 0.1 * rng.normal(size=(n, n, 4))
    truth = emap_full(grid)
    for seed in range(6):
        design = draw_rounds(names(2), n, 12, seed)
        plain.append(fit_additive(design, asked(design, grid)).values - truth)
        less.append(fit_with_products(design, asked(design, grid)).values - truth)
    assert np.square(less).mean() < 0.4 * np.square(plain).mean()
    assert np.abs(np.mean(less)) < 0.02


def test_leaving_samples_out_by_one_step_is_close_to_fitting_without_them() -> None:
    rng = np.random.default_rng(5)
    n = 120
    design = draw_rounds(names(2), n, 20, 0)
    outputs = rng.normal(size=(20, n, 2)) + rng.normal(size=(n, 2))[design.index[1]]
    fit = fit_additive(design, outputs)
    group = group_samples(np.arange(n), np.ones(n, bool), 20)
    cells = touched(design, fit.residual, range(2))
    moved = fit.values + (without(design, group, 3)[:, None] @ cells)[:, 0]
    gone = (group[design.index[0]] == 3) | (group[design.index[1]] == 3)
    again = fit_additive(Design(design.index, ~gone, design.family, design.kept), outputs)
    stay = group != 3
    change = again.values[stay] - fit.values[stay]
    step = moved[stay] - fit.values[stay]
    centred = (change - change.mean(axis=0), step - step.mean(axis=0))
    assert np.corrcoef(centred[0].ravel(), centred[1].ravel())[0, 1] > 0.9
    # In full rounds the residuals of a sample's own combinations cancel.
    assert np.abs((averages(design)[:, None] @ cells)[:, 0]).max() < 1e-6


def test_groups_keep_clusters_whole_and_are_of_about_equal_size() -> None:
    unit = np.random.default_rng(0).integers(0, 90, 1000)
    known = np.arange(1000) % 10 > 0
    group = group_samples(unit, known, 20)
    assert (group[~known] == -1).all()
    assert set(group[known]) == set(range(20))
    assert all(len(set(group[known & (unit == u)])) == 1 for u in np.unique(unit[known]))
    assert np.bincount(group[known]).max() < 2 * np.bincount(group[known]).min() + 30
    few = group_samples(np.array(["a", "b", "a"]), np.ones(3, bool))
    assert few[0] == few[2] != few[1]


def test_the_jackknife_error_of_a_mean_is_its_standard_error() -> None:
    x = np.random.default_rng(0).normal(size=40)
    left_out = (x.sum() - x) / 39
    assert jackknife_error(left_out) == pytest.approx(x.std(ddof=1) / np.sqrt(40))
    assert np.isnan(jackknife_error(left_out[:3]))
    assert jackknife_error(np.full(9, 0.3)) == 0


def test_answers_to_the_samples_themselves_complete_the_other_combinations() -> None:
    """All combinations but the samples' own, and these: that is the projection, whatever the model."""
    for modalities, n in ((2, 12), (3, 7)):
        grid = additive_grid(modalities, n, 2)
        own = (np.arange(n),) * modalities
        grid[own] += np.random.default_rng(0).normal(size=(n, 2)) * 3
        every = all_combinations(modalities, n)
        others = every.others()
        assert others.use.sum() == n**modalities - n
        values = fit_additive(others, asked(every, grid)).values
        exact = emap_full(grid)
        np.testing.assert_allclose(with_own_answers(values, grid[own], modalities), exact, atol=1e-9)
        assert np.abs(values - exact).max() > 0.05
        unknown = grid[own].copy()
        unknown[0] = np.nan
        assert np.isfinite(with_own_answers(values, unknown, modalities)).all()


def test_draws_of_the_truth_vary_as_it_does_and_go_with_the_target_as_it_does() -> None:
    """Normal truth, large in one direction and nothing in another; where it is large, it leans to the target."""
    rng = np.random.default_rng(0)
    n, size = 4000, np.array([2.0, 0.5, 0.0])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    truth = (rng.normal(size=(n, 3)) * size) @ turn.T
    target = np.argmax(truth + rng.gumbel(size=truth.shape), axis=1)
    noise = rng.normal(size=(32, n, 3)).astype(np.float32)
    noise = np.concatenate([noise, -noise])
    values = truth + rng.normal(size=(n, 3))
    drawn = likely_truths(values, np.zeros_like(values), noise, coded(Task.classification(3), target))
    assert drawn.shape == (32, n, 3)
    assert drawn.dtype == np.float32
    along = drawn.astype(np.float64) @ turn
    np.testing.assert_allclose(along.var(axis=(0, 1)), np.square(size), rtol=0.05, atol=0.08)
    right = (truth.argmax(axis=1) == target).mean()
    assert (drawn.argmax(axis=2) == target).mean() == pytest.approx(right, abs=0.03)
    # Without the target they say no more of it than chance adds to what the values say.
    alone = likely_truths(values, np.zeros_like(values), noise, None)
    assert (alone.argmax(axis=2) == target).mean() < right - 0.05


def test_draws_of_the_truth_with_more_outputs_than_samples_and_with_nothing_that_varies() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(8, 6, 40)).astype(np.float32)
    values = rng.normal(size=(6, 40)) * 3
    drawn = likely_truths(values, np.zeros_like(values), noise, None)
    assert np.isfinite(drawn).all()
    assert drawn.std() == pytest.approx(np.sqrt(8), rel=0.2)
    same = likely_truths(np.ones((6, 40)), np.zeros((6, 40)), noise, np.eye(40)[:6])
    np.testing.assert_allclose(same, 1, atol=1e-6)


def test_the_interval_over_donors_holds_where_the_additive_part_decides_little() -> None:
    """40 draws: effects tell two groups of classes apart, within a group only the interaction says anything.

    One truth for all draws, the fitted function drawn in to its middle, gives an interval that holds 30 of them.
    """
    rng = np.random.default_rng(0)
    n, k = 150, 6
    matrices, group = rng.normal(size=(k, 4, 4)) / 2, np.where(np.arange(k) < 3, 1.5, -1.5)
    inside = []
    for seed in range(40):
        x, z = rng.normal(size=(2, n, 4))
        grid = (x[:, 0][:, None, None] + z[:, 0][None, :, None]) * group
        grid = grid + 1.5 * np.einsum("id,kde,je->ijk", np.sin(3 * x), matrices, np.sin(3 * z), optimize=True)
        clean = grid[np.arange(n), np.arange(n)]
        target = np.argmax(clean + rng.gumbel(size=clean.shape), axis=1)
        design = draw_rounds(names(2), n, 8, seed)
        task = Task.classification(k)
        found = estimate_emap(design, asked(design, grid), clean, target, task, ACCURACY, donors_only=True)
        exact = (emap_full(grid).argmax(axis=1) == target).mean()
        inside.append(abs(found.value - exact) <= found.donor_half_width)
    assert sum(inside) >= 36


def grouped_world(n: int = 240) -> tuple[Design, Array, Array, Array, dict[str, Array]]:
    """Samples of the second half need both modalities, those of the first are additive."""
    rng = np.random.default_rng(2)
    late = np.arange(n) >= n // 2
    a, b = rng.choice([-1.0, 1.0], (2, n))
    both = (a[:, None] * b[None]) * late[:, None]
    score = np.where(late[:, None], 3 * both, 2 * a[:, None] + 0.5 * b[None])
    grid = np.stack([-score, score], axis=-1)
    design = draw_rounds(names(2), n, 12, 0)
    clean = grid[np.arange(n), np.arange(n)]
    return design, asked(design, grid), clean, clean.argmax(axis=1), {"early": ~late, "late": late}


def test_groups_are_scores_of_one_projection_on_their_samples() -> None:
    design, outputs, clean, target, groups = grouped_world()
    task = Task.classification(2)
    found = estimate_emaps(design, outputs, clean, target, task, ACCURACY, groups=groups)
    assert list(found) == ["", "early", "late"]
    assert [e.n for e in found.values()] == [240, 120, 120]
    plain = sum(found[g].plain for g in groups) / 2
    assert found[""].plain == pytest.approx(plain)
    assert found[""] == estimate_emap(design, outputs, clean, target, task, ACCURACY)
    early, late = found["early"], found["late"]
    assert early.whole - early.value == pytest.approx(0, abs=0.01)
    assert late.whole - late.value - late.gap_half_width > 0.2
    assert late.gap_error > found[""].gap_error
    only = estimate_emaps(design, outputs, clean, target, task, ACCURACY, groups=groups, donors_only=True)
    assert np.isnan(only["late"].error)
    assert only["late"].value == late.value


def test_groups_have_reasons_of_their_own() -> None:
    design, outputs, clean, target, groups = grouped_world()
    unit = np.where(groups["early"], np.arange(240) % 3, np.arange(240))
    groups |= {"one": np.arange(240) == 7}
    found = estimate_emaps(design, outputs, clean, target, Task.classification(2), ACCURACY, unit, groups)
    assert "3 independent samples" in found["early"].reason
    assert np.isfinite(found["early"].value)
    assert np.isnan(found["early"].gap_half_width)
    assert found["one"].reason == "fewer than two samples have answers"
    assert found["late"].reason == found[""].reason == ""


# ---- bad and extreme input


def test_constant_outputs_have_no_gap() -> None:
    n = 60
    design = draw_rounds(names(2), n, 8, 0)
    outputs = np.full((8, n, 3), 0.1, np.float32)
    target = np.arange(n) % 3
    found = estimate_emap(design, outputs, outputs[0], target, Task.classification(3), ACCURACY)
    assert (found.value, found.whole, found.donor_error, found.additive) == (1 / 3, 1 / 3, 0.0, True)
    assert found.gap_error == 0


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("modalities", [2, 3])
def test_two_or_three_samples_have_a_value_and_no_interval(n: int, modalities: int) -> None:
    grid = np.random.default_rng(n).normal(size=(*(n,) * modalities, 2))
    design = all_combinations(modalities, n)
    clean = np.stack([grid[(i,) * modalities] for i in range(n)])
    target = np.arange(n) % 2
    found = estimate_emap(design, asked(design, grid), clean, target, Task.classification(2), ACCURACY)
    assert found.value == (emap_full(grid).argmax(axis=1) == target).mean()
    assert found.whole == (clean.argmax(axis=1) == target).mean()
    assert np.isnan(found.gap_half_width)
    assert "independent samples" in found.reason


def test_a_thousand_classes() -> None:
    n, k = 60, 1000
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(n, k)), rng.normal(size=(n, k))
    grid = a[:, None] + b[None] + 0.1 * a[:, None] * b[None]
    clean = grid[np.arange(n), np.arange(n)]
    design = draw_rounds(names(2), n, 8, 0)
    target = clean.argmax(axis=1)
    found = estimate_emap(design, asked(design, grid), clean, target, Task.classification(k), ACCURACY)
    assert found.whole == 1
    assert abs(found.value - (emap_full(grid).argmax(axis=1) == target).mean()) <= 2 * found.donor_half_width
    assert found.groups == 40


def test_what_cannot_be_scored_has_a_reason() -> None:
    n = 20
    design = draw_rounds(names(2), n, 8, 0)
    outputs = np.random.default_rng(0).normal(size=(8, n, 3))
    clean = np.full((n, 3), np.nan)
    task, target = Task.classification(3), np.zeros(n, np.int64)
    assert "fewer than two samples" in estimate_emap(design, outputs, clean, target, task, ACCURACY).reason
    ranked = estimate_emap(design, outputs, outputs[0], target, task, metrics.get("average_precision"))
    assert "class" in ranked.reason
    assert np.isnan(ranked.value)


def test_nothing_answered() -> None:
    n = 20
    drawn = draw_rounds(names(2), n, 8, 0)
    design = Design(drawn.index, np.zeros((8, n), bool), drawn.family, drawn.kept)
    outputs = np.full((8, n, 3), np.nan)
    found = estimate_emap(design, outputs, np.zeros((n, 3)), np.zeros(n, np.int64), Task.classification(3), ACCURACY)
    assert found.n == 0
    assert found.reason
