"""The shared real data sets, through every reader: pictures, sound, text, tables, embeddings; speakers and garments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import TensorDataset

from mmaudit.data import ArrayData, FrameData, Indexed, TorchData, all_statistics, check, read_npz, read_parquet, subset
from mmaudit.errors import BadInput
from mmaudit.types import Modality, Task

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
VIEWS = ("fac", "fou", "kar", "mor", "pix", "zer")


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"shared data {name} is not on this machine")
    return path


def avmnist(split: str | None = None) -> ArrayData:
    return read_npz(
        shared("avmnist.npz"),
        "classification",
        modalities=["image", Modality("audio", "audio", sample_rate=8000)],
        groups=["speaker"],
        cluster="speaker",
        split=split,
    )


def test_avmnist() -> None:
    data = avmnist()
    check(data)
    assert [(m.name, m.kind, m.shape, m.dtype, m.range) for m in data.modalities] == [
        ("image", "image", (28, 28), "uint8", (0.0, 255.0)),
        ("audio", "audio", (8000,), "int16", (-32768.0, 32767.0)),
    ]
    assert np.bincount(data.target).tolist() == [300] * 10
    assert data.cluster is not None
    assert len(set(data.cluster.tolist())) == len(set(data.groups["speaker"].tolist())) == 6
    with np.load(shared("avmnist.npz")) as file:
        raw = {key: file[key] for key in ("image", "audio", "label", "split")}
    order = np.random.default_rng(0).permutation(3000)[:200]
    batch = data.rows(order)
    assert np.array_equal(batch.inputs["image"], raw["image"][order])
    assert np.array_equal(batch.inputs["audio"], raw["audio"][order])
    assert np.array_equal(batch.target, raw["label"][order])
    test = avmnist("test")
    assert len(test) == 600
    assert np.array_equal(test.ids, np.flatnonzero(raw["split"] == "test"))
    part = subset(data, test.ids)
    assert np.array_equal(part.rows(np.arange(600)).inputs["audio"], test.rows(np.arange(600)).inputs["audio"])
    assert np.array_equal(part.ids, test.ids)
    found = all_statistics(data)
    assert found["image"] is not None
    assert found["audio"] is not None
    assert found["image"].mean.shape == (28, 28)
    np.testing.assert_allclose(found["image"].std, raw["image"].astype(float).std(axis=0), atol=1e-9)
    np.testing.assert_allclose(found["audio"].mean, raw["audio"].astype(float).mean(axis=0), atol=1e-9)


def test_avmnist_without_names_asks_for_them() -> None:
    with pytest.raises(BadInput, match=r"key 'audio_length' holds one number per sample.*'speaker'"):
        read_npz(shared("avmnist.npz"), "classification")


def test_avmnist_as_a_torch_data_set() -> None:
    data = avmnist("test")
    whole = data.rows(np.arange(600))
    tensors = TensorDataset(*(torch.from_numpy(x) for x in (*whole.inputs.values(), whole.target)))
    streamed = TorchData(tensors, data.modalities, data.task, ids=data.ids)
    check(streamed)
    assert streamed.modalities == data.modalities
    order = np.arange(599, -1, -7)
    for name, rows in streamed.rows(order).inputs.items():
        assert np.array_equal(rows, data.rows(order).inputs[name])
    assert np.array_equal(streamed.target, data.target)


def test_clothing() -> None:
    data = read_npz(
        shared("clothing.npz"),
        "classification:2",
        modalities=["text", "tab_num", "text_emb"],
        kinds={"text_emb": "embedding"},
        groups=["rating"],
        cluster="clothing_id",
        split="2",
        names=["not recommended", "recommended"],
    )
    check(data)
    assert len(data) == 2275
    assert [(m.kind, m.shape, m.dtype) for m in data.modalities] == [
        ("text", (), "str"),
        ("tabular", (2,), "float32"),
        ("embedding", (384,), "float16"),
    ]
    assert data.task.names == ("not recommended", "recommended")
    assert set(data.groups["rating"].tolist()) == {"1", "2", "3", "4", "5"}
    assert all(isinstance(text, str) and text for text in data.rows(np.arange(2275)).inputs["text"])
    stars = read_npz(shared("clothing.npz"), "regression:stars", modalities=["text"], target="rating")
    assert stars.target.shape == (4546, 1)
    assert all(found is None for found in all_statistics(stars).values())


def test_clothing_through_frame_and_parquet(tmp_path: Path) -> None:
    with np.load(shared("clothing.npz")) as file:
        table = pd.DataFrame(
            {
                "text": file["text"],
                "age": file["tab_num"][:, 0],
                "feedback": file["tab_num"][:, 1],
                "embedding": list(file["text_emb"].astype(np.float32)),
                "label": file["label"],
                "garment": file["clothing_id"],
            }
        )
    modalities = {"text": "text", "table": ["age", "feedback"], "embedding": "embedding"}
    kinds = {"embedding": "embedding"}
    framed = FrameData(table, modalities, "label", "classification", kinds=kinds, cluster="garment")
    table.to_parquet(tmp_path / "clothing.parquet")
    stored = read_parquet(
        tmp_path / "clothing.parquet", modalities, "label", "classification", kinds=kinds, cluster="garment"
    )
    check(stored)
    assert stored.fingerprint == framed.fingerprint
    with pytest.raises(BadInput, match="sample id 2"):
        FrameData(table.assign(age=table["age"].where(table.index != 2)), modalities, "label", "classification")


def test_mfeat_six_views_need_no_declaration() -> None:
    data = read_npz(shared("mfeat.npz"), "classification", split="test")
    check(data)
    assert tuple(m.name for m in data.modalities) == VIEWS
    assert {m.kind for m in data.modalities} == {"tabular"}
    assert data.task == Task.classification(10)
    assert np.bincount(data.target).tolist() == [60] * 10


def test_easy_vqa_images_are_stored_once() -> None:
    pytest.importorskip("easy_vqa", reason="easy-vqa is not installed")
    from mmaudit.demo.easy_vqa import load

    test = load("test")
    inputs = {"image": Indexed(test.images, test.image_index), "question": test.questions}
    data = ArrayData(
        inputs, test.answers, Task.classification(test.classes), ids=test.sample_ids, cluster=test.image_index
    )
    check(data)
    assert len(data) == 9673
    assert data.modalities[0] == Modality("image", "image", (64, 64, 3), "uint8", "HWC", (0.0, 255.0))
    assert data._columns["image"].stored.nbytes == 1000 * 64 * 64 * 3
    order = np.array([9672, 0, 4321])
    batch = data.rows(order)
    assert np.array_equal(batch.inputs["image"], test.images[test.image_index[order]])
    assert batch.inputs["question"].tolist() == [test.questions[i] for i in order]
    dense = ArrayData(
        {"image": test.images[test.image_index[:500]], "question": test.questions[:500]},
        test.answers[:500],
        data.task,
        ids=test.sample_ids[:500],
    )
    shared_images = ArrayData(
        {"image": Indexed(test.images, test.image_index[:500]), "question": test.questions[:500]},
        test.answers[:500],
        data.task,
        ids=test.sample_ids[:500],
    )
    assert dense.fingerprint == shared_images.fingerprint
