"""Samples of the shared real data sets and of easy-VQA, evenly spread; a test is skipped where a set is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mmaudit import ArrayData, Modality, Task
from mmaudit.data import subset
from mmaudit.data.dataset import Dataset
from mmaudit.types import Array

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
TEST = {"avmnist": "test", "mfeat": "test", "clothing": 2, "emoji": 2}  # how each file writes the test split
TRAIN = {"avmnist": "train", "mfeat": "train", "clothing": 0, "emoji": 0}


def columns(name: str, keys: tuple[str, ...], split: object, count: int | None = None) -> dict[str, Array]:
    """Some columns of a shared file, of one split, or of `count` samples spread over it; read-only."""
    path = SHARED / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"shared data {path.name} is not on this machine")
    with np.load(path) as file:
        rows = np.flatnonzero(file["split"] == split)
        if count is not None:
            rows = rows[spread(len(rows), count)]
        return {key: file[key][rows] for key in keys} | {"row": rows}


def spread(n: int, count: int) -> Array:
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(np.int64))


def _table(
    name: str, modalities: Mapping[str, str | Modality], classes: int, count: int, cluster: str | None = None
) -> ArrayData:
    keys = (*modalities, "label", *([cluster] if cluster else []))
    found = columns(name, keys, TEST[name], count)
    given = [m if isinstance(m, Modality) else Modality(key, m) for key, m in modalities.items()]  # type: ignore[arg-type]
    return ArrayData(
        {key: found[key] for key in modalities},
        found["label"].astype(np.int64),
        Task.classification(classes),
        modalities=[m for m in given if m.kind in ("image", "audio", "series")],
        kinds={m.name: m.kind for m in given if m.kind in ("tabular", "embedding")},
        ids=found["row"],
        cluster=found[cluster] if cluster else None,
    )


def avmnist(count: int) -> ArrayData:
    """A handwritten digit (28×28, grey, uint8) and the same digit spoken (1 s at 8 kHz, int16)."""
    image = Modality("image", "image", layout="HW", range=(0, 255))
    audio = Modality("audio", "audio", sample_rate=8000)
    return _table("avmnist", {"image": image, "audio": audio}, 10, count, cluster="speaker")


def clothing(count: int) -> ArrayData:
    """Reviews: text, two numbers, three category codes (int16), and whether the garment is recommended."""
    return _table(
        "clothing", {"text": "text", "tab_num": "tabular", "tab_cat": "tabular"}, 2, count, cluster="clothing_id"
    )


def emoji(count: int) -> ArrayData:
    """Two drawings of an emoji (48×48 RGB, uint8) and its name, in nine classes."""
    drawing = Modality("image_twitter", "image", layout="HWC", range=(0, 255))
    drawings = {m.name: m for m in (drawing, replace(drawing, name="image_google"))}
    return _table("emoji", {**drawings, "text_name": "text"}, 9, count)


@cache
def _easy_vqa() -> Dataset:
    pytest.importorskip("easy_vqa", reason="easy-vqa is not installed")
    from mmaudit.demo.run import data

    return data("test")


def easy_vqa(count: int) -> Dataset:
    """Images (64×64 RGB, uint8) and questions about them, with 13 answers."""
    whole = _easy_vqa()
    return subset(whole, spread(len(whole), count))
