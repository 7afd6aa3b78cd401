"""Do the estimators of reliance put the modalities in the same order? And where they do not, why?

An estimator orders two modalities by the sign of their difference, 0 where that is less than 1.96 standard errors:
what cannot be told apart is tied. Agreement is the mean over pairs of estimators of Kendall's τ of these orders, in the
general form of Daniels (1944), τ(s, t) = Σ s·t / √(Σ s² · Σ t²) over pairs of modalities, which is τ-b where ties are
ordinary ties. For two modalities it is agreement on which of the two matters more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations, product
from math import factorial

import numpy as np
import numpy.typing as npt

from mmaudit.comparison import NO_INTERVAL, STILL
from mmaudit.estimates import Estimate, estimator
from mmaudit.kernels.inference import standard_error
from mmaudit.metrics import Resamples
from mmaudit.reliance.found import NORMAL, Found, found, nothing
from mmaudit.store import Run
from mmaudit.types import FloatArray

AGREEMENT = estimator(
    "reliance_agreement",
    family="reliance",
    unit="",
    summary="agreement of all estimators of reliance on the order of the modalities, mean Kendall's τ over pairs of "
    "estimators; 1: one order, 0: what random orders give, below 0: they contradict each other",
    source="Kendall 1938; general form with ties, Daniels 1944; as a result: mmaudit",
)
# What ranks modalities by what they are worth to the answer: bigger means more reliance. Left out is what would count
# twice (normalised variants; SHAPE contributions, Shapley values from chance), and what asks something else: absolute
# parts of attributions tell how much inputs move the output, whether or not they cancel.
RANKING = ("shapley_value", "leave_one_out", "only_one", "perceptual_score", "anova_share", "attribution_share")
ON_RECORDED = ("anova_share", "attribution_share")
"""Those that rest on the samples in which every modality was recorded; the others rest on all."""
DRAWS = 4999
ROUNDING = 1e-12
STEADY = "no interval: hardly a resample changes the order that any estimator gives"

Signs = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Order:
    """How one estimator orders the modalities.

    Attributes:
        estimator, options: which one.
        modalities: what it orders.
        values: `float64[M]`.
        signs: `int8[pairs, 1 + B]` over `combinations(range(M), 2)`: 1 where the first matters more, 0 for a tie.
    """

    estimator: str
    options: tuple[tuple[str, str], ...]
    modalities: tuple[str, ...]
    values: FloatArray
    signs: Signs

    @property
    def ordered(self) -> bool:
        """Whether it tells any two modalities apart."""
        return bool(self.signs[:, 0].any())

    @property
    def baseline(self) -> str | None:
        """The missing baseline it rests on, if any."""
        return dict(self.options).get("baseline")


def orders(estimates: Sequence[Found | Estimate], replicates: int = 0, *, besides: Collection[str] = ()) -> list[Order]:
    """Return the order of every estimator that has a value for every modality that any of them ranks.

    Differences are paired where replicates are known; two estimates without are tied where their intervals overlap.

    Args:
        estimates: of a run.
        replicates: of the bootstrap.
        besides: estimators to leave out, see `about_others`.
    """
    by_name: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, Found | Estimate]] = {}
    names: dict[str, None] = {}
    for each in estimates:
        e = each.estimate if isinstance(each, Found) else each
        if (
            e.estimator in RANKING
            and e.estimator not in besides
            and len(e.modalities) == 1
            and not e.group
            and _plain(e)
        ):
            names.setdefault(e.modalities[0])
            if e.value == e.value:
                by_name.setdefault((e.estimator, e.options), {})[e.modalities[0]] = each
    return [
        Order(
            estimator_,
            options,
            tuple(names),
            np.array([_estimate(of[m]).value for m in names]),
            np.stack([_sign(of[a], of[b], replicates) for a, b in combinations(names, 2)]),
        )
        for (estimator_, options), of in by_name.items()
        if len(of) == len(names) > 1
    ]


def _plain(e: Estimate) -> bool:
    return e.option("normalised") is None and e.option("parts") is None


def _estimate(of: Found | Estimate) -> Estimate:
    return of.estimate if isinstance(of, Found) else of


def _sign(a: Found | Estimate, b: Found | Estimate, replicates: int) -> Signs:
    # Replicates do not hold the error of having sampled subsets; intervals do.
    sampled = _estimate(a).option("subsets") is not None
    if (
        isinstance(a, Found)
        and isinstance(b, Found)
        and len(a.values) == len(b.values) == 1 + replicates
        and not sampled
    ):
        difference = np.nan_to_num(a.values - b.values)
        error = standard_error(difference[1:])
        # The same rule in every replicate: it, too, can tell apart only what differs by more than the noise.
        apart = np.abs(difference) > max(NORMAL * error, ROUNDING)
        return np.asarray(np.sign(difference) * apart, np.int8)
    one, other = _estimate(a), _estimate(b)
    (low, high), (least, most) = _ends(one), _ends(other)
    separate = low > most or high < least
    sign = np.sign(one.value - other.value) if separate else 0
    return np.full(1 + replicates, sign, np.int8)


def _ends(e: Estimate) -> tuple[float, float]:
    """The interval; of what no resample changes the value itself."""
    return (e.value, e.value) if e.reason == f"{NO_INTERVAL}{STILL}" else (e.low, e.high)


def about_others(run: Run) -> tuple[str, ...]:
    """Estimators that are about other samples than the rest, whose orders therefore say nothing about each other."""
    everywhere = all(present.all() for present in run.samples.present.values())
    return () if everywhere else ON_RECORDED


def agreement(estimates: Sequence[Found | Estimate], w: Resamples, *, besides: Collection[str] = ()) -> Iterator[Found]:
    """Yield the agreement of all estimators on the order of the modalities; nothing for fewer than two modalities.

    The interval is the percentiles of the replicates (estimators without any stay as they are), NaN with the reason
    where none of them changes an order; p is that of agreeing,
    or disagreeing, as much by chance, if each estimator's order were drawn at random: all combinations where they are
    at most 5,000, else 4,999 draws. Estimators that cannot tell any two modalities apart have no order and do not
    count.
    """
    everything = orders(estimates, w.replicates, besides=besides)
    if not everything:
        return
    about = Estimate(AGREEMENT, (), null=0.0)
    ranked = [order for order in everything if order.ordered]
    if len(ranked) < 2:
        which = "none" if not ranked else "one"
        reason = (
            f"of {len(everything)} estimators {which} can tell the modalities apart, so there are no orders to compare"
        )
        yield nothing(about, w, reason)
        return
    values = mean_tau(np.stack([order.signs for order in ranked]).astype(np.float64))
    p = p_random(np.stack([order.signs[:, 0] for order in ranked]), len(ranked[0].modalities), float(values[0]))
    made = found(about, values, w).estimate
    # Not moved as other intervals are: noise can only lower an agreement of 1, and that much is uncertain.
    ends = np.nanquantile(values, [0.025, 0.975]) if np.isfinite(values).any() else np.full(2, np.nan)
    low, high = min(float(ends[0]), made.value), max(float(ends[1]), made.value)
    if high - low <= ROUNDING:
        # Of few modalities there are few orders; that next to none changed bounds nothing.
        yield Found(replace(made, low=float("nan"), high=float("nan"), p=p, reason=STEADY), values)
        return
    yield Found(replace(made, low=low, high=high, p=p), values)


def mean_tau(signs: FloatArray) -> FloatArray:
    """Return the mean τ over pairs of estimators, from signs `[estimators, pairs, …]`; NaN where fewer than two differ.

    With u = s / |s| the mean of u·u′ over pairs is (|Σ u|² − R) / (R (R − 1)).
    """
    length = np.sqrt(np.square(signs).sum(axis=1, keepdims=True))
    unit = np.divide(signs, length, out=np.zeros_like(signs), where=length > 0)
    count = (length[:, 0] > 0).sum(axis=0).astype(np.float64)
    top = np.square(unit.sum(axis=0)).sum(axis=0) - count
    below = count * (count - 1)
    return np.asarray(np.clip(np.divide(top, below, out=np.full_like(top, np.nan), where=below > 0), -1.0, 1.0))


def p_random(signs: Signs, modalities: int, value: float) -> float:
    """Return the share of random orders whose |mean τ| is at least |value|; each estimator keeps its ties.

    Args:
        signs: `int8[estimators, pairs]`.
        modalities: how many.
        value: mean τ found.
    """
    count, ways = len(signs), factorial(modalities)
    exact = ways ** (count - 1) <= DRAWS + 1
    if exact:
        every = np.array(list(permutations(range(modalities))))
        # One estimator's order may be held fixed: only how the others lie to it matters.
        drawn = every[np.array([(0, *rest) for rest in product(range(ways), repeat=count - 1)])]
    else:
        drawn = np.random.default_rng(0).random((DRAWS, count, modalities)).argsort(axis=2)
    square = np.zeros((count, modalities, modalities), np.int8)
    first, second = np.triu_indices(modalities, 1)
    square[:, first, second], square[:, second, first] = signs, -signs
    renamed = square[np.arange(count)[None, :, None], drawn[:, :, first], drawn[:, :, second]]
    taus = mean_tau(np.moveaxis(renamed, 0, -1).astype(np.float64))
    reached = np.abs(taus) >= abs(value) - 1e-12
    return float(reached.mean() if exact else (1 + reached.sum()) / (DRAWS + 1))
