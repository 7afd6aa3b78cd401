"""Audit a small model, in a process of its own, that can be told at which of its steps to die.

A step is anything that Python does to a file below the run's folder (below its folder `under`): make, open, rename,
remove. At step `last` the process kills itself by SIGKILL, just before that step. Without it, it says how many there
were.
"""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from helpers.run_cases import Rowwise, dataset
from mmaudit import plan
from mmaudit.auditing import audit
from mmaudit.types import Array, Batch

SAMPLES = {"regression": 3300, "classification": 1200}
SUITE = {"probes": ["missing", "keyboard"], "baselines": ["zero", "marginal"], "positions": [5]}
# Cross-fitting takes most of an audit's time, and writes one file: the audit that is killed a few times only has it.
ANALYSES = {"regression": ["emap", "attribution", "off_data"], "classification": list(plan.ANALYSES)}
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


def main(out: Path, kind: str, last: int, under: str, said: Connection) -> None:
    """Audit to `out`; `said` is told that it begins, and the steps that there were."""
    # From the folder above: a run names its own folder in the commands that it prints, so all must have one name.
    os.chdir(out.parent)
    said.send("ready")
    seen = watch(f"{out.name}/{under}", last)
    data = dataset(kind, SAMPLES[kind], seed=5)
    fault = raises_sometimes if kind == "regression" else None
    audit(
        Rowwise(kind, fault=fault),
        data,
        out=out.name,
        suite={**SUITE, "analyses": ANALYSES[kind]},
        resamples=60,
        batch_rows=128,
    )
    said.send(seen[0])
