"""Files of features: whole or not there, whoever else writes to the same folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mmaudit.errors import StorageFailed
from mmaudit.retrieval.files import FeatureFile, FeatureWriter

ROWS = 40
TRUTH = np.arange(ROWS * 4, dtype=np.float32).reshape(ROWS, 4)
ALL = np.ones(10, np.bool_)


def add(writer: FeatureWriter, block: int) -> None:
    writer.add(TRUTH[10 * block : 10 * block + 10], ALL)


def test_two_processes_of_the_same_number_do_not_write_into_each_others_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers count their processes anew, so two on one shared folder often have the same number."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    path = tmp_path / "x.npy"
    one, other = FeatureWriter(path, ROWS, "one"), FeatureWriter(path, ROWS, "other")
    add(one, 0)
    for block in range(3):
        add(other, block)
        add(one, block + 1)
    one.close()
    assert np.array_equal(FeatureFile(path).read(np.arange(ROWS)), TRUTH)
    add(other, 3)
    other.close()
    assert np.array_equal(FeatureFile(path).read(np.arange(ROWS)), TRUTH)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.npy", "x.usable.npy"]


@pytest.mark.parametrize("damage", [b"", b"more"])
def test_a_file_of_another_size_than_written_is_not_put_in_place(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "x.npy"
    writer = FeatureWriter(path, ROWS, "one")
    for block in range(4):
        add(writer, block)
    partial = next(tmp_path.glob("*.partial"))
    partial.write_bytes(partial.read_bytes() + damage if damage else partial.read_bytes()[:-8])
    with pytest.raises(StorageFailed, match=r"bytes where .* were meant.*Run the same again"):
        writer.close()
    assert not list(tmp_path.iterdir())


def test_rows_before_the_first_features_are_zeros_and_count(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path / "x.npy", 20, "one")
    writer.add(None, np.zeros(10, np.bool_))
    writer.add(TRUTH[:10], ALL)
    file = writer.close()
    assert np.array_equal(file.read(np.arange(20)), np.concatenate([np.zeros((10, 4)), TRUTH[:10]]))
    assert file.usable.tolist() == [False] * 10 + [True] * 10
