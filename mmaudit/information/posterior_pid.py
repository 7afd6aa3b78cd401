"""Posterior-BROJA: redundancy, unique information and synergy from what cross-fitted predictors say.

The four atoms hang on one free number (Williams & Beer 2010): with the informations given, redundancy decides the rest.
By BROJA (Bertschinger, Rauh, Olbrich, Jost & Ay 2014) it depends on the pairs (X1, Y) and (X2, Y) alone, and stays the
same where X_m is replaced by its sufficient statistic, the posterior p(y | x_m). So the out-of-fold posteriors of the
two *unimodal* predictors are sorted into K bins, BROJA is solved on the two small tables of bin and class, and the
total is left to the *joint* predictor, whom no binning harms. A table of both modalities' clusters and the class is
never made: in the published recipe it has 400 cells per class, and pure noise of 138 samples reads S = 0.70 bits.

Consistency. Bins lose some information, and tables of few samples find some too much, by (K − 1)(K_Y − 1) / (2 n ln 2)
bits (Miller 1955; linear in K where a joint table's is quadratic). Mixed with an unbinned total, either error would
turn up as synergy. So all informations are of one kind, held-out v(1), v(2), v(12) of `predictive`, and of the tables
only a ratio is used: the share of what the weaker side says that is redundant,

    ρ = R_tables / min(I1, I2)_tables,     at most 1
    R = ρ · min(v1, v2),   U1 = v1 − R,   U2 = v2 − R,   S = v12 − v1 − v2 + R      with v1, v2 clipped at 0

R_tables, I1 and I2 are first corrected for their bias, as the bootstrap sees it (twice the estimate minus the mean of
the replicates, which takes off the term linear in K whatever cells are empty), and so is min(v1, v2), which noise makes
too small. S is the joint total minus the union information v1 + v2 − R, and never above the largest synergy of any
decomposition, v12 − max(v1, v2). Nothing is clipped at 0: a part a little below 0 is 0 within its error, and an S well
below 0 says that the joint predictor lacks something.

The estimate is about these predictors: what a better one finds in v12 makes S larger, in v1 or v2 smaller. Conditional
on them, the intervals are those of the sampling of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmaudit.errors import Undefined
from mmaudit.information.grouping import grouped
from mmaudit.information.pid import union_informations
from mmaudit.information.predictive import corrected, lesser
from mmaudit.kernels.bootstrap import Resamples
from mmaudit.types import Array, FloatArray, IntArray

BINS, MOST_BINS = 8, 16
# Bins are fewer where samples are: a table's bias is to stay below this share of log2 of the classes.
TOLERATED_BIAS = 0.05
MOST_CLASSES = 24
FEWEST = 20
SHUFFLES = 20
# Replicates that BROJA is solved in: all of them where a solution takes less than a millisecond.
SMALL_TABLES, FEW_REPLICATES = 640, 200


@dataclass(frozen=True, eq=False)
class Atoms:
    """Redundant, unique and synergistic information, in bits: `float64[1 + B]` each, estimate and replicates.

    Attributes:
        redundancy, unique_1, unique_2: below 0 by the error of estimation only.
        synergy: total − redundancy − unique_1 − unique_2; below 0 where the joint predictor falls short.
        share: ρ, the share of the weaker side's information that is redundant; at most 1.
        null: the mean of each atom, by its name, under shuffled labels: what this estimator reads from noise. There
            the informations are those of the tables, bias removed, as posteriors of other labels are miscalibrated.
        bins: how many each side was sorted into.
        gap: largest duality gap of the solutions, in bits: the error of R_tables that is left.
    """

    redundancy: FloatArray
    unique_1: FloatArray
    unique_2: FloatArray
    synergy: FloatArray
    share: FloatArray
    null: dict[str, float]
    bins: tuple[int, int]
    gap: float


NAMES = ("redundancy", "unique_1", "unique_2", "synergy")


def posterior_atoms(
    posteriors: Sequence[FloatArray],
    target: Array,
    informations: Sequence[FloatArray],
    w: Resamples,
    *,
    bins: int | None = None,
    shuffles: int = SHUFFLES,
    seed: int = 0,
) -> Atoms:
    """Return the atoms of the information of two sides about a class.

    Args:
        posteriors: of the first side, the second, and both: `float64[n, k]` each, out of fold.
        target: `int[n]`, classes.
        informations: v(1), v(2), v(12): `float64[1 + replicates]`, of the same rows and resamples.
        w: resamples of the rows.
        bins: K; by default 8, with more than 8 classes as many as classes, at most 16, and fewer where samples are few.
        shuffles: label shuffles behind the null; 0 for none.
        seed: of the shuffles and of k-means.

    Returns:
        Atoms in the first B of the replicates: all, or `FEW_REPLICATES` where the tables are large.

    Raises:
        Undefined: too few rows, one class, or more than `MOST_CLASSES` classes.
    """
    classes, y = np.unique(target, return_inverse=True)
    ky = len(classes)
    if len(y) < FEWEST:
        raise Undefined(f"fewer than {FEWEST} samples")
    if ky < 2:
        raise Undefined("the target is the same for every sample")
    if ky > MOST_CLASSES:
        raise Undefined(
            f"{ky} classes; tables of more than {MOST_CLASSES} are not solved, the interval stands by itself"
        )
    count = bins or default_bins(len(y), ky)
    codes = [posterior_bins(p[:, classes], count, seed) for p in posteriors]
    size = [int(c.max()) + 1 for c in codes]
    few = size[0] * size[1] * ky > SMALL_TABLES
    part = replace(w, counts=w.counts[:, :FEW_REPLICATES]) if few else w
    pairs = [tables(c, k, y, ky, part) for c, k in zip(codes[:2], size, strict=False)]
    union, gap = union_informations(*pairs)
    if np.isnan(union[0]):
        raise Undefined("the solver of BROJA did not reach its certificate on the tables of these posteriors")
    one, two = (information(t) for t in pairs)
    shared, weaker = corrected(one + two - union), np.minimum(corrected(one), corrected(two))
    share = _share(shared, weaker)
    values = [v[: 1 + part.replicates] for v in informations]
    null = _null(codes, size, y, ky, shuffles, seed)
    first, second = (np.maximum(v, 0) for v in values[:2])
    redundant = share * lesser(first, second)
    parts = (redundant, first - redundant, second - redundant, values[2] - first - second + redundant)
    return Atoms(*parts, share, null, (size[0], size[1]), float(np.nanmax(gap)))


def _share(shared: FloatArray, weaker: FloatArray) -> FloatArray:
    """ρ; 0 where the tables hold no information, so that none of what the v's find by chance is called synergy."""
    ratio = np.divide(shared, weaker, out=np.zeros_like(shared), where=weaker > 1e-12)
    return np.clip(ratio, -1, 1)


