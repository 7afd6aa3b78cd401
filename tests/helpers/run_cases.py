"""Small data sets with known structure, and models of them whose every output row depends on that row alone.

The models compute column by column with elementwise operations, so an output is the same bit for bit whatever the
rows beside it. None of this needs torch or scikit-learn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.data import ArrayData
from mmaudit.types import Array, Batch, Task

WORDS = ("red", "green", "blue")
TASKS = {
    "classification": Task.classification(WORDS),
    "multilabel": Task.multilabel(WORDS),
    "regression": Task.regression(1, unit="mm"),
}


def dataset(
    kind: str = "classification",
    n: int = 300,
    seed: int = 0,
    modalities: tuple[str, ...] = ("table", "note"),
    noise: float = 0.8,
    **more: Any,
) -> ArrayData:
    """Samples whose target each of `table` float32[3], `note` (text) and `signal` float32[4] knows something about."""
    rng = np.random.default_rng(seed)
    task = TASKS[kind]
    if kind == "classification":
        target: Array = np.arange(n) % 3
        rng.shuffle(target)
        truth = np.eye(3)[target]
    elif kind == "multilabel":
        target = rng.integers(0, 2, (n, 3))
        truth = target.astype(float)
    else:
        truth = rng.normal(size=(n, 3)) + 0.5
        target = truth.sum(axis=1) * 2 + rng.normal(size=n) * 0.1
    columns: dict[str, Any] = {
        "table": (truth + rng.normal(size=(n, 3)) * noise).astype(np.float32),
        "note": [_note(row, rng) for row in truth],
        "signal": np.hstack([truth + rng.normal(size=(n, 3)) * noise, rng.normal(size=(n, 1))]).astype(np.float32),
    }
    kinds = {"signal": "embedding"} if "signal" in modalities else {}
    return ArrayData({name: columns[name] for name in modalities}, target, task, kinds=kinds, **more)


def _note(row: Array, rng: np.random.Generator) -> str:
    words = [word for word, value in zip(WORDS, row, strict=True) for _ in range(round(max(value, 0) * 2))]
    words += [str(rng.choice(WORDS)) for _ in range(2)] + ["and", "so"]
    rng.shuffle(words)
    return " ".join(words)


class Rowwise:
    """Adds up what each modality says: a `Model` and a `TwoStage`, which counts how often it is asked.

    Args:
        kind: of the task.
        modalities: names of its inputs, as `dataset` makes them.
        outputs: scale of its rows; the fitting one by default.
        native: leaves out absent modalities; without it they are whatever the batch holds.
        fault: called with the batch and its outputs `[n, k]`; may raise, or return other outputs.
    """

    def __init__(
        self,
        kind: str = "classification",
        modalities: tuple[str, ...] = ("table", "note"),
        *,
        outputs: str | None = None,
        native: bool = False,
        fault: Callable[[Batch, Array], Array] | None = None,
        name: str = "rowwise",
    ) -> None:
        self.kind = kind
        self.name = name
        self.modalities = modalities
        self.outputs = outputs or ("values" if kind == "regression" else "logits")
        self.native_absence = native
        self.fingerprint = f"rowwise {kind} {modalities} {self.outputs} {native} {fault is not None}"
        self.fault = fault
        self.calls: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.seen: list[Batch] = []
        self.keep_batches = False

    def predict(self, batch: Batch) -> Array:
        self.calls["predict"] += 1
        self.rows["predict"] += len(batch)
        if self.keep_batches:
            self.seen.append(batch)
        return self._fuse({m: self._encode(m, batch) for m in self.modalities}, batch)

    def encode(self, modality: str, batch: Batch) -> Array:
        self.calls[modality] += 1
        self.rows[modality] += len(batch)
        return self._encode(modality, batch)

    def fuse(self, features: Mapping[str, Array], batch: Batch) -> Array:
        self.calls["fuse"] += 1
        self.rows["fuse"] += len(batch)
        return self._fuse(features, batch)

    def _encode(self, modality: str, batch: Batch) -> Array:
        values, present = batch.inputs[modality], batch.present[modality]
        if modality == "note":
            found = np.array([[text.split().count(word) for word in WORDS] for text in values], np.float64) * 0.7
        else:
            found = values.astype(np.float64)[:, :3]
        if self.native_absence:
            found = np.where(present[:, None], found, 0.0)
        return found

    def _fuse(self, features: Mapping[str, Array], batch: Batch) -> Array:
        total = sum(features[m] for m in self.modalities)
        logits = 2.0 * (total - 0.8)
        if self.kind == "regression":
            logits = (total[:, :1] + total[:, 1:2] + total[:, 2:3]) / len(self.modalities) * 1.7
        if self.outputs == "probabilities":
            logits = 1 / (1 + np.exp(-logits)) if self.kind == "multilabel" else _softmax(logits)
        rows = np.asarray(logits, np.float32)
        return rows if self.fault is None else self.fault(batch, rows)


class Whole:
    """The same model without its two stages."""

    def __init__(self, model: Rowwise) -> None:
        self.model = model
        for name in ("name", "modalities", "outputs", "native_absence", "fingerprint"):
            setattr(self, name, getattr(model, name))

    def predict(self, batch: Batch) -> Array:
        return self.model.predict(batch)


def _softmax(z: Array) -> Array:
    e = np.exp(z - np.maximum(np.maximum(z[:, 0], z[:, 1]), z[:, 2])[:, None])
    return np.asarray(e / (e[:, 0] + e[:, 1] + e[:, 2])[:, None])


def contents(folder: Path, leave_out: tuple[str, ...] = ("timing.json",)) -> dict[str, bytes]:
    """The bytes of every file below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in leave_out
    }


def stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Name, time of last change and inode of every file: what stays when a file is not touched."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.stat().st_mtime_ns, path.stat().st_ino
