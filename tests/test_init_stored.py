"""`mmaudit init` for zarr groups, saved Hugging Face data sets and WebDataset shards: what it writes runs at once."""

from __future__ import annotations

import io
import json
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.init_cases import CLASS, RNG, N, forgotten, runs
from mmaudit.errors import BadInput
from mmaudit.starter import start

PHOTO = RNG.integers(0, 256, (N, 8, 8, 3), np.uint8)
NOTE = [f"a {word} thing here" for word in np.array(["red", "green", "blue"])[CLASS]]
PART = np.array(["train", "test"])[np.arange(N) % 2]
SITE = np.array(["north", "south"])[np.arange(N) // 60]


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from forgotten(tmp_path, monkeypatch)


def save_zarr(folder: Path) -> str:
    zarr = pytest.importorskip("zarr")
    arrays = {
        "photo": PHOTO,
        "lab": RNG.normal(size=(N, 4)).astype(np.float32),
        "trace": RNG.normal(size=(N, 6, 2)).astype(np.float32),
        "trace.length": RNG.integers(2, 7, N),
        "label": CLASS,
        "split": PART,
        "site": SITE,
        "patient": np.arange(N) // 2,
        "present.lab": np.arange(N) % 5 > 0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # texts of fixed length are no part of format 3 yet
        group = zarr.open_group(str(folder / "mine.zarr"), mode="w")
        for name, values in arrays.items():
            group.create_array(name, shape=values.shape, dtype=values.dtype)[:] = values
    return "mine.zarr"


def save_huggingface(folder: Path) -> str:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.Value("string"),
            "age": datasets.Value("float32"),
            "dose": datasets.Value("int64"),
            "label": datasets.ClassLabel(names=["red", "green", "blue"]),
            "site": datasets.ClassLabel(names=["north", "south"]),
        }
    )

    def part(rows: Any) -> Any:
        columns = {
            "image": [Image.fromarray(PHOTO[i]) for i in rows],
            "caption": [NOTE[i] for i in rows],
            "age": RNG.normal(50, 9, len(rows)),
            "dose": RNG.integers(0, 9, len(rows)),
            "label": CLASS[rows],
            "site": np.arange(len(rows)) * 2 // len(rows),
        }
        return datasets.Dataset.from_dict(columns, features=features)

    splits = {"train": part(np.arange(0, 60)), "test": part(np.arange(60, N))}
    datasets.DatasetDict(splits).save_to_disk(str(folder / "saved"))
    return "saved"


def save_shard(folder: Path) -> str:
    with tarfile.open(folder / "mine.tar", "w") as shard:
        for i in range(N):
            picture = io.BytesIO()
            Image.fromarray(PHOTO[i]).save(picture, "PNG")
            record = {"label": int(CLASS[i]), "split": str(PART[i]), "site": str(SITE[i]), "remark": f"seen {NOTE[i]}"}
            members = {"png": picture.getvalue(), "txt": NOTE[i].encode(), "json": json.dumps(record).encode()}
            for ending, content in members.items():
                about = tarfile.TarInfo(f"{i:04d}.{ending}")
                about.size = len(content)
                shard.addfile(about, io.BytesIO(content))
    return "mine.tar"


SAVED = {
    "zarr": (save_zarr, {"photo": "image", "lab": "tabular", "trace": "series"}, "label"),
    "huggingface": (save_huggingface, {"image": "image", "caption": "text", "table": "tabular"}, "label"),
    "shard": (save_shard, {"image": "image", "text": "text", "remark": "text"}, "json.label"),
}


@pytest.mark.parametrize("form", SAVED)
def test_what_is_seen_runs(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, kinds, target = SAVED[form]
    written = start("torch", None, save(tmp_path), tmp_path / "project", {})
    text = (tmp_path / "project" / "audit.toml").read_text()
    assert f'target = "{target}"' in text
    assert 'split = "test"' in text
    assert 'train_split = "train"' in text
    _, rows, verdicts = runs(tmp_path / "project", monkeypatch)
    assert {m.name: m.kind for m in rows.modalities} == kinds
    assert len(rows) == 60
    assert rows.task.kind == "classification"
    assert len(rows.task.names) == 3
    assert [g.rpartition(".")[2] for g in rows.groups] == ["site"]
    assert not {clause for clause, ok in verdicts.items() if ok is False}
    assert any(line.startswith("data: 60 samples") for line in written.seen)


def test_what_tells_which_samples_belong_together_is_no_input(tmp_path: Path) -> None:
    start("torch", None, save_zarr(tmp_path), tmp_path / "project", {})
    text = (tmp_path / "project" / "audit.toml").read_text()
    assert '# cluster = "patient"' in text
    assert "patient" not in text.partition("[modality]")[2]


def test_names_of_classes_are_those_of_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start("torch", None, save_huggingface(tmp_path), tmp_path / "project", {})
    _, rows, _ = runs(tmp_path / "project", monkeypatch)
    assert rows.task.names == ("red", "green", "blue")


def test_what_the_user_said_stays(tmp_path: Path) -> None:
    given = {"target": "json.site", "modality": ["photo=image"], "columns": ["photo=png"]}
    start("torch", None, save_shard(tmp_path), tmp_path / "project", given)
    text = (tmp_path / "project" / "audit.toml").read_text()
    assert 'target = "json.site"' in text
    assert 'photo = "image"' in text
    assert "remark" not in text.partition("[modality]")[2]


def test_two_likely_targets_are_not_chosen_from(tmp_path: Path) -> None:
    save_shard(tmp_path)
    with tarfile.open(tmp_path / "mine.tar", "a") as shard:
        about = tarfile.TarInfo("0000.cls")
        about.size = 1
        shard.addfile(about, io.BytesIO(b"1"))
    with pytest.raises(BadInput, match=r"which column is the target\? --target NAME says it; it has 'png', 'txt'"):
        start("torch", None, "mine.tar", tmp_path / "project", {})


@pytest.mark.parametrize("name", ["last.ckpt", "model.pt", "model.safetensors"])
def test_weights_are_no_model(name: str, tmp_path: Path) -> None:
    save_shard(tmp_path)
    with pytest.raises(BadInput, match=f"holds weights.*--weights {name}"):
        start(None, name, "mine.tar", tmp_path / "project", {})
