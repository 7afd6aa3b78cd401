"""Data sets for retrieval: identities, listed candidates, and the same from every reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers.retrieval_cases import pairs
from mmaudit import ArrayData, FrameData, Run, Task, TorchData, read_npz
from mmaudit.data import check, parse_task
from mmaudit.errors import BadInput
from mmaudit.options import read
from mmaudit.types import Array

N = 6
LISTS = np.array([[i, (i + 1) % N, (i + 2) % N] for i in range(N)])
VALUES = {"left": np.arange(12, dtype=np.float32).reshape(N, 2), "right": np.ones((N, 2), np.float32)}


def made(target: Any = None, **more: Any) -> ArrayData:
    return ArrayData(VALUES, target, more.pop("task", Task.retrieval("left", "right")), **more)


def test_a_task_keeps_its_parts_through_json_and_text() -> None:
    task = Task.retrieval(["image", "sound"], "text", bank=128)
    assert (task.query, task.target_modality, task.width) == (("image", "sound"), "text", 6)
    assert Task.from_json(task.to_json()) == task
    assert parse_task("retrieval:image+sound->text,bank=128") == task
    assert parse_task("retrieval:image->text") == Task.retrieval("image", "text")
    other = Task.classification(3)
    assert Task.from_json(other.to_json()) == other
    assert other.to_json() == {"kind": "classification", "names": ["0", "1", "2"], "unit": ""}
    assert (other.query, other.target_modality) == ((), "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (((), "text"), "query is empty"),
        ((("image", "image"), "text"), "duplicate"),
        (("image", "image"), "not in the query"),
        (("image", ("text",)), "not usable"),
        (("image", "text", 1), "2 or more"),
        (("image", "text", -1), "2 or more"),
    ],
)
def test_tasks_that_make_no_sense(arguments: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Task.retrieval(*arguments)


def test_identities() -> None:
    assert made().target.tolist() == list(range(N))
    assert made(["b", "a", "b", "a", "a", "c"]).target.tolist() == [1, 0, 1, 0, 0, 2]
    assert made([7, 7, -1, 3, 3, 3]).target.tolist() == [7, 7, -1, 3, 3, 3]
    assert made([7.0, 7.0, 1.0, 3.0, 3.0, 3.0]).target.dtype == np.int64


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": [1] * N}, "every candidate would be right"),
        ({"target": np.zeros((N, 2))}, r"shape \[6, 2\]"),
        ({"target": [0.5, 1, 2, 3, 4, 5]}, "a whole number or a string"),
        ({"target": ["a", None, "b", "c", "d", "e"]}, "missing for sample id 1"),
        ({"candidates": LISTS[:4]}, r"\[4, 3\]"),
        ({"candidates": LISTS + 5}, "outside the data set"),
        ({"candidates": LISTS[:, [0, 1, 1]]}, "list a sample twice"),
        ({"candidates": LISTS[:, 1:]}, "row 0 do not hold the row itself"),
        ({"candidates": LISTS, "task": Task.retrieval("left", "right", bank=3)}, "leave one out"),
        ({"candidates": LISTS, "task": Task.classification(2), "target": [0, 1] * 3}, "leave one out"),
        ({"task": Task.retrieval("left", "other")}, "the data has no 'other'"),
    ],
)
def test_what_cannot_be_used(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        made(**arguments)


def test_a_query_without_its_target_need_not_list_itself() -> None:
    lists = LISTS.copy()
    lists[2] = [-1, 3, 4]
    data = made(candidates=lists, present={"right": np.arange(N) != 2})
    check(data)
    with pytest.raises(BadInput, match="row 2"):
        made(candidates=lists)


def test_lists_and_banks_are_part_of_what_the_data_is() -> None:
    kinds = [
        made(),
        made(candidates=LISTS),
        made(candidates=LISTS[:, :2]),
        made(task=Task.retrieval("left", "right", 3)),
    ]
    kinds += [made([0, 0, 1, 1, 2, 2]), made(task=Task.retrieval("right", "left"))]
    assert len({data.fingerprint for data in kinds}) == len(kinds)


def test_subsets_count_positions_anew() -> None:
    part = made([0, 0, 1, 1, 2, 2], candidates=LISTS).subset([5, 1, 3])
    assert part.candidates.tolist() == [[0, -1, 1], [1, -1, 2], [2, -1, 0]]
    assert part.target.tolist() == [2, 0, 1]
    check(part)


def test_a_file_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    split = np.array(["train", "test", "test", "test", "train", "test"])
    np.savez(path, **VALUES, candidates=LISTS, split=split, label=np.array([0, 0, 1, 1, 2, 2]), spare=np.zeros((N, 3)))
    data = read_npz(path, "retrieval:left->right")
    assert [m.name for m in data.modalities] == ["left", "right"]
    assert (data.target.tolist(), data.candidates.tolist()) == (list(range(N)), LISTS.tolist())
    test = read_npz(path, "retrieval:left->right", split="test", target="label")
    assert test.target.tolist() == [0, 1, 1, 2]
    assert test.ids.tolist() == [1, 2, 3, 5]
    assert test.candidates.tolist() == [[0, 1, 2], [1, 2, -1], [2, -1, 3], [3, -1, 0]]
    np.savez(path, **VALUES, task="retrieval:right->left")
    assert read_npz(path).task.target_modality == "left"
    with pytest.raises(BadInput, match="no 'middle'"):
        read_npz(path, "retrieval:left->middle")


def test_frames_and_parquet_need_no_target(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": list("abcdef"), "x": np.arange(6.0), "y": np.arange(6.0)})
    data = FrameData(frame, {"left": ["x", "y"], "right": "name"}, None, "retrieval:left->right")
    assert data.target.tolist() == list(range(N))
    frame.to_parquet(tmp_path / "data.parquet")
    options = {"modality": ["left=tabular", "right=text"], "columns": ["left=x,y", "right=name"]}
    read_back = read(tmp_path / "data.parquet", {**options, "task": "retrieval:left->right"})
    assert read_back.fingerprint == data.fingerprint
    with pytest.raises(BadInput, match="--target missing"):
        read(tmp_path / "data.parquet", {**options, "task": "classification"})
    with pytest.raises(BadInput, match="names no column"):
        FrameData(frame, {"left": ["x", "y"]}, None, "classification")


def test_torch_data_needs_no_target() -> None:
    class Items:
        def __len__(self) -> int:
            return N

        def __getitem__(self, i: int) -> dict[str, Array | None]:
            return {"left": VALUES["left"][i], "right": None if i == 4 else VALUES["right"][i]}

    data = TorchData(Items(), ["left", "right"], "retrieval:left->right", candidates=LISTS)
    assert data.target.tolist() == list(range(N))
    assert data.presence("right").tolist() == [True] * 4 + [False, True]
    assert data.candidates.tolist() == LISTS.tolist()
    check(data)


def test_a_run_keeps_how_many_candidates_there_are(tmp_path: Path) -> None:
    from helpers.retrieval_cases import dual
    from mmaudit.auditing import prepare

    data = pairs(20, task=Task.retrieval("left", "right", bank=8), target=np.arange(20) // 2)
    run = prepare(dual(), data, suite="quick").open_run(tmp_path / "run", batch_rows=None, title=None, command="")
    kept = Run.open(run.folder).samples.target
    assert kept[:, 0].tolist() == (np.arange(20) // 2).tolist()
    assert kept[:, 1].tolist() == [8] * 16 + [4] * 4
    assert (kept[:, 2] == 2).all()
    assert Run.open(run.folder).task == data.task
