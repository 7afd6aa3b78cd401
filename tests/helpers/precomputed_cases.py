"""A model of an image and a text, its data, and the table of answers that a user would make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mmaudit
from mmaudit.precomputed import read_inputs
from mmaudit.types import Task

N = 40
SUITE = {
    "base": "quick",
    "probes": ["missing", "mismatch", "keyboard", "gaussian_noise_additive", "image.gaussian_blur"],
    "positions": [5],
    "subsets": "leave-one-out",
}
CLASSES = ("cat", "dog", "eel")
W = np.random.default_rng(5).normal(size=(64, 3))


def model(image: Any, text: Any) -> np.ndarray:
    """Numbers that depend on every pixel and every letter."""
    out = np.asarray(image, np.float64).reshape(len(image), -1) @ W / 255
    return (out + np.array([[len(t), t.count("e"), t.count("a")] for t in text]) / 4).astype(np.float32)


def data_of(n: int = N, **options: Any) -> mmaudit.ArrayData:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (n, 8, 8), np.uint8)
    text = np.array([" ".join(rng.choice(["red", "apple", "eel", "sea"], 4)) for _ in range(n)], object)
    kinds = {"image": "image", "text": "text"}
    target = model(image, text).argmax(1)
    inputs = {"image": image, "text": text}
    return mmaudit.ArrayData(inputs, target, Task.classification(CLASSES), kinds=kinds, **options)


def answered(folder: Path, conditions: list[str] | None = None) -> pd.DataFrame:
    """The table that a user would make."""
    parts = []
    for batch in read_inputs(folder, conditions=conditions):
        outputs = list(model(batch.inputs["image"], batch.inputs["text"]))
        parts.append(pd.DataFrame({"id": batch.ids, "condition": batch.condition, "output": outputs}))
    return pd.concat(parts)


def clean_table(**columns: Any) -> pd.DataFrame:
    data = data_of()
    batch = data.rows(np.arange(N))
    outputs = model(batch.inputs["image"], batch.inputs["text"])
    return pd.DataFrame({"id": batch.ids, "condition": "clean", "output": list(outputs), **columns})
