"""Rows of the scores: a metric of a condition with its interval, its paired difference from another, adjusted p."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from mmaudit.errors import Undefined
from mmaudit.kernels.inference import (
    benjamini_hochberg,
    interval,
    minimum_detectable_effect,
    p_value,
    standard_error,
)
from mmaudit.metrics import Metric, Predictions, Resamples
from mmaudit.types import CLEAN, Condition, FloatArray, Score, Task


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric of a condition: the estimate first, its bootstrap replicates after it.

    Attributes:
        values: `float64[1 + replicates]`.
        w: the resamples behind them.
        chance: `float64[1 + replicates]`, the chance level on these samples, or one number for all; NaN where there is
            none.
        reason: why it is undefined; empty otherwise.
        rarest: for metrics in which all classes weigh alike, the independent units of the rarest class and how many
            classes there are (`Predictions.rarest`).
    """

    values: FloatArray
    w: Resamples
    chance: FloatArray = field(default_factory=lambda: np.full(1, np.nan))
    reason: str = ""
    rarest: tuple[int, int] | None = None

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
        units, classes = self.rarest
        return max(every, bound_of(units) / classes)

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
    return Measured(values, w, chance, reason, predictions.rarest(w) if metric.per_class else None)


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
    low, high = interval(found.values[1:], value, metric.range, units=found.w.units)
    if unseen := unseen_share(metric, found.values, found):
        low, high = max(value - unseen, metric.range[0]), min(value + unseen, metric.range[1])
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
        reason=found.reason,
    )
    if reference is None:
        return row
    delta = found.values - reference.values
    unseen, units = unseen_share(metric, delta, found), found.w.units
    width = metric.range[1] - metric.range[0]  # two values of a metric cannot differ by more
    delta_low, delta_high = interval(delta[1:], float(delta[0]), (-width, width), units=units)
    if unseen:  # also where there is but one unit, and so no other interval
        delta_low, delta_high = float(delta[0]) - unseen, float(delta[0]) + unseen
    row = replace(
        row,
        against=against.key,
        delta=float(delta[0]),
        delta_low=max(delta_low, -width),
        delta_high=min(delta_high, width),
        p=p_value(float(delta[0]), delta[1:], units),
        mde=unseen or minimum_detectable_effect(standard_error(delta[1:]), units=units),
    )
    if metric.better == "neither" or (np.isnan(found.floor) and room is None):
        return row
    sign = 1.0 if metric.better == "higher" else -1.0
    if room is None:
        room = sign * (reference.values - reference.chance)
    # Where the reference is no better than chance there is nothing to lose, and the share is undefined.
    lost = np.divide(-sign * delta, room, out=np.full_like(delta, np.nan), where=room > 1e-12)
    lost_low, lost_high = interval(lost[1:], float(lost[0]), units=units)
    drop = -sign * delta[0] / reference.values[0] if sign > 0 and reference.values[0] > 0 else float("nan")
    return replace(
        row,
        drop=float(drop),
        lost=float(lost[0]),
        lost_low=lost_low - unseen / max(float(room[0]), 1e-12),
        lost_high=lost_high + unseen / max(float(room[0]), 1e-12),
    )


def unseen_share(metric: Metric, values: FloatArray, found: Measured) -> float:
    """How far a share may really be from a value that no replicate leaves; 0 where the replicates vary.

    No error in n samples does not mean that there are none: the bootstrap cannot draw what the sample lacks, and its
    interval has width 0. Of a metric in which all classes weigh alike see `Measured.bound`.

    Args:
        metric: the metric.
        values: `float64[1 + replicates]`, of the metric or a difference of two.
        found: the measurement behind them.
    """
    if metric.unit != "share" or not np.isfinite(values[0]) or standard_error(values[1:]) != 0:
        return 0.0
    return found.bound


def exact_bound(w: Resamples) -> float:
    """Largest share of samples that may differ from all of those seen: the exact (Clopper-Pearson) bound."""
    return bound_of(w.units)


def bound_of(units: int) -> float:
    """Return 1 − 0.025^(1/n), about 3.7 / n, with n the number of independent units (clusters count once)."""
    return float(1.0 - 0.025 ** (1.0 / units))


def adjust(rows: list[Score]) -> list[Score]:
    """Add Benjamini-Hochberg p values over the whole grid: every difference on all samples is one test.

    The step of a lattice from a lone missing modality up to clean is that condition's difference from clean again, the
    other way round, and no test of its own.
    """
    known = [i for i, row in enumerate(rows) if not row.group and row.p == row.p]
    tested = [i for i in known if rows[i].condition != CLEAN.key]
    adjusted = benjamini_hochberg(np.array([rows[i].p for i in tested]))
    out = list(rows)
    for i, p in zip(tested, adjusted, strict=True):
        out[i] = replace(rows[i], p_adjusted=float(p))
    from_clean = {(r.condition, r.metric): r.p_adjusted for r in out if r.against == CLEAN.key and not r.group}
    for i in set(known).difference(tested):
        out[i] = replace(rows[i], p_adjusted=from_clean.get((rows[i].against, rows[i].metric), rows[i].p))
    return out
