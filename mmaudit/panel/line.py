"""Effective robustness: what a model keeps beyond what its clean value makes one expect.

A model that is better on clean data is mostly better on damaged data, too; how much better is a line, in logits where
the metric is a share (Taori et al., Measuring Robustness to Natural Distribution Shifts in Image Classification,
NeurIPS 2020). They fit it to hundreds of models; here it is the panel's own, fitted to the audited model and every
method. A model must not define what is expected of it, so its line is fitted to all others.

    ρ_i = y_i − ℓ⁻¹(a₋ᵢ + b₋ᵢ · ℓ(x_i))        x: clean value, y: value under the group, ℓ: logit or identity
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special

from mmaudit.kernels.bootstrap import ratio
from mmaudit.kernels.inference import interval
from mmaudit.types import FloatArray

STEP = 1e-4
FEW = "a line needs two other models with different clean values"
FAR = "its clean value lies far outside those of the other models, where their line says nothing"
CLOSE = "the other models' clean values differ by no more than their uncertainty, so they make no line"


@dataclass(frozen=True, eq=False)
class Residual:
    """What one model has above the line of the others.

    Attributes:
        values: `float64[1 + B]`, in the metric's unit; NaN where there is no line.
        by_clean, by_value: `float64[M]`, how the estimate changes with the clean value and with the value of each
            model: what each seed contributes follows from it.
        reason: why it is undefined; empty otherwise.
    """

    values: FloatArray
    by_clean: FloatArray
    by_value: FloatArray
    reason: str = ""


def is_logit(clean: FloatArray, values: FloatArray, unit: str) -> bool:
    """Whether the line is one of logits: the metric is a share, and every estimate lies in [0, 1]."""
    both = np.concatenate([clean[:, 0], values[:, 0]])
    return unit == "share" and bool(((both >= 0) & (both <= 1)).all())


def fit(clean: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return intercept and slope of the least-squares line over models, by replicate; NaN where clean values are equal.

    Args:
        clean, values: `float64[M, R]`.
    """
    x, y = clean - clean.mean(axis=0), values - values.mean(axis=0)
    spread = (x**2).sum(axis=0)
    slope = ratio((x * y).sum(axis=0), np.where(spread > 1e-18, spread, 0.0))
    return values.mean(axis=0) - slope * clean.mean(axis=0), slope


def residuals(clean: FloatArray, values: FloatArray, n: int, unit: str) -> list[Residual]:
    """Return every model's residual to the line of the others.

    Args:
        clean, values: `float64[M, 1 + B]`, of the models that have both.
        n: samples; a share of 0 or 1 is taken as half a sample away from it, so that it has a logit.
        unit: of the values.
    """
    logit = is_logit(clean, values, unit)
    found = []
    for i in range(len(clean)):
        others = np.arange(len(clean)) != i
        x = transformed(clean, n) if logit else clean
        reason = _no_line(clean[others]) or _outside(float(x[i, 0]), x[others, 0])
        if reason:
            nothing = np.full(clean.shape[1], np.nan)
            found.append(Residual(nothing, np.zeros(len(clean)), np.zeros(len(clean)), reason))
            continue
        above = _above(clean, values, i, n, logit)
        by_clean, by_value = (_slope_of(clean[:, :1], values[:, :1], i, n, logit, which) for which in (0, 1))
        found.append(Residual(above, by_clean, by_value))
    return found


def _above(clean: FloatArray, values: FloatArray, i: int, n: int, logit: bool) -> FloatArray:
    others = np.arange(len(clean)) != i
    x, y = (transformed(a, n) for a in (clean, values)) if logit else (clean, values)
    intercept, slope = fit(x[others], y[others])
    expected = intercept + slope * x[i]
    return np.asarray(values[i] - (scipy.special.expit(expected) if logit else expected))


def _slope_of(clean: FloatArray, values: FloatArray, i: int, n: int, logit: bool, which: int) -> FloatArray:
    """How the residual of model i changes with each model's clean value (0) or value (1): central differences."""
    out = np.zeros(len(clean))
    scale = STEP * max(float(np.ptp(clean)), 1e-6)
    for k in range(len(clean)):
        moved = []
        for sign in (1.0, -1.0):
            pair = [clean.copy(), values.copy()]
            pair[which][k] += sign * scale
            moved.append(float(_above(pair[0], pair[1], i, n, logit)[0]))
        out[k] = (moved[0] - moved[1]) / (2 * scale)
    return out


def transformed(share: FloatArray, n: int) -> FloatArray:
    """Return logits of shares of n samples, those of 0 and 1 taken half a sample inside."""
    edge = 0.5 / max(n, 1)
    return np.asarray(scipy.special.logit(np.clip(share, edge, 1 - edge)))


def _no_line(others: FloatArray) -> str:
    """Why models make no line; empty where they do."""
    if len(others) < 2 or len(np.unique(np.round(others[:, 0], 12))) < 2:
        return FEW
    last, first = int(np.argmax(others[:, 0])), int(np.argmin(others[:, 0]))
    apart = others[last] - others[first]
    return CLOSE if not interval(apart[1:], float(apart[0]))[0] > 0 else ""


def _outside(x: float, others: FloatArray) -> str:
    """Why a line says nothing about a model: its clean value is farther out than the others' reach among themselves."""
    low, high = float(others.min()), float(others.max())
    return FAR if not low - (high - low) <= x <= high + (high - low) else ""


def panel_line(clean: FloatArray, values: FloatArray, n: int, unit: str) -> tuple[float, float, bool] | None:
    """Return intercept, slope and whether of logits of the line over all models; None where there is none.

    Args:
        clean, values: `float64[M]`.
        n, unit: as in `residuals`.
    """
    x, y = clean[:, None], values[:, None]
    if len(x) < 3 or len(np.unique(np.round(x, 12))) < 2:
        return None
    logit = is_logit(x, y, unit)
    intercept, slope = fit(*((transformed(x, n), transformed(y, n)) if logit else (x, y)))
    return float(intercept[0]), float(slope[0]), logit
