"""Predictive information: how many bits about the target a predictor's held-out answers give.

    pvi_i(S) = log2 p_S(y_i | x_i) / p(y_i)        pointwise V-information (Ethayarajh, Choi & Swayamdipta, ICML 2022)
    v(S)     = mean of pvi_i(S) = H(Y) − cross-entropy        V-information (Xu et al., ICLR 2020)

p_S(y | x) is what a predictor that reads the modalities S, and never saw row i, says of the truth, and p(y) the
share of the class in its training folds. v(S) is at most the mutual information of S and Y, up to sampling; it is
below 0 where the predictor is so badly calibrated that it says less than the class shares do. Neither is ever
clipped here.

Averages over rows come as `float64[1 + B]`: the estimate, then its value in each bootstrap replicate. All are made with
the same `Resamples`, so differences between them are paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special

from mmaudit.errors import BadInput, Undefined
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.kernels.positions import spread
from mmaudit.types import Array, FloatArray

# A stated probability of 0 becomes float32's smallest normal number, in which probabilities are kept: −126 bits.
SMALLEST = float(np.finfo(np.float32).tiny)
# One number is well known from so many rows × classes; more would only take time.
ENOUGH = 200_000


def pvi(posterior: FloatArray, prior: FloatArray, target: Array) -> FloatArray:
    """Return what each row's posterior says of its class beyond the prior, in bits.

    Args:
        posterior: `float64[..., n, k]`, probabilities of the classes; leading axes (seeds) are kept.
        prior: `float64[n, k]`, class shares of the row's training folds.
        target: `int[n]`, classes.

    Returns:
        `float64[..., n]`. NaN where the training folds hold none of the row's class (prior 0: nobody could have learned
        it), and where the posterior is NaN. At most −log2 prior; at least −126 − log2 prior.

    Raises:
        BadInput: shapes do not fit.
    """
    n, k = prior.shape
    if posterior.shape[-2:] != (n, k) or target.shape != (n,):
        raise BadInput(f"posterior {posterior.shape}, prior {prior.shape} and target {target.shape} do not fit.")
    said = posterior[..., np.arange(n), target]
    share = prior[np.arange(n), target]
    with np.errstate(divide="ignore"):
        bits = np.log2(np.maximum(said, SMALLEST)) - np.log2(share)
    return np.asarray(np.where((share > 0) & ~np.isnan(said), bits, np.nan))


def independent_product(first: FloatArray, second: FloatArray, prior: FloatArray) -> FloatArray:
    """Return what two posteriors say together where the sides are independent given the class: `float64[n, k]`.

    p(y | x1) p(y | x2) / p(y), normalised (naive Bayes); 0 for classes that the prior does not hold.
    """
    with np.errstate(divide="ignore"):
        product = sum(np.log(np.maximum(p, SMALLEST)) for p in (first, second)) - np.log(np.maximum(prior, SMALLEST))
    return np.asarray(scipy.special.softmax(np.where(prior > 0, product, -np.inf), axis=1))


def gaussian_pvi(predicted: FloatArray, prior: FloatArray, target: FloatArray) -> FloatArray:
    """Return the same of predicted numbers, each taken as the mean of a normal distribution, in bits.

    The spread of each distribution is the root mean squared error over the rows, so the mean over rows is
    ½ log2(MSE of the prior / MSE of the prediction): exact for jointly Gaussian variables, a lower bound of the
    information where the residuals are not normal.

    Args:
        predicted: `float64[n, d]`, out of fold.
        prior: `float64[n, d]`, mean of the training folds.
        target: `float64[n, d]`.

    Returns:
        `float64[n, d]`, NaN in a dimension whose target does not vary.
    """
    before, after = np.square(target - prior), np.square(target - predicted)
    with np.errstate(divide="ignore", invalid="ignore"):
        size_before, size_after = (np.nanmean(e, axis=0) for e in (before, after))
        size_after = np.maximum(size_after, 1e-12 * size_before)
        bits = 0.5 * np.log2(size_before / size_after) + (before / size_before - after / size_after) / (2 * np.log(2))
    return np.where(size_before > 0, bits, np.nan)


def regression_information(predicted: FloatArray, prior: FloatArray, target: FloatArray, w: Resamples) -> FloatArray:
    """Return ½ log2(MSE of the prior / MSE of the prediction) of one dimension, in bits: `float64[1 + B]`.

    Args:
        predicted, prior, target: `float64[n]`, finite.
        w: resamples of the rows.
    """
    before, after = means(np.stack([np.square(target - prior), np.square(target - predicted)]), w)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = 0.5 * np.log2(before / np.maximum(after, 1e-12 * before))
    return np.where(before > 0, bits, np.nan)


def means(values: FloatArray, w: Resamples) -> FloatArray:
    """Return `float64[..., 1 + B]`: the mean over rows of `values[..., n]`, then in each replicate.

    Raises:
        BadInput: `w` has other rows.
    """
    if values.shape[-1] != w.n:
        raise BadInput(f"values have {values.shape[-1]} rows, resamples have {w.n}; take() the same rows of both.")
    flat = values.reshape(-1, w.n)
    total = np.where(w.total > 0, w.total, np.nan)
    replicates = w.sums(flat.T)[0] / total
    return np.concatenate([flat.mean(axis=1)[:, None], replicates], axis=1).reshape(*values.shape[:-1], -1)


def entropy(prior: FloatArray, target: Array, w: Resamples) -> FloatArray:
    """Return H(Y), how many bits there are to know, `float64[1 + B]`: mean of −log2 of the class's share elsewhere.

    The shares come from the row's training folds, as in `pvi`; so v(S) of a predictor that is always sure and right is
    exactly this.
    """
    share = prior[np.arange(len(target)), target]
    if not (share > 0).all():
        raise Undefined("the training folds lack a row's class")
    return means(-np.log2(share), w)


def substance(base: FloatArray, refined: FloatArray, target: Array) -> float:
    """Return which share of what a prediction adds to a simpler one holds on new samples: λ in [0, 1].

    The λ that makes p ∝ base^(1 − λ) · refined^λ say most about the target: 1 where the refinement is right, 0 where it
    is noise of training, which new samples do not repeat.

    Args:
        base, refined: `float64[n, k]`, probabilities; both out of fold.
        target: `int[n]`, classes.
    """
    if base.size > ENOUGH:
        some = spread(np.arange(len(target)), max(100, ENOUGH // base.shape[1]))
        base, refined, target = base[some], refined[some], target[some]
    known = np.log(np.maximum(base, SMALLEST))
    added = np.log(np.maximum(refined, SMALLEST)) - known
    rows, share = np.arange(len(target)), 0.5
    for _ in range(20):
        p = scipy.special.softmax(known + share * added, axis=1)
        mean = (p * added).sum(axis=1)
        slope = float((added[rows, target] - mean).sum())
        curve = float((p * np.square(added - mean[:, None])).sum())
        if curve <= 1e-12 * len(target):
            return 1.0
        step = slope / curve
        new = min(1.0, max(0.0, share + step))
        if abs(new - share) < 1e-4:
            break
        share = new
    return new


def widened(values: FloatArray, share: float) -> FloatArray:
    """Return replicates spread by √(2 − λ): what resampling rows does not see of cross-fitted averages.

    Every row is tested by a predictor that rows of other folds trained, and trains theirs. Let noise of training move a
    prediction by δ. Its part of the average is a sum over pairs of rows in different folds, and each pair occurs twice:
    once with either as the test. Resampling takes the two for independent, so it sees half of that variance (for a
    well-specified model p / (n · n_train) of 2p / (n · n_train) squared nats, p parameters). Where a prediction is all
    noise, intervals that are not widened hold the truth in 83 % of data sets. 1 − λ is the share of the
    prediction's variance that is noise (`substance`). Bates, Hastie & Tibshirani (JASA 2024) describe the effect, and
    remedy it by fitting many more times.

    Args:
        values: `float64[1 + B]`.
        share: λ.
    """
    return np.asarray(values[0] + (values - values[0]) * np.sqrt(2 - share))


def corrected(values: FloatArray) -> FloatArray:
    """Return values without the bias that the bootstrap sees (Efron & Tibshirani 1993, ch. 10).

    Replicates lie around the estimate as the estimate lies around the truth: what their mean is above it is taken off
    the estimate, and twice off the replicates, which have the bias once more. Without replicates nothing is known and
    nothing changes.
    """
    known = values[1:][~np.isnan(values[1:])]
    if not len(known):
        return values
    bias = float(known.mean()) - values[0]
    return np.concatenate([values[:1] - bias, values[1:] - 2 * bias])


def lesser(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the smaller of two informations, `float64[1 + B]`; not below 0.

    The smaller of two noisy numbers is on average below the smaller of the true ones, most so where these are equal,
    as they are of two modalities that say the same; so that is corrected as `corrected` does. The replicates are
    first moved to have the estimate as their mean: where one side is surely the smaller nothing is corrected, not even
    by the noise of the bootstrap, and a unique part of exactly 0 stays 0.
    """
    apart = first - second
    size = np.abs(apart)
    known = apart[1:][~np.isnan(apart[1:])]
    bias = float(np.abs(known - known.mean() + apart[0]).mean() - size[0]) if len(known) else 0.0
    off = np.concatenate([[bias], np.full(len(apart) - 1, 2 * bias)])
    return np.asarray(np.maximum(0, (first + second - np.maximum(size - off, -size)) / 2))


