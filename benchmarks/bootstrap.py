"""Bootstrap of accuracy and ECE against `scipy.stats.bootstrap`: python benchmarks/bootstrap.py

Both draw 1,000 paired resamples of 10,000 samples and return the replicates of both metrics, in this process, with
one thread, alternating. SciPy gets vectorised statistics (its fast path) and the best of several batch sizes. Ours
includes drawing the resamples, though an audit draws them once for all conditions and metrics; the time without
drawing is printed too. Printed ratio: SciPy's best ÷ our median. Compilation is timed apart: it happens once per
installation (numba caches it).
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import scipy.stats

from mmaudit.kernels.bootstrap import Resamples
from mmaudit.kernels.calibration import equal_width_bin
from mmaudit.metrics import Predictions
from mmaudit.metrics.calibration import BINS, ece
from mmaudit.metrics.decision import accuracy
from mmaudit.types import Array, FloatArray, Task

TARGET = 50.0


def data(n: int, classes: int) -> tuple[Task, Array, Array]:
    """Return a task, logits and truth of a model that is right about nine times in ten."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), target] += 3.5
    return Task.classification(classes), logits.astype(np.float32), target


def ours(task: Task, logits: Array, target: Array, replicates: int, w: Resamples | None = None) -> FloatArray:
    """Replicates of both metrics, from logits; draws the resamples unless they are given."""
    p = Predictions(task, logits, target)
    w = w or Resamples.draw(p.n, replicates, seed=0)
    return np.stack([accuracy(p, w), ece(p, w)])


def theirs(hit: FloatArray, confidence: FloatArray, replicates: int, batch: int) -> FloatArray:
    """The same replicates by SciPy, from hits and confidences."""

    def both(hit: FloatArray, confidence: FloatArray, axis: int = -1) -> FloatArray:
        """Accuracy and ECE along the last axis, for all resamples of the batch at once."""
        gap = (hit - confidence).reshape(-1, hit.shape[-1])
        place = equal_width_bin(confidence, BINS).reshape(gap.shape)
        rows = np.arange(len(gap))[:, None] * BINS
        sums = np.bincount((place + rows).ravel(), gap.ravel(), len(gap) * BINS).reshape(len(gap), BINS)
        errors = np.abs(sums).sum(axis=1).reshape(hit.shape[:-1]) / hit.shape[-1]
        return np.stack([hit.mean(axis=axis), errors])

    result = scipy.stats.bootstrap(
        (hit, confidence),
        both,
        n_resamples=replicates,
        batch=batch,
        vectorized=True,
        paired=True,
        axis=-1,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    replicate_values: FloatArray = result.bootstrap_distribution
    return replicate_values


def timed(call: Callable[..., Any], *arguments: Any) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def main() -> int:
    """Print times, ratio and machine; return 1 where the ratio misses the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=13)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()

    problem = data(asked.n, asked.classes)
    p = Predictions(*problem)
    hit, confidence = p.hit.astype(np.float64), p.confidence
    compiled = timed(ours, *problem, asked.replicates)

    mine, drawn, scipys = [], [], {batch: [] for batch in (10, 100, 1000)}
    w = Resamples.draw(asked.n, asked.replicates, seed=0)
    for _ in range(asked.repeats):
        mine.append(timed(ours, *problem, asked.replicates))
        drawn.append(timed(ours, *problem, asked.replicates, w))
        for batch, times in scipys.items():
            times.append(timed(theirs, hit, confidence, asked.replicates, batch))

    a, b = ours(*problem, asked.replicates), theirs(hit, confidence, asked.replicates, 100)
    spread, their_spread = a.std(axis=1), b.std(axis=1)
    best = {batch: statistics.median(times) for batch, times in scipys.items()}
    batch = min(best, key=lambda k: best[k])
    own, given = statistics.median(mine), statistics.median(drawn)
    ratio = best[batch] / own

    print(f"bootstrap of accuracy + ECE, B = {asked.replicates}, n = {asked.n}, {asked.classes} classes")
    print(f"  mmaudit, drawing included      {own * 1e3:9.1f} ms   (first call, with compilation: {compiled:.2f} s)")
    print(f"  mmaudit, resamples given       {given * 1e3:9.1f} ms")
    for size, seconds in best.items():
        print(f"  scipy.stats.bootstrap, batch {size:<5}{seconds * 1e3:7.1f} ms")
    print(
        f"  standard errors: accuracy {spread[0]:.5f} and {their_spread[0]:.5f}, ECE {spread[1]:.5f} and {their_spread[1]:.5f}"
    )
    print(f"  ratio {ratio:.1f} (target ≥ {TARGET:.0f}), with resamples given {best[batch] / given:.1f}")
    names = ("numpy", "scipy", "numba")
    print(f"  Python {platform.python_version()}, " + ", ".join(f"{x} {version(x)}" for x in names))
    print(f"  {platform.system()} {platform.machine()}, medians of {asked.repeats}, one thread")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
