"""Mean and standard deviation: against NumPy over everything at once, within the limit, saved and read back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmaudit.data import ArrayData, all_statistics, subset
from mmaudit.data.statistics import statistics
from mmaudit.errors import BadInput, UnknownName
from mmaudit.kernels.positions import spread

N = 3000


def make(**inputs: Any) -> ArrayData:
    n = len(next(iter(inputs.values())))
    kinds = {"walk": "series"} if "walk" in inputs else {}
    return ArrayData(inputs, np.arange(n) % 2, "classification", kinds=kinds)


def test_against_numpy_over_several_blocks() -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (N, 24, 24), dtype=np.uint8)
    labs = rng.normal(1e6, 1e-3, (N, 3))  # a large mean and a small spread, where the naive sum of squares fails
    labs[rng.random(N) < 0.3] = np.nan
    half = rng.normal(300, 100, (N, 5)).astype(np.float16)
    data = make(photo=photo, labs=labs, half=half, note=["x"] * N)
    found = all_statistics(data)
    assert found["note"] is None
    for name, values in (("photo", photo), ("labs", labs), ("half", half)):
        wide = values.astype(np.float64)
        stats = found[name]
        assert stats is not None
        assert stats.mean.dtype == stats.std.dtype == np.float64
        np.testing.assert_allclose(stats.mean, np.nanmean(wide, axis=0), rtol=1e-12)
        np.testing.assert_allclose(stats.std, np.nanstd(wide, axis=0), rtol=1e-6)
        alone = statistics(data, name)
        assert alone is not None
        np.testing.assert_allclose(alone.mean, stats.mean, rtol=1e-12)


def test_ragged_values_are_summed_up_in_two_numbers() -> None:
    rng = np.random.default_rng(0)
    walk = [None if i % 7 == 0 else rng.normal(3, 2, 1 + i % 9) for i in range(500)]
    everything = np.concatenate([x for x in walk if x is not None])
    found = statistics(make(walk=walk), "walk")
    assert found is not None
    assert found.mean.shape == found.std.shape == ()
    assert found.mean == pytest.approx(everything.mean())
    assert found.std == pytest.approx(everything.std())


@pytest.mark.parametrize("layout", ["TC", "CT"])
def test_series_of_differing_length_have_two_numbers_per_channel(layout: str) -> None:
    rng = np.random.default_rng(0)
    walk = [None if i % 7 == 0 else rng.normal([3, 1e4], [2, 0.1], (1 + i % 9, 2)) for i in range(500)]
    everything = np.concatenate([x for x in walk if x is not None])
    given = walk if layout == "TC" else [None if x is None else x.T.copy() for x in walk]
    data = ArrayData({"walk": given}, np.arange(500) % 2, "classification", kinds={"walk": f"series,layout={layout}"})
    found = statistics(data, "walk")
    assert found is not None
    assert found.mean.shape == found.std.shape == ((1, 2) if layout == "TC" else (2, 1))
    np.testing.assert_allclose(found.mean.ravel(), everything.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std.ravel(), everything.std(axis=0), rtol=1e-9)


@pytest.mark.parametrize(("n", "limit"), [(1000, 500), (1500, 500), (1001, 500), (7, 3), (5, 5), (3, 9), (10**7, 2000)])
def test_some_of_many_positions_are_spread_evenly_and_keep_no_step(n: int, limit: int) -> None:
    found = spread(np.arange(n) * 2, limit)
    assert len(found) == min(n, limit)
    assert (np.diff(found) > 0).all()
    if n > limit:
        stretch = np.searchsorted(np.arange(1, limit + 1) * n // limit, found // 2, side="right")
        assert stretch.tolist() == list(range(limit))
    if limit >= 500:
        for period in (2, 3, 5):
            shares = np.bincount(found // 2 % period, minlength=period) / limit
            assert np.abs(shares - 1 / period).max() < 0.1


def test_limit_takes_evenly_spaced_recorded_rows() -> None:
    labs = np.arange(N, dtype=np.float64)[:, None].repeat(2, axis=1)
    labs[::2] = np.nan
    found = statistics(make(labs=labs), "labs", limit=3)
    assert found is not None
    rows = labs[spread(np.arange(1, N, 2), 3)]
    assert found.mean.tolist() == rows.mean(axis=0).tolist()
    assert found.std == pytest.approx(rows.std(axis=0))
    single = statistics(make(labs=labs), "labs", limit=1)
    assert single is not None
    assert single.std.tolist() == [0.0, 0.0]


def test_of_a_subset_and_bad_arguments() -> None:
    data = make(labs=np.arange(8.0).reshape(4, 2))
    part = statistics(subset(data, [3, 0]), "labs")
    assert part is not None
    assert part.mean.tolist() == [3.0, 4.0]
    with pytest.raises(UnknownName, match="did you mean 'labs'"):
        statistics(data, "lab")
    with pytest.raises(BadInput, match="limit is 0"):
        statistics(data, "labs", limit=0)