@dataclass(frozen=True, eq=False)
class SynergyBounds:
    """What is known of synergy without a choice of decomposition; see `synergy_bounds`.

    Attributes:
        low, high: `float64[1 + B]`, ends of the interval, in bits.
        interaction: `float64[1 + B]`, v12 − v1 − v2: synergy minus redundancy (minus the co-information).
    """

    low: FloatArray
    high: FloatArray
    interaction: FloatArray

    @property
    def inverted(self) -> bool:
        """Whether the joint predictor says less than one alone, so that no synergy fits between the ends."""
        return bool(self.high[0] < self.low[0] - 1e-9)


def synergy_bounds(first: FloatArray, second: FloatArray, both: FloatArray) -> SynergyBounds:
    """Return the interval that holds the synergy of every non-negative decomposition.

    From R + U1 = I1, R + U2 = I2, R + U1 + U2 + S = I12 and all four ≥ 0 (Williams & Beer 2010) follows

        S in [max(0, I12 − I1 − I2), I12 − max(I1, I2)]

    with the v's as the I's. A negative v counts as 0 here, as an information is never negative; a negative upper
    end is not clipped: it says that the joint predictor is worse than a unimodal one.

    Args:
        first, second, both: `float64[1 + B]`, v({1}), v({2}), v({1, 2}) on the same resamples.
    """
    one, two = np.maximum(first, 0), np.maximum(second, 0)
    low = np.maximum(0, both - one - two)
    return SynergyBounds(low, both - one - two + lesser(one, two), both - first - second)


def negative(bits: Sequence[float] | FloatArray) -> str:
    """Say why an information below 0 is one; empty where it is not."""
    if not bits[0] < -1e-9:
        return ""
    return (
        "below 0: on new samples this predictor says less than the class shares do (it is miscalibrated or overfitted)"
    )
