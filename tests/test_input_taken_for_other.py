"""Input that could be taken for something else is refused: masked values, unreadable names, orders nobody declared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mmaudit import ArrayData, FrameData, FunctionModel, TorchModel, audit, check_model, read_npz
from mmaudit.data import read_table
from mmaudit.errors import BadInput, ContractBroken
from mmaudit.types import Modality, Task

N = 24
A = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
Y = np.arange(N) % 3
HIDDEN = np.arange(N) < 5


@pytest.mark.parametrize("what", ["target", "ids", "cluster", "present", "groups"])
def test_masked_values_are_no_values(what: str) -> None:
    given: dict[str, Any] = {"target": Y, "ids": np.arange(N), "cluster": Y, "present": Y == 0, "groups": Y}
    masked = np.ma.masked_array(given[what], HIDDEN)
    said: dict[str, Any] = {what: {"a": masked} if what in ("present", "groups") else masked}
    target = said.pop("target", Y)
    with pytest.raises(BadInput, match="masked in part"):
        ArrayData({"a": A, "b": A}, target, "classification:3", **said)


def test_a_masked_array_that_masks_nothing_is_an_array() -> None:
    data = ArrayData({"a": A, "b": A}, np.ma.masked_array(Y, np.zeros(N, bool)), "classification:3")
    assert data.target.tolist() == Y.tolist()


def test_masked_outputs_are_no_answers() -> None:
    def partly(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> Any:
        return np.ma.masked_array(a + b, np.broadcast_to(a[:, :1] > 0, a.shape))

    data = ArrayData({"a": A, "b": A}, Y, "classification:3")
    model = FunctionModel(partly, ["a", "b"], outputs="logits", fingerprint="partly")
    found = np.isnan(model.predict(data.rows(np.arange(N)))).all(axis=1)
    assert found.tolist() == (A[:, 0] > 0).tolist()
    checks = {c.clause: c for c in check_model(model, data.rows(np.arange(N)), data.task, data.modalities)}
    assert checks["finite"].ok is False


@pytest.mark.parametrize("name", ["a+b", "a\ud800"])
def test_names_that_are_two_or_cannot_be_written_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="rename it"):
        Modality(name, "tabular")
    with pytest.raises(BadInput, match="rename it"):
        ArrayData({name: A, "b": A}, Y, "classification:3")


def test_a_class_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(BadInput, match="a name of classes"):
        Task.classification(["x", "\ud800"])


def test_a_path_with_a_null_character_is_refused() -> None:
    data = ArrayData({"a": A, "b": A}, Y, "classification:3")
    model = FunctionModel(lambda a, b: a + b, ["a", "b"], outputs="logits", fingerprint="sum")
    with pytest.raises(BadInput, match="null character"):
        audit(model, data, out="run\0")


def test_a_task_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match=r"task is None; give a Task"):
        ArrayData({"a": A, "b": A}, Y, None)  # type: ignore[arg-type]


def test_categories_are_the_classes_where_their_order_is_that_of_their_names() -> None:
    letters = np.array(["a", "c"])[np.arange(N) % 2]
    known = pd.Categorical(letters, categories=["a", "b", "c"])
    for data in (
        ArrayData({"a": A, "b": A}, known, "classification"),
        ArrayData({"a": A, "b": A}, pd.Series(known), "classification"),
        FrameData(
            pd.DataFrame({"a": A[:, 0], "b": A[:, 1], "y": known}), {"a": ["a"], "b": ["b"]}, "y", "classification"
        ),
    ):
        assert data.task.names == ("a", "b", "c")
        assert data.target.tolist() == [0, 2] * (N // 2)


def test_categories_in_an_order_of_their_own_have_to_be_named() -> None:
    sizes = pd.Categorical(np.array(["low", "mid", "high"])[Y], categories=["low", "mid", "high"])
    with pytest.raises(BadInput, match="in the order low, mid, high, which is not that of their names"):
        ArrayData({"a": A, "b": A}, sizes, "classification")
    frame = pd.DataFrame({"a": A[:, 0], "b": A[:, 1], "y": sizes})
    with pytest.raises(BadInput, match="in the order low, mid, high"):
        FrameData(frame, {"a": ["a"], "b": ["b"]}, "y", "classification")
    said = ArrayData({"a": A, "b": A}, sizes, Task.classification(["low", "mid", "high"]))
    assert said.target.tolist() == Y.tolist()
    named = FrameData(frame, {"a": ["a"], "b": ["b"]}, "y", "classification", names=["low", "mid", "high"])
    assert named.target.tolist() == Y.tolist()


@pytest.mark.parametrize("output", [9, "logits"])
def test_an_output_that_is_not_there_is_named(output: Any) -> None:
    class Two(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return a, b

    data = ArrayData({"a": A, "b": A}, Y, "classification:3")
    model = TorchModel(Two().eval(), ["a", "b"], outputs="logits", output=output)
    with pytest.raises(BadInput, match=r"is no part of what the module returned.*a tuple of 2"):
        model.predict(data.rows(np.arange(4)))


def test_a_broken_clause_is_named_once() -> None:
    data = ArrayData({"a": A, "b": A}, Y, "classification:3")
    model = FunctionModel(lambda a, b: (a + b)[:-1], ["a", "b"], outputs="logits", fingerprint="short")
    with pytest.raises(ContractBroken) as caught:
        audit(model, data, out="never")
    assert str(caught.value).count("[clause: shape]") == 1
    assert not Path("never").exists()


def test_files_of_another_kind_are_called_by_their_name(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", A)
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(BadInput, match=r"is a \.npy file, which holds one array"):
        read_npz(tmp_path / "one.npz", task="classification:3")
    (tmp_path / "semicolons.csv").write_text("a;b;y\n1;2;0\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"has one column, 'a;b;y'; write commas"):
        read_table(tmp_path / "semicolons.csv", {"a": ["a"], "b": ["b"]}, target="y", task="classification:2")
    (tmp_path / "latin.csv").write_bytes("a,b,y\nü,2,0\n".encode("latin-1"))
    with pytest.raises(BadInput, match="is not in UTF-8"):
        read_table(tmp_path / "latin.csv", {"a": ["a"], "b": ["b"]}, target="y", task="classification:2")
