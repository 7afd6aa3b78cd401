"""Corruptions of tables and series against plain NumPy and tsaug: python benchmarks/tabular_series.py

For every op, on one thread, in this process, alternating; the fastest of `--repeats` runs, at position 3:

    mmaudit    the whole probe: draws by sample id, dtype and range kept, donors looked up
    plain      the same operation as one would write it by hand: a NumPy function of one sample, called for each, all
               with one random generator
    tsaug      0.2.1, where it is installed and has the op, on the whole batch at once

Tables are 1,024 records of 32 columns, series 64 of 500 times 8 channels, float32.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise

import numpy as np
from scipy.fft import dct, idct
from scipy.interpolate import CubicSpline

from mmaudit.data import ArrayData, all_statistics
from mmaudit.probes import Source, probes
from mmaudit.types import Array, Modality, Task

RECORDS, COLUMNS = 1024, 32
SERIES, LENGTH, CHANNELS = 64, 500, 8

Plain = Callable[[Array, float, np.random.Generator, Array, Array, Array], Array]


def missing(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    return np.where(rng.random(x.shape) < s, mean, x)


def missing_mnar(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    # By the logistic function, the usual way by hand.
    return np.where(rng.random(x.shape) < 1 / (1 + np.exp(-1.7 * ((x - mean) / std) - np.log(s / (1 - s)))), mean, x)


def missing_mar(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    decides = rng.integers(len(x))
    z = (x[decides] - mean[decides]) / std[decides]
    hit = rng.random(x.shape) < 1 / (1 + np.exp(-1.7 * z - np.log(s / (1 - s))))
    hit[decides] = False
    return np.where(hit, mean, x)


def scaling(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    out = x.copy()
    out[rng.integers(len(x))] *= 10**s
    return out


def shift(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    return x + np.float32(s) * std


def outliers(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    return np.where(rng.random(x.shape) < s, mean + 5 * std * rng.choice([-1, 1], x.shape), x)


def column_swap(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    order, out = rng.permutation(len(x)), x.copy()
    pairs = order[: len(x) // 2 * 2].reshape(-1, 2)[rng.random(len(x) // 2) < s]
    out[pairs[:, 0]], out[pairs[:, 1]] = x[pairs[:, 1]], x[pairs[:, 0]]
    return out


def rounding(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    step = np.float32(s) * std
    return np.rint(x / step) * step


def category_flip(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    return np.where(rng.random(x.shape) < s, donor, x)


def stale_row(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    stale = (np.arange(len(x)) - rng.integers(len(x))) % len(x) < round(s * len(x))
    return np.where(stale, donor, x)


def gaussian_noise(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    return np.asarray(x + np.float32(s) * std.mean(axis=0) * rng.standard_normal(x.shape, dtype=np.float32))


def drift(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    walk = rng.standard_normal((5, x.shape[1])).cumsum(axis=0)
    curve = CubicSpline(np.linspace(0, len(x) - 1, 5), walk)(np.arange(len(x)))
    curve -= curve[0]
    return np.asarray(x + s * std.mean(axis=0) * curve / np.abs(curve).max(axis=0))


def spikes(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    return np.where(rng.random(x.shape) < s, x + 5 * std * rng.choice([-1, 1], x.shape), x)


def stuck_at(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    out = x.copy()
    for c in range(x.shape[1]):
        edges = [0, *np.sort(rng.integers(0, len(x), 2)).tolist(), len(x)]
        for first, end in pairwise(edges):
            out[first : first + int(s * (end - first)), c] = x[min(first, len(x) - 1), c]
    return out


def saturation(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    middle, low, high = x.mean(axis=0), x.min(axis=0), x.max(axis=0)
    return np.clip(x, low + s * (middle - low), high - s * (high - middle))


def missing_channel(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    lost = rng.permutation(x.shape[1])[: round(s * x.shape[1])]
    out = x.copy()
    out[:, lost] = mean[:, lost]
    return out


def dropout(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    out = x.copy()
    for start in rng.integers(0, len(x), 3):
        out[start : start + int(s * len(x) / 3)] = 0
    return out


def at(x: Array, times: Array) -> Array:
    steps = np.arange(len(x))
    return np.stack([np.interp(times, steps, x[:, c]) for c in range(x.shape[1])], axis=1)


def jitter(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    return at(x, np.arange(len(x)) + s * rng.standard_normal(len(x)))


def time_warp(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    speed = CubicSpline(np.linspace(0, len(x) - 1, 6), rng.normal(1, s, 6))(np.arange(len(x)))
    times = np.cumsum(speed)
    return at(x, times * (len(x) - 1) / times[-1])


def resample(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    spectrum = dct(x, axis=0, norm="ortho")
    spectrum[int((1 - s) * len(x)) :] = 0
    return np.asarray(idct(spectrum, axis=0, norm="ortho"))


def channel_swap(x: Array, s: float, rng: np.random.Generator, mean: Array, std: Array, donor: Array) -> Array:
    return column_swap(x.T, s, rng, mean, std, donor).T


TABLE: dict[str, Plain] = {
    "missing_mcar": missing, "missing_mar": missing_mar, "missing_mnar": missing_mnar, "scaling": scaling,
    "shift": shift, "outliers": outliers, "column_swap": column_swap, "rounding": rounding,
    "category_flip": category_flip, "stale_row": stale_row,
}  # fmt: skip
TIME: dict[str, Plain] = {
    "gaussian_noise": gaussian_noise, "drift": drift, "spikes": spikes, "stuck_at": stuck_at,
    "saturation": saturation, "missing_channel": missing_channel, "dropout": dropout, "jitter": jitter,
    "time_warp": time_warp, "resample": resample, "channel_swap": channel_swap,
}  # fmt: skip


def tsaug_ops(x: Array) -> dict[str, Callable[[], Array]]:
    """tsaug's ops on the batch; none where it is not installed."""
    if importlib.util.find_spec("tsaug") is None:
        return {}
    import tsaug  # type: ignore[import-not-found, unused-ignore]

    noise, drifts = tsaug.AddNoise(scale=0.2), tsaug.Drift(max_drift=0.5)
    gaps, warp = tsaug.Dropout(p=0.02, size=10, fill=0.0), tsaug.TimeWarp()
    down, up = tsaug.Resize(LENGTH // 4), tsaug.Resize(LENGTH)
    return {
        "gaussian_noise": lambda: noise.augment(x),
        "drift": lambda: drifts.augment(x),
        "dropout": lambda: gaps.augment(x),
        "time_warp": lambda: warp.augment(x),
        "resample": lambda: up.augment(down.augment(x)),
    }


def samples(kind: str, name: str) -> tuple[Array, Modality]:
    """A batch for an op: a float table, a table of codes, or series."""
    rng = np.random.default_rng(0)
    if name == "category_flip":
        return rng.integers(0, 20, (RECORDS, COLUMNS)), Modality("x", "tabular")
    if kind == "tabular":
        return rng.normal(3, 2, (RECORDS, COLUMNS)).astype(np.float32), Modality("x", "tabular")
    walk = rng.normal(0, 1, (SERIES, LENGTH, CHANNELS)).cumsum(axis=1)
    return walk.astype(np.float32), Modality("x", "series", layout="TC")


def fastest(calls: list[Callable[[], object]], repeats: int) -> list[float]:
    """Least seconds of each call; they take turns."""
    for call in calls:
        call()
    best = [float("inf")] * len(calls)
    for _ in range(repeats):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def measure(kind: str, name: str, plain: Plain, repeats: int) -> tuple[int, list[float]]:
    """Number of samples, and seconds of mmaudit, the plain loop and tsaug (left out where it has no such op)."""
    x, modality = samples(kind, name)
    n = len(x)
    data = ArrayData({"x": x}, np.arange(n) % 2, Task.classification(2), modalities=[modality])
    found = all_statistics(data)["x"]
    assert found is not None
    source, batch = Source(data, {"x": found}), data.rows(np.arange(n))
    probe = probes.get(f"{kind}.{name}")
    condition = probe.condition(("x",), probe.severities[2])
    rng, donors = np.random.default_rng(1), np.roll(x, 1, axis=0)
    mean, std, severity = found.mean.astype(np.float32), found.std.astype(np.float32), probe.severities[2]

    def by_hand() -> Array:
        return np.stack([plain(row, severity, rng, mean, std, donors[i]).astype(x.dtype) for i, row in enumerate(x)])

    calls: list[Callable[[], object]] = [lambda: probe.apply(batch, condition, source), by_hand]
    other = tsaug_ops(x).get(name) if kind == "series" else None
    return n, fastest([*calls, other] if other else calls, repeats)


def main() -> int:
    """Print samples per second and ratios for every op, and the machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    os.environ["MMAUDIT_THREADS"] = "1"
    for kind, ops, what in (
        ("tabular", TABLE, f"{RECORDS} records × {COLUMNS} columns"),
        ("series", TIME, f"{SERIES} series × {LENGTH} times × {CHANNELS} channels"),
    ):
        print(f"{kind}: {what}\n  {'op':<16}{'samples/s':>12}{'plain ÷ ours':>14}{'tsaug ÷ ours':>14}")
        sums = np.zeros(2)
        for name, plain in ops.items():
            n, (ours, hand, *rest) = measure(kind, name, plain, repeats)
            sums += ours, hand
            tsaug = f"{rest[0] / ours:14.1f}" if rest else f"{'–':>14}"
            print(f"  {name:<16}{n / ours:12,.0f}{hand / ours:14.1f}{tsaug}")
        print(f"  {'in sum':<16}{'':>12}{sums[1] / sums[0]:14.1f}")
    names = [name for name in ("numpy", "scipy", "numba", "tsaug") if importlib.util.find_spec(name)]
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"Python {platform.python_version()}, {libraries}; {platform.system()} {platform.machine()}, one thread")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
