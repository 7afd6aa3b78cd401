"""Mean and standard deviation: against NumPy over everything at once, within the limit, saved and read back."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmaudit.data import ArrayData, all_statistics, load_statistics, save_statistics, subset
from mmaudit.data.statistics import ModalityStatistics, statistics
from mmaudit.errors import BadInput, UnknownName

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
    walk = [None if i % 7 == 0 else rng.normal(3, 2, (1 + i % 9, 2)) for i in range(500)]
    everything = np.concatenate([x.ravel() for x in walk if x is not None])
    found = statistics(make(walk=walk), "walk")
    assert found is not None
    assert found.mean.shape == found.std.shape == ()
    assert found.mean == pytest.approx(everything.mean())
    assert found.std == pytest.approx(everything.std())


def test_limit_takes_evenly_spaced_recorded_rows() -> None:
    labs = np.arange(N, dtype=np.float64)[:, None].repeat(2, axis=1)
    labs[::2] = np.nan
    found = statistics(make(labs=labs), "labs", limit=3)
    assert found is not None
    rows = labs[1::2][[0, 750, 1499]]
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


def test_saved_and_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = make(**{"a/../b": rng.normal(size=(10, 2)), "ü <b>": ["x"] * 10})
    table = all_statistics(data)
    save_statistics(table, tmp_path / "one.npz")
    save_statistics(table, tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:  # no clock in the bytes
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert sorted(x.name for x in tmp_path.iterdir()) == ["one.npz", "two.npz"]
    back = load_statistics(tmp_path / "one.npz")
    assert list(back) == ["a/../b", "ü <b>"]
    assert back["ü <b>"] is None
    got, wanted = back["a/../b"], table["a/../b"]
    assert got is not None
    assert wanted is not None
    assert np.array_equal(got.mean, wanted.mean)
    assert np.array_equal(got.std, wanted.std)
    whole = (tmp_path / "one.npz").read_bytes()
    for size in (0, len(whole) // 2, len(whole) - 3):
        (tmp_path / "cut.npz").write_bytes(whole[:size])
        with pytest.raises(BadInput, match=r"cut\.npz.*delete the file"):
            load_statistics(tmp_path / "cut.npz")
    with pytest.raises(BadInput, match=r"none\.npz"):
        load_statistics(tmp_path / "none.npz")


def test_scalars_are_kept(tmp_path: Path) -> None:
    save_statistics({"walk": ModalityStatistics(np.asarray(1.5), np.asarray(0.5))}, tmp_path / "s.npz")
    back = load_statistics(tmp_path / "s.npz")["walk"]
    assert back is not None
    assert back.mean.shape == ()
    assert float(back.std) == 0.5
