"""The information of one set of predictors, divided: by subset, then between two sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mmaudit.decomposition import names as called
from mmaudit.decomposition.predictors import Parts, Predictors
from mmaudit.decomposition.rows import REST, ROUNDING, Options, Sides, Subset, row
from mmaudit.errors import Undefined
from mmaudit.estimates import Estimate
from mmaudit.information.predictive import SynergyBounds, negative, synergy_bounds
from mmaudit.types import FloatArray

FALLS_SHORT = "below 0: the predictor of both sides says less on new samples than those of the sides by themselves"


def divided(
    predictors: Predictors, names: Subset, options: Options, total: FloatArray | None = None
) -> Iterator[Estimate]:
    """Yield every estimate of these predictors.

    Args:
        predictors: answers by subset.
        names: all modalities, in data set order.
        options: `of` and, for a model, the baseline.
        total: what all modalities together determine, where that is known apart from a predictor (the entropy of the
            model's own answers): the upper end of the interval counts it.
    """
    n = predictors.rows
    if ("of", "model") not in options and predictors.kind != "regression":
        yield row(called.ENTROPY, (), options, lambda: predictors.entropy, n, units=predictors.w.units, least=0.0)
    for subset in sorted(_subsets(predictors, names), key=lambda s: (len(s), [names.index(m) for m in s])):
        yield _information(predictors, subset, options)
    for sides in Sides.every(names):
        yield from _sides(predictors, names, sides, options, total)


def parts_of(predictors: Predictors, names: Subset, sides: Sides) -> Parts:
    """The atoms of two sides; raises `Undefined` with the reason."""
    return predictors.atoms(sides.first, sides.second, sides.both(names))


def bounds_of(predictors: Predictors, names: Subset, sides: Sides, total: FloatArray | None = None) -> SynergyBounds:
    """The interval of two sides; raises `Undefined` with the reason."""
    first, second, both = predictors.triple(sides.first, sides.second, sides.both(names))
    found = synergy_bounds(first, second, both)
    if total is None or len(sides.both(names)) < len(names):
        return found
    return SynergyBounds(found.low, synergy_bounds(first, second, total).high, found.interaction)


def _subsets(predictors: Predictors, names: Subset) -> set[Subset]:
    """Those with answers, and those that should have some: alone and all."""
    return {*predictors.posterior, *((m,) for m in names), names}


def _information(predictors: Predictors, subset: Subset, options: Options) -> Estimate:
    reason = ""
    try:
        values: FloatArray | None = predictors.information(subset)
        reason = negative(values) if values is not None else ""
    except Undefined:
        pass
    return row(
        called.INFORMATION,
        subset,
        options,
        lambda: predictors.information(subset),
        predictors.rows,
        units=predictors.w.units,
        test=True,
        reason=reason,
    )


def _sides(
    predictors: Predictors, names: Subset, sides: Sides, options: Options, total: FloatArray | None
) -> Iterator[Estimate]:
    n, about, units = predictors.rows, (*options, *sides.options), predictors.w.units
    low_reason = ""
    try:
        if bounds_of(predictors, names, sides, total).inverted:
            low_reason = FALLS_SHORT
    except Undefined:
        pass

    def bound(which: str) -> FloatArray:
        found: FloatArray = getattr(bounds_of(predictors, names, sides, total), which)
        return found

    yield row(called.LOW, sides.modalities, about, lambda: bound("low"), n, units=units, least=0.0)
    yield row(called.HIGH, sides.modalities, about, lambda: bound("high"), n, units=units, reason=low_reason)
    yield row(called.INTERACTION, sides.modalities, about, lambda: bound("interaction"), n, units=units)
    yield from atoms_rows(lambda: parts_of(predictors, names, sides), sides, about, n, units)


def atoms_rows(
    make: Callable[[], Parts], sides: Sides, about: Options, n: int, units: int | None = None
) -> Iterator[Estimate]:
    """Yield synergy, redundancy and both unique parts; `make` returns `Parts` or raises `Undefined`."""
    try:
        parts: Parts | None = make()
        why = ""
    except Undefined as undefined:
        parts, why = None, str(undefined)

    def one(name: str, part: str, modalities: Subset, options: Options, test: bool = False) -> Estimate:
        def values() -> FloatArray:
            if parts is None:
                raise Undefined(why)
            found: FloatArray = getattr(parts, part)
            return found

        null = float("nan") if parts is None else float(parts.null.get(part, np.nan))
        reason = FALLS_SHORT if parts is not None and part == "synergy" and parts.synergy[0] < -ROUNDING else ""
        return row(name, modalities, options, values, n, units=units, null=null, test=test, reason=reason)

    yield one(called.SYNERGY, "synergy", sides.modalities, about, test=True)
    yield one(called.REDUNDANCY, "redundancy", sides.modalities, about)
    other = REST if sides.options else "+".join(sides.second)
    plain = tuple(o for o in about if o not in sides.options)
    yield one(called.UNIQUE, "unique_1", sides.first, (*plain, ("beside", other)))
    yield one(called.UNIQUE, "unique_2", sides.second, (*plain, ("beside", "+".join(sides.first))))


def spread_row(seeds: Sequence[Predictors], names: Subset, sides: Sides, options: Options) -> Estimate:
    """Largest minus smallest synergy over the seeds: how much of it depends on how the predictors were trained."""
    n = seeds[0].rows if seeds else 0

    def values() -> FloatArray:
        if len(seeds) < 2:
            raise Undefined("the predictors were fitted with one seed")
        found = [parts_of(p, names, sides).synergy[0] for p in seeds]
        return np.array([max(found) - min(found), np.nan])

    return row(called.SPREAD, sides.modalities, (*options, *sides.options), values, n, reason="a range has no interval")
