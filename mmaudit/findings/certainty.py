"""When a bound may be called certain: many looks at once, few events, few samples."""

from __future__ import annotations

from statistics import NormalDist

import scipy.special

from mmaudit.types import Score

SMALLEST = 30
"""Below this many samples percentile intervals of a share are too short, and no rule judges a score. Their coverage,
instead of 95 %, is 84 % at n = 10, 90 % at 20, 92 % at 30 and 95 % at 50 (exact, mean over shares 0.5 to 0.95)."""

FAMILY = 0.02
"""Rules whose null case is common (no effect at all, exactly chance) and that look at many conditions or groups keep
the chance of one false claim per audit at half of this: their intervals have 1 − FAMILY / looks coverage."""


def widened(value: float, low: float, high: float, looks: int) -> tuple[float, float]:
    """Return a 95 % interval stretched so that the best of `looks` of them may be picked (Bonferroni).

    Each side keeps its own length, as in the bootstrap interval it comes from, and grows by the ratio of normal
    quantiles.
    """
    factor = NormalDist().inv_cdf(1 - FAMILY / (2 * max(looks, 1))) / NormalDist().inv_cdf(0.975)
    return value - (value - low) * factor, value + (high - value) * factor


def at_most(score: Score) -> float:
    """Return a share that the true one exceeds with 2.5 % probability at most: bootstrap or exact, whichever is higher.

    With few events the bootstrap is too sure (1 event in 60: 5 %; exact 8.9 %). The exact bound (Clopper & Pearson
    1934) takes samples as independent; where they are clustered, the bootstrap's is the higher one.
    """
    if score.value != score.value or not score.n:
        return float("nan")
    events = round(score.value * score.n)
    exact = 1.0 if events >= score.n else float(scipy.special.betaincinv(events + 1, score.n - events, 0.975))
    return max(score.high, exact)


def unseen(n: int) -> float:
    """Return the largest share that n samples without a single event leave possible, about 3.7 / n."""
    return 1.0 - 0.025 ** (1.0 / n) if n else 1.0
