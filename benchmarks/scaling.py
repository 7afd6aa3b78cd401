"""One worker against two, on a model that is bound by the processor: `python benchmarks/scaling.py [loky|ray …]`.

The model multiplies matrices in one thread; the suite and the data are such that its passes are nearly all there is to
do. Timed is `predict` alone, from the first shard to the last, with workers that have started and hold the model: on a
run that pays for workers their start is a matter of seconds. Run it on a machine with two free cores and nothing else.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: two workers have a core each, and one has one as well

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

import mmaudit
from mmaudit.auditing import prepare
from mmaudit.execution import Loky, Ray
from mmaudit.execution.seam import Executor
from mmaudit.execution.supervise import Supervised
from mmaudit.predict import predict
from mmaudit.types import Array

SHARDS = 16
SUITE = {"probes": ["missing"], "baselines": ["zero"], "analyses": []}


class Multiplies:
    """A model whose cost is matrix products of a row alone, so that no batch is cheaper than another."""

    def __init__(self, width: int, depth: int) -> None:
        rng = np.random.default_rng(0)
        self.weights = [(rng.normal(size=(width, width)) / np.sqrt(width)).astype(np.float32) for _ in range(depth)]
        self.start = rng.normal(size=(8, width)).astype(np.float32)
        self.__name__ = f"{depth} products of width {width}"

    def __call__(self, left: Array, right: Array) -> Array:
        hidden = np.concatenate([left, right], axis=1) @ self.start
        for weight in self.weights:
            hidden = np.tanh(hidden @ weight)
        return np.asarray(hidden[:, :2])


def seconds(executor: Executor, samples: int, depth: int) -> float:
    """Seconds of `predict` with workers that have started."""
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(2, samples, 4)).astype(np.float32)
    data = mmaudit.ArrayData(
        {"left": left, "right": right}, (left[:, 0] > 0).astype(int), mmaudit.Task.classification(2)
    )
    model = mmaudit.FunctionModel(Multiplies(256, depth), ["left", "right"], outputs="logits", fingerprint="multiplies")
    prepared = prepare(model, data, suite=SUITE)
    with tempfile.TemporaryDirectory() as folder:
        run = prepared.open_run(Path(folder) / "run", batch_rows=256, title=None, command="")
        with executor.crew(prepared.job(run)) as crew:
            assert isinstance(crew, Supervised)
            crew.start()
            began = time.perf_counter()
            predict(run, data, prepared.model, prepared.source, stage=prepared.stage, batch_rows=256, crew=crew)
            return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executors", nargs="*", metavar="loky|ray")
    parser.add_argument("--depth", type=int, default=200, help="matrix products in the model")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    samples = SHARDS * 1024
    print("| executor | 1 worker (s) | 2 workers (s) | times as fast |\n|---|---:|---:|---:|")
    for name in given.executors or ("loky", "ray"):
        times = {}
        for workers in (1, 2):
            way: Executor = Loky(workers, threads=1) if name == "loky" else Ray(workers)
            times[workers] = median(seconds(way, samples, given.depth) for _ in range(given.repeats))
        print(f"| {name} | {times[1]:.1f} | {times[2]:.1f} | {times[1] / times[2]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
