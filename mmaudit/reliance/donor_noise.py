"""The noise that an additive function fitted to a part of the combinations has, and a score without it.

Each combination that was asked for stands for many that were not. What it adds to the additive function is the noise of
the fit; its residual says how large that is. A score of noisy outputs is biased, and simulation extrapolation (SIMEX,
Cook and Stefanski 1994) takes the bias off: the same noise is added again in three amounts, and the score followed back
to none.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mmaudit.metrics import Metric, Predictions, Resamples
from mmaudit.randomness import generator, stream_key
from mmaudit.reliance.additive import Additive, Design, fit_additive
from mmaudit.reliance.jackknife import averages, touched
from mmaudit.types import Array, FloatArray, Task

# How much of the noise is added again, as a share of its variance, and what makes of the three scores the value of the
# quadratic through them at −1: no noise at all. None of the amounts is 0: a score in which each sample is right or
# wrong varies more than one that is averaged over noise.
AMOUNTS = (1.0, 2.0, 4.0)
BACK = (5.0, -5.0, 1.0)
NOISES = 64  # in pairs of opposite sign
OUTER, INNER = 32, 32  # how often the error is found by estimating again, and with how many draws
UNIT_NOISES = 16
# Numbers that noisy outputs may hold at a time.
CHUNK = 2**24


class Scorer:
    """A metric as a number of outputs `[n, k]` and target, or its mean over several outputs `[draws, n, k]`.

    Attributes:
        quick: whether it takes no sorting, so that it can be asked for often.
    """

    def __init__(self, task: Task, metric: Metric) -> None:
        self.task = task
        self.metric = metric
        self.quick = metric.name in ("accuracy", "r2", "rmse", "mae")
        self._ones = lru_cache(maxsize=4)(Resamples.ones)

    def __call__(self, outputs: Array, target: Array) -> float:
        """Score of outputs; raises `Undefined` where they have none."""
        return float(self.metric(Predictions(self.task, outputs, target), self._ones(len(outputs)))[0])

    def mean(self, outputs: Array, target: Array) -> float:
        """Mean of the scores of each."""
        if self.metric.name != "accuracy":
            return float(np.mean([self(o, target) for o in outputs]))
        # A mean over rows: that over all rows of all of them.
        draws = len(outputs)
        return self(outputs.reshape(-1, outputs.shape[2]), np.concatenate([target] * draws))


def weighted_residuals(design: Design, fit: Additive, weights: Array) -> Array:
    """`[B, n, k]`: weighted sums of each sample's residuals, of weights `[B, n, M·rounds]`."""
    replicates, n, cells = weights.shape
    k = fit.residual.shape[2]
    out = np.empty((replicates, n, k), np.float32)
    step = max(1, CHUNK // (k * cells))
    for first in range(0, n, step):
        rows = slice(first, first + step)
        residual = touched(design, fit.residual, range(design.modalities), rows)
        some = np.ascontiguousarray(np.moveaxis(weights[:, rows], 0, 1), np.float32)
        out[:, rows] = np.moveaxis(some @ residual, 0, 1)
    return out


def donor_noise(design: Design, fit: Additive, quick: bool = True) -> Array:
    """Draws of the noise that the fitted values have, `float32[draws, n, k]`, `most` at most.

    Each combination's residual, with a random factor (a wild bootstrap, Wu 1986), goes to the samples in it. The second
    half of the draws are the first with the other sign.
    """
    share = max(1.0 - design.rounds / float(design.n) ** (design.modalities - 1), 0.0)
    draws = int(np.clip(2 * CHUNK // fit.values.size, 8, NOISES if quick else NOISES // 2)) // 2
    rng = generator(stream_key("emap", "", "noise"), 0)
    factors = rng.normal(size=(draws, design.rounds, design.n))[:, design.family]
    weights = averages(design) * (noise_scale(design) * np.sqrt(share))
    everything = range(design.modalities)
    half = weighted_residuals(design, fit, np.stack([touched(design, f, everything) for f in factors]) * weights)
    return np.concatenate([half, -half])


def noise_scale(design: Design) -> float:
    """How much larger the noise of the fitted values is than that of the means of a sample's residuals.

    Residuals are smaller than the errors they stand for, as the fit follows these; and the noise of one modality's
    effects passes into the others'. Both depend on the design alone, so they are found by fitting noise.
    """
    rng = generator(stream_key("emap", "", "unit noise"), 0)
    # Rounds of one family share columns, and with them noise.
    fit = fit_additive(design, rng.normal(size=(design.rounds, design.n, UNIT_NOISES))[design.family])
    squares = np.square(touched(design, fit.residual, range(design.modalities)), dtype=np.float64)
    expected = float(np.einsum("nc,nck->", np.square(averages(design)), squares))
    reached = float(np.square(fit.values - fit.mean)[fit.known].sum())
    return float(np.sqrt(reached / expected)) if expected > 0 else 0.0


def without_noise(
    values: FloatArray, noise: Array, truths: Array, target: Array, score: Scorer
) -> tuple[float, float, int]:
    """Return the score extrapolated to no noise, its root mean square error, and from how many draws that is.

    For the error, each of the functions that may be the true one has noise added, and its score is extrapolated and
    compared with its own (a parametric double bootstrap). One truth for all draws would not do: where the noise decides
    many answers, those that a truth gets right are a draw by themselves, and the error would be the size of a single
    one.

    Args:
        values: `[n, k]`, with noise.
        noise: `[draws, n, k]`, as `donor_noise` returned it, of the same rows.
        truths: `[draws // 2, n, k]`, as `likely_truths` returned them, of the same rows.
        target: truth of the rows.
        score: of outputs.
    """
    value = _followed(values, noise, target, score)
    half = len(noise) // 2
    outer, inner = OUTER, int(np.clip(8 * CHUNK // (3 * OUTER * values.size), INNER // 4, INNER))
    if not score.quick:
        outer, inner = OUTER // 2, INNER // 4
    pairs = min(inner // 2, half - 1)
    misses = []
    for b in range(min(outer, half)):
        # Other draws than those that stand for truth and noise, in pairs of opposite sign.
        others = (b + 1 + np.arange(pairs) * ((half - 1) // pairs)) % half
        again = _followed(truths[b] + noise[b], noise[np.concatenate([others, others + half])], target, score)
        misses.append(again - score(truths[b], target))
    return value, float(np.sqrt(np.mean(np.square(misses)))), len(misses)


def _followed(values: FloatArray, noise: Array, target: Array, score: Scorer) -> float:
    """The score followed back to no noise, mean over the draws."""
    values = values.astype(np.float32)  # as noise is; the differences that matter are far larger
    at_once = max(1, CHUNK // values.size)
    total = 0.0
    for first in range(0, len(noise), at_once):
        some = noise[first : first + at_once]
        scores = [score.mean(values + np.float32(np.sqrt(a)) * some, target) for a in AMOUNTS]
        total += len(some) * float(np.dot(BACK, scores))
    return total / len(noise)
