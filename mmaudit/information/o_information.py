"""O-information: do more than two variables together share, or complete each other, on balance?

    Ω(X₁ … X_M) = (M − 2) H(X) + Σ_m [H(X_m) − H(X₋ₘ)]        Rosas, Mediano, Gastpar & Jensen, Phys. Rev. E 100, 2019

Positive: redundancy prevails (copies of one bit: +1 for three). Negative: synergy prevails (one bit the XOR of two
others: −1). It is a balance and cannot say that there is none of either: both may be large and cancel. For M = 2 it is
always 0.

Two estimators, in bits:

- `gaussian_o_information`: ranks brought to normal scores (the Gaussian copula: margins do not matter), then
  covariances, with the known bias of log-determinants taken off. It sees only what is linear between normal scores: a
  continuous XOR shows 0.
- `discrete_o_information`: entropies of counts. Counting few samples makes joint entropies too small, which looks like
  synergy: with K values for each of three variables Ω is too low by about (K − 1)³ / (2 n ln 2). The correction of
  Miller and Madow takes that off; with fewer than some ten samples per cell much is left: read it beside the null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.special

from mmaudit.errors import BadInput, Undefined
from mmaudit.information.subsampling import BLOCKS, Information, jackknife_interval, shuffle_test
from mmaudit.information.tables import same_rows, table
from mmaudit.types import Array, FloatArray, IntArray

# Eigenvalues of a correlation matrix below this are rounding: a variable is a function of others.
NOTHING = 1e-10
LIMIT_GAUSSIAN = "a balance of redundancy and synergy; sees only dependence that is linear between normal scores"
LIMIT_DISCRETE = (
    "a balance of redundancy and synergy; few samples per cell look like synergy, so read it beside the null"
)


def gaussian_o_information(variables: Sequence[Array], copula: bool = True) -> float:
    """Return Ω in bits of continuous variables, by their Gaussian copula; bias taken off.

    Args:
        variables: at least three, each `[n]` or `[n, d]`, numbers. A constant column adds nothing.
        copula: bring each column's ranks to normal scores first, equal values to the mean of their ranks' scores.

    Raises:
        BadInput: fewer than three variables, shapes differ, or values are not finite numbers.
        Undefined: too few samples, or a variable is a linear function of others (Ω has no bound).
    """
    tables = _tables(variables)
    parts = [_scores(t) if copula else t[:, t.min(axis=0) != t.max(axis=0)] for t in tables]
    n, widths = len(parts[0]), [p.shape[1] for p in parts]
    if n < sum(widths) + 3:
        raise Undefined(f"{n} samples are too few for the covariance of {sum(widths)} columns")
    if sum(widths) == 0:
        return 0.0
    return gaussian_o_information_of(np.corrcoef(np.hstack(parts).T).reshape(sum(widths), sum(widths)), widths, n)


def gaussian_o_information_of(covariance: Array, widths: Sequence[int], n: int | None = None) -> float:
    """Return Ω in bits of jointly Gaussian variables with a known covariance.

    Args:
        covariance: `[d, d]`, symmetric, positive definite.
        widths: columns of each variable, in order; their sum is d.
        n: samples that the covariance was estimated from: takes off the bias. None: it is the truth.

    Raises:
        Undefined: a variable is a linear function of others.
    """
    scale = np.sqrt(np.diag(covariance))
    correlation = np.asarray(covariance) / np.outer(scale, scale)
    if np.linalg.eigvalsh(correlation)[0] < NOTHING:
        raise Undefined("a variable is a linear function of others, so the O-information has no bound")

    def entropy(columns: IntArray) -> float:
        value = float(np.linalg.slogdet(correlation[np.ix_(columns, columns)])[1])
        if n is not None:
            value -= float(scipy.special.digamma((n - np.arange(1, len(columns) + 1)) / 2).sum())
            value += len(columns) * float(np.log(n / 2))
        return value / 2 / float(np.log(2))

    variable = np.repeat(np.arange(len(widths)), widths)
    return _balance(len(widths), lambda which: entropy(np.flatnonzero(np.isin(variable, which))))


def discrete_o_information(codes: Array, corrected: bool = True) -> float:
    """Return Ω in bits of discrete variables from counts.

    Args:
        codes: `[n, M]`, a column per variable, M ≥ 3, any values that can be compared for equality.
        corrected: Miller and Madow's correction, (cells seen − 1) / 2n nats for each entropy.

    Raises:
        BadInput: another shape.
        Undefined: no samples.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] < 3:
        raise BadInput(f"codes have shape {codes.shape}; give [n, M], a column for each of at least 3 variables.")
    n = len(codes)
    if not n:
        raise Undefined("there are no samples")
    columns = [np.unique(c, return_inverse=True)[1].reshape(n) for c in codes.T]

    def entropy(which: list[int]) -> float:
        cell = np.zeros(n, np.int64)
        for m in which:
            # Numbered anew at every step, so that numbers of cells never exceed those of samples.
            cell = np.unique(cell * (int(columns[m].max()) + 1) + columns[m], return_inverse=True)[1].reshape(n)
        count = np.bincount(cell)
        nats = np.log(n) - (count * np.log(count)).sum() / n
        return float((nats + ((len(count) - 1) / (2 * n) if corrected else 0.0)) / np.log(2))

    return _balance(len(columns), entropy)


