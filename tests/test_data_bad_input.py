"""Every unusable data set is refused when it is made, by one error that names the culprit and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mmaudit.data import ArrayData, Indexed, check, subset
from mmaudit.errors import BadInput, UnknownName
from mmaudit.types import Batch, Modality, Task

N = 6


def good() -> dict[str, Any]:
    """Arguments that make a data set; each test spoils one of them."""
    rng = np.random.default_rng(0)
    return {
        "inputs": {
            "photo": rng.integers(0, 256, (N, 4, 5, 3), dtype=np.uint8),
            "note": ["a", "b", "", "d", "e", "f"],
            "labs": rng.normal(size=(N, 3)),
        },
        "target": [0, 1, 2, 0, 1, 2],
        "task": Task.classification(("ant", "bee", "cow")),
        "ids": [f"s{i}" for i in range(N)],
    }


def spoil_input(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(arguments: dict[str, Any]) -> None:
        arguments["inputs"][name] = value

    return change


def put(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda arguments: arguments.update(values)


def set_cell(row: Any, column: Any, value: float) -> Callable[[dict[str, Any]], None]:
    def change(arguments: dict[str, Any]) -> None:
        arguments["inputs"]["labs"][row, column] = value

    return change


def floats(*shape: int) -> Any:
    return np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)


UNUSABLE: list[tuple[str, Callable[[dict[str, Any]], None], list[str]]] = [
    (
        "inputs of another length",
        spoil_input("note", ["a"] * 5),
        ["lengths differ", "'note' 5", "'photo' 6", "target 6"],
    ),
    ("target of another length", put(target=[0, 1]), ["lengths differ", "target 2"]),
    ("ids of another length", put(ids=["a"]), ["samples 6", "ids 1"]),
    ("group of another length", put(groups={"site": ["x"]}), ["group column 'site' 1"]),
    ("cluster of another length", put(cluster=["x"]), ["cluster 1"]),
    ("presence of another length", put(present={"labs": [True]}), ["present['labs'] 1"]),
    ("empty", put(inputs={"labs": np.zeros((0, 3))}, target=[], ids=[]), ["empty", "0 samples"]),
    ("no inputs", put(inputs={}), ["at least one modality"]),
    (
        "duplicate ids",
        put(ids=["a", "b", "a", "d", "b", "f"]),
        ["duplicate sample ids", "'a'", "rows 0 and 2", "2 ids"],
    ),
    ("duplicate integer ids", put(ids=[7, 1, 2, 3, 4, 7]), ["duplicate sample ids", "7", "rows 0 and 5"]),
    ("missing id", put(ids=["a", None, "c", "d", "e", "f"]), ["row 1", "no id"]),
    ("ids of fractions", put(ids=np.arange(N) / 2), ["ids are of dtype float64", "integers or strings"]),
    ("ids of two types", put(ids=[1, "1", 2, 3, 4, 5]), ["ids are of dtype object"]),
    ("label outside", put(target=[0, 1, 3, 0, 1, 2]), ["label 3", "3 classes 0 … 2", "'ant'", "sample id 's2'"]),
    ("negative label", put(target=[0, 1, -1, 0, 1, -1]), ["label -1", "'s2' and 1 more (2 of 6 samples)"]),
    (
        "unknown class name",
        put(target=["ant", "bee", "cat"] * 2),
        ["label 'cat'", "'s2' and 1 more", "'ant', 'bee', 'cow'"],
    ),
    ("one class only", put(target=[1] * N), ["all 6 samples are of one class", "'bee'"]),
    ("missing label", put(target=["ant", None, "bee", "cow", "ant", "bee"]), ["target is missing", "'s1'"]),
    ("NaN label", put(target=[0.0, 1, np.nan, 0, 1, 2]), ["target is NaN", "'s2'"]),
    ("fractional label", put(target=[0.0, 1, 1.5, 0, 1, 2]), ["not a whole number", "'s2'"]),
    ("one-hot label", put(target=np.eye(3)[[0, 1, 2, 0, 1, 2]]), ["[6, 3]", "argmax"]),
    ("dates as target", put(target=np.arange(N).astype("M8[D]")), ["target has dtype datetime64"]),
    (
        "retrieval of all the same",
        put(task=Task.retrieval("photo", "note"), target=[3] * 6),
        ["all samples have one identity"],
    ),
    (
        "retrieval of half a pair",
        put(task=Task.retrieval("photo", "note"), target=[0, 1, np.nan, 3, 4, 5]),
        ["target is missing", "'s2'"],
    ),
    (
        "retrieval of what is not there",
        put(task=Task.retrieval("photo", "sound")),
        ["retrieval of sound given photo", "no 'sound'"],
    ),
    (
        "NaN regression target",
        put(task=Task.regression(), target=[0.1, np.nan, 1, 2, np.inf, 4]),
        ["target is NaN or infinite", "'s1' and 1 more"],
    ),
    ("regression width", put(task=Task.regression(2), target=np.zeros(N)), ["[6]", "2 ('0', '1')", "[n, 2]"]),
    ("regression of names", put(task=Task.regression(), target=list("abcdef")), ["holds strings", "regression"]),
    (
        "multilabel not 0/1",
        put(task=Task.multilabel(2), target=np.array([[0, 1], [1, 0], [2, 0], [0, 0], [1, 1], [0, 1]])),
        ["not 0 or 1", "'s2'"],
    ),
    ("multilabel width", put(task=Task.multilabel(2), target=np.zeros((N, 3))), ["[6, 3]", "[n, 2]"]),
    ("multilabel constant", put(task=Task.multilabel(2), target=np.ones((N, 2))), ["same labels"]),
    (
        "partly NaN",
        set_cell([2, 4], 1, np.nan),
        ["'labs'", "'s2' and 1 more (2 of 6 samples)", "[1]: nan", "impute", "whole row"],
    ),
    ("infinite", set_cell(3, 2, -np.inf), ["'labs'", "infinite", "[2]: -inf", "'s3'"]),
    ("absent everywhere", set_cell(slice(None), slice(None), np.nan), ["'labs'", "absent from all 6 samples"]),
    ("absent everywhere by mask", put(present={"labs": [False] * N}), ["'labs'", "absent from all 6 samples"]),
    ("absent text everywhere", spoil_input("note", [None] * N), ["'note'", "absent from all 6 samples"]),
    (
        "outside the range",
        put(modalities=[Modality("labs", "tabular", range=(-1, 0.5))], inputs={"labs": floats(N, 3)}),
        ["'labs'", "outside its range (-1.0, 0.5)", "'s3' and 2 more"],
    ),
    ("presence of an unknown modality", put(present={"lab": [True] * N}), ["'lab'", "no input", "'labs'"]),
    ("presence of other numbers", put(present={"labs": [0, 1, 2, 0, 1, 2]}), ["present['labs']", "True"]),
    (
        "declared but not there",
        put(modalities=[Modality("lab", "tabular")]),
        ["'lab' is declared", "did you mean 'labs'"],
    ),
    (
        "declared twice",
        put(modalities=[Modality("labs", "tabular")], kinds={"labs": "tabular"}),
        ["'labs' is declared twice"],
    ),
    ("unknown kind", put(kinds={"labs": "tabula"}), ["'tabula'", "did you mean 'tabular'"]),
    ("unknown option", put(kinds={"labs": "tabular,rang=0..1"}), ["'rang'", "did you mean 'range'"]),
    ("unreadable option", put(kinds={"labs": "tabular,range=0"}), ["'range=0' cannot be read", "range=0..1"]),
    ("wrong shape declared", put(modalities=[Modality("labs", "tabular", (4,), "float64")]), ["[4]", "[3]", "'labs'"]),
    ("wrong dtype declared", put(modalities=[Modality("labs", "tabular", (3,))]), ["float32 [3]", "float64 [3]"]),
    (
        "numbers as text",
        put(kinds={"labs": "text"}),
        ["'labs' is declared as text", "float64 numbers", "text stays text"],
    ),
    ("text as numbers", put(kinds={"note": "embedding"}), ["'note' is declared as embedding", "strings"]),
    ("layout of a table", put(modalities=[Modality("labs", "tabular", layout="HW")]), ["'labs'", "layout 'HW'"]),
    ("no values per sample", spoil_input("labs", np.zeros((N, 0))), ["'labs'", "no values"]),
    ("one number per sample", spoil_input("labs", np.zeros(N)), ["'labs'", "one number per sample", "[n, 1]"]),
    ("one value", spoil_input("labs", 3.0), ["'labs'", "single value"]),
    ("one string", spoil_input("note", "all of it"), ["'note' is one str"]),
    ("booleans", spoil_input("labs", np.ones((N, 2), bool)), ["'labs'", "bool", "uint8"]),
    ("complex", spoil_input("labs", np.ones((N, 2), complex)), ["'labs'", "complex128"]),
    ("bytes", spoil_input("note", np.array([b"a"] * N)), ["'note'", "decode"]),
    ("masked", spoil_input("labs", np.ma.masked_less(floats(N, 2), 0.5)), ["'labs'", "masked array", "present="]),
    ("object table", spoil_input("labs", np.ones((N, 2), object)), ["'labs'", "object array", "astype"]),
    ("dictionaries", spoil_input("labs", [{"a": 1}] * N), ["'labs', row 0", "dict"]),
    ("strings and numbers", spoil_input("note", ["a", "b", 3, "d", "e", "f"]), ["'note'", "int", "row 2"]),
    ("an empty sample", spoil_input("labs", [floats(2), floats(0)] * 3), ["'labs'", "row 1 has no values", "None"]),
    ("axes that differ", spoil_input("labs", [floats(2), floats(2, 2)] * 3), ["'labs'", "row 1", "2 axes"]),
    ("dtypes that differ", spoil_input("labs", [floats(2), np.arange(2)] * 3), ["row 1 is int64", "float32"]),
    ("words in arrays", spoil_input("labs", [np.array(["a", "b"])] * N), ["'labs', row 0", "<U1"]),
    (
        "index outside",
        spoil_input("labs", Indexed(floats(2, 3), [0, 1, 2, 0, 1, 2])),
        ["'labs'", "index 2 at row 2", "2 stored"],
    ),
    ("negative index", spoil_input("labs", Indexed(floats(2, 3), [0, 1, -1, 0, 1, 1])), ["index -1 at row 2"]),
    ("fractional index", spoil_input("labs", Indexed(floats(2, 3), [0.5] * N)), ["'labs'", "index must be integers"]),
    (
        "index in an index",
        spoil_input("labs", Indexed(Indexed(floats(2, 3), [0, 1]), [0] * N)),
        ["Indexed inside Indexed"],
    ),
    ("unhashable cluster", put(cluster=[[1], [2, 3], [4], [5], [6], [7]]), ["cluster", "hashable"]),
    ("missing cluster", put(cluster=["a", None, "b", "c", "d", "e"]), ["cluster is missing", "'s1'"]),
    ("two-axis group", put(groups={"site": np.zeros((N, 2))}), ["group column 'site'", "[6, 2]"]),
    ("unknown task text", put(task="clasification"), ["'clasification'", "did you mean 'classification'"]),
    ("task with too few names", put(task="classification:x"), ["'x' is not a number"]),
    ("gap in the labels", put(task="classification", target=[1, 2, 3, 1, 2, 3]), ["1 to 3", "classification:K"]),
]


@pytest.mark.parametrize(("change", "words"), [case[1:] for case in UNUSABLE], ids=[case[0] for case in UNUSABLE])
def test_unusable_data_is_refused_by_name(change: Callable[[dict[str, Any]], None], words: list[str]) -> None:
    arguments = good()
    ArrayData(**arguments)  # usable before it is spoilt
    change(arguments)
    with pytest.raises(BadInput) as caught:
        ArrayData(**arguments)
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, str(caught.value)


def test_values_of_samples_that_were_not_recorded_may_be_anything() -> None:
    arguments = good()
    labs = arguments["inputs"]["labs"]
    labs[1, 0], labs[2], labs[3, 1] = np.nan, np.inf, np.nan
    data = ArrayData(**arguments, present={"labs": [1, 0, 0, 0, 1, 1]})
    rows = data.rows(np.arange(N))
    assert rows.present["labs"].tolist() == [True, False, False, False, True, True]
    assert np.array_equal(rows.inputs["labs"][1:4], np.zeros((3, 3)))
    assert np.isnan(labs[1, 0])
    assert np.isinf(labs[2]).all()  # the user's array is as it was


@pytest.mark.parametrize("positions", [[6], [-1], [[0]], [0.5], ["a"]])
def test_positions_outside_the_data_are_refused(positions: Any) -> None:
    data = ArrayData(**good())
    for read in (data.rows, data.subset, lambda p: data.values("note", p), subset(data, np.arange(N)).rows):
        with pytest.raises(BadInput, match="position"):
            read(positions)


def test_unknown_modality_is_suggested() -> None:
    with pytest.raises(UnknownName, match="did you mean 'photo'"):
        ArrayData(**good()).presence("foto")


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([], "empty"),
        ([0, 1, 0], "twice"),
        ([0, 3], "one class, 'ant'"),
        ([0, 1], "'labs' is absent from all 2 samples"),
    ],
)
def test_unusable_subsets_are_refused(positions: list[int], words: str) -> None:
    data = ArrayData(**good(), present={"labs": [0, 0, 1, 1, 1, 1]})
    with pytest.raises(BadInput, match=words):
        data.subset(positions)


class Handmade:
    """A data set of a user's own making, to be spoilt."""

    def __init__(self, **changes: Any) -> None:
        base = ArrayData(**good())
        self.base = base
        self.modalities, self.task, self.ids, self.target = base.modalities, base.task, base.ids, base.target
        self.groups, self.cluster, self.fingerprint = base.groups, base.cluster, "sha256:0"
        self.spoil: Callable[[Batch], Batch] = lambda batch: batch
        for name, value in changes.items():
            setattr(self, name, value)

    def __len__(self) -> int:
        return len(self.base)

    def presence(self, modality: str) -> Any:
        return self.base.presence(modality)

    def rows(self, positions: Any) -> Batch:
        return self.spoil(self.base.rows(positions))


