"""read_npz: roles by name, nothing unpickled, damaged files refused."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmaudit.data import read_npz
from mmaudit.errors import BadInput
from mmaudit.types import Modality, Task


def content() -> dict[str, Any]:
    return {
        "photo": np.arange(6 * 20, dtype=np.uint8).reshape(6, 4, 5),
        "note": np.array(["a", "b", "c", "d", "e", "f"]),
        "wave": np.arange(6 * 8, dtype=np.int16).reshape(6, 8),
        "label": np.array([0, 1, 0, 1, 0, 1], np.int8),
        "id": np.array([f"s{i}" for i in range(6)]),
        "site": np.array(["x", "x", "y", "y", "z", "z"]),
        "split": np.array(["train", "train", "test", "test", "test", "test"]),
    }


def save(folder: Path, **changes: Any) -> Path:
    path = folder / "data.npz"
    np.savez(path, **{k: v for k, v in {**content(), **changes}.items() if v is not None})
    return path


def test_roles_are_found_by_name(tmp_path: Path) -> None:
    path = save(tmp_path, classes=np.array(["no", "yes"]), cluster=np.arange(6) // 2, extra=np.arange(3), site=None)
    data = read_npz(path, "classification", kinds={"wave": "audio,sample_rate=8000"})
    assert [(m.name, m.kind) for m in data.modalities] == [("photo", "image"), ("note", "text"), ("wave", "audio")]
    assert data.task == Task.classification(("no", "yes"))
    assert data.ids.tolist() == ["s0", "s1", "s2", "s3", "s4", "s5"]
    assert data.cluster is not None
    assert data.cluster.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.source == "data.npz: modalities photo, note, wave; target label; not used: split, extra"


def test_chosen_keys_and_rows(tmp_path: Path) -> None:
    path = save(tmp_path, rating=np.linspace(0, 1, 6), task=np.array("regression:stars"), id=None, age=np.arange(6))
    data = read_npz(
        path,
        modalities=["note", Modality("wave", "audio", sample_rate=16_000)],
        target="rating",
        groups=["site"],
        cluster="site",
        split="test",
    )
    assert data.task == Task.regression(1, "stars")
    assert data.ids.tolist() == [2, 3, 4, 5]  # rows of the whole file, whatever the split
    assert data.groups["site"].tolist() == ["y", "y", "z", "z"]
    batch = data.rows(np.array([3, 0]))
    assert batch.inputs["note"].tolist() == ["f", "c"]
    assert np.array_equal(batch.inputs["wave"], content()["wave"][[5, 2]])
    assert data.target.ravel().tolist() == pytest.approx([0.4, 0.6, 0.8, 1.0])
    assert data.modalities[1].sample_rate == 16_000
    assert data.source.endswith("rows test; not used: photo, label, age")
    assert len(read_npz(path, "classification", modalities=["note"], split="site=y")) == 2


def test_presence_and_shared_values(tmp_path: Path) -> None:
    path = save(
        tmp_path,
        photo=content()["photo"][:2],
        wave=None,
        **{"photo.index": np.array([0, 0, 1, 1, 0, 1]), "present.note": np.array([1, 0, 1, 1, 1, 1], bool)},
    )
    data = read_npz(path, "classification", modalities=["photo", "note"], split="test")
    assert np.array_equal(data.rows(np.array([0, 3])).inputs["photo"], content()["photo"][[1, 1]])
    whole = read_npz(path, "classification", modalities=["photo", "note"])
    assert whole.presence("note").tolist() == [True, False, True, True, True, True]
    assert whole.rows(np.array([1])).inputs["note"].tolist() == [""]


def test_default_modalities_leave_roles_out(tmp_path: Path) -> None:
    data = read_npz(save(tmp_path, wave=None), "classification:3", groups=["site"])
    assert [m.name for m in data.modalities] == ["photo", "note"]
    assert data.task.width == 3


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({}, {"task": None}, "task is not given"),
        ({}, {"target": "lable"}, "no 'lable'.*did you mean 'label'"),
        ({}, {"modalities": ["foto"]}, "no 'foto'.*did you mean 'photo'"),
        ({}, {"groups": ["stie"]}, "no 'stie'.*did you mean 'site'"),
        ({}, {"split": "dev"}, "split = 'dev'; its values are 'test', 'train'"),
        ({}, {"split": "fold=1"}, "no 'fold'"),
        ({}, {"names": ["a", "b"], "task": Task.classification(2)}, "names a, b differ"),
        ({}, {"split": "photo=1"}, "one value per sample"),
        ({"label": None}, {}, "none of 'target', 'label'.*name the target"),
        ({"y": np.arange(6)}, {}, "both 'label' and 'y'"),
        ({"age": np.arange(6)}, {}, "key 'age' holds one number per sample.*modalities="),
        ({"photo": np.zeros((5, 4, 5), np.uint8)}, {"modalities": ["photo"]}, r"'photo' has shape \[5, 4, 5\].*6 rows"),
        ({"photo": None, "note": None, "wave": None, "site": None}, {}, "no key with 6 rows"),
        ({"note": np.array(["a", None] * 3, object)}, {}, "'note' of data.npz is pickled.*astype"),
        ({"label": np.array(["a", {}] * 3, object)}, {}, "'label' of data.npz is pickled"),
    ],
)
def test_unusable_files_are_refused(tmp_path: Path, changes: Any, arguments: Any, words: str) -> None:
    path = save(tmp_path, **changes)
    with pytest.raises(BadInput, match=words):
        read_npz(path, **{"task": "classification", **arguments})


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    trap = np.empty(6, object)
    trap[:] = [Trap() for _ in range(6)]
    for name, write in (
        ("member.npz", lambda p: np.savez(p, note=trap, label=content()["label"])),
        ("bare.npz", lambda p: p.write_bytes(pickle.dumps(trap))),
    ):
        write(tmp_path / name)
        with pytest.raises(BadInput, match=name):
            read_npz(tmp_path / name, "classification")
    assert not (tmp_path / "sprung").exists()


def test_missing_truncated_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        read_npz(tmp_path / "none.npz", "classification")
    whole = save(tmp_path).read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 5):
        (tmp_path / "cut.npz").write_bytes(whole[:size])
        with pytest.raises(BadInput, match=r"cut\.npz.*not a readable"):
            read_npz(tmp_path / "cut.npz", "classification")
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(BadInput, match=r"is a \.npy file, which holds one array"):
        read_npz(tmp_path / "array.npy", "classification")


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **content())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("photo.npy").header_offset + 60
    damaged = bytearray(path.read_bytes())
    damaged[start : start + 20] = bytes(x ^ 0xFF for x in damaged[start : start + 20])
    path.write_bytes(bytes(damaged))
    with pytest.raises(BadInput, match=r"key 'photo' of data\.npz"):
        read_npz(path, "classification", modalities=["photo", "note"])
