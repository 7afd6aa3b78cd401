"""Synergy that is there to be had and that the model's answers do not hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from mmaudit.decomposition import names as called
from mmaudit.decomposition.divide import FALLS_SHORT, parts_of
from mmaudit.decomposition.predictors import Predictors
from mmaudit.decomposition.rows import Sides, Subset, row, short
from mmaudit.decomposition.sources import best_of
from mmaudit.errors import Undefined
from mmaudit.estimates import Estimate
from mmaudit.information.crossfitted import DATA
from mmaudit.types import FloatArray

BEST = (
    "no interval: no predictor says more than the model on any subset of these modalities, so what the model leaves "
    "unused could not be seen, and no resample differs"
)
# Bits below which a difference of two informations is rounding, or the choice of one source over its equal.
NOTHING = 1e-4
MORE_USED = (
    "below 0: without a modality the model says less than others can, so it seems to use more together than there is"
)


def unused_rows(
    offered: Iterable[Estimate], data: Predictors | str, models: Mapping[str, Predictors], names: Subset
) -> Iterator[Estimate]:
    """Yield what the model leaves unused of the synergy of each two sides: at most all of it.

    Where the model is the best source of every subset, what it leaves unused is 0 by construction, in every resample:
    there is no interval then, for the reason given. Else the smallest of three: the synergy of the data; the same by
    the better of predictors and model, subset by subset; and that minus what the model uses. That some is left claims
    each of the three to be above 0, so p is the largest of theirs, and ends of intervals are the smallest
    (docs/decisions/0043).

    Of several baselines the one under which the answers to a subset hold most counts, subset by subset: a stand-in
    that the model cannot read makes its answers to one modality poor, and what it uses together look large.

    Args:
        offered: estimates, among them the synergy of the data.
        data: predictors of the truth, or why there are none.
        models: the model's own answers by missing baseline.
        names: all modalities, in data set order.
    """
    own = list(models.values())
    used = best_of(own) if own else "the run has no answers with a modality missing"
    best = data if isinstance(data, str) else best_of([data, *own])
    seen = [e for e in offered if e.estimator == called.SYNERGY and e.option("of") == DATA]
    n, units = (0, None) if isinstance(best, str) else (best.rows, best.w.units)
    for sides in Sides.every(names):

        def had(sides: Sides = sides) -> FloatArray:
            return _synergy(best, names, sides)

        def missed(sides: Sides = sides) -> FloatArray:
            both, own = short(_synergy(best, names, sides), _synergy(used, names, sides))
            return np.asarray(both - own)

        two = [
            row(called.UNUSED, sides.modalities, sides.options, make, n, units=units, test=True)
            for make in (missed, had)
        ]
        about = (("of", DATA), *sides.options)
        if max(abs(x) for x in (two[0].value, two[0].low, two[0].high)) < NOTHING:
            # The same source on both sides, in the sample and in every resample: a width that claims to know.
            none = float("nan")
            yield replace(two[0], low=none, high=none, p=none, reason=BEST)
            continue
        yield smallest(*two, *(e for e in seen if (e.modalities, e.options) == (sides.modalities, about)))


def smallest(missed: Estimate, *limits: Estimate) -> Estimate:
    """Return what is missed, by value, interval and test no more than any limit; undefined where one of them is."""
    every = (missed, *limits)
    unknown = next((e for e in every if e.value != e.value), None)
    if unknown is not None:
        nothing = float("nan")
        return replace(missed, value=nothing, low=nothing, high=nothing, p=nothing, reason=unknown.reason)
    value, low, high = np.min([(e.value, e.low, e.high) for e in every], axis=0).tolist()  # NaN where one has none
    more_used = missed.value < min(e.value for e in limits)
    without = next((e.reason for e in every if e.low != e.low), "")
    reason = without if value >= 0 else MORE_USED if more_used else FALLS_SHORT
    return replace(missed, value=value, low=low, high=high, p=float(np.max([e.p for e in every])), reason=reason)


def _synergy(predictors: Predictors | str, names: Subset, sides: Sides) -> FloatArray:
    if isinstance(predictors, str):
        raise Undefined(predictors)
    return parts_of(predictors, names, sides).synergy
