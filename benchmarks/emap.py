"""EMAP from a part of the combinations against all n² of them: python benchmarks/emap.py

Two trained models and 500 samples each: the easy-VQA demo, whose fusion multiplies, fused from encodings and run whole;
and a small network on AV-MNIST, which adds (needs the shared data folder; left out without it). The model answers all
250,000 combinations once; that gives the truth. Then `cross` as an audit calls it, and the same estimate from 40 other
draws of the combinations:

    passes      combinations asked for, and their share of n²
    half-width  of the 95 % interval over donors, which is to cover the EMAP of all n² combinations
    inside      how many of the draws have the truth in their interval, and their root mean square error
    time        of `cross` and the estimate, against all n² passes and their mean; in one process, torch on one thread

With --coverage also the share of intervals that hold the truth on simulated data: over donors that of all combinations,
in total that of the population; beside it the error that was made and that which was stated. Main 1.5 is in one
direction: two groups of classes are told apart, and within a group nothing is said.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from mmaudit.auditing import prepare
from mmaudit.crossing import cross
from mmaudit.crossing.answers import Combiner
from mmaudit.crossing.design import draw_rounds
from mmaudit.data import Dataset, subset
from mmaudit.metrics import Resamples, metrics
from mmaudit.models import Model
from mmaudit.predict import predict
from mmaudit.reliance.combinations import FILE, read_crossed
from mmaudit.reliance.crossed import estimates
from mmaudit.reliance.emap import emap_full, estimate_emap
from mmaudit.types import CLEAN, Array, FloatArray, Task

ROWS = 500
BUDGET = 0.05


def easy_vqa() -> tuple[Model, Dataset]:
    """The demo's model, and samples of its test split."""
    from mmaudit.demo import run as demo

    data = demo.data()
    return demo.model(), subset(data, np.unique(np.linspace(0, len(data) - 1, ROWS).astype(np.int64)))


def digits() -> tuple[Model, Dataset]:
    """The tests' model of AV-MNIST, and samples of the test split."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    real_data, real_models = import_module("helpers.real_data"), import_module("helpers.real_models")
    return real_models.digits(), real_data.avmnist(ROWS)


def compare(name: str, make: Callable[[], tuple[Model, Dataset]], draws: int, whole: bool = False) -> bool:
    """Print one model's line; return whether it kept to the budget and the truth lies in the interval."""
    model, data = make()
    prepared = prepare(model, data, suite={"probes": ["missing"], "baselines": ["zero"]})
    stage = None if whole else prepared.stage
    accuracy = metrics.get("accuracy")
    with tempfile.TemporaryDirectory() as folder:
        run = prepared.open_run(folder, batch_rows=None, title=None, command="")
        predict(run, data, prepared.model, prepared.source, stage=prepared.stage)
        clean, target = run.read(CLEAN).outputs, data.target
        w = Resamples.draw(len(data), 1000, 0, data.cluster)

        start = time.perf_counter()
        cross(run, data, prepared.model, stage, budget=BUDGET)
        asked = time.perf_counter() - start
        found = {e.label: e for e in estimates(run, w)}
        ours = time.perf_counter() - start
        crossed = read_crossed(run.folder / FILE)
        assert crossed is not None
        rounds = crossed.design.rounds

    start = time.perf_counter()
    combiner = Combiner(prepared.model, stage, data, np.arange(len(data)), data.task, 256)
    n = len(data)
    grid = np.stack([combiner.answer(np.stack([np.full(n, i), np.arange(n)])) for i in range(n)])
    truth = float((emap_full(grid).argmax(axis=1) == target).mean())
    theirs = time.perf_counter() - start

    gap, half = found["emap_gap"], crossed.about["half_width"]
    exact = float((clean.argmax(axis=1) == target).mean()) - truth
    inside, errors = 0, []
    for seed in range(1, draws + 1):
        design = draw_rounds(model.modalities, n, rounds, seed)
        outputs = grid[tuple(design.index)]
        one = estimate_emap(design, outputs, clean, target, data.task, accuracy, donors_only=True)
        errors.append(one.value - truth)
        inside += abs(errors[-1]) <= one.donor_half_width + 1e-12
    print(f"{name}: n = {n}, {crossed.about['how']}")
    print(f"  passes {rounds * n:,} = {100 * rounds / n:.1f} % of n²; {crossed.about['stopped']}")
    print(f"  EMAP gap {gap.value:.4f} ± {half:.4f} over donors, all n² combinations {exact:.4f}")
    print(f"  in total [{gap.low:.4f}, {gap.high:.4f}]")
    rmse = float(np.sqrt(np.mean(np.square(errors))))
    print(f"  {draws} other draws: {inside} hold the truth, root mean square error {rmse:.4f}")
    print(f"  time {asked:.2f} s + {ours - asked:.2f} s, all n² {theirs:.2f} s: ratio {theirs / ours:.1f}")
    return rounds <= BUDGET * n and abs(gap.value - exact) <= half + 1e-12


