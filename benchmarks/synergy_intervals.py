"""Four bootstrap intervals of the same informations: python benchmarks/synergy_intervals.py [--seeds 150] [--n 200]

Data sets of known truth as in `synergy_rates.py`. An information is a mean over rows of bits, widened by what training
adds, and so is the interaction v12 − v1 − v2; each gets four 95 % intervals from the same 1,000 resamples:

    both arms    the longer arm of the percentiles on both sides, as mmaudit gives it (docs/decisions/0042)
    percentile   Efron 1981
    BCa          corrected for bias and acceleration (Efron 1987)
    studentised  quantiles of (replicate − estimate) / its own standard error (Hall 1988)

Printed is the share of data sets whose interval holds the truth, the mean width, and beside them the spread of the
estimates around the truth and the standard error that was stated: where that is smaller, no shape of interval helps.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from mmaudit.decomposition.sources import of_crossfit
from mmaudit.information.crossfitted import DATA
from mmaudit.information.predictive import independent_product, pvi, substance
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.kernels.inference import symmetric_interval
from mmaudit.types import FloatArray, Task

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
worlds: Any = import_module("theory.synergy_worlds")

WORST = ("unique", "sum", "erasures", "xor", "redundant", "noisy views")
TINY = 0.0002  # bits, as in synergy_rates.py
INTERVALS = ("both arms", "percentile", "BCa", "studentised")


def rows_of(fitted: Any, task: Task) -> Iterator[tuple[str, FloatArray]]:
    """Bits of each row, around the estimate and widened, of the information of both and of the interaction."""
    predictors = of_crossfit(fitted.crossfitted, DATA, task, Resamples.ones(len(fitted.crossfitted)))
    q = predictors.questions[0]
    first, second, both = (q.posterior[s] for s in (worlds.A, worlds.B, worlds.BOTH))
    product = independent_product(first, second, q.prior)
    one, two, together, said = (pvi(p, q.prior, q.target) for p in (first, second, both, product))
    yield "information[a+b]", _widened(together, substance(q.prior, both, q.target))
    beyond = _widened(together - said, substance(product, both, q.target))
    yield "interaction_information", said - one - two + beyond


def _widened(bits: FloatArray, share: float) -> FloatArray:
    return np.asarray(bits.mean() + np.sqrt(2 - share) * (bits - bits.mean()))


def intervals(bits: FloatArray, counts: FloatArray) -> list[tuple[float, float]]:
    """The four intervals of a mean, in the order of `INTERVALS`."""
    n, mean = len(bits), float(bits.mean())
    means = counts @ bits / n
    off = bits - mean
    skewed = float((off**3).sum() / (6 * np.square(off).sum() ** 1.5))
    bias = scipy.stats.norm.ppf(np.clip(np.mean(means < mean) + np.mean(means == mean) / 2, 0.001, 0.999))
    ends = bias + scipy.stats.norm.ppf([0.025, 0.975])
    low, high = np.quantile(means, scipy.stats.norm.cdf(bias + ends / (1 - skewed * ends)))
    percentiles = np.quantile(means, [0.025, 0.975])
    spread = np.sqrt(np.maximum(counts @ np.square(bits) / n - np.square(means), 0) / (n - 1))
    known = spread > 0
    t = np.quantile((means[known] - mean) / spread[known], [0.025, 0.975])
    error = float(bits.std(ddof=1)) / np.sqrt(n)
    return [
        symmetric_interval(means, mean),
        (float(percentiles[0]), float(percentiles[1])),
        (float(low), float(high)),
        (mean - t[1] * error, mean - t[0] * error),
    ]


def compare(name: str, n: int, seeds: range) -> None:
    """Print both quantities of a world."""
    world = worlds.WORLDS[name]
    task = Task.classification(world.joint.shape[2])
    found: dict[str, list[list[float]]] = {}
    for seed in seeds:
        fitted = worlds.fit(world, n, seed)
        truth = fitted.truth()
        rng = np.random.default_rng(seed)
        for what, bits in rows_of(fitted, task):
            counts = rng.multinomial(len(bits), np.full(len(bits), 1 / len(bits)), 1000).astype(np.float64)
            row = [float(bits.mean()) - truth[what], float(bits.std(ddof=1)) / np.sqrt(len(bits))]
            for low, high in intervals(bits, counts):
                row += [low - TINY <= truth[what] <= high + TINY, high - low]
            found.setdefault(what, []).append(row)
    for what, rows in found.items():
        table = np.array(rows, np.float64)
        cells = [
            f"{100 * table[:, 2 + 2 * i].mean():5.1f} % ({table[:, 3 + 2 * i].mean():.4f})"
            for i in range(len(INTERVALS))
        ]
        stated = np.sqrt(np.square(table[:, 1]).mean())
        print(f"{name:12s} {what:24s} {table[:, 0].std():.4f}  {stated:.4f}  " + "  ".join(cells), flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="samples per data set (200)")
    parser.add_argument("--seeds", type=int, default=150, help="data sets of every world (150)")
    parser.add_argument("--first", type=int, default=7000, help="first seed (7000)")
    parser.add_argument("--worlds", nargs="+", default=list(WORST), help="some of the worlds")
    asked = parser.parse_args()
    print("world, quantity, spread of estimates, stated error, held by (mean width): " + ", ".join(INTERVALS))
    for name in asked.worlds:
        compare(name, asked.n, range(asked.first, asked.first + asked.seeds))


if __name__ == "__main__":
    main()