def inputs_changed(name: str, change: Callable[[Any], Any]) -> Callable[[Batch], Batch]:
    return lambda batch: batch.replace({name: change(batch.inputs[name])})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modalities": ()}, "no modalities"),
        ({"modalities": (Modality("a", "text"),) * 2}, "not unique"),
        ({"ids": np.arange(3)}, "ids 3"),
        ({"ids": np.zeros(N, np.int64)}, "duplicate sample ids"),
        ({"target": np.zeros(N, np.int32)}, "one class"),
        ({"target": np.arange(N, dtype=np.int32) % 3}, "target is int32"),
        ({"cluster": np.zeros(2)}, "cluster 2"),
        ({"presence": lambda name: np.ones(N)}, "float64"),
        ({"presence": lambda name: np.zeros(N, bool)}, "absent from all"),
        ({"spoil": lambda b: Batch({}, {}, b.target, b.ids, b.positions)}, "expected every modality"),
        ({"spoil": lambda b: Batch(b.inputs, b.present, b.target[::-1], b.ids, b.positions)}, "gives target"),
        ({"spoil": lambda b: Batch(b.inputs, b.present, b.target, b.ids[::-1], b.positions)}, "gives ids"),
        ({"spoil": inputs_changed("labs", lambda x: x.astype(np.float32))}, r"'labs': rows are float32 \[3\]"),
        ({"spoil": inputs_changed("labs", lambda x: x * np.nan)}, "'labs' is NaN for sample id 's0'"),
        ({"spoil": inputs_changed("labs", lambda x: x + np.inf)}, "'labs' is infinite"),
        ({"spoil": inputs_changed("photo", lambda x: x[:, 1:])}, r"'photo': rows are uint8 \[3, 5, 3\]"),
        ({"spoil": inputs_changed("note", lambda x: x.astype("U"))}, "'note': rows come as <U"),
        ({"spoil": inputs_changed("note", lambda x: np.array([b"", b""], object))}, "'note': sample id 's0' is bytes"),
    ],
)
def test_check_names_what_a_handmade_data_set_gets_wrong(changes: dict[str, Any], words: str) -> None:
    check(Handmade())
    with pytest.raises(BadInput, match=words):
        check(Handmade(**changes))


def test_check_names_what_is_no_data_set_at_all() -> None:
    with pytest.raises(BadInput, match=r"ndarray is not a data set: it has no modalities, task.*ArrayData"):
        check(np.zeros(3))
