"""Rows of the scores: a metric of a condition with its interval, its paired difference from another, adjusted p."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from mmaudit.errors import Undefined
from mmaudit.kernels.inference import (
    benjamini_hochberg,
    bound_of,
    interval,
    minimum_detectable_effect,
    p_value,
    standard_error,
)
from mmaudit.metrics import Metric, Predictions, Resamples
from mmaudit.metrics.predictions import Rarest, units_of_classes
from mmaudit.types import CLEAN, Condition, FloatArray, Score, Task

ONE_UNIT = "one independent unit says nothing of others"
MOSTLY_UNDEFINED = "more than half of the resamples have no value"
STILL = "no resample differs, and what samples that were not seen could do has no bound"
RARE = 100
"""Classes of fewer samples are looked at by themselves; of more, what was not seen in one moves it by 3.6 % at most."""
NO_INTERVAL, NO_INTERVAL_OF_CHANGE = "no interval: ", "no interval of the change: "


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric of a condition: the estimate first, its bootstrap replicates after it.

    Attributes:
        values: `float64[1 + replicates]`.
        w: the resamples behind them.
        chance: `float64[1 + replicates]`, the chance level on these samples, or one number for all; NaN where there is
            none.
        reason: why it is undefined; empty otherwise.
        rarest: for metrics in which all classes weigh alike, what they rest on (`Predictions.rarest`).
        still: how far what no replicate moves may move the value: a class that is always right or always wrong
            (`still_classes`), all answers being so (`still_answers`).
    """

    values: FloatArray
    w: Resamples
    chance: FloatArray = field(default_factory=lambda: np.full(1, np.nan))
    reason: str = ""
    rarest: Rarest | None = None
    still: float = 0.0

    @property
    def units(self) -> int:
        """Independent units that interval and p go by."""
        return self.w.units if self.rarest is None else min(self.rarest.together, self.w.units)

    @property
    def n(self) -> int:
        """Samples it rests on."""
        return self.w.n

    @property
    def bound(self) -> float:
        """How far a share may be from one that no replicate leaves, the exact bound of its independent units.

        Where it is a mean over classes, that of the rarest class, divided by how many there are: what has not been
        seen costs least evidence there, and moves the mean by no more. Or that of all units, where it is more, since a
        cluster may hold all classes.
        """
        every = bound_of(self.w.units)
        if self.rarest is None:
            return every
        return max(every, bound_of(self.rarest.units) / self.rarest.classes)

    @property
    def floor(self) -> float:
        """The chance level itself."""
        return float(self.chance[0])


def measure(metric: Metric, predictions: Predictions, w: Resamples, *, chance: FloatArray | None = None) -> Measured:
    """Return a metric's estimate and replicates; all NaN with the reason where it is undefined.

    Args:
        metric, predictions, w: what is measured, and over which resamples.
        chance: `float64[1 + replicates]`, chance on these samples (`Metric.chances`). Where others are held against
            this as a share of what it has above chance; or known already, as it is the same under every condition.
            None: the level alone is worked out.
    """
    try:
        value = metric(predictions, Resamples.ones(predictions.n))
        values = np.concatenate([value, metric(predictions, w)])
    except Undefined as undefined:
        return nothing(w, str(undefined))
    reason = "" if np.isfinite(values[0]) else "not defined on these samples"
    if chance is None:
        chance = np.full(1, metric.chance(predictions.task, predictions.target))
    if not metric.per_class:
        return Measured(values, w, chance, reason, still=still_answers(metric, predictions, w))
    return Measured(values, w, chance, reason, predictions.rarest(w), still_classes(metric, predictions, w))


def nothing(w: Resamples, reason: str) -> Measured:
    """What was not measured, and why."""
    return Measured(np.full(1 + w.replicates, np.nan), w, reason=reason)


