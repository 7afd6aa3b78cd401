"""Where does the right candidate stand? Ranks of retrieval, ties counted as if broken at random.

A query's answer says how many wrong candidates score higher than the best right one, and how many wrong and right ones
score the same (`mmaudit.types.HIGHER`, `TIED`, `TIED_RIGHT`). With equal scores in random order the rank of the first
right one is a random number of known distribution; metrics use its expectation. So a model that gives all candidates
one score has exactly the chance level, whatever order they come in.

Chance levels are those of a random ranking, in closed form from each query's numbers of candidates and right ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.special

from mmaudit.kernels.bootstrap import ratio
from mmaudit.kernels.medians import medians
from mmaudit.kernels.retrieval import mean_reciprocal, middle_rank
from mmaudit.metrics.base import Floor, Predictions, Resamples, metric
from mmaudit.types import CANDIDATES, HIGHER, LOG_RIGHT, RIGHT, TIED, TIED_RIGHT, Array, FloatArray, Task

__all__ = ["expected_hit", "expected_reciprocal", "ranks", "reciprocal_ranks"]


def expected_hit(k: int, higher: Array, tied: Array, right: Array) -> FloatArray:
    """Return `float64[n]`: probability that a right candidate is among the first k.

    1 − Π_{i<m} (tied − i) / (tied + right − i) with m = k − higher: not all of the m places left go to wrong ones.
    """
    higher, tied, right = (np.asarray(x, np.float64) for x in (higher, tied, right))
    missed = np.ones(len(higher))
    for i in range(k):
        left = i < k - higher
        missed = np.where(left, missed * np.maximum(tied - i, 0) / np.maximum(tied + right - i, 1), missed)
    return np.asarray(1 - missed)


def expected_reciprocal(higher: Array, tied: Array, right: Array) -> FloatArray:
    """Return `float64[n]`: expected 1 / rank of the first right candidate.

    With one right candidate the rank is uniform over tied + 1 places, so it is (H(higher + tied + 1) − H(higher)) /
    (tied + 1), H the harmonic numbers.
    """
    higher, tied, right = (np.asarray(x, np.float64) for x in (higher, tied, right))
    out = 1 / (higher + 1)
    single = (tied > 0) & (right == 1)
    a, t = higher[single], tied[single]
    out[single] = (scipy.special.digamma(a + t + 2) - scipy.special.digamma(a + 1)) / (t + 1)
    several = (tied > 0) & (right > 1)
    out[several] = _once(mean_reciprocal, higher[several], tied[several], right[several])
    return np.asarray(out)


def ranks(higher: Array, tied: Array, right: Array) -> FloatArray:
    """Return `float64[n]`: the rank of the first right candidate; with ties the median of the ranks it may have."""
    higher, tied, right = (np.asarray(x, np.float64) for x in (higher, tied, right))
    out = higher + 1 + tied / 2
    several = (tied > 0) & (right > 1)
    out[several] = _once(middle_rank, higher[several], tied[several], right[several])
    return np.asarray(out)


def _once(of: Callable[[Array, Array, Array], Array], *columns: Array) -> FloatArray:
    """Each different row is worked out once: where all candidates tie there are few."""
    if not len(columns[0]):
        return np.zeros(0)
    kinds, place = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    return np.asarray(of(*np.ascontiguousarray(kinds.T))[place.reshape(-1)])


def _standing(p: Predictions) -> tuple[Array, Array, Array]:
    return p.outputs[:, HIGHER], p.outputs[:, TIED], p.outputs[:, TIED_RIGHT]


def _random(target: Array) -> tuple[Array, Array, Array]:
    """A random ranking is one in which everything ties."""
    return np.zeros(len(target)), target[:, CANDIDATES] - target[:, RIGHT], target[:, RIGHT]


def _hit_floor(k: int) -> Floor:
    def floor(task: Task, target: Array, w: Resamples) -> FloatArray:
        return w.mean(expected_hit(k, *_random(target)))

    return floor


def _reciprocal_floor(task: Task, target: Array, w: Resamples) -> FloatArray:
    return w.mean(expected_reciprocal(*_random(target)))


def _rank_floor(task: Task, target: Array, w: Resamples) -> FloatArray:
    """Median of the rank over queries and random orders: where the mean of P(rank ≤ x) over queries reaches a half."""
    kinds, number = np.unique(target[:, [CANDIDATES, RIGHT]].astype(np.float64), axis=0, return_inverse=True)
    share = ratio(w.sums(np.ones(len(target)), number.reshape(-1), len(kinds))[:, 0], w.total)

    def within(x: FloatArray) -> FloatArray:
        out = np.empty(len(x))
        for one in np.unique(x):  # few, as replicates differ little
            out[x == one] = _found_within(one, *kinds.T) @ share[:, x == one]
        return out

    low, high = np.zeros(w.replicates), np.full(w.replicates, kinds[:, 0].max())
    while (high - low > 1).any():
        middle = (low + high) // 2
        enough = within(middle) >= 0.5 - 1e-9
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    between = np.where(within(high) < 0.5 + 1e-9, 0.5, 0.0)
    return np.where(w.total > 0, high + between, np.nan)


def _found_within(x: float, total: FloatArray, right: FloatArray) -> FloatArray:
    """P(rank ≤ x) in a random order: not all of the first x are wrong, which has C(wrong, x) / C(total, x)."""
    wrong, log_gamma = total - right, scipy.special.gammaln
    still = np.minimum(x, wrong)
    log_missed = log_gamma(wrong + 1) - log_gamma(wrong - still + 1)
    log_missed -= log_gamma(total + 1) - log_gamma(total - still + 1)
    return np.asarray(1 - np.where(x > wrong, 0.0, np.exp(log_missed)))


def _uniform_log(task: Task, target: Array, w: Resamples) -> FloatArray:
    return w.mean(np.log(target[:, CANDIDATES] / target[:, RIGHT]))


@metric("mrr", better="higher", unit="share", tasks=("retrieval",), floor=_reciprocal_floor, range=(0, 1))
def mrr(p: Predictions, w: Resamples) -> FloatArray:
    """Mean reciprocal rank: 1 / rank of the first right candidate, mean over queries.

    1 where the right one always comes first, 1/2 where it always comes second. Floor: a random ranking; with one right
    of N candidates that is H(N) / N, H the harmonic numbers.
    """
    return w.mean(reciprocal_ranks(p))


def reciprocal_ranks(p: Predictions) -> FloatArray:
    """Return `float64[n]`: expected 1 / rank of each query's first right candidate."""
    return expected_reciprocal(*_standing(p))


