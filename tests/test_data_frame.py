"""Data frames and Parquet: columns of text, numbers and arrays; missing cells; damaged files."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmaudit.data import ArrayData, FrameData, check, read_parquet, read_table
from mmaudit.errors import BadInput
from mmaudit.types import Task


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "note": ["good", "bad", None, "ugly", "", "fine"],
            "age": [41.0, 52.0, np.nan, 38.0, 29.0, 60.0],
            "visits": pd.array([1, 2, None, 4, 5, 6], dtype="Int64"),
            "smoker": [True, False, True, False, True, False],
            "embedding": [*rng.normal(size=(5, 4)).astype(np.float32), None],
            "photo": list(rng.integers(0, 256, (6, 3, 2), dtype=np.uint8)),
            "answer": ["yes", "no", "yes", "no", "yes", "no"],
            "score": [1, 2, 3, 4, 5, 6],
            "patient": ["p1", "p1", "p2", "p2", "p3", "p3"],
            "key": [f"k{i}" for i in range(6)],
            "split": ["train", "test", "test", "test", "test", "test"],
        }
    )


MODALITIES = {"note": "note", "labs": ["age", "visits"], "vector": "embedding", "photo": "photo"}


def read(table: pd.DataFrame, **changes: Any) -> FrameData:
    arguments: dict[str, Any] = {"modalities": MODALITIES, "target": "answer", "task": "classification"} | changes
    return FrameData(table, **({"kinds": {"vector": "embedding"}} | arguments))


def test_columns_become_modalities() -> None:
    table = frame()
    before = table.copy(deep=True)
    data = read(table, groups=["patient"], cluster="patient", ids="key")
    check(data)
    assert [(m.name, m.kind, m.shape, m.dtype) for m in data.modalities] == [
        ("note", "text", (), "str"),
        ("labs", "tabular", (2,), "float64"),
        ("vector", "embedding", (4,), "float32"),
        ("photo", "image", (3, 2), "uint8"),
    ]
    assert data.task == Task.classification(("no", "yes"))
    assert data.ids.tolist() == [f"k{i}" for i in range(6)]
    assert data.presence("note").tolist() == [True, True, False, True, True, True]
    assert data.presence("labs").tolist() == [True, True, False, True, True, True]
    assert data.presence("vector").tolist() == [True] * 5 + [False]
    rows = data.rows(np.array([1, 2]))
    assert rows.inputs["labs"].tolist() == [[52.0, 2.0], [0.0, 0.0]]
    assert rows.inputs["note"].tolist() == ["bad", ""]
    assert data.groups["patient"].tolist() == ["p1", "p1", "p2", "p2", "p3", "p3"]
    pd.testing.assert_frame_equal(table, before)


def test_types_of_numbers() -> None:
    data = read(frame(), modalities={"a": "smoker", "b": ["smoker", "age"], "c": "score"}, split="patient=p3", kinds={})
    assert [m.dtype for m in data.modalities] == ["uint8", "float64", "int64"]
    assert data.rows(np.array([0])).inputs["b"].tolist() == [[1.0, 29.0]]
    assert data.ids.tolist() == [4, 5]


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_missing_text_of_every_type(dtype: Any) -> None:
    table = pd.DataFrame({"note": pd.Series(["a", None, "b"], dtype=dtype), "site": [1.0, None, 2.0], "y": [0, 1, 0]})
    data = FrameData(table, {"note": "note"}, "y", "classification", groups=["site", "note"])
    assert data.presence("note").tolist() == [True, False, True]
    assert data.rows(np.arange(3)).inputs["note"].tolist() == ["a", "", "b"]
    assert data.groups["site"].tolist() == ["1", "(missing)", "2"]
    assert data.groups["note"].tolist() == ["a", "(missing)", "b"]


def test_several_targets() -> None:
    marks = pd.DataFrame({"x": [0.5, 1.5, 2.5], "a": [0, 1, 0], "b": [True, False, False]})
    data = FrameData(marks, {"x": "x"}, ["a", "b"], "multilabel")
    assert data.task == Task.multilabel(("a", "b"))
    assert data.target.tolist() == [[0, 1], [1, 0], [0, 0]]
    assert FrameData(marks, {"x": "x"}, ["x", "a"], "regression").task.names == ("x", "a")
    assert FrameData(marks, {"x": "x"}, "x", "regression:kg").task == Task.regression(1, "kg")


def test_parquet_gives_the_same_data_set(tmp_path: Path) -> None:
    table = frame()
    table["photo"] = [list(x) for x in table["photo"]]
    kinds = {"vector": "embedding"}
    table.to_parquet(tmp_path / "data.parquet")
    arguments: dict[str, Any] = {"kinds": kinds, "groups": ["patient"], "ids": "key", "split": "test"}
    data = read_parquet(tmp_path / "data.parquet", MODALITIES, "answer", "classification", **arguments)
    assert data.source == "data.parquet; rows test"
    assert data.fingerprint == read(table, **arguments).fingerprint
    assert data.rows(np.arange(5)).inputs["photo"].shape == (5, 3, 2)


def test_frame_gives_the_same_data_set_as_arrays() -> None:
    table = frame()
    labs = np.column_stack([table["age"], table["visits"].to_numpy(np.float64, na_value=np.nan)])
    inputs = {"note": table["note"].tolist(), "labs": labs}
    arrays = ArrayData(inputs, table["answer"].tolist(), "classification", ids=table["key"].tolist())
    same = read(table, modalities={"note": "note", "labs": ["age", "visits"]}, ids="key", kinds={})
    assert same.fingerprint == arrays.fingerprint


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modalities": {}}, "at least one modality"),
        ({"modalities": {"x": []}}, "'x' names no column"),
        ({"modalities": {"x": "nota"}}, "no 'nota'.*did you mean 'note'"),
        ({"target": "answr"}, "no 'answr'.*did you mean 'answer'"),
        ({"ids": "patient"}, "duplicate sample ids: 'p1'"),
        ({"split": "dev"}, "no sample has split = 'dev'; its values are 'test', 'train'"),
        ({"modalities": {"x": ["age", "note"]}, "kinds": {}}, "'x': column 'note' has dtype.*encode"),
        ({"modalities": {"x": ["age", "score"]}, "kinds": {}}, r"'x' is NaN in part \(first at \[0\].*sample id 2;"),
        ({"target": "age"}, "cannot be told"),
        ({"target": "age", "task": "regression"}, "target is NaN.*sample id 2"),
        ({"target": "note"}, "target is missing for sample id 2"),
        ({"cluster": "note"}, "cluster is missing for sample id 2"),
        ({"target": []}, "target names no column"),
        ({"task": Task.classification(("no", "yes")), "names": ["yes", "no"]}, "names yes, no differ"),
    ],
)
def test_unusable_columns_are_refused(changes: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read(frame(), **changes)


def test_twin_columns_and_empty_frames_are_refused() -> None:
    twins = pd.DataFrame([[1, 2, 0], [3, 4, 1]], columns=["a", "a", "answer"])
    with pytest.raises(BadInput, match="column 'a' occurs more than once"):
        FrameData(twins, {"a": "a"}, "answer", "classification")
    with pytest.raises(BadInput, match="empty"):
        read(frame().iloc[:0])


def test_columns_may_have_numbers_for_names() -> None:
    data = FrameData(pd.DataFrame([[1.0, 2.0, 0], [3.0, 4.0, 1]]), {"x": ["0", "1"]}, "2", "classification")
    assert data.rows(np.array([1])).inputs["x"].tolist() == [[3.0, 4.0]]


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    frame().drop(columns="photo").to_parquet(path)
    modalities = {"note": "note", "labs": ["age", "visits"]}
    whole = path.read_bytes()
    for size in (0, 3, len(whole) // 2, len(whole) - 4):
        path.write_bytes(whole[:size])
        with pytest.raises(BadInput, match=r"data\.parquet.*not a readable Parquet"):
            read_parquet(path, modalities, "answer", "classification")
    damaged = bytearray(whole)
    damaged[4 : len(whole) // 3] = bytes(len(whole) // 3 - 4)
    path.write_bytes(bytes(damaged))
    with pytest.raises(BadInput, match="not a readable Parquet"):
        read_parquet(path, modalities, "answer", "classification")
    with pytest.raises(BadInput, match="does not exist"):
        read_parquet(tmp_path / "none.parquet", modalities, "answer", "classification")
    path.write_bytes(whole)
    with pytest.raises(BadInput, match="no 'nota'"):
        read_parquet(path, {"x": "nota"}, "answer", "classification")


@pytest.mark.parametrize("read", [read_parquet, read_table])
def test_booleans_with_nulls_and_decimals_are_numbers(tmp_path: Path, read: Any) -> None:
    table = pa.table(
        {
            "flag": pa.array([True, None, False, True]),
            "sure": pa.array([True, False, False, True]),
            "dose": pa.array([Decimal("1.50"), Decimal("-0.25"), None, Decimal("3")]),
            "score": pa.array([Decimal("0.1"), Decimal("2"), Decimal("3"), Decimal("4")]),
            "label": pa.array([0, 1, 0, 1]),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    inputs = {"flag": ["flag"], "dose": "dose", "sure": ["sure"], "both": ["sure", "score"]}
    options = {"whole": True} if read is read_table else {}
    data = read(tmp_path / "x.parquet", inputs, "label", "classification", kinds={"dose": "tabular"}, **options)
    rows = data.rows(np.arange(4))
    assert rows.present["flag"].tolist() == [True, False, True, True]
    assert rows.inputs["flag"].ravel().tolist() == [1, 0, 0, 1]
    assert rows.present["dose"].tolist() == [True, True, False, True]
    assert rows.inputs["dose"].ravel().tolist() == [1.5, -0.25, 0, 3]
    assert rows.inputs["both"].tolist() == [[1, 0.1], [0, 2], [0, 3], [1, 4]]
    assert [m.dtype for m in data.modalities] == ["float64", "float64", "uint8", "float64"]
    regression = read(tmp_path / "x.parquet", {"flag": ["flag"]}, "score", "regression")
    assert regression.target.ravel().tolist() == [0.1, 2, 3, 4]


def test_booleans_kept_as_objects_are_numbers() -> None:
    frame = pd.DataFrame({"x": pd.Series([True, np.False_, True], dtype=object), "label": [0, 1, 1]})
    data = FrameData(frame, {"x": ["x"]}, "label", "classification")
    assert data.modalities[0].dtype == "uint8"
    assert data.values("x", np.arange(3)).ravel().tolist() == [1, 0, 1]
