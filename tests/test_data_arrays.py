"""ArrayData: what comes out is what went in; descriptions are read off the values only where that is safe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmaudit.data import ArrayData, Dataset, Indexed, check, parse_task, subset, values
from mmaudit.errors import BadInput
from mmaudit.types import Modality, Task

N = 4


def one(value: Any, **more: Any) -> Modality:
    """Describe a single modality named x."""
    return ArrayData({"x": value}, [0, 1] * (N // 2), Task.classification(2), **more).modalities[0]


def ints(*shape: int, dtype: Any = np.uint8) -> Any:
    return np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape).astype(dtype)


def ragged(*shapes: tuple[int, ...], dtype: Any = np.float32) -> list[Any]:
    return [np.ones(shape, dtype) for shape in shapes]


@pytest.mark.parametrize(
    ("value", "more", "expected"),
    [
        (["a", "b", "c", "d"], {}, Modality("x", "text", (), "str")),
        (np.array(["a", "b", "c", "d"]), {}, Modality("x", "text", (), "str")),
        (ints(N, 5, 6), {}, Modality("x", "image", (5, 6), "uint8", "HW", (0.0, 255.0))),
        (ints(N, 5, 6, 3), {}, Modality("x", "image", (5, 6, 3), "uint8", "HWC", (0.0, 255.0))),
        (ints(N, 5, 6, 1), {}, Modality("x", "image", (5, 6, 1), "uint8", "HWC", (0.0, 255.0))),
        (ints(N, 3, 5, 6), {}, Modality("x", "image", (3, 5, 6), "uint8", "CHW", (0.0, 255.0))),
        (ints(N, 7, dtype=np.float32), {}, Modality("x", "tabular", (7,), "float32")),
        (ints(N, 7, dtype=np.int16), {}, Modality("x", "tabular", (7,), "int16")),
        (ints(N, 7, dtype=">f8"), {}, Modality("x", "tabular", (7,), "float64")),
        ([[1, 2.5], [3, 4], [5, 6], [7, 8]], {}, Modality("x", "tabular", (2,), "float64")),
        (ints(N, 7, dtype=np.float16), {"kinds": {"x": "embedding"}}, Modality("x", "embedding", (7,), "float16")),
        (
            ints(N, 9, dtype=np.int16),
            {"kinds": {"x": "audio,sample_rate=8000"}},
            Modality("x", "audio", (9,), "int16", range=(-32768.0, 32767.0), sample_rate=8000.0),
        ),
        (ints(N, 9, 2, dtype=np.float64), {"kinds": {"x": "series"}}, Modality("x", "series", (9, 2), "float64", "TC")),
        (ints(N, 9, dtype=np.float64), {"kinds": {"x": "series"}}, Modality("x", "series", (9,), "float64")),
        (
            np.zeros((N, 5, 6, 4), np.float32),
            {"kinds": {"x": "image,layout=HWC,range=0..1,unit=reflectance"}},
            Modality("x", "image", (5, 6, 4), "float32", "HWC", (0.0, 1.0), "reflectance"),
        ),
        (
            np.zeros((N, 3, 5, 6), np.float32),
            {"modalities": [Modality("x", "image", range=(-1, 1))]},
            Modality("x", "image", (3, 5, 6), "float32", "CHW", (-1.0, 1.0)),
        ),
        (
            ragged((5, 2), (7, 2), (5, 2), (1, 2)),
            {"kinds": {"x": "series"}},
            Modality("x", "series", (None, 2), "float32", "TC"),
        ),
        (
            ragged((5, 6, 3), (7, 6, 3), (5, 6, 3), (2, 9, 3), dtype=np.uint8),
            {},
            Modality("x", "image", (None, None, 3), "uint8", "HWC", (0.0, 255.0)),
        ),
        (ragged((5,), (5,), (5,), (5,)), {}, Modality("x", "tabular", (5,), "float32")),
        (Indexed(ints(2, 5, 6), [0, 1, 1, 0]), {}, Modality("x", "image", (5, 6), "uint8", "HW", (0.0, 255.0))),
    ],
)
def test_description(value: Any, more: dict[str, Any], expected: Modality) -> None:
    assert one(value, **more) == expected


@pytest.mark.parametrize(
    ("value", "more"),
    [
        (ints(N, 5, 6, dtype=np.float32) / 1e3, {}),
        (ints(N, 3, 5, 3), {}),
        (ints(N, 5, 6, 4), {}),
        (ints(N, 5, 6, 3, dtype=np.float32), {}),
        (ints(N, 5, 6, 3, dtype=np.uint16), {}),
        (ints(N, 5, 6, dtype=np.float64), {"kinds": {"x": "image"}}),
        (ints(N, 2, 3, 4, 5), {}),
        (ragged((5,), (6,), (7,), (8,)), {}),
        (ragged((5, 2), (6, 2), (7, 2), (8, 2)), {}),
    ],
)
def test_an_ambiguous_input_is_refused_with_a_line_that_works(value: Any, more: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        one(value, **more)
    lines = str(caught.value).split("Modality(")[1:]
    assert lines
    for line in lines:  # every line of the message, pasted into the call, is accepted
        made = eval("Modality(" + line[: line.index(")]") + 1 if ")]" in line else line.rindex(")") + 1])
        assert one(value, modalities=[made]).kind == made.kind


def test_wrong_layouts_are_refused() -> None:
    for kind, value in (
        ("image,layout=HW", ints(N, 5, 6, 3)),
        ("image,layout=WHC", ints(N, 5, 6, 3)),
        ("image", ints(N, 7)),
        ("series,layout=HW", ints(N, 5, 6)),
        ("series", ints(N, 5, 6, 7)),
        ("tabular", ints(N, 5, 6)),
    ):
        with pytest.raises(BadInput, match="modality 'x'"):
            one(value, kinds={"x": kind})


def sample() -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(1)
    inputs = {
        "photo": rng.integers(0, 256, (9, 4, 5), dtype=np.uint8),
        "note": [None, "", "ä\ud800", "d", "e\0f", "f", "g", float("nan"), "i"],
        "labs": rng.normal(size=(9, 3)).astype(np.float32),
        "walk": [None if i == 4 else rng.normal(size=(i + 1, 2)) for i in range(9)],
        "shared": Indexed(["x", None, "z"], [0, 1, 2, 0, 1, 2, 0, 1, 2]),
    }
    inputs["labs"][5] = np.nan
    more = {
        "kinds": {"walk": "series"},
        "ids": [f"s{i}" for i in range(9)],
        "groups": {"site": ["a", None, "b"] * 3, "age": [1.0, float("nan"), 3.5] * 3},
        "cluster": [("p", i // 2) for i in range(9)],
        "present": {"photo": [True] * 8 + [False]},
    }
    return inputs, more


def test_rows_are_what_went_in() -> None:
    inputs, more = sample()
    data = ArrayData(inputs, list("abcabcabc"), "classification", **more)
    check(data)
    assert isinstance(data, Dataset)
    assert data.task == Task.classification(("a", "b", "c"))
    order = np.array([8, 0, 5, 4, 5, 2])
    batch = data.rows(order)
    assert len(batch) == 6
    assert batch.positions.tolist() == order.tolist()
    assert batch.ids.tolist() == ["s8", "s0", "s5", "s4", "s5", "s2"]
    assert batch.target.tolist() == [2, 0, 2, 1, 2, 2]
    assert {k: v.tolist() for k, v in batch.present.items()} == {
        "photo": [False, True, True, True, True, True],
        "note": [True, False, True, True, True, True],
        "labs": [True, True, False, True, False, True],
        "walk": [True, True, True, False, True, True],
        "shared": [True, True, True, False, True, True],
    }
    assert batch.inputs["note"].tolist() == ["i", "", "f", "e\0f", "f", "ä\ud800"]
    assert batch.inputs["shared"].tolist() == ["z", "x", "z", "", "z", "z"]
    assert not batch.inputs["photo"][0].any()
    assert np.array_equal(batch.inputs["photo"][1:], inputs["photo"][order[1:]])
    assert np.array_equal(batch.inputs["labs"][[0, 1, 3, 5]], inputs["labs"][[8, 0, 4, 2]])
    assert not batch.inputs["labs"][[2, 4]].any()
    assert [x.shape for x in batch.inputs["walk"]] == [(9, 2), (1, 2), (6, 2), (1, 2), (6, 2), (3, 2)]
    assert np.array_equal(batch.inputs["walk"][0], inputs["walk"][8])
    assert data.groups["site"].tolist() == ["a", "(missing)", "b"] * 3
    assert data.groups["age"].tolist() == ["1.0", "(missing)", "3.5"] * 3
    assert data.cluster is not None
    assert data.cluster.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]


def test_no_change_to_a_batch_reaches_the_users_arrays() -> None:
    inputs, more = sample()
    kept = {"photo": inputs["photo"].copy(), "walk": [None if x is None else x.copy() for x in inputs["walk"]]}
    data = ArrayData(inputs, list("abcabcabc"), "classification", **more)
    before = data.rows(np.arange(9)).inputs["photo"].copy()
    for name, rows in data.rows(np.arange(9)).inputs.items():
        for row in rows if name == "walk" else [rows] if rows.dtype != object else []:
            row[...] = 1
    after = data.rows(np.arange(9))
    assert not after.inputs["walk"][4].any()  # what stands for a sample that was not recorded is not shared either
    assert np.array_equal(after.inputs["walk"][3], kept["walk"][3])
    assert np.array_equal(inputs["photo"], kept["photo"])
    assert np.array_equal(after.inputs["photo"], before)
    with pytest.raises(ValueError, match="read-only"):
        data.presence("photo")[0] = False


def test_rows_are_in_the_machines_byte_order() -> None:
    for order in "<>":
        data = ArrayData({"x": np.arange(4.0).reshape(2, 2).astype(f"{order}f8")}, [0, 1], "classification")
        rows = data.rows(np.array([1])).inputs["x"]
        assert rows.dtype == np.float64
        assert rows.tolist() == [[2.0, 3.0]]


def test_shared_values_are_checked_where_they_are_used() -> None:
    table = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, np.inf], [5.0, np.nan]])

    def of(index: list[int]) -> ArrayData:
        return ArrayData({"x": Indexed(table, index)}, [0, 1, 0], "classification", ids=["a", "b", "c"])

    data = of([0, 1, 0])  # rows 2 and 3 are not usable, and not used
    assert data.presence("x").tolist() == [True, False, True]
    assert data.rows(np.array([2, 1])).inputs["x"].tolist() == [[1.0, 2.0], [0.0, 0.0]]
    with pytest.raises(BadInput, match=r"infinite \(first at \[1\]: inf\) for sample id 'b'"):
        of([0, 2, 0])
    with pytest.raises(BadInput, match=r"NaN in part \(first at \[1\]: nan\) for sample id 'a' and 1 more \(2 of 3"):
        of([3, 0, 3])


def test_an_empty_request_gives_an_empty_batch() -> None:
    inputs, more = sample()
    batch = ArrayData(inputs, list("abcabcabc"), "classification", **more).rows(np.array([], dtype=np.int64))
    assert len(batch) == 0
    assert batch.inputs["photo"].shape == (0, 4, 5)
    assert batch.inputs["note"].shape == (0,)


def test_memory_mapped_arrays_stay_on_disk(tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", np.arange(40, dtype=np.float32).reshape(10, 4))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    data = ArrayData({"x": mapped}, [0, 1] * 5, "classification")
    assert np.shares_memory(data._columns["x"].stored, mapped)
    assert np.array_equal(data.rows(np.array([7, 2])).inputs["x"], mapped[[7, 2]])


def test_values_reads_one_modality_alone() -> None:
    inputs, more = sample()
    data = ArrayData(inputs, list("abcabcabc"), "classification", **more)
    whole = data.rows(np.array([3, 5])).inputs
    for name in whole:
        for got, wanted in zip(values(data, name, np.array([3, 5])), whole[name], strict=True):
            assert np.array_equal(got, wanted)


def test_targets_of_every_task() -> None:
    def target(task: Task | str, given: Any) -> Any:
        return ArrayData({"x": np.zeros((len(given), 1))}, given, task).target

    for labels in ([0, 1, 1], [0.0, 1.0, 1.0], [False, True, True], ["b", "a", "a"], np.array([0, 1, 1], np.uint8)):
        column = target(Task.classification(("b", "a")), labels)
        assert column.dtype == np.int64
        assert column.tolist() == [0, 1, 1]
    marks = target(Task.multilabel(2), [[True, False], [1, 1]])
    assert marks.dtype == np.int8
    assert marks.tolist() == [[1, 0], [1, 1]]
    assert target("multilabel", np.array([[1, 0, 0], [0, 1, 0]])).shape == (2, 3)
    measured = target(Task.regression(), np.array([1, 2], np.int16))
    assert measured.dtype == np.float64
    assert measured.tolist() == [[1.0], [2.0]]
    assert target("regression:mm", np.arange(6, dtype=np.float32).reshape(2, 3)).shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "target", "names", "expected"),
    [
        ("classification", [0, 1, 2], None, Task.classification(3)),
        ("classification", ["b", "a", "b"], None, Task.classification(("a", "b"))),
        ("classification", ["b", "a", "b"], ["b", "a"], Task.classification(("b", "a"))),
        ("classification:10", [0, 3], None, Task.classification(10)),
        ("classification:2", None, ["no", "yes"], Task.classification(("no", "yes"))),
        ("multilabel", np.zeros((2, 4)), None, Task.multilabel(4)),
        ("multilabel:2", None, None, Task.multilabel(2)),
        ("regression", np.zeros(3), None, Task.regression(1)),
        ("regression:mm Hg", np.zeros((3, 2)), ["high", "low"], Task.regression(("high", "low"), "mm Hg")),
    ],
)
def test_parse_task(text: str, target: Any, names: Any, expected: Task) -> None:
    assert parse_task(text, target, names) == expected


@pytest.mark.parametrize(
    ("text", "target", "names", "words"),
    [
        ("ranking", None, None, "not one of classification"),
        ("retrieval", None, None, "what is to be found given what"),
        ("retrieval:image->image", None, None, "not in the query"),
        ("retrieval:image->text,bank=1", None, None, "2 or more for a batch"),
        ("retrieval:image->text,batch=8", None, None, "bank=128"),
        ("classification", None, None, "leaves the number of outputs open"),
        ("classification", [0, 2], None, "classification:K"),
        ("classification", [0.5, 1], None, "cannot be told"),
        ("classification:3", None, ["a", "b"], "says 3 outputs, but 2 names"),
        ("classification:ten", None, None, "'ten' is not a number"),
        ("multilabel", [0, 1], None, r"shape \[2\]"),
        ("classification", ["a", "a"], None, "at least 2 classes"),
        ("classification", [], None, "empty"),
    ],
)
def test_parse_task_refuses(text: str, target: Any, names: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse_task(text, target, names)


def test_subset_keeps_ids_and_says_its_own_positions() -> None:
    inputs, more = sample()
    data = ArrayData(inputs, list("abcabcabc"), "classification", **more)
    part = data.subset([7, 2, 0, 3])
    check(part)
    assert len(part) == 4
    assert part.ids.tolist() == ["s7", "s2", "s0", "s3"]
    assert part.groups["site"].tolist() == ["(missing)", "b", "a", "a"]
    assert part.presence("note").tolist() == [False, True, False, True]
    batch = part.rows(np.array([3, 1]))
    assert batch.positions.tolist() == [3, 1]
    assert batch.ids.tolist() == ["s3", "s2"]
    assert np.array_equal(batch.inputs["labs"], data.rows(np.array([3, 2])).inputs["labs"])
    assert values(part, "note", np.array([1])).tolist() == ["ä\ud800"]
    again = part.subset([1, 2, 3])
    assert again.ids.tolist() == ["s2", "s0", "s3"]
    assert again.fingerprint == subset(data, [2, 0, 3]).fingerprint
    assert part.fingerprint not in (data.fingerprint, data.subset([2, 7, 0, 3]).fingerprint)


@pytest.mark.parametrize("target", [np.ones(5), np.tile([2.0, 3.0], (5, 1))])
def test_a_regression_of_one_value_is_refused(target):
    with pytest.raises(BadInput, match="all 5 samples have the same value"):
        ArrayData({"a": np.zeros((5, 2))}, target, Task.regression(target.size // 5))