def _null(
    codes: Sequence[IntArray], size: Sequence[int], y: IntArray, ky: int, shuffles: int, seed: int
) -> dict[str, float]:
    """Each atom as it is on average when labels are shuffled; nothing without shuffles."""
    if not shuffles:
        return {}
    rng = np.random.Generator(np.random.Philox(key=np.array([seed, 11], np.uint64)))
    order = np.stack([rng.permutation(y) for _ in range(shuffles)])
    drawn = [np.stack([_table(c, k, labels, ky) for labels in order]) for c, k in zip(codes, size, strict=True)]
    union, _ = union_informations(*drawn[:2])
    plain = [information(t) for t in drawn]
    shared = plain[0] + plain[1] - union
    one, two, both = (i - i.mean() for i in plain)
    share = _share(shared - shared.mean(), np.minimum(one, two))
    first, second = np.maximum(one, 0), np.maximum(two, 0)
    redundant = share * np.minimum(first, second)
    atoms = (redundant, first - redundant, second - redundant, both - first - second + redundant)
    return dict(zip(NAMES, (float(a.mean()) for a in atoms), strict=True))


# ---- tables


def tables(code: IntArray, bins: int, target: IntArray, classes: int, w: Resamples) -> FloatArray:
    """Return how often each bin and class occur together: `float64[1 + B, bins, classes]`, the sample first."""
    together = w.sums(np.eye(classes)[target], code, bins)  # [bins, classes, B]
    return np.concatenate([_table(code, bins, target, classes)[None], np.moveaxis(together, 2, 0)])


def _table(code: IntArray, bins: int, target: IntArray, classes: int) -> FloatArray:
    flat = np.bincount(code * classes + target, minlength=bins * classes)
    return flat.reshape(bins, classes).astype(np.float64)


def information(pairs: FloatArray) -> FloatArray:
    """Return the plug-in mutual information of tables `[..., rows, columns]` of counts, in bits; NaN for no counts."""
    with np.errstate(invalid="ignore", divide="ignore"):
        p = pairs / pairs.sum(axis=(-2, -1), keepdims=True)
        apart = p.sum(axis=-1, keepdims=True) * p.sum(axis=-2, keepdims=True)
        bits = np.where(p > 0, p * np.log2(p / apart), 0.0).sum(axis=(-2, -1))
    return np.where(np.isnan(p).any(axis=(-2, -1)), np.nan, bits)


# ---- bins


def default_bins(n: int, classes: int) -> int:
    """Return K: 8, with more than 8 classes as many as these, at most 16; fewer where the bias would be too large."""
    wanted = min(max(BINS, classes), MOST_BINS)
    affordable = TOLERATED_BIAS * np.log2(classes) * 2 * n * np.log(2) / (classes - 1)
    return max(2, min(wanted, 1 + int(affordable)))


def posterior_bins(posterior: FloatArray, bins: int = BINS, seed: int = 0) -> IntArray:
    """Sort posteriors into at most `bins` groups that say about the same: `int64[n]`, numbered from 0, none empty.

    k-means (Lloyd 1982, k-means++ starts) on the square roots of the probabilities, whose distance is Hellinger's: near
    0 and 1, small differences of probability count more, as they do in bits. Labels are not looked at. Two
    classes: on a line, where posteriors of a few different values get a group each, which quantiles would not give
    them.

    Args:
        posterior: `float64[n, k]`, finite, not negative; rows need not sum to 1.
        bins: at least 1.
        seed: of the starts.
    """
    total = np.maximum(posterior.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return grouped(np.sqrt(np.maximum(posterior, 0) / total), bins, seed)
