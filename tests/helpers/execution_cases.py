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
