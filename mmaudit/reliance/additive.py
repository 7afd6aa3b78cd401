"""The additive function nearest to a model's answers, from some of the combinations of samples' modalities.

n samples of M modalities have n^M combinations. A *design* asks the model for some of them, in rounds: in each round
every value of every modality is used exactly once, so `index[m, r]` is a permutation of the n samples for each modality
m and round r. The fit is the least-squares solution of

    f(combination) = Σ_m A_m[value of modality m]        over the combinations that were answered

which on all n^M combinations is the projection Σ_m E[f | x_m] − (M − 1) E[f] of Hessel and Lee (2020), and on some of
them is exact where f is additive: what other modalities add is fitted too, and does not remain as noise, as it would in
plain means.

What combinations add to an additive function is noise to the fit. Products of the leading effects of two modalities
explain a part of it, and have mean 0 over all values of either; so what they explain is taken off, and the function
that is fitted stays the same (regression with control variates).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from mmaudit.types import Array, BoolArray, FloatArray, IntArray

# Numbers that one step of the solution may hold at a time, in one of its arrays.
CHUNK = 2**22
PRECISION = 1e-10
MOST_STEPS = 200
MOST_PRODUCTS, CELLS_PER_PRODUCT = 64, 50


@dataclass(frozen=True, eq=False)
class Design:
    """Which combinations were asked for, and which of them were answered.

    Attributes:
        index: `int64[M, rounds, n]`, the sample that gives modality m in combination p of a round; a permutation of the
            samples for each modality and round.
        use: `bool[rounds, n]`, whether the model gave a usable answer.
        family: `int64[rounds]`, the round that a round keeps some columns of; itself where it keeps none.
        kept: per round the numbers of the modalities whose columns it keeps, ascending; empty where it keeps none.
        whole: whether the rounds are all n^M combinations, each once.
    """

    index: IntArray
    use: BoolArray
    family: IntArray
    kept: tuple[tuple[int, ...], ...]
    whole: bool = False

    @property
    def modalities(self) -> int:
        """M."""
        return int(self.index.shape[0])

    @property
    def rounds(self) -> int:
        """Rounds."""
        return int(self.index.shape[1])

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.index.shape[2])

    @cached_property
    def inverse(self) -> IntArray:
        """`int64[M, rounds, n]`: the combination of a round in which sample i gives modality m."""
        return np.argsort(self.index, axis=2)

    def counts(self) -> FloatArray:
        """`float64[M, n]`: answered combinations in which sample i gives modality m."""
        use = self.use.astype(np.float64)
        rounds = np.arange(self.rounds)[:, None]
        return np.stack([use[rounds, self.inverse[m]].sum(axis=0) for m in range(self.modalities)])

    def first(self, rounds: int) -> Design:
        """The design as it was after that many rounds."""
        keep = slice(0, rounds)
        return Design(self.index[:, keep], self.use[keep], self.family[keep], self.kept[:rounds])

    def others(self) -> Design:
        """The design without combinations of a sample with itself, whose answers are known of every sample."""
        own = (self.index == self.index[0]).all(axis=0)
        return Design(self.index, self.use & ~own, self.family, self.kept, self.whole)


@dataclass(frozen=True, eq=False)
class Additive:
    """The fitted function at every sample, and what it leaves.

    Attributes:
        effects: `float64[M, n, k]`, A_m of every sample's modality m, each centred: E over the samples is 0.
        mean: `float64[k]`, the level that the effects are around.
        residual: `float32[rounds, n, k]`, answer − fit; 0 where there is no answer.
        known: `bool[n]`, whether every modality of the sample occurs in an answered combination.
    """

    effects: FloatArray
    mean: FloatArray
    residual: Array
    known: BoolArray

    @property
    def values(self) -> FloatArray:
        """`float64[n, k]`: the function at the samples themselves, mean + Σ_m A_m."""
        return np.asarray(self.mean + self.effects.sum(axis=0))


def fit_additive(design: Design, outputs: Array) -> Additive:
    """Fit an additive function to the answers of a design, each output column by itself.

    Conjugate gradients on the normal equations, to a relative residual of 10⁻¹⁰.

    Args:
        design: what was asked.
        outputs: `[rounds, n, k]`; rows that `design.use` leaves out may hold anything.
    """
    rounds, n, k = outputs.shape
    modalities = design.modalities
    effects = np.zeros((modalities, n, k))
    mean = np.zeros(k)
    residual = np.zeros((rounds, n, k), np.float32)
    counts = design.counts()
    inverse = design.inverse
    step = max(1, CHUNK // max(rounds * n, 1))
    for first in range(0, k, step):
        columns = slice(first, first + step)
        y = np.where(design.use[..., None], outputs[..., columns], 0).astype(np.float64)
        # Around one of its own values: a column that does not vary is then exactly 0.
        level = y[design.use][0] if design.use.any() else np.zeros(y.shape[2])
        y = np.where(design.use[..., None], y - level, 0.0)
        a = _solve(design, inverse, y)
        residual[..., columns] = np.where(design.use[..., None], y - _predict(design.index, a), 0.0)
        for m in range(modalities):
            known = counts[m] > 0
            middle = a[m][known].mean(axis=0) if known.any() else np.zeros(y.shape[2])
            effects[m][:, columns] = a[m] - middle
            level = level + middle
        mean[columns] = level
    return Additive(effects, mean, residual, np.asarray((counts > 0).all(axis=0)))


def fit_with_products(design: Design, outputs: Array) -> Additive:
    """Fit an additive function as `fit_additive` does, with less noise, by products of two modalities' leading effects.

    The residual is what the products leave, too. Not for variances: what combinations explain is taken off.

    Args:
        design: what was asked.
        outputs: `[rounds, n, k]`.
    """
    fit = fit_additive(design, outputs)
    products = _products(design, fit)
    if products is None:
        return fit
    taken = fit_additive(design, products)
    left = taken.residual.reshape(-1, products.shape[2]).astype(np.float64)
    answers = fit.residual.reshape(len(left), -1)
    # Features of similar modalities can be close to each other, so the smallest directions are left out.
    slopes = np.linalg.lstsq(left.T @ left, left.T @ answers, rcond=1e-10)[0]
    return Additive(
        fit.effects - taken.effects @ slopes,
        fit.mean - taken.mean @ slopes,
        (fit.residual - (left @ slopes).reshape(fit.residual.shape)).astype(np.float32),
        fit.known,
    )


def _products(design: Design, fit: Additive) -> FloatArray | None:
    """`[rounds, n, features]`: products of the leading principal components of the effects of each two modalities."""
    pairs = list(combinations(range(design.modalities), 2))
    most = min(MOST_PRODUCTS, design.use.sum() // CELLS_PER_PRODUCT)
    rank = min(math.isqrt(most // len(pairs)), fit.effects.shape[2], design.n - 1)
    if rank < 1 or not fit.known.all():
        return None
    leading = []
    for effects in fit.effects:
        left, size, _ = np.linalg.svd(effects, full_matrices=False)
        if not size[0] > 0:
            return None
        # Directions that do not vary are 0, not the rounding that they are.
        components = np.where(size[:rank] > 1e-9 * size[0], left[:, :rank], 0.0) * math.sqrt(design.n)
        leading.append(components - components.mean(axis=0))
    found = [
        (leading[a][design.index[a]][..., :, None] * leading[b][design.index[b]][..., None, :]).reshape(
            design.rounds, design.n, rank * rank
        )
        for a, b in pairs
    ]
    return np.asarray(np.concatenate(found, axis=2))


def _predict(index: IntArray, effects: FloatArray) -> FloatArray:
    total: FloatArray = effects[0][index[0]]
    for m in range(1, len(index)):
        total += effects[m][index[m]]
    return total


def _totals(inverse: IntArray, values: FloatArray) -> FloatArray:
    """`[M, n, k]`: sums over the combinations in which each sample gives each modality."""
    out = np.zeros((len(inverse), *values.shape[1:]))
    for m in range(len(inverse)):
        for r in range(len(values)):
            out[m] += values[r][inverse[m, r]]
    return out


def _solve(design: Design, inverse: IntArray, y: FloatArray) -> FloatArray:
    """Conjugate gradients from 0, which gives the solution of smallest norm: constants may move between modalities."""
    unused = None if design.use.all() else ~design.use
    right = _totals(inverse, y)
    solution = np.zeros_like(right)
    error, direction = right.copy(), right.copy()
    size = np.einsum("mnk,mnk->k", error, error)
    enough = PRECISION**2 * size
    for _ in range(MOST_STEPS):
        if (size <= enough).all():
            break
        predicted = _predict(design.index, direction)
        if unused is not None:
            predicted[unused] = 0.0
        curved = _totals(inverse, predicted)
        bend = np.einsum("mnk,mnk->k", direction, curved)
        length = np.divide(size, bend, out=np.zeros_like(size), where=(bend > 0) & (size > enough))
        solution += length * direction
        error -= length * curved
        new = np.einsum("mnk,mnk->k", error, error)
        direction = error + np.divide(new, size, out=np.zeros_like(size), where=size > 0) * direction
        size = new
    return solution
