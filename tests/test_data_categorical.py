"""Columns that are categories: declared, refused, read by every reader, kept in a run; their most frequent codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmaudit import FrameData, Run, read_npz, read_parquet, read_table
from mmaudit.data import ArrayData, Dataset, all_statistics, parse_kind, subset
from mmaudit.data.statistics import ModalityStatistics, statistics, statistics_shape
from mmaudit.errors import BadInput, DamagedRun, NotApplicable
from mmaudit.execution.shares import read_statistics, write_statistics
from mmaudit.header import modality_from_json, modality_to_json
from mmaudit.probes import Source
from mmaudit.samples_file import Samples
from mmaudit.types import CLEAN, Array, Modality

AGE, SEX, WARD = [60.5, 41.0, 72.25, 38.0, 55.0], [1, 0, 1, 1, 0], [7, 3, 7, 3, 12]
COLUMNS = ("age", "sex", "ward")
KIND = "tabular,categorical=1+2"


def table() -> Array:
    return np.array([AGE, SEX, WARD]).T


def columns_of(data: Dataset) -> tuple[int, ...] | None:
    (modality,) = data.modalities
    return modality.categorical


def of(data: Dataset, name: str) -> ModalityStatistics:
    found = statistics(data, name)
    assert found is not None
    return found


# ---- declared


def test_a_declaration_is_sorted_and_comes_back() -> None:
    declared = Modality("x", "tabular", (3,), categorical=(2, 0))
    assert declared.categorical == (0, 2)
    assert declared == Modality("x", "tabular", (3,), categorical=(0, 2))
    assert modality_from_json(modality_to_json(declared)) == declared
    assert not declared.all_categorical
    assert Modality("x", "tabular", (2,), categorical=(0, 1)).all_categorical
    assert not Modality("x", "tabular", (2,)).all_categorical


def test_what_is_not_declared_is_written_as_before_and_none_is_not_nothing() -> None:
    plain, none = Modality("x", "tabular", (3,)), Modality("x", "tabular", (3,), categorical=())
    assert "categorical" not in modality_to_json(plain)
    assert modality_from_json(modality_to_json(plain)).categorical is None
    assert modality_from_json(modality_to_json(none)).categorical == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((3,), r"categorical column 3 is outside its 3 columns, 0 to 2"),
        ((1, 1), "categorical column 1 is named twice"),
        ((-1,), "column -1 is no place of a column; count them from 0"),
        ((True,), "column True is no place"),
        ((0.0,), r"column 0\.0 is no place"),
        ("01", "column '01' is no place"),
        ({0: 1}, "is no place"),
    ],
)
def test_what_is_no_column_is_refused(given: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Modality("x", "tabular", (3,), categorical=given)


def test_only_tables_have_categorical_columns() -> None:
    with pytest.raises(BadInput, match="'x' is series; only a tabular one has categorical columns"):
        Modality("x", "series", categorical=(0,))
    with pytest.raises(BadInput, match="only a tabular one"):
        parse_kind("x", "embedding,categorical=0")


def test_kinds_say_it_by_place_by_name_and_none() -> None:
    assert parse_kind("x", "tabular, categorical=2+0").categorical == (0, 2)
    assert parse_kind("x", "tabular,categorical=ward + sex", COLUMNS).categorical == (1, 2)
    assert parse_kind("x", "tabular,categorical=none").categorical == ()
    assert parse_kind("x", "tabular,categorical=0", ("1", "0")).categorical == (1,), "a name before a place"
    with pytest.raises(BadInput, match="'wards' is not one of 'age', 'sex', 'ward'; did you mean 'ward'"):
        parse_kind("x", "tabular,categorical=wards", COLUMNS)
    with pytest.raises(BadInput, match="'sex' is not a place such as 0"):
        parse_kind("x", "tabular,categorical=sex")
    for text in ("", "+", "0+", "-1", "1.5", "9" * 400):
        with pytest.raises(BadInput, match="categorical column"):
            parse_kind("x", f"tabular,categorical={text}")


# ---- every reader


def test_arrays_and_npz(tmp_path: Path) -> None:
    x, y = table(), np.arange(5) % 2
    assert columns_of(ArrayData({"x": x}, y, "classification", kinds={"x": KIND})) == (1, 2)
    declared = Modality("x", "tabular", categorical=(1,))
    assert columns_of(ArrayData({"x": x}, y, "classification", modalities=[declared])) == (1,)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    assert columns_of(read_npz(tmp_path / "a.npz", "classification", kinds={"x": KIND})) == (1, 2)
    with pytest.raises(BadInput, match="categorical column 9 is outside its 3 columns"):
        ArrayData({"x": x}, y, "classification", kinds={"x": "tabular,categorical=9"})


def test_frames_parquet_and_csv_take_names(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"age": AGE, "sex": SEX, "ward": WARD, "y": np.arange(5) % 2})
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    arguments: Any = ({"x": COLUMNS}, "y", "classification")
    kinds = {"x": "tabular,categorical=ward+sex"}
    for data in (
        FrameData(frame, *arguments, kinds=kinds),
        read_parquet(tmp_path / "a.parquet", *arguments, kinds=kinds),
        read_table(tmp_path / "a.csv", *arguments, kinds=kinds),
    ):
        assert columns_of(data) == (1, 2)
    assert columns_of(FrameData(frame, *arguments)) is None, "an integer column says nothing"
    with pytest.raises(BadInput, match="'y' is not one of 'age', 'sex', 'ward'"):
        FrameData(frame, *arguments, kinds={"x": "tabular,categorical=y"})


def test_hugging_face_data_take_names() -> None:
    datasets = pytest.importorskip("datasets")
    from mmaudit import HuggingFaceData

    rows = datasets.Dataset.from_dict({"age": AGE, "sex": SEX, "ward": WARD, "y": [0, 1, 0, 1, 0]})
    kinds = {"x": "tabular,categorical=sex"}
    assert columns_of(HuggingFaceData(rows, {"x": COLUMNS}, "y", "classification", kinds=kinds)) == (1,)
    assert columns_of(HuggingFaceData(rows, {"x": COLUMNS}, "y", "classification")) is None


def test_a_pandas_category_of_whole_numbers_declares_itself() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"age": AGE, "sex": pd.Categorical(np.array(SEX) == 1), "ward": pd.Categorical(WARD)})
    frame["y"] = np.arange(5) % 2
    data = FrameData(frame, {"x": COLUMNS}, "y", "classification")
    assert columns_of(data) == (1, 2)
    np.testing.assert_array_equal(data.rows(np.arange(5)).inputs["x"], table())
    # Declared beside it: both.
    more = FrameData(frame, {"x": ("sex", "age")}, "y", "classification", kinds={"x": "tabular,categorical=age"})
    assert columns_of(more) == (0, 1)
    alone = FrameData(frame, {"x": "ward"}, "y", "classification")
    assert alone.modalities[0].all_categorical
    assert alone.modalities[0].dtype == "int64"
    other = FrameData(frame, {"x": COLUMNS}, "y", "classification", kinds={"x": "embedding"})
    assert columns_of(other) is None
    frame["ward"] = pd.Categorical(["a", "b", "a", "b", "a"])
    with pytest.raises(BadInput, match=r"'ward' has dtype category.*encode categories as numbers first"):
        FrameData(frame, {"x": COLUMNS}, "y", "classification")


def test_a_missing_code_makes_the_row_missing_or_is_refused() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"ward": pd.Categorical([3, None, 7, 3]), "age": [1.0, 2, 3, 4], "y": [0, 1, 0, 1]})
    data = FrameData(frame, {"x": "ward"}, "y", "classification")
    assert data.presence("x").tolist() == [True, False, True, True]
    with pytest.raises(BadInput, match="NaN in part"):
        FrameData(frame, {"x": ("ward", "age")}, "y", "classification")


# ---- identity


def test_the_fingerprint_knows_what_is_declared() -> None:
    made = [
        ArrayData({"x": table()}, np.arange(5) % 2, "classification", modalities=[Modality("x", "tabular", **more)])
        for more in ({}, {"categorical": ()}, {"categorical": (1,)}, {"categorical": (1, 2)})
    ]
    assert len({data.fingerprint for data in made}) == 4
    # That of the time when there was nothing to declare: runs of then still belong to their data.
    assert made[0].fingerprint == "sha256:e8f538fb705022752df94e3c6654bdf4a639f2a243eb15df22262e1bfb57248c"


# ---- the most frequent code


def test_the_mode_is_the_most_frequent_code_and_of_equals_the_smallest() -> None:
    x = np.array([[5, 2, 9.5], [5, 1, 1.5], [3, 2, 2.5], [3, 1, 0.5], [8, 7, 4.0]])
    data = ArrayData({"x": x}, np.arange(5) % 2, "classification", kinds={"x": "tabular,categorical=0+1"})
    found = of(data, "x")
    assert found.mode is not None
    np.testing.assert_array_equal(found.mode, [3, 1, np.nan])
    np.testing.assert_array_equal(found.typical, [3, 1, x[:, 2].mean()])
    np.testing.assert_allclose(found.mean, x.mean(axis=0))
    np.testing.assert_allclose(of(subset(data, [0, 1, 4]), "x").typical[:2], [5, 1])


def test_modes_are_counted_over_all_blocks_and_recorded_rows_only() -> None:
    """2,000 rows of 1,000 columns are several blocks; the most frequent code of the rows that are there is counted."""
    rng = np.random.default_rng(0)
    x = rng.choice([2.0, 40.0, 41.0], (2000, 1000), p=[0.3, 0.36, 0.34])
    x[rng.random(2000) < 0.2] = np.nan
    data = ArrayData({"x": x}, np.arange(2000) % 2, "classification", kinds={"x": "tabular,categorical=0+999"})
    found = of(data, "x")
    there = x[~np.isnan(x[:, 0])]
    assert found.mode is not None
    for column in (0, 999):
        codes, times = np.unique(there[:, column], return_counts=True)
        assert found.mode[column] == codes[times.argmax()]
    assert np.isnan(found.mode[1:999]).all()


def test_statistics_of_data_that_declare_otherwise_are_refused() -> None:
    y = np.arange(5) % 2
    plain = ArrayData({"x": table()}, y, "classification")
    declared = ArrayData({"x": table()}, y, "classification", kinds={"x": KIND})
    Source(declared, all_statistics(declared))
    for data, other in ((plain, declared), (declared, plain)):
        with pytest.raises(BadInput, match=r"its categorical columns are .* in the data that its means come from"):
            Source(data, all_statistics(other))


def run_of(folder: Path, modality: dict[str, Any]) -> Run:
    """A run of one table, as yet without answers."""
    header = {
        "fingerprints": {"model": "m", "data": "d"},
        "model": {"name": "model"},
        "data": {"n": 4},
        "task": {"kind": "classification", "names": ["a", "b"], "unit": ""},
        "modalities": [modality],
        "suite": {},
        "increments": [[CLEAN.to_json()]],
        "declined": [],
        "shard_rows": 4,
    }
    return Run.create(folder, header, Samples(np.arange(4), np.arange(4) % 2, {}, None, {"x": np.ones(4, np.bool_)}))


def test_a_run_keeps_what_is_declared_and_what_workers_need(tmp_path: Path) -> None:
    data = ArrayData({"x": table()}, np.arange(5) % 2, "classification", kinds={"x": KIND})
    run_of(tmp_path / "run", modality_to_json(data.modalities[0]))
    run = Run.open(tmp_path / "run")
    assert run.modalities == data.modalities
    write_statistics(run, all_statistics(data))
    kept = read_statistics(run)
    assert kept is not None
    assert kept["x"] is not None
    np.testing.assert_array_equal(kept["x"].typical, of(data, "x").typical)
    plain = ArrayData({"x": table()}, np.arange(5) % 2, "classification")
    write_statistics(run, all_statistics(plain))
    assert read_statistics(run) is None, "without the modes they are not this run's"


@pytest.mark.parametrize("columns", [[3], [-1], [0, 0], [None], "01", {"0": 1}, 2.5, [[0]], [True]])
def test_a_run_that_declares_what_cannot_be_is_damaged(tmp_path: Path, columns: Any) -> None:
    run_of(tmp_path / "run", {**modality_to_json(Modality("x", "tabular", (3,)))})
    header = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    header["modalities"][0]["categorical"] = columns
    (tmp_path / "run" / "run.json").write_text(json.dumps(header), encoding="utf-8")
    with pytest.raises(DamagedRun, match="categorical column"):
        Run.open(tmp_path / "run")


# ---- stand-ins


def stand_in(data: ArrayData, baseline: str) -> Array:
    batch = data.rows(np.arange(len(data)))
    return Source(data, all_statistics(data)).stand_in(baseline, "x", batch)


def test_the_mean_stand_in_is_the_mode_in_categorical_columns() -> None:
    data = ArrayData({"x": table()}, np.arange(5) % 2, "classification", kinds={"x": KIND})
    np.testing.assert_array_equal(stand_in(data, "mean"), np.broadcast_to([np.mean(AGE), 1, 3], (5, 3)))
    whole = ArrayData({"x": np.array([WARD, SEX]).T}, np.arange(5) % 2, "classification", kinds={"x": "tabular"})
    np.testing.assert_array_equal(stand_in(whole, "mean"), np.broadcast_to([6, 1], (5, 2)), "the mean, rounded")


def test_the_noise_stand_in_gives_numbers_noise_and_categories_another_samples_codes() -> None:
    rng = np.random.default_rng(0)
    codes = rng.permutation(1000)
    x = np.stack([rng.normal(5, 2, 1000), codes, codes + 5000], axis=1)
    data = ArrayData({"x": x}, np.arange(1000) % 2, "classification", kinds={"x": KIND})
    new = stand_in(data, "noise")
    assert np.array_equal(np.sort(new[:, 1]), np.arange(1000)), "every code as often as before"
    assert (new[:, 1] != x[:, 1]).all(), "what is said to be missing does not stay"
    assert np.array_equal(new[:, 1] + 5000, new[:, 2]), "the codes of one donor"
    assert new[:, 0].mean() == pytest.approx(5, abs=0.25)
    assert new[:, 0].std() == pytest.approx(2, rel=0.1)
    part = data.rows(np.arange(400, 700))
    again = Source(data, all_statistics(data)).stand_in("noise", "x", part)
    assert np.array_equal(again, new[400:700]), "whatever the batch"


def test_noise_declines_codes_alone_and_takes_numbers_that_are_declared_to_be_some() -> None:
    x, y = np.array([WARD, SEX]).T, np.arange(5) % 2
    with pytest.raises(NotApplicable, match="'x' holds category codes alone; noise on them means nothing"):
        stand_in(ArrayData({"x": x}, y, "classification", kinds={"x": "tabular,categorical=0+1"}), "noise")
    with pytest.raises(NotApplicable, match="'x' holds whole numbers, which may be category codes"):
        stand_in(ArrayData({"x": x}, y, "classification"), "noise")
    counts = stand_in(ArrayData({"x": x}, y, "classification", kinds={"x": "tabular,categorical=none"}), "noise")
    assert (counts != x).any()


# ---- series of differing length


def test_statistics_have_the_shape_that_broadcasts() -> None:
    assert statistics_shape(Modality("x", "tabular", (3,))) == (3,)
    assert statistics_shape(Modality("x", "series", (None, 4), layout="TC")) == (1, 4)
    assert statistics_shape(Modality("x", "series", (4, None), layout="CT")) == (4, 1)
    for one_pair in (
        Modality("x", "series", (None,)),
        Modality("x", "series", (None, None), layout="TC"),
        Modality("x", "series", (8, None), layout="TC"),  # the channels differ, not the length
        Modality("x", "audio", (None, 2), layout="TC"),
        Modality("x", "embedding", (None, 4)),
    ):
        assert statistics_shape(one_pair) == ()
