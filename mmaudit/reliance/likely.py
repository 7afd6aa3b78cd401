"""Functions that an additive function may be, given one fitted with noise: draws around it.

The fitted values of n samples are the true ones and noise. In each principal direction of the outputs the noise's
variance is known, and what the values vary by beyond it is the truth's, S. Given the values, the truth lies around
values drawn in to their middle by the share κ that is not noise, and varies by κ times the noise (empirical Bayes,
Efron and Morris 1973). Two things are known besides:
  - what the answers to the samples themselves add, which has no noise;
  - that the truth goes with the target, and the noise does not. As classes go with logits, the truth in a direction
    lies c·S from its middle, in the direction of the target; one c for all of them, drawn in to 0 by its own error.
Draws that left these out would be no better than chance where the noise is large, and the loss by it would look small.
"""

from __future__ import annotations

import numpy as np

from mmaudit.types import Array, FloatArray, Task

LEAST_KEPT = 0.0025
PRICE = 2.0  # squared standard errors that c is drawn in by: what Akaike asks of a parameter
MOST_EXPLAINED = 0.9  # of the truth's variance, by the target
SAMPLES_PER_DIRECTION = 5  # with fewer, directions of the values would be those of their noise
FEW_DRAWS = 8  # of noise tell its variance


def coded(task: Task, target: Array) -> FloatArray | None:
    """Return the target as outputs would say it, `float64[n, k]`; None for numbers, of which no bias is expected."""
    if task.kind == "classification":
        return np.eye(task.width)[target]
    return np.asarray(target, np.float64) if task.kind == "multilabel" else None


def likely_truths(values: FloatArray, own: FloatArray, noise: Array, said: FloatArray | None) -> Array:
    """Draw what fitted values may be without noise, `float32[draws // 2, n, k]`; the b-th with the noise before b.

    Args:
        values: `[n, k]`, with noise.
        own: `[n, k]`, the part of them that the samples' own combinations add.
        noise: `[draws, n, k]`, in pairs of opposite sign as `donor_noise` returns them.
        said: what `coded` returned.
    """
    n, k = values.shape
    middle = values.mean(axis=0)
    rest = values - middle - own
    axes = np.eye(k)
    spread = noise[:FEW_DRAWS].reshape(-1, k).astype(np.float64)
    if n >= SAMPLES_PER_DIRECTION * k:
        axes = np.linalg.eigh(rest.T @ rest)[1]
        total, unsure = np.square(rest @ axes).mean(axis=0), np.square(spread @ axes).mean(axis=0)
    else:
        total, unsure = np.full(k, np.square(rest).mean()), np.full(k, np.square(spread).mean())
    varies = total > 1e-12 * total.max(initial=0.0)
    true = np.where(varies, np.maximum(total - unsure, LEAST_KEPT * total), 0.0)
    rest = rest @ axes
    shift = np.zeros_like(rest) if said is None else _with_target(rest, (said - said.mean(axis=0)) @ axes, true, total)
    left = rest - shift
    size = np.square(left).mean(axis=0)
    kept = np.where(varies, np.clip(1.0 - unsure / np.where(varies, size, 1.0), LEAST_KEPT, 1.0), 0.0)
    around = middle + own + (shift + kept * left) @ axes.T
    factor = ((axes * np.sqrt(kept)) @ axes.T).astype(np.float32)
    half = len(noise) // 2
    return np.asarray(around.astype(np.float32) + np.roll(noise[:half], 1, axis=0) @ factor)


def _with_target(rest: FloatArray, said: FloatArray, true: FloatArray, total: FloatArray) -> FloatArray:
    """Where the target puts the truth, `[n, k]`: c times its variance, along the target.

    Args:
        rest: `[n, k]`, values around their middle.
        said: `[n, k]`, the target around its middle.
        true, total: variances of truth and values, by direction.
    """
    weight = np.divide(true, total, out=np.zeros_like(true), where=total > 0)
    known = float((weight * true * np.square(said).sum(axis=0)).sum())  # 1 / variance of c
    c = float((weight * (said * rest).sum(axis=0)).sum()) / known if known > 0 else 0.0
    sure = max(0.0, 1.0 - PRICE / (c * c * known)) if c != 0 else 0.0
    shift = c * sure * true * said
    explained, most = np.square(shift).mean(axis=0), MOST_EXPLAINED * true
    return np.asarray(shift * np.sqrt(np.minimum(most / np.where(explained > 0, explained, 1.0), 1.0)))
