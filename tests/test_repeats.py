"""Rows that a batch holds several times are encoded once: fewer rows, the same bits, and only where that is proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.predict_cases import all_answers, require_equal, run_of
from mmaudit import ArrayData, Modality, Task, TorchModel
from mmaudit.models.torch_tensors import identical, tree_map
from mmaudit.preparing import prepare
from mmaudit.repeats import Repeats, different, smallest_pass
from mmaudit.types import Array, Batch

N, ROWS, PICTURES = 96, 32, 6
PICTURE = Modality("picture", "image", shape=(3, 8, 8), dtype="float32", layout="CHW", range=(0.0, 1.0))


class Net(nn.Module):
    """Pictures through a convolution, numbers through a product, added and classified."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.see = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 8))
        self.read = nn.Linear(5, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, picture: Tensor, numbers: Tensor) -> Tensor:
        out: Tensor = self.head(torch.relu(self.see(picture) + self.read(numbers)))
        return out


def questions(pictures: int = PICTURES) -> ArrayData:
    """Several rows about each picture, next to each other."""
    rng = np.random.default_rng(1)
    seen = rng.random((pictures, 3, 8, 8), np.float32)[np.arange(N) * pictures // N]
    return ArrayData(
        {"picture": seen, "numbers": rng.normal(size=(N, 5)).astype(np.float32)},
        np.arange(N) % 3,
        Task.classification(3),
        modalities=[PICTURE],
    )


def model() -> TorchModel:
    return TorchModel(Net().eval(), ["picture", "numbers"], outputs="logits", name="net")


def repeats_of(stage: Any, data: ArrayData) -> Repeats:
    return Repeats(stage, ROWS, lambda: data.rows(np.arange(ROWS)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rows_are_numbered_by_what_they_hold(draw: st.DataObject) -> None:
    n, width = draw.draw(st.integers(1, 30)), draw.draw(st.integers(0, 200))
    kinds = np.random.default_rng(draw.draw(st.integers(0, 9))).integers(0, 2, (4, width)).astype(np.int8)
    values = kinds[draw.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))]
    present = np.array(draw.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    first, number = different(values, present)
    np.testing.assert_array_equal(values[first][number], values)
    np.testing.assert_array_equal(present[first][number], present)
    both = np.column_stack([values, present])
    assert 2 * len(first) > n or len(first) == len(np.unique(both, axis=0))
    assert len(first) <= len(np.unique(both, axis=0)) or 2 * len(first) > n


def test_signs_of_zero_and_nans_keep_rows_apart() -> None:
    values = np.array([[0.0], [-0.0], [np.nan], [np.nan]])
    assert different(values, np.ones(4, bool))[1].tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(("count", "rows", "size"), [(5, 32, 8), (8, 32, 8), (9, 32, 16), (17, 32, 32), (1, 32, 4),
                                                     (3, 20, 5), (1, 7, 7)])  # fmt: skip
def test_passes_have_few_sizes(count: int, rows: int, size: int) -> None:
    assert smallest_pass(count, rows) == size


def test_an_audit_has_the_same_answers_from_fewer_encoded_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = questions()
    suite = {
        "probes": ["missing", "missing_rate", "mismatch", "image.gaussian_blur", "image.gaussian_noise", "control"]
    }
    prepared = prepare(model(), data, suite=suite)
    assert prepared.stage is not None
    spared, less = run_of(prepared, tmp_path / "spared", rows=ROWS, shard=64)
    monkeypatch.setattr("mmaudit.answering.Answerer._repeats_of", lambda *_: None)
    whole, more = run_of(prepared, tmp_path / "whole", rows=ROWS, shard=64)
    require_equal(all_answers(spared), all_answers(whole))
    assert less.encoded_rows["numbers"] <= more.encoded_rows["numbers"]
    # Noise differs in every row, blurred pictures do not: two or three pictures to a batch, in passes of four.
    conditions = [c.probe for c in spared.conditions]
    blurred = conditions.count("image.gaussian_blur")
    assert blurred
    assert more.encoded_rows["picture"] - less.encoded_rows["picture"] >= (1 + blurred) * (N - 3 * 4)


def test_the_identity_control_encodes_every_row(tmp_path: Path) -> None:
    _, timing = run_of(prepare(model(), questions(), suite=["control"]), tmp_path / "run", rows=ROWS)
    assert timing.encoded_rows["picture"] == 2 * N + 3 * 4  # destroy, identity; clean in three passes of four
    assert timing.encoded_rows["numbers"] == 3 * N


class Rounding:
    """A stage whose features differ in their last bits with the number of rows that are encoded together."""

    def __init__(self, stage: Any, sizes: tuple[int, ...]) -> None:
        self._stage, self._sizes = stage, sizes
        self.encoded: list[int] = []
        self.take = stage.take

    def encode(self, modality: str, batch: Batch) -> Any:
        self.encoded.append(len(batch))
        found = self._stage.encode(modality, batch)
        return tree_map(lambda x: x * (1 + 2**-20), found) if len(batch) in self._sizes else found

    def alike(self, modality: str, batch: Batch, passes: list[Array]) -> bool:
        return bool(type(self._stage).alike(self, modality, batch, passes))


@pytest.mark.parametrize(("sizes", "rows"), [((), 8), ((8,), ROWS)])
def test_rows_are_spared_only_where_that_gives_the_same_bits(sizes: tuple[int, ...], rows: int) -> None:
    data = questions(18)  # six pictures to a batch
    found, _ = model().stage(data.rows(np.arange(N)))
    stage = Rounding(found, sizes)
    batch = data.rows(np.arange(ROWS, 2 * ROWS))
    repeats = repeats_of(stage, data)
    features, encoded = repeats.encode("picture", batch)
    assert encoded == rows
    assert stage.encoded[0] == ROWS  # the proof: the batch whole, then all of its rows in smaller passes
    assert stage.encoded[-1] == rows
    assert found is not None
    assert identical(features, found.encode("picture", batch))
    proofs = len(stage.encoded)
    repeats.encode("picture", batch)
    assert len(stage.encoded) == proofs + 1


def test_what_is_not_proven_is_encoded_whole() -> None:
    data = questions()
    found, _ = model().stage(data.rows(np.arange(N)))
    assert found is not None
    batch = data.rows(np.arange(ROWS))
    blank = ArrayData(
        {"picture": np.zeros((N, 3, 8, 8), np.float32), "numbers": np.ones((N, 5), np.float32)},
        np.arange(N) % 3,
        Task.classification(3),
        modalities=[PICTURE],
    )
    # Rows that are all equal prove nothing; another size of batch was not tried; other stages cannot take rows.
    assert repeats_of(found, blank).encode("picture", batch)[1] == ROWS
    assert repeats_of(found, data).encode("picture", batch.take(np.arange(30)))[1] == 30
    assert repeats_of(found, data).encode("numbers", batch)[1] == ROWS

    class Plain:
        encode = staticmethod(found.encode)
        fuse = staticmethod(found.fuse)

    assert repeats_of(Plain(), data).encode("picture", batch)[1] == ROWS
    assert repeats_of(found, data).encode("picture", batch)[1] < ROWS