def score_row(
    task: Task,
    condition: Condition,
    metric: Metric,
    found: Measured,
    reference: Measured | None = None,
    *,
    against: Condition = CLEAN,
    group: str = "",
    room: FloatArray | None = None,
) -> Score:
    """Return one row of the scores.

    Args:
        task, condition, metric, group: what was measured.
        found: the measurement.
        reference: the same metric of condition `against` on the same samples, for the paired difference.
        against: what `reference` belongs to.
        room: `float64[1 + replicates]`, what a loss is a share of; what the reference has above the floor without it.
    """
    value = float(found.values[0])
    low, high, why = around(metric, found.values, found, metric.range, found.still)
    row = Score(
        condition=condition.key,
        label=condition.label,
        metric=metric.name,
        group=group,
        n=found.n,
        value=value,
        low=low,
        high=high,
        floor=found.floor,
        unit=metric.unit_of(task),
        better=metric.better,
        reason=found.reason or (why and f"{NO_INTERVAL}{why}"),
    )
    if reference is None:
        return row
    delta = found.values - reference.values
    unseen, units = unseen_share(metric, delta, found), found.units
    width = metric.range[1] - metric.range[0]  # two values of a metric cannot differ by more
    still = min(found.still, reference.still) if metric.per_class else 0.0
    delta_low, delta_high, why = around(metric, delta, found, (-width, width), still)
    apart = 0.0 if unseen or why or not metric.counts else one_way(delta, found)
    delta_low, delta_high = reaching(delta[0], delta_low, delta_high, apart)
    row = replace(
        row,
        against=against.key,
        delta=float(delta[0]),
        delta_low=delta_low,
        delta_high=delta_high,
        reason=row.reason or (why and f"{NO_INTERVAL_OF_CHANGE}{why}"),
        p=max(p_value(float(delta[0]), delta[1:], units), coins(delta[0], found.w) if apart else 0.0),
        mde=unseen or minimum_detectable_effect(standard_error(delta[1:]), units=units),
    )
    if metric.better == "neither" or (np.isnan(found.floor) and room is None):
        return row
    sign = 1.0 if metric.better == "higher" else -1.0
    if room is None:
        room = sign * (reference.values - reference.chance)
    # Where the reference is no better than chance there is nothing to lose, and the share is undefined.
    lost = np.divide(-sign * delta, room, out=np.full_like(delta, np.nan), where=room > 1e-12)
    lost_low, lost_high = (float("nan"),) * 2 if why else interval(lost[1:], float(lost[0]), units=units)
    if apart:
        lost_low, lost_high = reaching(lost[0], lost_low, lost_high, -sign * apart / max(float(room[0]), 1e-12))
    drop = -sign * delta[0] / reference.values[0] if sign > 0 and reference.values[0] > 0 else float("nan")
    return replace(
        row,
        drop=float(drop),
        lost=float(lost[0]),
        lost_low=lost_low - unseen / max(float(room[0]), 1e-12),
        lost_high=lost_high + unseen / max(float(room[0]), 1e-12),
    )


def one_way(delta: FloatArray, found: Measured) -> float:
    """How far a change of a count may reach to the side on which no sample was seen to change, with that side's sign.

    Where few answers turn wrong and none turns right, replicates reach 0 and never pass it, and the bootstrap takes it
    for known that none ever would: one changed answer would say more of the other side than none at all, which leaves
    it `found.bound`. With that bound added in squares to the arm of the percentiles, "surely falls" takes six answers
    that turn wrong, as many as an exact test of signs at 5 % (McNemar 1947). Of more, no replicate is without one.

    Args:
        delta: `float64[1 + replicates]`, a difference of two counts as shares.
        found: the measurement behind them.

    Returns:
        The bound, above 0 where nothing went up and below 0 where nothing went down; 0 where many samples changed, or
        both ways.
    """
    value, known = float(delta[0]), delta[1:][np.isfinite(delta[1:])]
    if value < 0 and abs(known.max(initial=-np.inf)) <= 1e-12:
        return found.bound
    if value > 0 and abs(known.min(initial=np.inf)) <= 1e-12:
        return -found.bound
    return 0.0


def reaching(value: float, low: float, high: float, by: float) -> tuple[float, float]:
    """The interval with the arm towards the sign of `by` longer by it, in squares."""
    if by > 0:
        return low, value + float(np.hypot(high - value, by))
    return (value - float(np.hypot(value - low, by)), high) if by < 0 else (low, high)


def coins(delta: float, w: Resamples) -> float:
    """p of as many independent samples changing the same way as a change of a share holds, as coins would."""
    return float(2.0 ** (1 - round(abs(delta) * w.n))) if w.units == w.n else 0.0


def around(
    metric: Metric, values: FloatArray, found: Measured, within: tuple[float, float], still: float = 0.0
) -> tuple[float, float, str]:
    """Return the 95 % interval of a metric or of a difference of two, and why there is none: (low, high, reason).

    Where no replicate differs the exact bound; where that is none NaN, as a width of 0 would claim to know.

    Args:
        metric: the metric.
        values: `float64[1 + replicates]`.
        found: the measurement behind them.
        within: legal values.
        still: how far what does not move in any replicate may be off; added to the arms in squares.
    """
    value = float(values[0])
    if unseen := unseen_share(metric, values, found):  # also of one unit, which has no other interval
        return max(value - unseen, within[0]), min(value + unseen, within[1]), ""
    if why := uncertain(values, found.units):
        return float("nan"), float("nan"), why
    low, high = interval(values[1:], value, within, units=found.units)
    if still:
        low = max(value - float(np.hypot(value - low, still)), within[0])
        high = min(value + float(np.hypot(high - value, still)), within[1])
    return low, high, ""


