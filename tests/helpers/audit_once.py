"""Audit a small model, in a process of its own, that can be told at which of its steps to die.

    python audit_once.py OUT KIND [STEP [UNDER]]

A step is anything that Python does to a file below OUT (below its folder UNDER): make, open, rename, remove. At step
STEP the process kills itself by SIGKILL, just before that step. Without STEP it prints how many steps there were.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.run_cases import Rowwise, dataset
from mmaudit.auditing import audit
from mmaudit.types import Array, Batch

SAMPLES = {"regression": 3300, "classification": 1200}
SUITE = {"probes": ["missing", "keyboard"], "baselines": ["zero", "marginal"], "positions": [5]}
STEPS = ("open", "os.rename", "os.mkdir", "os.remove")


def raises_sometimes(batch: Batch, rows: Array) -> Array:
    """A fault in a few samples, so that the run keeps tracebacks too."""
    if (batch.inputs["table"][:, 0] > 4.2).any():
        raise ValueError("table out of hand")
    return rows


def watch(out: str, last: int) -> list[int]:
    seen = [0]

    def step(event: str, arguments: tuple[Any, ...]) -> None:
        if event in STEPS and str(arguments[0]).startswith(out):
            seen[0] += 1
            if seen[0] == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)
    return seen


def main(out: str, kind: str, last: str = "0", under: str = "") -> None:
    print("ready", flush=True)
    seen = watch(f"{out}/{under}", int(last))
    data = dataset(kind, SAMPLES[kind], seed=5)
    fault = raises_sometimes if kind == "regression" else None
    audit(Rowwise(kind, fault=fault), data, out=out, suite=SUITE, resamples=60, batch_rows=128)
    print(seen[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
