"""EMAP: what a model's score becomes when its outputs are replaced by the nearest sum of one function per modality.

The empirical multimodally-additive projection (Hessel and Lee, EMNLP 2020) of f on n samples, for any number M of
modalities, is

    f̃(x) = Σ_m E[f | x_m] − (M − 1) E[f]

with expectations over all n^M combinations of the samples' modalities, each modality drawn on its own. On two
modalities it is the row mean plus the column mean minus the grand mean. (Code published with MultiViz subtracts the
grand mean once whatever M, which is wrong from three modalities on.) The EMAP gap is the score of f minus the score of
f̃: what the model gains from combining modalities rather than adding up what each says. It is taken on logits.

From a part of the combinations (`mmaudit.reliance.additive`) f̃ comes with noise of known covariance: what is left of
each sample's own combinations. A score is not linear, so noise moves it, mostly down. Simulation extrapolation (SIMEX,
Cook and Stefanski 1994) adds the same noise again in several amounts and follows the score back to none.

The answers to the samples themselves are known beside the design: they count as what they are, one in n^(M − 1) of the
combinations that hold a value.

Two errors are told apart:
  - of the donors: how far the estimate may lie from the EMAP of all n^M combinations of these samples. Found by taking
    functions that may be the truth, given the fitted one, adding noise to each, and estimating its score again (a
    parametric double bootstrap);
  - in total: how far from that of the population that the samples were drawn from. The first, and a jackknife that
    leaves out groups of samples (clusters whole), as rows and as donors, so that both roles count.

EMAP of a group of samples (a site, a class) is the score on these samples of the same projection, fitted to all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mmaudit.errors import Undefined
from mmaudit.metrics import Metric
from mmaudit.reliance.additive import Additive, Design, fit_with_products
from mmaudit.reliance.donor_noise import Scorer, donor_noise, weighted_residuals, without_noise
from mmaudit.reliance.jackknife import FEWEST_GROUPS, group_samples, jackknife_error, t_quantile, without
from mmaudit.reliance.likely import coded, likely_truths
from mmaudit.types import Array, BoolArray, FloatArray, IntArray, Task

SMOOTHING = 16  # draws of noise that a jackknife is smoothed over


@dataclass(frozen=True)
class Emap:
    """A score of the additive projection and of the model itself, on the same samples, in the metric's unit.

    Attributes:
        n: samples.
        whole: score of the model.
        value: score of its projection, corrected for the noise of the donors.
        plain: the same uncorrected.
        donor_error: root mean square error of `value` that comes from asking for some combinations only; 0 where all
            were.
        draws: how many draws `donor_error` was found by.
        error, gap_error: standard errors of `value` and of `whole − value` with the sampling of the data; NaN where
            there are too few independent samples.
        additive: whether the model is additive to rounding, so that it is its own projection.
        groups: groups of samples that these rest on; Student's t has one degree of freedom less.
        reason: why value or interval are undefined; empty otherwise.
    """

    n: int
    whole: float = float("nan")
    value: float = float("nan")
    plain: float = float("nan")
    donor_error: float = float("nan")
    draws: int = 0
    error: float = float("nan")
    gap_error: float = float("nan")
    additive: bool = False
    groups: int = 0
    reason: str = ""

    @property
    def donor_half_width(self) -> float:
        """Half of the 95 % interval that covers the EMAP of all combinations of these samples."""
        return t_quantile(self.draws + 1) * self.donor_error if self.donor_error != 0 else 0.0

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of `value`."""
        return t_quantile(self.groups) * self.error

    @property
    def gap_half_width(self) -> float:
        """Half of the 95 % interval of `whole − value`."""
        return t_quantile(self.groups) * self.gap_error


def effects_full(outputs: Array) -> tuple[FloatArray, list[FloatArray]]:
    """Return E[f] `[k]` and per modality E[f | x_m] − E[f] `[N_m, k]`, from answers to every combination.

    Args:
        outputs: `[N_1, …, N_M, k]`.
    """
    axes = tuple(range(outputs.ndim - 1))
    y = np.asarray(outputs, np.float64)
    mean = y.mean(axis=axes)
    return mean, [y.mean(axis=tuple(a for a in axes if a != m)) - mean for m in axes]


def emap_full(outputs: Array) -> FloatArray:
    """Return the projection at the samples themselves, `float64[n, k]`, from answers to all their combinations.

    Args:
        outputs: `[n, …, n, k]`, one axis per modality: entry (i, j, …) is the answer to modality 1 of sample i with
            modality 2 of sample j, and so on.
    """
    mean, effects = effects_full(outputs)
    return np.asarray(mean + np.sum(effects, axis=0))


def estimate_emap(
    design: Design,
    outputs: Array,
    clean: Array,
    target: Array,
    task: Task,
    metric: Metric,
    unit: Array | None = None,
    *,
    donors_only: bool = False,
) -> Emap:
    """Estimate the score of the additive projection from the answers of a design, with both errors.

    Args:
        design: what was asked.
        outputs: `[rounds, n, k]`, the answers: logits, or values.
        clean: `[n, k]`, the answers to the samples themselves; a row that is not finite is left out.
        target: the samples' truth.
        task, metric: the score.
        unit: `[n]`, samples of the same value are not independent of each other; None: all are.
        donors_only: leave out the errors with the sampling of the data.
    """
    return estimate_emaps(design, outputs, clean, target, task, metric, unit, donors_only=donors_only)[""]