def still_classes(metric: Metric, p: Predictions, w: Resamples) -> float:
    """How far a mean over classes may be off by one that no replicate moves: `bound_of` its units, over all classes.

    A class of five of which none is recognised has a recall of 0 in every replicate, and one of a single sample
    whatever that gives; what the others do hides that nothing is known of it. The largest such share, of classes of
    fewer than `RARE` units; 0 where there is none.
    """
    counts = units_of_classes(p.task, p.target, w)
    if metric.each is None or counts is None or not ((counts > 0) & (counts < RARE)).any():
        return 0.0
    values = metric.each(p, Resamples.ones(p.n))[:, 0]
    if len(values) == 1:  # two classes are one question
        counts = np.array([counts.min()])
    counts = np.pad(counts, (0, len(values) - len(counts)))  # classes that do not occur
    held = (counts > 0) & np.isfinite(values)
    still = held & (counts < RARE) & ((values == 0) | (values == 1) | (counts == 1))
    return max((bound_of(int(units)) for units in counts[still]), default=0.0) / max(int(held.sum()), 1)


def still_answers(metric: Metric, p: Predictions, w: Resamples) -> float:
    """How far a metric of confidences may be off where all answers are right, or all wrong; 0 where they are not.

    Confidences vary in the replicates, and what they are compared with does not: 50 right answers of 50 are no accuracy
    of 100 %. The bound of that accuracy, times what an answer moves.
    """
    if not metric.answered or p.task.kind != "classification" or 0 < np.count_nonzero(p.hit) < p.n:
        return 0.0
    return bound_of(w.units) * metric.answered


def uncertain(values: FloatArray, units: int) -> str:
    """Why nothing says how sure a value is; empty where replicates do, or where it is itself undefined."""
    if not np.isfinite(values[0]):
        return ""
    if units < 2:
        return ONE_UNIT
    error = standard_error(values[1:])
    if np.isnan(error):
        return MOSTLY_UNDEFINED
    return STILL if error == 0 else ""


def unseen_share(metric: Metric, values: FloatArray, found: Measured) -> float:
    """How far a value that no replicate leaves may really be from the truth; 0 where the replicates vary.

    No error in n samples does not mean that there are none: the bootstrap cannot draw what the sample lacks, and its
    interval has width 0. A share of the samples (`Measured.bound`) may be otherwise, and each of them at either end of
    the metric's range. 0 also for a metric without ends (RMSE, R², nats), which nothing bounds: see `uncertain` and
    `mmaudit.unseen`.

    Args:
        metric: the metric.
        values: `float64[1 + replicates]`, of the metric or a difference of two.
        found: the measurement behind them.
    """
    width = metric.range[1] - metric.range[0]
    if not np.isfinite(width) or not np.isfinite(values[0]) or standard_error(values[1:]) != 0:
        return 0.0
    return found.bound * width


def exact_bound(w: Resamples) -> float:
    """Largest share of samples that may differ from all of those seen: the exact (Clopper-Pearson) bound."""
    return bound_of(w.units)


def adjust(rows: list[Score]) -> list[Score]:
    """Add Benjamini-Hochberg p values: every difference on all samples is one test of one family, of groups of another.

    Groups ask whom a condition hurts, not whether it hurts: many small ones would take the power from the first
    question, and what holds for all samples would lend its small p to groups that it says nothing of.

    The step of a lattice from a lone missing modality up to clean is that condition's difference from clean again, the
    other way round, and no test of its own.
    """
    out = list(rows)
    known = [i for i, row in enumerate(rows) if not row.group and row.p == row.p]
    tested = [i for i in known if rows[i].condition != CLEAN.key]
    for family in (tested, [i for i, row in enumerate(rows) if row.group and row.p == row.p]):
        adjusted = benjamini_hochberg(np.array([rows[i].p for i in family]))
        for i, p in zip(family, adjusted, strict=True):
            out[i] = replace(rows[i], p_adjusted=float(p))
    from_clean = {(r.condition, r.metric): r.p_adjusted for r in out if r.against == CLEAN.key and not r.group}
    for i in set(known).difference(tested):
        out[i] = replace(rows[i], p_adjusted=from_clean.get((rows[i].against, rows[i].metric), rows[i].p))
    return out
