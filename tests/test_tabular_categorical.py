"""Corruptions of tables with columns that are declared categorical: numbers are calculated with, codes are not."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.one_modality import OneModality
from mmaudit.probes import probes
from mmaudit.types import Array, Modality

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
MISSING = ("missing_mcar", "missing_mar", "missing_mnar")
NUMERIC = ("gaussian_noise_additive", "gaussian_noise_convex")
ARITHMETIC = ("scaling", "shift", "outliers", "column_swap", "rounding", *NUMERIC)
EVERY = (*MISSING, *ARITHMETIC, "category_flip", "stale_row")
CODES = (1, 3)  # columns
NUMBERS = (0, 2, 4)


class Table(OneModality):
    def __init__(self, x: Array, categorical: tuple[int, ...] | None = CODES) -> None:
        super().__init__(x, Modality("x", "tabular", categorical=categorical))


def mixed(n: int = 20_000) -> Array:
    """Three columns of numbers and, at 1 and 3, two of codes, far from 0 and from each other."""
    rng = np.random.default_rng(0)
    codes = [rng.choice([3.0, 900.0, 77.0], n, p=[0.5, 0.2, 0.3]), rng.choice([40.0, 41.0], n, p=[0.4, 0.6])]
    number = rng.normal(size=(n, 3)) * [1, 10, 100] + [0, 100, -1000]
    return np.stack([number[:, 0], codes[0], number[:, 1], codes[1], number[:, 2]], axis=1)


@pytest.fixture(scope="module")
def table() -> Table:
    return Table(mixed())


def test_a_mixed_table_declines_nothing(table):
    assert not [name for name in EVERY if table.declined(name)]


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_leaves_codes_alone_and_changes_every_column_of_numbers(table, name):
    new = table.after(name, probes.get(f"tabular.{name}").severities[3])
    assert np.array_equal(new[:, CODES], table.x[:, CODES])
    assert (new[:, NUMBERS] != table.x[:, NUMBERS]).any(axis=0).all()


def test_the_columns_of_numbers_change_as_they_would_alone(table):
    """Deterministic corruptions: to the bit. Random ones: the definitions, over three columns."""
    alone = Table(np.ascontiguousarray(table.x[:, NUMBERS]), None)
    for name in ("shift", "rounding"):
        assert np.array_equal(table.after(name, 0.5)[:, NUMBERS], alone.after(name, 0.5)), name
    scaled = (table.after("scaling", 1) != table.x)[:, NUMBERS]
    assert (scaled.sum(axis=1) == 1).all()
    np.testing.assert_allclose(scaled.mean(axis=0), 1 / 3, atol=0.02)
    swapped = table.after("column_swap", 1.0)[:, NUMBERS]
    assert np.array_equal(np.sort(swapped, axis=1), np.sort(table.x[:, NUMBERS], axis=1))
    assert ((swapped != table.x[:, NUMBERS]).sum(axis=1) == 2).all(), "one pair of three"


def test_category_flip_changes_codes_alone(table):
    new = table.after("category_flip", 0.4)
    assert np.array_equal(new[:, NUMBERS], table.x[:, NUMBERS])
    # Of 0.4 of the cells, those change whose donor has another code: 1 − Σ p².
    share = (new != table.x).mean(axis=0)[list(CODES)]
    assert share == pytest.approx([0.4 * (1 - 0.25 - 0.04 - 0.09), 0.4 * (1 - 0.16 - 0.36)], abs=0.015)
    assert set(np.unique(new[:, 1])) == {3, 77, 900}


@pytest.mark.parametrize("name", MISSING)
def test_missing_cells_hold_the_mode_or_the_mean(table, name):
    new = table.after(name, 0.3)
    missing = new != table.x
    filled = np.broadcast_to(np.where(np.isin(np.arange(5), CODES), [0, 3, 0, 41, 0], table.x.mean(axis=0)), new.shape)
    np.testing.assert_allclose(new[missing], filled[missing], rtol=1e-6)
    # A missing cell that held the mode looks as before: of codes the others are seen, at the rate itself.
    other = table.x[:, CODES] != [3, 41]
    seen = [missing[:, c][other[:, i]].mean() for i, c in enumerate(CODES)]
    assert seen == pytest.approx([0.3, 0.3], abs=0.02)
    assert missing[:, NUMBERS].mean() == pytest.approx(0.3, abs=0.015)


def test_chance_alone_takes_codes_away_by_mnar(table):
    """High codes go missing no more often than low ones, while high numbers do."""
    missing = table.after("missing_mnar", 0.3) != table.x
    rate = {code: missing[table.x[:, 1] == code, 1].mean() for code in (77.0, 900.0)}
    assert rate[77.0] == pytest.approx(rate[900.0], abs=0.025)
    high = table.x[:, 4] > table.x[:, 4].mean()
    assert missing[high, 4].mean() > missing[~high, 4].mean() + 0.2


def test_codes_alone_decline_what_needs_numbers():
    codes = Table(mixed(60)[:, CODES], (0, 1))
    allowed = {"missing_mcar", "category_flip", "stale_row"}
    assert {name for name in EVERY if not codes.declined(name)} == allowed
    assert codes.declined("shift") == ["'x' holds category codes alone; arithmetic on them means nothing"]
    assert codes.declined(NUMERIC[0]) == ["'x' holds category codes alone; noise on them means nothing"]
    assert "neither high nor low; see missing_mcar" in codes.declined("missing_mnar")[0]


def test_one_column_of_numbers_has_none_to_swap_with():
    one = Table(mixed(60)[:, :2], (1,))
    assert [name for name in EVERY if one.declined(name)] == ["column_swap"]
    assert one.declined("column_swap") == ["'x' has one column that is not categorical, and two are needed"]


def test_a_declaration_takes_the_place_of_the_guess_by_dtype():
    whole_numbers = np.random.default_rng(0).integers(0, 50, (400, 3))
    guessed, none, some = (Table(whole_numbers, declared) for declared in (None, (), (0,)))
    assert {name for name in EVERY if guessed.declined(name)} == set(ARITHMETIC)
    assert [name for name in EVERY if none.declined(name)] == ["category_flip"]
    assert none.declined("category_flip") == ["'x' is declared to have no categorical columns"]
    assert not [name for name in EVERY if some.declined(name)]
    assert (some.after("shift", 1.0) != whole_numbers).all(axis=0).tolist() == [False, True, True]


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.float64])
def test_codes_of_any_type_keep_it_and_their_value(dtype):
    x = (mixed(400) % 100).astype(dtype)
    for name in EVERY:
        new = Table(x).after(name, probes.get(f"tabular.{name}").severities[4])
        assert new.dtype == dtype, name
        for column in CODES:
            assert set(np.unique(new[:, column])) <= set(np.unique(x[:, column])), name


def test_an_attack_along_the_gradient_leaves_codes_alone():
    table = Table(mixed(40))
    table.source.gradient = lambda batch, inputs: (  # type: ignore[method-assign]
        np.zeros(len(batch)),
        {m: np.ones_like(v) for m, v in inputs.items()},
    )
    for name in ("fgsm", "pgd"):
        new = table.after(name, 0.5)
        assert np.array_equal(new[:, CODES], table.x[:, CODES])
        assert (new[:, NUMBERS] != table.x[:, NUMBERS]).any(axis=0).all()


def real() -> SimpleNamespace:
    path = SHARED / "clothing.npz"
    if not path.exists():
        pytest.skip("shared data clothing.npz is not on this machine")
    with np.load(path) as file:
        return SimpleNamespace(numbers=file["tab_num"][:400], codes=file["tab_cat"][:400])


def test_more_severity_moves_a_real_table_of_numbers_and_codes_further():
    """Clothing reviews: age and the like beside division, department and class names as codes, in one modality."""
    found = real()
    d = found.numbers.shape[1]
    joined = np.concatenate([found.numbers, found.codes], axis=1)
    codes = tuple(range(d, joined.shape[1]))
    table = Table(joined, codes)
    applied = [name for name in EVERY if not table.declined(name)]
    assert set(EVERY) - set(applied) <= {"column_swap"}
    for name in applied:
        far = table.curve(name)
        assert len(far) == 5
        assert all(a < b for a, b in pairwise([0.0, *far])), (name, far)
        if name in ARITHMETIC:
            assert np.array_equal(table.after(name, 0.5)[:, codes], joined[:, codes])
