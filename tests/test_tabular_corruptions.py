"""Corruptions of tables: rates by theory, definitions cell by cell, what declines, and real tables."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from helpers.one_modality import OneModality
from mmaudit.errors import BadInput
from mmaudit.probes.corruption import tabular
from mmaudit.types import Array, Modality

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
ARITHMETIC = ("scaling", "shift", "outliers", "column_swap", "rounding")
EVERY = ("missing_mcar", "missing_mar", "missing_mnar", "category_flip", "stale_row", *ARITHMETIC)

NUMERIC = ("gaussian_noise_additive", "gaussian_noise_convex")


class Table(OneModality):
    def __init__(self, x: Array) -> None:
        super().__init__(x, Modality("x", "tabular"))


def gaussian(n: int = 20_000, d: int = 4, dtype: type = np.float64) -> Array:
    """Columns of different mean and σ, correlated, so that no rate is right by independence alone."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(n, 1))
    return ((0.6 * common + 0.8 * rng.normal(size=(n, d))) * 10.0 ** np.arange(d) + np.arange(d) * 100).astype(dtype)


@pytest.fixture(scope="module")
def table() -> Table:
    return Table(gaussian())


@pytest.mark.parametrize("rate", tabular.RATES)
@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar"])
def test_mean_missing_rate_is_the_severity_on_gaussian_columns(table, mechanism, rate):
    new = table.after(f"missing_{mechanism}", rate)
    missing = new != table.x
    # 80,000 cells, correlated within the record: 4 standard errors of at most that many independent records.
    assert missing.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / 20_000))
    assert np.array_equal(new[missing], np.broadcast_to(table.x.mean(axis=0), new.shape)[missing].astype(new.dtype))


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar"])
def test_missing_cells_stay_missing_at_higher_rates(table, mechanism):
    masks = [table.after(f"missing_{mechanism}", rate) != table.x for rate in (0.01, *tabular.RATES)]
    for low, high in pairwise(masks):
        assert not (low & ~high).any()
        assert high.sum() > low.sum()


def test_mechanisms_depend_on_what_they_should(table):
    """The mean z-score of a missing cell's own value: 0 for MCAR, by theory E[z | missing] for MNAR."""
    z = (table.x - table.x.mean(axis=0)) / table.x.std(axis=0)
    mean_z = {m: z[table.after(f"missing_{m}", 0.3) != table.x].mean() for m in ("mcar", "mnar")}
    assert abs(mean_z["mcar"]) < 0.03
    # Missing where √½ z + √½ ε < Φ⁻¹(0.3) flipped in sign, so E[z | missing] = √½ φ(Φ⁻¹(0.3)) / 0.3 = 0.820.
    assert mean_z["mnar"] == pytest.approx(0.820, abs=0.03)


def test_mar_is_decided_by_an_observed_column_alone():
    """Independent columns: the missing cells' own values say nothing, those of the same record's observed ones do."""
    x = np.random.default_rng(3).normal(size=(30_000, 2))
    table = Table(x)
    missing = table.after("missing_mar", 0.3) != x
    assert not missing.all(axis=1).any(), "the column that decides is never missing"
    own, other = x[missing], x[:, ::-1][missing]
    assert abs(own.mean()) < 0.03
    # The other column decides at a rate of 0.6 among the cells it decides over: E = √½ φ(Φ⁻¹(0.6)) / 0.6 = 0.455.
    assert other.mean() == pytest.approx(0.455, abs=0.03)
    with pytest.raises(BadInput, match=r"above 0\.5; of 2 columns, one stays"):
        table.after("missing_mar", 0.6)


def test_scaling_multiplies_one_cell_per_record(table):
    for severity in (0.2, 1, 3):
        new = table.after("scaling", severity)
        changed = new != table.x
        assert (changed.sum(axis=1) == 1).all()
        np.testing.assert_allclose(new[changed] / table.x[changed], 10**severity)
    share = (table.after("scaling", 1) != table.x).mean(axis=0)
    np.testing.assert_allclose(share, 0.25, atol=0.015)


def test_shift_adds_the_columns_sigma(table):
    np.testing.assert_allclose(
        table.after("shift", 0.5) - table.x, np.broadcast_to(table.x.std(axis=0) / 2, table.x.shape)
    )


