"""Expected calibration error, ours against others, side by side in one process: python benchmarks/calibration.py

Three comparisons, every side warm, in turns, the fastest of several rounds (other work on a machine only adds):

    bootstrap   1,000 replicates of the ECE of 10,000 samples, confidences and hits known (and, for the others, their
                bins, which ours finds in the call), against `scipy.stats.bootstrap` (one by one, and vectorised with
                its best batch size) and against a NumPy loop of bincounts. "shared": the resamples are given, as in
                an audit, which draws them once for every condition and metric. "alone": a single call that draws.
    plain       the ECE of 1,000,000 samples from probabilities of ten classes, against netcal and torchmetrics (where
                it is installed; it is no dependency), which may use all cores, as ours may.
    repairs     fits of temperature scaling and of beta calibration, by Newton's method in netcal's own classes, against
                netcal's search.

Values are compared as well: with netcal to 10⁻¹², with torchmetrics (single precision) to 10⁻⁵; standard errors of
the bootstraps to 15 %, losses after a repair (no greater than netcal's). Exits with 1 where a value differs or a
target is missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import netcal.scaling
import numpy as np
import scipy.special
import scipy.stats
import torch
from netcal.metrics import ECE

from mmaudit.kernels.bootstrap import Resamples
from mmaudit.kernels.calibration import equal_width_bin
from mmaudit.metrics import Predictions
from mmaudit.metrics import repairs as newton
from mmaudit.metrics.calibration import BINS, ece, expected_calibration_error
from mmaudit.threads import workers
from mmaudit.types import Array, FloatArray, IntArray, Task

CLASSES = 10
SCIPY, LOOP, NETCAL, TORCHMETRICS = 40.0, 5.0, 20.0, 10.0  # targets


def data(n: int) -> tuple[Array, IntArray]:
    """Return logits and truth of a model that is right about nine times in ten."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, CLASSES, n)
    logits = rng.normal(size=(n, CLASSES))
    logits[np.arange(n), target] += 3.3
    return logits, target


def in_turns(rounds: int, calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the seconds of each call's fastest round; calls take turns, so that all meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            for _ in range(3):  # the second and third find the data in the caches again
                start = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - start)
    return {name: min(t) for name, t in times.items()}