def o_information(
    variables: Sequence[Array],
    *,
    discrete: bool = False,
    blocks: int = BLOCKS,
    shuffles: int = 99,
    cluster: Array | None = None,
    seed: int = 0,
) -> Information:
    """Return Ω of more than two variables with interval, null and p; undefined is NaN with the reason.

    The interval is a 95 % block jackknife's. The null shuffles every variable but the first by itself, which makes all
    independent: its mean shows the bias that is left at this n. p is two-sided (`shuffle_test`).

    Args:
        variables: at least three. Continuous: `[n]` or `[n, d]` each. `discrete`: `[n]` codes each.
        discrete: variables are codes.
        blocks: of the jackknife; 0 for no interval.
        shuffles: of the null; 0 for none.
        cluster: `[n]`, samples that belong together are left out together; of each one is shuffled.
        seed: of blocks and shuffles.

    Raises:
        BadInput: as in `gaussian_o_information`, `discrete_o_information`.
    """
    given = [np.asarray(v) for v in variables]
    if discrete:
        if len({v.shape for v in given}) > 1 or any(v.ndim != 1 for v in given):
            raise BadInput(f"codes have shapes {[v.shape for v in given]}; give one code per sample and variable.")
        # As numbers, so that variables of different types stand in one array.
        given = [np.unique(v, return_inverse=True)[1].reshape(len(v)) for v in given]
    else:
        given = [*_tables(given)]
    n = len(given[0]) if given else 0

    def estimate(parts: Sequence[Array]) -> float:
        return discrete_o_information(np.stack(parts, axis=1)) if discrete else gaussian_o_information(parts)

    try:
        value = estimate(given)
    except Undefined as why:
        return Information(float("nan"), n=n, reason=str(why))
    low = high = float("nan")
    if blocks:
        low, high = jackknife_interval(lambda rows: estimate([v[rows] for v in given]), value, n, blocks, cluster, seed)

    def shuffled(rows: IntArray, generator: np.random.Generator | None) -> float:
        orders = [rows if generator is None else rows[generator.permutation(len(rows))] for _ in given[1:]]
        return estimate([given[0][rows], *(v[order] for v, order in zip(given[1:], orders, strict=True))])

    null, p, no_p = shuffle_test(shuffled, value, n, shuffles=shuffles, sides=2, cluster=cluster, seed=seed)
    no_interval = "too few samples outside a block for an interval" if blocks and np.isnan(low) else ""
    return Information(
        value=value,
        low=low,
        high=high,
        null=null,
        p=p,
        n=n,
        reason="; ".join(filter(None, (no_interval, no_p))),
        limit=LIMIT_DISCRETE if discrete else LIMIT_GAUSSIAN,
    )


def _balance(variables: int, entropy: Callable[[list[int]], float]) -> float:
    """Ω from the entropies of any of the variables."""
    everything = list(range(variables))
    total = (variables - 2) * entropy(everything)
    for m in everything:
        total += entropy([m]) - entropy([i for i in everything if i != m])
    return total


def _tables(variables: Sequence[Array]) -> list[FloatArray]:
    if len(variables) < 3:
        raise BadInput(f"O-information needs at least 3 variables, got {len(variables)}; of two it is always 0.")
    tables = [table(v, f"variable {i + 1}") for i, v in enumerate(variables)]
    same_rows(**{f"variable {i + 1}": t for i, t in enumerate(tables)})
    return tables


def _scores(values: FloatArray) -> FloatArray:
    """Normal scores Φ⁻¹(rank / (n + 1)) of the columns that are not constant; ties get their mean rank."""
    n = len(values)
    columns = []
    for column in values.T:
        _, inverse, count = np.unique(column, return_inverse=True, return_counts=True)
        if len(count) > 1:
            mean_rank = np.cumsum(count) - (count - 1) / 2
            columns.append(scipy.special.ndtri(mean_rank[inverse.reshape(n)] / (n + 1)))
    return np.stack(columns, axis=1) if columns else np.zeros((n, 0))
