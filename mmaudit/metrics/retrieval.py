"""Where does the right candidate stand? Ranks of retrieval, ties counted as if broken at random.

A query's answer says how many wrong candidates score higher than the best right one, and how many wrong and right ones
score the same (`mmaudit.types.HIGHER`, `TIED`, `TIED_RIGHT`). With equal scores in random order the rank of the first
right one is a random number of known distribution, over which metrics average. So a model that gives all candidates
one score has exactly the chance level, whatever order they come in.

Chance levels are those of a random ranking, in closed form from each query's numbers of candidates and right ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.special

from mmaudit.kernels.medians import medians
from mmaudit.kernels.retrieval import mean_reciprocal, middle_rank, reached
from mmaudit.metrics.base import Floor, Predictions, Resamples, metric
from mmaudit.types import CANDIDATES, HIGHER, LOG_RIGHT, RIGHT, TIED, TIED_RIGHT, Array, FloatArray, Task

__all__ = ["expected_hit", "expected_reciprocal", "ranks", "reciprocal_ranks"]

MOST_WEIGHTS = 2**24  # of kinds of queries × replicates, 128 MiB; beyond it queries are gone through one by one


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
    return _middle_rank(*_random(target), w)


def _middle_rank(higher: Array, tied: Array, right: Array, w: Resamples) -> FloatArray:
    """Median of the rank over queries and orders of what ties: where P(rank ≤ x), mean over queries, reaches a half.

    Between two ranks, where it is a half exactly: their mean.
    """
    kinds, number = np.unique(np.stack([higher, tied, right], axis=1), axis=0, return_inverse=True)
    weights: Array
    if len(kinds) * w.replicates <= MOST_WEIGHTS:
        weights, row = w.sums(np.ones(w.n), number.reshape(-1), len(kinds))[:, 0], np.arange(len(kinds))
        about = tuple(np.ascontiguousarray(kinds.T.astype(np.float64)))
    else:
        weights, row = w.counts, w.unit
        about = tuple(np.asarray(x, np.float64) for x in (higher, tied, right))

    def smallest(enough: Callable[[FloatArray], Array]) -> FloatArray:
        low, high = np.zeros(w.replicates), np.full(w.replicates, (about[0] + about[1]).max() + 1)
        while (high - low > 1).any():
            middle = (low + high) // 2
            ranks, rank_of = np.unique(middle, return_inverse=True)
            met = enough(reached(weights, row, *about, ranks, rank_of.reshape(-1)))
            low, high = np.where(met, low, middle), np.where(met, middle, high)
        return high

    half = w.total / 2
    first, beyond = smallest(lambda x: x >= half * (1 - 1e-9)), smallest(lambda x: x > half * (1 + 1e-9))
    return np.where(w.total > 0, (first + beyond) / 2, np.nan)


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
    metric(
        f"recall_at_{_k}",
        better="higher",
        unit="share",
        tasks=("retrieval",),
        floor=_hit_floor(_k),
        range=(0, 1),
        counts=True,
    )(_named(_k))


@metric("median_rank", better="lower", unit="rank", tasks=("retrieval",), floor=_rank_floor, range=(1, np.inf))
def median_rank(p: Predictions, w: Resamples) -> FloatArray:
    """Median over queries of the rank of the first right candidate; 1 is first.

    Of what ties every order counts alike: it is the median over queries and orders. Floor: a random ranking's,
    (N + 1) / 2 with one right of N candidates.
    """
    higher, tied, right = _standing(p)
    if tied.any():
        return _middle_rank(higher, tied, right, w)
    found = higher.astype(np.float64) + 1
    return np.asarray(medians(w.counts, w.unit, np.argsort(found, kind="stable"), found))


@metric("info_nce", better="lower", unit="nats", tasks=("retrieval",), floor=_uniform_log, range=(0, np.inf))
def info_nce(p: Predictions, w: Resamples) -> FloatArray:
    """Cross-entropy of the right candidates under the softmax of all scores: the contrastive loss over the bank.

    −log of the summed probability of the right ones. Only of scores that were trained as logits, or are divided by
    their temperature, can it be low; ranks do not depend on the scale. Floor: one score for all, log(N / R).
    """
    return w.mean(-p.outputs[:, LOG_RIGHT].astype(np.float64))