def test_outliers_lie_five_sigma_from_the_mean_on_both_sides(table):
    new = table.after("outliers", 0.1)
    hit = new != table.x
    z = ((new - table.x.mean(axis=0)) / table.x.std(axis=0))[hit]
    np.testing.assert_allclose(np.abs(z), 5, rtol=1e-6)
    assert hit.mean() == pytest.approx(0.1, abs=0.005)
    assert (z > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert (table.after("outliers", 0.3)[hit] == new[hit]).all(), "the same outliers at a higher severity"


@pytest.mark.parametrize("columns", [2, 3, 6, 7])
def test_column_swap_exchanges_pairs(columns):
    x = np.random.default_rng(1).normal(size=(2000, columns))
    table = Table(x)
    for severity in (0.3, 1.0):
        new = table.after("column_swap", severity)
        assert np.array_equal(np.sort(new, axis=1), np.sort(x, axis=1))
        origin = np.argmax(new[:, :, None] == x[:, None, :], axis=2)
        assert np.array_equal(np.take_along_axis(origin, origin, axis=1), np.broadcast_to(np.arange(columns), x.shape))
        moved_columns = (origin != np.arange(columns)).sum(axis=1).mean()
        assert moved_columns == pytest.approx(severity * (columns - columns % 2), rel=0.1)


def test_category_flip_takes_codes_that_occur_in_the_column():
    rng = np.random.default_rng(2)
    codes = np.stack([rng.integers(0, 2, 5000), rng.choice([3, 7, 100], 5000, p=[0.7, 0.2, 0.1])], axis=1)
    table = Table(codes)
    new = table.after("category_flip", 0.4)
    assert set(np.unique(new[:, 1])) == {3, 7, 100}
    # Of 0.4 of the cells, those change whose donor has another code: 1 − Σ p².
    assert (new != codes).mean(axis=0) == pytest.approx([0.4 * 0.5, 0.4 * (1 - 0.49 - 0.04 - 0.01)], abs=0.02)
    frequency = [np.mean(new[:, 1] == c) for c in (3, 7, 100)]
    assert frequency == pytest.approx([0.7, 0.2, 0.1], abs=0.02)


def test_rounding_is_to_multiples_of_the_step(table):
    new = table.after("rounding", 0.5)
    step = 0.5 * table.x.std(axis=0)
    np.testing.assert_allclose(new / step, np.rint(new / step), atol=1e-6)
    assert (np.abs(new - table.x) <= step / 2 * (1 + 1e-6)).all()
    # Sheppard: the error of a fine grid is uniform, its variance step² / 12.
    np.testing.assert_allclose((new - table.x).std(axis=0), step / np.sqrt(12), rtol=0.02)


def test_stale_row_takes_neighbouring_columns_of_one_other_record(table):
    x = table.x
    for severity, least, most in ((0.2, 0, 1), (0.4, 1, 2), (0.6, 2, 3), (1.0, 4, 4)):
        new = table.after("stale_row", severity)
        stale = new != x
        count = stale.sum(axis=1)
        assert (count.min(), count.max()) == (least, most)
        assert count.mean() == pytest.approx(4 * severity, rel=0.03)
        # Around the circle of columns, the block begins and ends at most once.
        assert (
            np.abs(np.diff(np.concatenate([stale, stale[:, :1]], axis=1).astype(int), axis=1)).sum(axis=1) <= 2
        ).all()
    whole_rows = table.after("stale_row", 1.0)
    assert np.array_equal(np.sort(whole_rows, axis=0), np.sort(x, axis=0)), "a permutation of the records"


def test_whole_numbers_decline_arithmetic_and_floats_decline_codes():
    integers = Table(np.random.default_rng(0).integers(0, 5, (40, 3)))
    floats = Table(gaussian(40))
    for name in EVERY:
        assert bool(integers.declined(name)) == (name in ARITHMETIC), name
        assert bool(floats.declined(name)) == (name == "category_flip"), name
    assert "category codes; arithmetic on them means nothing" in integers.declined("shift")[0]
    assert "float64 numbers, not category codes" in floats.declined("category_flip")[0]


def test_one_column_declines_what_needs_two():
    one = Table(gaussian(400, 1))
    assert {n for n in EVERY if one.declined(n)} == {"missing_mar", "column_swap", "category_flip"}
    assert one.declined("missing_mar") == ["'x' has one column, and two are needed"]
    for name in ("missing_mcar", "missing_mnar", "scaling", "shift", "outliers", "rounding", "stale_row"):
        far = one.curve(name)
        assert all(a < b for a, b in pairwise([0.0, *far])), (name, far)


@pytest.mark.parametrize(
    "name", ["missing_mcar", "missing_mar", "missing_mnar", "outliers", "column_swap", "stale_row"]
)
def test_shares_above_one_are_refused(table, name):
    with pytest.raises(BadInput, match=f"{name}: severity 1.5 is above 1; it is a share of the"):
        table.after(name, 1.5)


def test_columns_that_never_change_stay_and_hide_nothing():
    """A constant column has no σ: nothing to scale by, and its mean is its value."""
    x = np.stack([np.full(50, 7.0), np.zeros(50), np.random.default_rng(0).normal(size=50)], axis=1)
    table = Table(x)
    for name in ("missing_mcar", "missing_mar", "missing_mnar", "shift", "outliers", "rounding"):
        new = table.after(name, 0.5)
        assert np.array_equal(new[:, :2], x[:, :2]), name
        assert np.isfinite(new).all()
        assert (new[:, 2] != x[:, 2]).any(), name


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16])
def test_missing_codes_take_the_mean_rounded(dtype):
    x = (np.random.default_rng(0).random((400, 2)) < [0.2, 0.9]).astype(dtype)
    new = Table(x).after("missing_mcar", 1.0)
    assert new.dtype == x.dtype
    assert np.array_equal(new, np.broadcast_to(np.array([0, 1], dtype), x.shape))


def test_one_record_has_no_donor_and_stays():
    one = Table(np.array([[1.0, 2.0]]))
    assert np.array_equal(one.after("stale_row", 1.0), one.x)
    codes = Table(np.array([[1, 2]]))
    assert np.array_equal(codes.after("category_flip", 1.0), codes.x)


def real(name: str, key: str) -> Array:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"shared data {name} is not on this machine")
    with np.load(path) as file:
        x: Array = file[key]
    return x[:: max(1, len(x) // 400)][:400]


@pytest.mark.parametrize(
    ("file", "key"),
    [
        *(("mfeat.npz", v) for v in ("fac", "fou", "kar", "mor", "pix", "zer")),
        ("clothing.npz", "tab_num"),
        ("clothing.npz", "tab_cat"),
    ],
)
def test_more_severity_moves_real_tables_further(file, key):
    table = Table(real(file, key))
    applied = [name for name in (*EVERY, *NUMERIC) if not table.declined(name)]
    assert len(applied) == (5 if key == "tab_cat" else 11)
    for name in applied:
        far = table.curve(name)
        assert len(far) == 5
        assert all(a < b for a, b in pairwise([0.0, *far])), (name, far)