def coverage(repeats: int) -> None:
    """Print how many intervals hold the truth, on normal inputs with interactions of several sizes."""
    rng = np.random.default_rng(0)
    task, accuracy, d, k = Task.classification(5), metrics.get("accuracy"), 4, 5
    a, b = rng.normal(size=(2, d, k))
    matrices = rng.normal(size=(k, d, d)) / np.sqrt(d)
    print(f"simulated, {repeats} data sets each: share of 95 % intervals that hold the truth")
    print("  main  interaction  n    rounds  gap    bias    rmse   error   donors  total")

    def bent(x: FloatArray) -> FloatArray:
        # No product of main effects explains the interaction.
        return np.asarray(np.sin(3 * x))

    # Effects in one direction only tell two groups of classes apart, and say nothing within a group.
    one = np.outer(np.eye(d)[0], np.where(np.arange(k) < 2, 1.0, -1.0))
    worlds = ((0.5, 1.0, (a, b)), (1.5, 1.0, (a, b)), (1.5, 0.3, (a, b)), (1.5, 0.0, (a, b)), (1.5, 1.5, (one, one)))
    for size, main, (left, right) in worlds:

        def additive(
            x: FloatArray, z: FloatArray, main: float = main, left: FloatArray = left, right: FloatArray = right
        ) -> FloatArray:
            return np.asarray(main * (x @ left + z @ right))

        def logits(x: FloatArray, z: FloatArray, size: float = size) -> FloatArray:
            return additive(x, z) + size * np.asarray(np.einsum("nd,kde,ne->nk", bent(x), matrices, bent(z)))

        def draw(n: int) -> tuple[FloatArray, FloatArray, FloatArray, Array]:
            x, z = rng.normal(size=(2, n, d))
            f = logits(x, z)
            return x, z, f, np.argmax(f + rng.gumbel(size=f.shape), axis=1)

        x, z, f, y = draw(200_000)
        true = float((f.argmax(axis=1) == y).mean() - (additive(x, z).argmax(axis=1) == y).mean())
        for n, rounds in ((500, 25), (500, 8), (200, 10)):
            rows = []
            for seed in range(repeats):
                x, z, f, y = draw(n)
                cross_part = np.einsum("id,kde,je->ijk", bent(x), matrices, bent(z), optimize=True)
                grid = additive(x, z * 0)[:, None] + additive(x * 0, z)[None] + size * cross_part
                exact = float((emap_full(grid).argmax(axis=1) == y).mean())
                design = draw_rounds(("x", "z"), n, rounds, seed)
                e = estimate_emap(design, grid[tuple(design.index)].astype(np.float32), f, y, task, accuracy)
                error, gap = e.value - exact, e.whole - e.value
                inside = abs(error) <= e.donor_half_width, abs(gap - true) <= e.gap_half_width
                rows.append((error, e.donor_error, *inside))
            error, expected, donors, total = np.array(rows, float).T
            made = np.sqrt(np.square(error).mean())
            print(
                f"  {main:4.1f}  {size:11.1f}  {n}  {rounds:6d}  {true:.3f}  {error.mean():+.4f}  "
                f"{made:.4f}  {expected.mean():.4f}  {donors.mean():.3f}  {total.mean():.3f}",
                flush=True,
            )


def main() -> int:
    """Print both models' lines and the machine; return 1 where one missed its budget or its interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=40, help="other draws of the combinations (40); 0: no models")
    parser.add_argument("--coverage", type=int, metavar="REPEATS", default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    kept = []
    shared = Path(__file__).parents[2] / "shared" / "data" / "avmnist.npz"
    if asked.draws:
        kept.append(compare("easy-VQA demo", easy_vqa, asked.draws))
        kept.append(compare("easy-VQA demo", easy_vqa, asked.draws, whole=True))
    if asked.draws and shared.exists():
        kept.append(compare("AV-MNIST", digits, asked.draws))
    if asked.coverage:
        coverage(asked.coverage)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch"))
    print(f"Python {platform.python_version()}, {libraries}; {platform.system()} {platform.machine()}")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