def estimate_emaps(
    design: Design,
    outputs: Array,
    clean: Array,
    target: Array,
    task: Task,
    metric: Metric,
    unit: Array | None = None,
    groups: Mapping[str, BoolArray] | None = None,
    *,
    donors_only: bool = False,
) -> dict[str, Emap]:
    """Estimate the same for all samples, under the name "", and for each group, from one fit.

    Args:
        design, outputs, clean, target, task, metric, unit, donors_only: see `estimate_emap`.
        groups: `bool[n]` by name, the samples of each.
    """
    asked = design if design.whole else design.others()
    fit = fit_with_products(asked, outputs)
    known = fit.known & np.isfinite(clean).all(axis=1)
    score = Scorer(task, metric)
    additive = is_additive(fit)
    values = fit.values if design.whole else with_own_answers(fit.values, clean, design.modalities)
    noise = truths = None
    if not (additive or design.whole) and known.sum() > 1:
        noise = donor_noise(asked, fit, score.quick)
        truths = np.empty((len(noise) // 2, *values.shape), np.float32)
        said = coded(task, target[known])
        truths[:, known] = likely_truths(values[known], (values - fit.values)[known], noise[:, known], said)
    parts = {"": known, **{name: known & rows for name, rows in (groups or {}).items()}}
    found = {name: _of(rows, values, clean, target, noise, truths, score, additive) for name, rows in parts.items()}
    defined = {name: rows for name, rows in parts.items() if not found[name].reason}
    if donors_only or not defined:
        return found
    apart = group_samples(np.arange(design.n) if unit is None else unit, known)
    folds = int(apart.max()) + 1
    left_out = {name: np.empty((folds, 2)) for name in defined}
    for g in range(folds if folds >= FEWEST_GROUPS else 0):
        moved = values + weighted_residuals(asked, fit, without(asked, apart, g)[None])[0]
        for name, rows in defined.items():
            left_out[name][g] = _scores(rows & (apart != g), moved, clean, target, noise, score)
    return found | {name: _sampled(found[name], left_out[name], apart[rows]) for name, rows in defined.items()}


def with_own_answers(values: FloatArray, clean: Array, modalities: int) -> FloatArray:
    """Move fitted values to where the projection is with the samples' own combinations among all n^M.

    What these add to the additive function enters each value's mean as one of n^(M − 1) combinations, and the grand
    mean as n of n^M.

    Args:
        values: `[n, k]`, fitted to other combinations.
        clean: `[n, k]`; rows that are not finite change nothing.
        modalities: M.
    """
    known = np.isfinite(clean).all(axis=1, keepdims=True)
    left = np.where(known, clean - values, 0.0)
    share = float(len(values)) ** (1 - modalities)
    return np.asarray(values + share * (modalities * left - (modalities - 1) * left.mean(axis=0)))


def _of(
    rows: BoolArray,
    values: FloatArray,
    clean: Array,
    target: Array,
    noise: Array | None,
    truths: Array | None,
    score: Scorer,
    additive: bool,
) -> Emap:
    """The estimate on some samples, with the error of the donors."""
    n = int(rows.sum())
    if n < 2:
        return Emap(n, reason="fewer than two samples have answers")
    try:
        whole, plain = score(clean[rows], target[rows]), score(values[rows], target[rows])
    except Undefined as undefined:
        return Emap(n, reason=str(undefined))
    if not (np.isfinite(whole) and np.isfinite(plain)):
        return Emap(n, reason="the metric is not defined on these samples")
    # An additive model is its own projection, to more digits than those of a fit.
    value, donor_error, draws = whole if additive else plain, 0.0, 0
    if noise is not None and truths is not None:
        value, donor_error, draws = without_noise(values[rows], noise[:, rows], truths[:, rows], target[rows], score)
        value = float(np.clip(value, *score.metric.range))
    return Emap(n, whole, value, plain, donor_error, draws, additive=additive)


def _scores(
    rows: BoolArray, moved: FloatArray, clean: Array, target: Array, noise: Array | None, score: Scorer
) -> tuple[float, float]:
    """Score of the projection, and what the model's own has more, on some samples; NaN where one is undefined."""
    # Right or wrong answers of single samples would make a jackknife too wide; averaged over noise they do not.
    smooth = moved[None, rows] if noise is None else moved[rows] + noise[:SMOOTHING, rows]
    try:
        projected = score.mean(smooth, target[rows])
        return projected, score(clean[rows], target[rows]) - projected
    except Undefined:
        return float("nan"), float("nan")


def _sampled(found: Emap, left_out: FloatArray, apart: IntArray) -> Emap:
    """The estimate with its errors in total; `apart` says which samples were left out at a time."""
    groups = len(np.unique(apart))
    if groups < FEWEST_GROUPS:
        return replace(found, reason=f"no interval: {groups} independent samples, {FEWEST_GROUPS} are needed")
    if np.isnan(left_out).any():
        return replace(found, reason="no interval: without some samples the metric is not defined")
    error, gap_error = (float(np.hypot(jackknife_error(c), found.donor_error)) for c in left_out.T)
    return replace(found, error=error, gap_error=gap_error, groups=groups)


def is_additive(fit: Additive) -> bool:
    """Whether the model's answers are a sum of functions of single modalities, to rounding, as far as it was asked."""
    scale = max(np.abs(fit.values).max(), np.abs(fit.effects).max())
    return bool(np.abs(fit.residual).max(initial=0.0) <= 1e-6 * scale)
