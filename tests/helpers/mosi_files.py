"""Tiny files of CMU-MOSI in the layouts that are published."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(21)


def mmsa(n: int = 5) -> dict[str, Any]:
    audio = RNG.normal(size=(n, 6, 5))
    audio[1, 2, 3] = -np.inf
    return {
        "raw_text": np.array([f"WORDS {i}" for i in range(n)], dtype=object),
        "text": RNG.normal(size=(n, 6, 8)).astype(np.float32),
        "audio": audio,
        "vision": RNG.normal(size=(n, 6, 4)),
        "id": [f"vid{i // 2}$_${i}" for i in range(n)],
        "regression_labels": np.linspace(-3, 3, n).astype(np.float32),
        "annotations": ["Negative"] * n,
    }


def write_mmsa(folder: Path, content: Any) -> Path:
    (folder / "Processed").mkdir(parents=True, exist_ok=True)
    (folder / "Processed" / "unaligned_50.pkl").write_bytes(pickle.dumps(content, protocol=4))
    return folder


def write_csd(folder: Path) -> dict[str, Any]:
    """Two videos with three and one segments, in the layout of the SDK: `<root>/data/<video>/{features,intervals}`."""
    h5py = pytest.importorskip("h5py")

    def sequence(name: str, root: str, entries: dict[str, tuple[Any, Any]]) -> None:
        with h5py.File(folder / name, "w") as file:
            for video, (features, intervals) in entries.items():
                group = file.create_group(f"{root}/data/{video}")
                group["features"], group["intervals"] = features, np.asarray(intervals, float)
            file.create_group(f"{root}/metadata")

    labels = {"v_a": ([[1.5], [-2.0], [0.4]], [[0, 2], [2, 4], [8, 9]]), "v_b": ([[3.0]], [[0, 1]])}
    sequence("CMU_MOSI_Opinion_Labels.csd", "Opinion Segment Labels", labels)
    words = [["i"], ["sp"], ["liked"], ["it"], ["not"]]
    spans = [[0.0, 0.5], [0.5, 0.7], [0.7, 2.0], [2.0, 2.5], [2.5, 3.9]]
    sequence("CMU_MOSI_TimestampedWords.csd", "words", {"v_a": (np.array(words, "S32"), spans)})
    audio = np.arange(45 * 3, dtype=float).reshape(45, 3)
    audio[4] = -np.inf
    times = np.stack([np.arange(45) / 10, np.arange(1, 46) / 10], axis=1)
    sequence("CMU_MOSI_COVAREP.csd", "COVAREP", {"v_a": (audio, times), "v_b": (audio[:12], times[:12])})
    folds = "standard_train_fold = ['x']\nstandard_test_fold = ['v_a', 'v_b', 'withdrawn']\nraise SystemExit('run')\n"
    (folder / "cmu_mosi_std_folds.py").write_text(folds, encoding="utf-8")
    return {"audio": audio}
