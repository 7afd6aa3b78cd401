"""Columns of awkward types: read as what they are, or refused by name; never read as something else."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmaudit import ArrayData
from mmaudit.data.checks import check_cluster, check_groups, check_target
from mmaudit.data.columns import sample_array
from mmaudit.errors import BadInput
from mmaudit.types import Task

IDS = np.arange(6)
NAN = float("nan")


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_lists_of_lists_unfold_however_deep(tmp_path: Path, depth: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, *(4, 5, 3, 2)[:depth])).astype(np.uint8)
    kind: Any = pa.uint8()
    for _ in range(depth):
        kind = pa.list_(kind)
    pq.write_table(pa.table({"x": pa.array(pixels.tolist(), kind)}), tmp_path / "data.parquet")
    for row, expected in zip(pq.read_table(tmp_path / "data.parquet")["x"].to_pandas(), pixels, strict=True):
        assert np.array_equal(sample_array(row, "x"), expected)


def test_lists_of_differing_lengths_are_no_array() -> None:
    inner = [np.zeros(3), np.zeros(2)]
    given = np.empty(2, object)
    for row in range(2):
        given[row] = np.empty(2, object)
        given[row][:] = inner
    with pytest.raises(BadInput, match="nested with differing lengths"):
        sample_array(given, "x")


@pytest.mark.parametrize("task", ["classification", Task.classification(("a", "b"))], ids=["open", "named"])
def test_a_missing_label_in_a_list_of_names_is_no_class(task: Any) -> None:
    with pytest.raises(BadInput, match="target is missing"):
        ArrayData({"x": np.zeros((6, 2))}, ["a", "b", NAN, "a", "b", "a"], task)


@pytest.mark.parametrize("kind", ["datetime64[ns]", "timedelta64[s]"])
def test_a_date_that_was_not_recorded_is_no_cluster(kind: str) -> None:
    given = np.array([1, 2, 1, 2, 1, 2]).astype(kind)
    assert check_cluster(given, IDS).tolist() == [0, 1, 0, 1, 0, 1]
    given[3] = "NaT"
    with pytest.raises(BadInput, match="cluster is missing"):
        check_cluster(given, IDS)


def test_a_date_that_was_not_recorded_is_in_the_group_of_missing_ones() -> None:
    given = np.array(["2020-01-01", "NaT"] * 3, "datetime64[D]")
    assert check_groups({"day": given}, 6)["day"].tolist() == ["2020-01-01", "(missing)"] * 3


def test_groups_of_bytes_that_are_no_ascii_are_refused() -> None:
    assert check_groups({"site": np.array([b"a", b"b"] * 3)}, 6)["site"].tolist() == ["a", "b"] * 3
    with pytest.raises(BadInput, match="'site' holds bytes that are no ASCII"):
        check_groups({"site": np.array(["é".encode()] * 6)}, 6)


@pytest.mark.parametrize(
    "given",
    [
        np.arange(6).astype("datetime64[D]"),
        pd.Series(pd.date_range("2020-01-01", periods=6)),
        [datetime.date(2020, 1, day + 1) for day in range(6)],
    ],
    ids=["datetime64", "pandas", "datetime.date"],
)
def test_dates_are_no_numbers_to_predict(given: Any) -> None:
    with pytest.raises(BadInput, match="target"):
        check_target(Task.regression(), given, IDS)


def test_decimals_are_numbers_and_no_classes_unless_they_are_whole() -> None:
    halves, wholes = [Decimal(i) / 2 for i in range(6)], [Decimal(i % 3) for i in range(6)]
    assert check_target(Task.regression(), halves, IDS).ravel().tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert check_target(Task.classification(3), wholes, IDS).tolist() == [0, 1, 2, 0, 1, 2]
    with pytest.raises(BadInput, match="target is not a whole number"):
        check_target(Task.classification(3), halves, IDS)
