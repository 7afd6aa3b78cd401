"""Intervals of a mean over trainings: of the audited samples, and of the trainings' seeds.

The value of a method is the mean over its seeds, v̄ = (1/S) Σ v_s, each v_s measured on the same samples. With
a_s what seed s really is better than the method's expectation, e what these samples do to every seed, and i_s what they
do to seed s alone,

    v_s = θ + a_s + e + i_s        var(v̄) = var(a)/S + var(e) + var(i)/S

The bootstrap over samples, all seeds on the same resamples, sees var(e) + var(i)/S: what differs between replicates of
v̄. The variance between seeds, s² = Σ (v_s − v̄)² / (S − 1), sees var(a) + var(i), for e is the same in all. Adding
s²/S to the bootstrap's variance would count var(i) twice, so it is taken off: in each replicate v_s − v̄ shows
i_s − ī, whose variance over replicates is var(i)·(1 − 1/S) on average over seeds. What is left,
U = max(0, s² − var(i)) / S, is the part of the seeds' draw. Both parts are independent; their half-widths, each with
the quantile that belongs to what it was estimated from, add up as squares:

    half² = (bootstrap half-width)² + t²(S − 1) · U

as in Howe 1974 and Graybill & Wang 1980. (One common t with Satterthwaite's degrees of freedom covers 88 % only for two
seeds that differ much.) Each side keeps the bootstrap's own length, so with one seed the interval is the bootstrap's:
it then covers the samples alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special

from mmaudit.kernels.inference import FEW, interval, p_value, standard_error
from mmaudit.types import FloatArray

SMALLEST_P = 1e-300
ALPHA, POWER = 0.05, 0.8


@dataclass(frozen=True)
class Draw:
    """The part of one method's seeds in the variance of a number.

    Attributes:
        variance: of the mean over the seeds; 0 for one seed, about which it says nothing.
        seeds: how many.
    """

    variance: float = 0.0
    seeds: int = 1

    def squared(self, tail: float = 0.025) -> float:
        """Squared half-width at this tail probability."""
        if self.variance <= 0 or self.seeds < 2:
            return 0.0
        quantile = float(scipy.special.stdtrit(self.seeds - 1, tail))
        return quantile * quantile * self.variance  # infinite for tiny tails of one degree of freedom


NO_SEEDS = Draw()


def draw_of(seeds: FloatArray) -> Draw:
    """Return the part of the seeds in the variance of their mean, U above.

    Args:
        seeds: `float64[S, 1 + B]`, what each seed contributes: the estimate first, then its replicates.
    """
    many = len(seeds)
    if many < 2 or not np.isfinite(seeds[:, 0]).all() or np.ptp(seeds[:, 0]) == 0:
        return Draw(0.0, many)
    between = float(np.var(seeds[:, 0], ddof=1))
    apart = seeds[:, 1:] - seeds[:, 1:].mean(axis=0)
    apart = apart[:, np.isfinite(apart).all(axis=0)]
    interaction = float(np.var(apart, axis=1, ddof=1).mean()) * many / (many - 1) if apart.shape[1] > 1 else 0.0
    return Draw(max(0.0, between - interaction) / many, many)


def both(
    values: FloatArray,
    draws: Sequence[Draw],
    within: tuple[float, float] = (-np.inf, np.inf),
    unseen: float = 0.0,
    units: int | None = None,
) -> tuple[float, float]:
    """Return the 95 % interval for samples and seeds.

    Args:
        values: `float64[1 + B]`, the estimate and its replicates.
        draws: the parts of the seeds.
        within: legal values.
        unseen: half-width where no replicate varies, see `unseen_share`.
        units: independent ones among the samples, see `interval`.
    """
    value = float(values[0])
    low, high = interval(values[1:], value, units=units)
    if unseen:  # also of one unit, which has no other interval
        low, high = value - unseen, value + unseen
    if np.isnan(low):
        return low, high
    extra = sum(d.squared() for d in draws)
    down, up = (np.sqrt(side**2 + extra) for side in (max(value - low, 0.0), max(high - value, 0.0)))
    return float(np.clip(value - down, *within)), float(np.clip(value + up, *within))


def p_of(delta: FloatArray, draws: Sequence[Draw], units: int | None = None) -> float:
    """Return the two-sided p of "the true difference is 0": the level at which the interval of `both` just reaches it.

    With the standard error in place of the percentiles, as everywhere (see `p_value`); without seeds it is that p.
    """
    plain = p_value(float(delta[0]), delta[1:], units)
    if np.isnan(plain) or all(d.variance <= 0 for d in draws):
        return plain
    error, freedom = standard_error(delta[1:]), int(np.isfinite(delta[1:]).sum()) - 1
    if units is not None and 1 < units < FEW:
        error, freedom = error * float(np.sqrt(units / (units - 1))), min(freedom, units - 1)
    wanted = float(delta[0]) ** 2

    def beyond(log_p: float) -> bool:
        tail = np.exp(log_p) / 2
        half = float(scipy.special.stdtrit(freedom, tail)) * error if error > 0 else 0.0
        return half * half + sum(d.squared(tail) for d in draws) > wanted  # a power would not overflow to infinity

    low, high = float(np.log(SMALLEST_P)), 0.0
    if not beyond(low):
        return SMALLEST_P
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) else (low, middle)
    return float(np.exp(high))


def detectable(delta: FloatArray, draws: Sequence[Draw], unseen: float = 0.0, units: int | None = None) -> float:
    """Return the |difference| that would be found with 80 % power: the reach of the test, plus what power takes.

    Bloom 1995: (t₁₋α/₂ + t_power) · SE. Both quantiles as in `both`: for samples the normal one, or Student's t where
    their independent units are few, with the error of `p_value`; for seeds Student's t with one degree of freedom less
    than there are. Their half-widths add up as squares. Without seeds that of `minimum_detectable_effect`, NaN where
    nothing varies and for one unit. Of two seeds that differ it is often more than there is room for: then nothing
    would have been found.
    """
    error, few = standard_error(delta[1:]), units is not None and units < FEW
    if units is not None and units < 2:
        return unseen or float("nan")
    if few and units is not None:
        error *= float(np.sqrt(units / (units - 1)))

    def reach(tail: float) -> float:
        quantile = scipy.special.stdtrit(units - 1, tail) if few and units else scipy.special.ndtri(tail)
        return float(np.sqrt((float(quantile) * error) ** 2 + sum(d.squared(tail) for d in draws)))

    total = reach(ALPHA / 2) + reach(1 - POWER)
    return max(total, unseen) if total > 0 else unseen or float("nan")


def unseen_share(values: FloatArray, bound: float) -> float:
    """Return how far a value that no replicate leaves may be from the truth; 0 where replicates vary.

    Args:
        values: `float64[1 + B]`, the estimate and its replicates.
        bound: share of what is possible that its samples leave open (`Paired.bound`), in the unit of the value.
    """
    if not np.isfinite(bound) or not np.isfinite(values[0]) or standard_error(values[1:]) != 0:
        return 0.0
    return bound