def by_scipy(gap: FloatArray, place: IntArray, replicates: int, batch: int | None) -> FloatArray:
    """Replicates by SciPy: `batch` at a time, or one by one (None)."""

    def one(gap: FloatArray, place: IntArray) -> float:
        return float(np.abs(np.bincount(place.astype(np.int64), gap, BINS)).sum() / len(gap))

    def many(gap: FloatArray, place: IntArray, axis: int = -1) -> FloatArray:
        flat = gap.reshape(-1, gap.shape[-1])
        rows = np.arange(len(flat))[:, None] * BINS
        sums = np.bincount((place.reshape(flat.shape) + rows).ravel(), flat.ravel(), len(flat) * BINS)
        return np.asarray(np.abs(sums.reshape(len(flat), BINS)).sum(axis=1).reshape(gap.shape[:-1]) / gap.shape[-1])

    result = scipy.stats.bootstrap(
        (gap, place),
        one if batch is None else many,
        n_resamples=replicates,
        batch=batch,
        vectorized=batch is not None,
        paired=True,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return np.asarray(result.bootstrap_distribution)


def by_loop(gap: FloatArray, place: IntArray, replicates: int) -> FloatArray:
    """Replicates by a plain loop: draw, count, add up."""
    rng, n = np.random.default_rng(0), len(gap)
    out = np.empty(replicates)
    for b in range(replicates):
        drawn = rng.integers(0, n, n)
        out[b] = np.abs(np.bincount(place[drawn], gap[drawn], BINS)).sum() / n
    return out


def bootstrap(n: int, replicates: int, rounds: int) -> bool:
    """Compare bootstraps; return whether all is as it should be."""
    logits, target = data(n)
    p = Predictions(Task.classification(CLASSES), logits, target)
    g, w = p.graded, Resamples.draw(n, replicates)
    gap, place = g.outcome - g.score, equal_width_bin(g.score, BINS)
    calls: dict[str, Callable[[], Any]] = {
        "ours, resamples shared": lambda: ece(p, w),
        "ours, alone (drawing included)": lambda: ece(p, Resamples.draw(n, replicates)),
        "NumPy loop of bincounts": lambda: by_loop(gap, place, replicates),
        "scipy.stats.bootstrap, one by one": lambda: by_scipy(gap, place, replicates, None),
        **{
            f"scipy.stats.bootstrap, vectorised, batch {batch}": partial(by_scipy, gap, place, replicates, batch)
            for batch in (10, 100, 1000)
        },
    }
    took = in_turns(rounds, calls)
    ours, alone, loop, single = (
        took[name] for name in (*list(calls)[:2], "NumPy loop of bincounts", "scipy.stats.bootstrap, one by one")
    )
    batched = min(seconds for name, seconds in took.items() if "vectorised" in name)
    errors = [x.std() for x in (ece(p, w), by_scipy(gap, place, replicates, 100), by_loop(gap, place, replicates))]

    print(f"ECE bootstrap, n = {n}, B = {replicates}")
    for name, seconds in took.items():
        print(f"  {name:<48}{seconds * 1e3:9.1f} ms")
    print(f"  {'':<26} ÷ SciPy one by one  ÷ SciPy vectorised  ÷ NumPy loop")
    for name, seconds in (("shared", ours), ("alone", alone)):
        print(f"  {name:<26}{single / seconds:17.1f}{batched / seconds:20.1f}{loop / seconds:15.1f}")
    print(f"  targets (shared) ≥ {SCIPY:.0f} × SciPy's faster way, ≥ {LOOP:.0f} × the loop")
    print("  standard error: ours {:.5f}, SciPy {:.5f}, loop {:.5f}".format(*errors))
    return batched >= SCIPY * ours and loop >= LOOP * ours and max(errors) < 1.15 * min(errors)


def plain(n: int, rounds: int) -> bool:
    """Compare plain estimates from probabilities; return whether all is as it should be."""
    logits, target = data(n)
    probability = scipy.special.softmax(logits, axis=1)
    cores = workers()
    torch.set_num_threads(cores)

    def ours(threads: int) -> float:
        os.environ["MMAUDIT_THREADS"] = str(threads)
        return expected_calibration_error(probability, target)

    calls: dict[str, Callable[[], Any]] = {
        "ours, one thread": lambda: ours(1),
        f"ours, {cores} threads": lambda: ours(cores),
        "netcal": lambda: ECE(BINS).measure(probability, target),
    }
    try:
        from torchmetrics.functional import classification  # type: ignore[import-not-found, unused-ignore]

        tensors = torch.from_numpy(probability), torch.from_numpy(target)
        error = partial(classification.multiclass_calibration_error, *tensors, CLASSES, BINS)
        for checks in (True, False):
            calls[f"torchmetrics, validate_args={checks}"] = partial(error, validate_args=checks)
    except ImportError:
        print("torchmetrics is not installed: pip install torchmetrics")
    took = in_turns(rounds, calls)
    value = {name: float(call()) for name, call in calls.items()}
    os.environ.pop("MMAUDIT_THREADS")

    print(f"ECE from probabilities, n = {n}, {CLASSES} classes")
    ok = True
    for name, seconds in took.items():
        ratio = seconds / took["ours, one thread"], seconds / took[f"ours, {cores} threads"]
        off = value[name] - value["ours, one thread"]
        print(
            f"  {name:<36}{seconds * 1e3:9.2f} ms   ÷ ours {ratio[0]:6.1f}, all cores {ratio[1]:6.1f}   off {off:.1e}"
        )
        aim = {"netc": NETCAL, "torc": TORCHMETRICS}.get(name[:4], 0.0)
        ok &= ratio[1] >= aim and abs(off) <= (1e-5 if name.startswith("torch") else 1e-12)
    print(f"  targets (all cores) ≥ {NETCAL:.0f} × netcal, ≥ {TORCHMETRICS:.0f} × torchmetrics")
    return ok


def repairs(n: int, rounds: int) -> bool:
    """Compare fits of repairs on n stated probabilities; return whether none of ours is less likely."""
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=n)
    p, y = scipy.special.expit(2 * z), (rng.random(n) < scipy.special.expit(z)).astype(np.int64)

    def fit(owner: Any, name: str) -> float:
        model = getattr(owner, name)()
        model.fit(p, y)
        return float(-np.where(y == 1, np.log(model.transform(p)), np.log1p(-model.transform(p))).mean())

    print(f"fits of repairs, n = {n}")
    ok = True
    for name in ("TemperatureScaling", "BetaCalibration"):
        calls: dict[str, Callable[[], Any]] = {
            "ours": partial(fit, newton, name),
            "netcal": partial(fit, netcal.scaling, name),
        }
        took, loss = in_turns(rounds, calls), {who: call() for who, call in calls.items()}
        ratio, better = took["netcal"] / took["ours"], loss["netcal"] - loss["ours"]
        print(
            f"  {name:<20} ours {took['ours'] * 1e3:6.2f} ms, netcal {took['netcal'] * 1e3:7.2f} ms: {ratio:5.1f} ×; "
            f"loss {better:.0e} nats below netcal's"
        )
        ok &= better >= -1e-9
    return ok


def main() -> int:
    """Print times, ratios and machine; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    cores = workers()
    start = time.perf_counter()
    expected_calibration_error(np.full((2, 2), 0.5), np.zeros(2, np.int64))
    ece(Predictions(Task.classification(2), np.zeros((2, 2)), np.zeros(2, np.int64)), Resamples.draw(2, 2))
    print(f"first calls, compiling or loading the kernels: {time.perf_counter() - start:.2f} s")
    ok = [bootstrap(10_000, 1000, asked.rounds), plain(1_000_000, asked.rounds)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="independent is deprecated", category=DeprecationWarning)
        ok += [repairs(n, asked.rounds) for n in (100, 2000)]
    found = []
    for name in ("numpy", "scipy", "numba", "netcal", "torch", "torchmetrics"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    print(f"Python {platform.python_version()}, {', '.join(found)}; {platform.machine()}, {cores} cores")
    return 0 if all(ok) else 1


if __name__ == "__main__":
    raise SystemExit(main())
