"""How often the gate opens for a model whose true drop is exactly the limit: 2.5 % is aimed at.

As many should fail; all others are undecided.

    python benchmarks/gate_rates.py
"""

from __future__ import annotations

import numpy as np

from mmaudit.gate.decide import decide
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.kernels.inference import interval

TRIALS = 1500
CLEAN = 0.9
GAINED = 0.3  # share of the wrong answers that the perturbation puts right


def main() -> None:
    """Simulate paired answers, and print the outcomes per sample size and limit."""
    rng = np.random.default_rng(0)
    for n in (200, 1000, 4000):
        w = Resamples.draw(n, 500, 0, None)
        for limit in (0.05, 0.1):
            hurt = (limit + (1 - CLEAN) * GAINED) / CLEAN
            outcomes = []
            for _ in range(TRIALS):
                clean = rng.random(n) < CLEAN
                perturbed = np.where(clean, rng.random(n) >= hurt, rng.random(n) < GAINED)
                drop = clean.astype(np.float64) - perturbed
                outcomes.append(decide(*interval(w.mean(drop), float(drop.mean())), limit, upper=True))
            shares = ", ".join(f"{name} {outcomes.count(name) / TRIALS:.1%}" for name in ("pass", "undecided", "fail"))
            print(f"n = {n}, true drop = max_drop = {limit:g}: {shares}")


if __name__ == "__main__":
    main()
