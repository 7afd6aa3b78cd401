"""Models for workers in other processes: what they do on a row is decided by the row, what they do once by a file."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from helpers.run_cases import Rowwise, dataset
from mmaudit.types import Array, Batch

PLAIN = {"probes": ["missing"], "baselines": ["zero"], "analyses": []}
MARK = 1.6


def marked(n: int, at: int = 1500) -> Any:
    """A data set in which one row, outside those that the doctor looks at, stands out."""
    from mmaudit import ArrayData

    data = dataset("regression", n, noise=0.3)
    batch = data.rows(np.arange(n))
    table = np.minimum(batch.inputs["table"], 1.4)
    table[at, 0] = MARK
    return ArrayData({"table": table, "note": batch.inputs["note"].tolist()}, data.target, data.task)


def has_mark(batch: Batch) -> bool:
    return bool((batch.inputs["table"][:, 0] == np.float32(MARK)).any())


class OnMark:
    """A fault of `Rowwise` that happens where the marked row is met: always, or only the first time.

    Args:
        what: "raise", "kill" (the process), "hang", "nan" or "interrupt" (the parent, by SIGKILL).
        once: a file that says, by being there, that it has happened; None: it happens every time.
    """

    def __init__(self, what: str, once: Path | None = None) -> None:
        self.what, self.once = what, once

    def __call__(self, batch: Batch, rows: Array) -> Array:
        if not has_mark(batch) or (self.once is not None and self.once.exists()):
            return rows
        if self.once is not None:
            self.once.touch()
        return FAULTS[self.what](batch, rows)


def _raise(batch: Batch, rows: Array) -> Array:
    raise ZeroDivisionError("the marked row")


def _kill(batch: Batch, rows: Array) -> Array:
    os.kill(os.getpid(), signal.SIGKILL)
    return rows


def _hang(batch: Batch, rows: Array) -> Array:
    time.sleep(600)
    return rows


def _nan(batch: Batch, rows: Array) -> Array:
    rows = rows.copy()
    rows[batch.inputs["table"][:, 0] == np.float32(MARK)] = np.nan
    return rows


def _parent(batch: Batch, rows: Array) -> Array:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
    return rows


FAULTS: dict[str, Callable[[Batch, Array], Array]] = {
    "raise": _raise,
    "kill": _kill,
    "hang": _hang,
    "nan": _nan,
    "interrupt": _parent,
}


def model(fault: Callable[[Batch, Array], Array] | None = None) -> Rowwise:
    return Rowwise("regression", fault=fault)


# A folder with model, data and configuration, as somebody has who works from the shell.
CONFIG = """
model = "shared_model:make"
data = "data.npz"
out = "run"
suite = "quick"
modality = ["a=tabular", "b=tabular"]
target = "y"
task = "classification:2"
resamples = 20
"""
MODULE = """
import numpy as np, mmaudit
def predict(a, b):
    s = (a.sum(axis=1) + b.sum(axis=1)).astype(np.float32)
    return np.stack([-s, s], axis=1)
def make():
    return mmaudit.FunctionModel(predict, ["a", "b"], outputs="logits")
"""


def prepare_folder(folder: Path, n: int = 2100) -> None:
    """Write them; the samples make three shards."""
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=(n, 2)).astype(np.float32) for _ in range(2))
    np.savez(folder / "data.npz", a=a, b=b, y=(a.sum(1) + b.sum(1) + rng.normal(size=n) > 0).astype(np.int64))
    (folder / "audit.toml").write_text(CONFIG)
    (folder / "shared_model.py").write_text(MODULE)