def _named(k: int) -> Callable[[Predictions, Resamples], FloatArray]:
    def recall(p: Predictions, w: Resamples) -> FloatArray:
        return w.mean(expected_hit(k, *_standing(p)))

    first = "the first candidate is a right one (top-1)" if k == 1 else f"a right candidate is among the first {k}"
    recall.__doc__ = f"""Share of queries for which {first}.

    With several right candidates one of them is enough (success at {k}). Floor: a random ranking, 1 − C(N − R, {k}) /
    C(N, {k}) with R right ones of N.
    """
    return recall


for _k in (1, 5, 10):
    metric(f"recall_at_{_k}", better="higher", unit="share", tasks=("retrieval",), floor=_hit_floor(_k), range=(0, 1))(
        _named(_k)
    )


@metric("median_rank", better="lower", unit="rank", tasks=("retrieval",), floor=_rank_floor, range=(1, np.inf))
def median_rank(p: Predictions, w: Resamples) -> FloatArray:
    """Median over queries of the rank of the first right candidate; 1 is first.

    Ties count as the median of the ranks that they may come to. Floor: a random ranking's, (N + 1) / 2 with one right
    of N candidates.
    """
    values = ranks(*_standing(p))
    return np.asarray(medians(w.counts, w.unit, np.argsort(values, kind="stable"), values))


@metric("info_nce", better="lower", unit="nats", tasks=("retrieval",), floor=_uniform_log, range=(0, np.inf))
def info_nce(p: Predictions, w: Resamples) -> FloatArray:
    """Cross-entropy of the right candidates under the softmax of all scores: the contrastive loss over the bank.

    −log of the summed probability of the right ones. Only of scores that were trained as logits, or are divided by
    their temperature, can it be low; ranks do not depend on the scale. Floor: one score for all, log(N / R).
    """
    return w.mean(-p.outputs[:, LOG_RIGHT].astype(np.float64))
