"""Peak memory and time per row of a whole audit at 10,000 and at 1,000,000 rows: python benchmarks/memory.py

The data set computes its rows from their numbers whenever they are read, two modalities of 16 and 8 numbers, and holds
only what every data set must: ids and targets, 16 bytes per row. The model is a sum. Each number is the highest
resident memory of a process of its own, as the operating system counts it, without what the same process had reached
once everything was imported:

    predict   checks, plan, predictions
    score     scores and report of that run
    audit     all of it in one process

Time is processor time of the process without its imports, per row; `growth` is that against the first size. A stage
that is linear keeps it at 1.0 or below: fixed costs make small sizes dearer. Exits with 1 where predicting takes more
than 1.1 times as long per row, or a stage more than 2 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np

import mmaudit
from mmaudit.kernels.philox import philox_uniforms
from mmaudit.types import Array, Batch, BoolArray, IntArray, Modality, Task

STAGES = ("predict", "score", "audit")
SIZES = {"reading": 16, "profile": 8}
CLASSES = 4
SUITE = {
    "name": "small",
    "probes": ["missing", "mismatch", "tabular.gaussian_noise_additive"],
    "positions": [3],
    "baselines": ["zero"],
    "pools": ["random"],
}
MOST_GROWTH = 1.1
MOST_MIB = 2048
# Loaded by an audit on first use; loaded beforehand here, to tell their memory from that of the work.
IMPORTS = ("mmaudit.auditing", "mmaudit.assemble", "mmaudit.render", "netcal.binning", "netcal.scaling")


class Made:
    """A data set of n rows: uniform numbers, and mostly the class that `answer` gives."""

    def __init__(self, n: int) -> None:
        self.modalities = tuple(Modality(name, "tabular", (size,)) for name, size in SIZES.items())
        self.task = Task.classification(CLASSES)
        self.ids: IntArray = np.arange(n)
        self.target: IntArray = np.empty(n, np.int64)
        for start in range(0, n, 65_536):
            some = self.ids[start : start + 65_536]
            self.target[some] = answer(*(self.values(name, some) for name in SIZES)).argmax(axis=1)
        self.target[::7] = self.ids[::7] % CLASSES  # a model that is always right has no uncertainty
        self.groups: Mapping[str, Array] = {}
        self.cluster: Array | None = None
        self.fingerprint = f"made:{n}"

    def __len__(self) -> int:
        return len(self.ids)

    def presence(self, modality: str) -> BoolArray:
        """Every modality of every row is there: one byte, seen n times."""
        return np.broadcast_to(np.True_, len(self))

    def values(self, modality: str, positions: IntArray) -> Array:
        """One modality of some rows."""
        size = SIZES[modality]
        cells = (positions[:, None] * size + np.arange(size)).astype(np.uint64).ravel()
        uniform = np.asarray(philox_uniforms(np.uint64(size), cells))
        return uniform.astype(np.float32).reshape(len(positions), size)

    def rows(self, positions: IntArray) -> Batch:
        """Some rows."""
        inputs = {name: self.values(name, positions) for name in SIZES}
        present = {name: self.presence(name)[positions] for name in SIZES}
        return Batch(inputs, present, self.target[positions], self.ids[positions], positions)


def answer(reading: Array, profile: Array) -> Array:
    """Four logits per row: sums of the first columns."""
    logits: Array = 6.0 * (reading[:, :CLASSES] + profile[:, :CLASSES])
    return logits


# ---- the measured process


def work(stage: str, n: int, folder: Path, resamples: int) -> dict[str, float]:
    """Do one stage; return its peak and the peak before it in MiB, its conditions and seconds."""
    for module in IMPORTS:
        import_module(module)
    from mmaudit.assemble import assemble
    from mmaudit.auditing import prepare
    from mmaudit.predict import predict
    from mmaudit.score import score

    imports = peak()
    started = time.process_time()
    model = mmaudit.FunctionModel(answer, list(SIZES), outputs="logits")
    if stage == "predict":
        data = Made(n)
        prepared = prepare(model, data, suite=SUITE, out=folder)
        run = prepared.open_run(folder, batch_rows=256, title=None, command="")
        predict(run, data, prepared.model, prepared.source)
    elif stage == "score":
        run = mmaudit.Run.open(folder)
        score(run, resamples=resamples)
        assemble(run)
    else:
        mmaudit.audit(model, Made(n), out=folder, suite=SUITE, resamples=resamples)
    seconds = time.process_time() - started
    conditions = len(mmaudit.Run.open(folder).conditions)
    return {"peak": peak(), "imports": imports, "conditions": conditions, "seconds": seconds}


def peak() -> float:
    """Highest resident memory of this process so far, in MiB."""
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest / 2**20 if sys.platform == "darwin" else highest / 2**10


# ---- the measuring one


def measured(stage: str, n: int, folder: Path, resamples: int) -> dict[str, float]:
    """Do a stage in a fresh process."""
    options = ["--stage", stage, "--rows", str(n), "--folder", str(folder), "--resamples", str(resamples)]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, encoding="utf-8")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Print peaks and machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--stages", choices=STAGES, nargs="+", default=list(STAGES))
    parser.add_argument("--stage", choices=STAGES, help="do this stage alone, in this process")
    parser.add_argument("--folder", type=Path, help="run folder of that stage")
    asked = parser.parse_args()
    if asked.stage:
        print(json.dumps(work(asked.stage, asked.rows[0], asked.folder, asked.resamples)))
        return 0

    widths = {"peak": 10, "imports": 10, "work": 10, "bytes/row": 11, "seconds": 9, "µs/row": 9, "growth": 8}
    print(f"{'rows':>10}  {'stage':<8}" + "".join(f"{name:>{width}}" for name, width in widths.items()))
    with tempfile.TemporaryDirectory() as place:  # compiles what was never compiled here: that takes memory once
        measured("audit", 1000, Path(place) / "whole", 50)
    smallest: dict[str, tuple[int, float, float]] = {}
    missed = False
    for n in asked.rows:
        with tempfile.TemporaryDirectory() as place:
            for stage in asked.stages:
                folder = Path(place) / ("whole" if stage == "audit" else "apart")
                found = measured(stage, n, folder, asked.resamples)
                own = found["peak"] - found["imports"]
                pace = found["seconds"] / n
                first, base, slow = smallest.setdefault(stage, (n, own, pace))
                slope = f"{(own - base) * 2**20 / (n - first):11.0f}" if n > first else f"{'':>11}"
                print(
                    f"{n:>10,}  {stage:<8}{found['peak']:>10.0f}{found['imports']:>10.0f}{own:>10.0f}{slope}"
                    f"{found['seconds']:>9.0f}{1e6 * pace:>9.0f}{pace / slow:>8.2f}",
                    flush=True,
                )
                missed |= found["peak"] > MOST_MIB or (stage == "predict" and pace > MOST_GROWTH * slow)
    conditions = int(found["conditions"])
    print(f"MiB; work = peak − imports; bytes/row against {asked.rows[0]:,} rows; {conditions} conditions")
    libraries = ", ".join(f"{p} {version(p)}" for p in ("numpy", "numba", "pyarrow", "torch"))
    machine = f"{os.cpu_count()} cores; {platform.system()} {platform.machine()}"
    print(f"Python {platform.python_version()}, {libraries}; {machine}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
