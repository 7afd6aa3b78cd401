"""How often `mmaudit.compare` is right, on pairs of models whose true difference is known.

    python -m benchmarks.compare_rates --repeats 200

Coverage of the 95 % intervals of differences, of values, of changes against clean data, and of ECE; share of
comparisons with any false verdict (models equally good everywhere: 5 % at most), and of false ones among all verdicts
(5 % at most where some differ); share of true differences that are found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from mmaudit import Comparison, Run, compare
from mmaudit.types import CLEAN, Array, Condition

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

CLEAN_ACCURACY, PERTURBED, LOSS = 0.85, 0.7, 0.05


def conditions(many: int) -> list[Condition]:
    """Clean data and this many conditions."""
    return [CLEAN, *(Condition(f"image.made_{i}", "corruption", 1, ("image",)) for i in range(many))]


def one(folder: Path, seed: int, n: int, many: int, loss: float, own: float, paired: bool, clusters: int) -> Comparison:
    """Compare two made models; the second is worse by `loss` under every second condition."""
    from scipy.stats import norm

    from helpers.panel_runs import make_run

    rng = np.random.default_rng([seed, n])
    plan = conditions(many)
    cluster: Array | None = np.arange(n) % clusters if clusters else None
    runs: list[Run] = []
    world = {c.key: _difficulty(rng, n, cluster) for c in plan}
    target = rng.integers(0, 4, n)
    for number in range(2):
        if number and not paired:
            world = {c.key: _difficulty(rng, n, cluster) for c in plan}
            target = rng.integers(0, 4, n)
        outputs = {}
        for i, c in enumerate(plan):
            truth = accuracy(i, number, loss)
            right = norm.cdf(np.sqrt(1 - own) * world[c.key] + np.sqrt(own) * _difficulty(rng, n, cluster)) < truth
            said = np.where(right, target, (target + rng.integers(1, 4, n)) % 4)
            outputs[c.key] = (rng.normal(size=(n, 4)) * 0.3 + 3.0 * np.eye(4)[said]).astype(np.float32)
        runs.append(make_run(folder / str(number), target, outputs, plan, name=f"model {number}", cluster=cluster))
    if not paired:
        # Other samples: other ids.
        ids = runs[1].samples.ids + 10**6
        object.__setattr__(runs[1].samples, "ids", ids)
    return compare(*runs, metrics=["ece"], seed=seed)


def _difficulty(rng: np.random.Generator, n: int, cluster: Array | None) -> Array:
    """Standard normal, half of its variance shared within a cluster."""
    own = rng.normal(size=n)
    if cluster is None:
        return own
    return np.asarray(np.sqrt(0.5) * own + np.sqrt(0.5) * rng.normal(size=int(cluster.max()) + 1)[cluster])


def accuracy(condition: int, model: int, loss: float) -> float:
    """The truth."""
    return CLEAN_ACCURACY if condition == 0 else PERTURBED - (loss if model and condition % 2 else 0.0)


def measured(name: str, repeats: int, n: int, many: int, loss: float, own: float, paired: bool, clusters: int) -> str:
    """Return one line of the table."""
    hits: Counter[str] = Counter()
    width: list[float] = []
    for seed in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            found = one(Path(folder), seed, n, many, loss, own, paired, clusters)
        order = {c.key: i for i, c in enumerate(found.conditions)}
        claims = 0
        for row in found.rows:
            i = order[row.condition]
            first, other = accuracy(i, 0, loss), accuracy(i, 1, loss)
            true = other - first
            if row.metric == "ece":
                if loss == 0:
                    hits["ece rows"] += 1
                    hits["ece covered"] += row.delta_low <= 0 <= row.delta_high
                    claims += row.verdict != "undecided"
                continue
            kind = row.quantity
            hits[f"{kind} rows"] += 1
            hits[f"{kind} covered"] += row.delta_low <= true <= row.delta_high
            if kind == "value":
                width.append(row.delta_high - row.delta_low)
            if true == 0:
                claims += row.verdict != "undecided"
            else:
                hits["true"] += 1
                hits["found"] += row.verdict == "worse"
                claims += row.verdict == "better"
        hits["claimed"] += claims > 0
        hits["false"] += claims
        hits["all"] += sum(row.verdict != "undecided" for row in found.rows if row.metric == "accuracy")

    def share(a: str, b: str) -> str:
        return f"{100 * hits[a] / hits[b]:.1f} %" if hits[b] else "—"

    return (
        f"| {name} | {share('value covered', 'value rows')} | {share('change covered', 'change rows')} | "
        f"{share('ece covered', 'ece rows')} | {100 * np.mean(width):.1f} pp | "
        f"{100 * hits['claimed'] / repeats:.1f} % | {share('false', 'all') if loss else '—'} | "
        f"{share('found', 'true')} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--conditions", type=int, default=30)
    chosen = parser.parse_args()
    columns = ("pairs", "value", "change", "ECE", "width", "any false verdict", "false among verdicts", "found")
    print(f"| {' | '.join(columns)} |")
    print("|---|---|---|---|---|---|---|---|")
    for name, loss, own, paired, clusters in (
        ("equal, paired", 0.0, 0.3, True, 0),
        ("equal, paired, nearly the same answers", 0.0, 0.003, True, 0),
        ("equal, paired, 100 clusters", 0.0, 0.3, True, 100),
        ("equal, not paired", 0.0, 0.3, False, 0),
        ("5 pp worse in half, paired", LOSS, 0.3, True, 0),
        ("5 pp worse in half, not paired", LOSS, 0.3, False, 0),
    ):
        many = chosen.conditions
        print(measured(name, chosen.repeats, chosen.n, many, loss, own, paired, clusters), flush=True)


if __name__ == "__main__":
    main()
