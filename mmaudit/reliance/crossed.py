"""What a run's answers to combinations say about reliance: EMAP, its gap (of groups too), and parts of the variance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import scipy.special

from mmaudit.comparison import NO_INTERVAL, STILL, exact_bound
from mmaudit.estimates import Estimate, estimator
from mmaudit.metrics import Metric, Resamples
from mmaudit.reliance.anova import Anova, estimate_anova
from mmaudit.reliance.combinations import FILE, read_about, read_crossed
from mmaudit.reliance.emap import Emap, estimate_emaps
from mmaudit.reliance.jackknife import FEWEST_GROUPS, t_quantile
from mmaudit.reliance.table import SMALLEST_GROUP, value_metric
from mmaudit.store import Run
from mmaudit.types import CLEAN, IntArray

ROUNDING = 1e-12  # scores and errors below are 0

EMAP = estimator(
    "emap",
    family="reliance",
    unit="primary",
    summary="score of the model's empirical multimodally-additive projection: the outputs replaced by the nearest sum "
    "of one function per modality, which sees every modality but cannot combine them",
    source="Hessel and Lee 2020, for any number of modalities, from a part of the combinations",
)
EMAP_GAP = estimator(
    "emap_gap",
    family="reliance",
    unit="primary",
    summary="score of the model − score of its additive projection, on the same samples: what combining modalities "
    "gains",
    source="Hessel and Lee 2020",
)
SHARE = estimator(
    "anova_share",
    family="reliance",
    unit="share",
    summary="share of the variance of the outputs, modalities drawn independently of each other, that a modality "
    "explains by itself, or several only together (Sobol index); unbiased, so a share of 0 may come out a little below",
    source="functional ANOVA: Hoeffding 1948, Sobol 1993; several outputs: Lamboni, Monod and Makowski 2011",
)
ORDER_SHARE = estimator(
    "anova_order_share",
    family="reliance",
    unit="share",
    summary="share of the variance of the outputs that single modalities explain (order 1), pairs only together (2), "
    "or three and more only together (3+)",
    source="functional ANOVA: Hoeffding 1948, Sobol 1993",
)


def estimates(run: Run, w: Resamples, groups: Mapping[str, IntArray] | None = None) -> list[Estimate]:
    """Return EMAP, its gap and the parts of the variance with intervals; nothing where the run has no combinations.

    EMAP and gap of each group stand last: the scores on its samples of the projection that is fitted to all.

    The 95 % intervals cover two errors at a time: that the audited samples are a sample, in both of their roles (as
    those that are scored, clusters whole, and as donors of modalities), and that not all of their combinations were
    asked for. The second by itself is in `about`.

    Args:
        run: predicted.
        w: resamples of all its samples, of which only the clusters are used.
        groups: by name, rows of the run; NaN with the reason where fewer than 30 of a group were combined.

    Raises:
        DamagedRun: the file cannot be read.
    """
    crossed = read_crossed(run.folder / FILE)
    if crossed is None:
        return []
    parts = {name: np.isin(crossed.positions, rows) for name, rows in (groups or {}).items()}
    if crossed.about["reason"]:
        return list(_nothing(run, crossed.modalities, crossed.about["reason"], parts))
    positions = crossed.positions
    clean, target, unit = run.read(CLEAN).outputs[positions], run.samples.target[positions], w.unit[positions]
    if 2 * crossed.design.use.sum() < crossed.design.use.size:
        return list(_nothing(run, crossed.modalities, "the model answers less than half of the combinations", parts))
    metric = value_metric(run.task)
    large = {name: rows for name, rows in parts.items() if rows.sum() >= SMALLEST_GROUP}
    found = estimate_emaps(crossed.design, crossed.outputs, clean, target, run.task, metric, unit, large)
    rows = list(_emap(run, metric, found[""], metric.chance(run.task, target), w.take(positions)))
    anova = estimate_anova(crossed.design, crossed.outputs, run.task, unit)
    rows += _shares(crossed.modalities, anova, len(positions))
    for name, mine in parts.items():
        one = found[name] if name in large else _too_small(int(mine.sum()))
        rows += _emap(run, metric, one, metric.chance(run.task, target[mine]), w.take(positions[mine]), name)
    return rows


def _too_small(n: int) -> Emap:
    return Emap(n, reason=f"{n} of the samples that were combined are in this group; {SMALLEST_GROUP} are needed")


def about(run: Run) -> dict[str, Any] | None:
    """Return what is known of the combinations: passes, their share of n², why no more, half of the donors' interval.

    None where the run has none. See `mmaudit.reliance.combinations.Crossed.about`.
    """
    return read_about(run.folder / FILE)


def _emap(run: Run, metric: Metric, found: Emap, floor: float, w: Resamples, group: str = "") -> Iterator[Estimate]:
    unit, half = metric.unit_of(run.task), found.half_width
    if half <= ROUNDING:
        half = _unseen(metric, w)
    low, high = found.value - half, found.value + half
    yield Estimate(
        EMAP,
        (),
        group=group,
        n=found.n,
        value=found.value,
        low=float(np.clip(low, *metric.range)),
        high=float(np.clip(high, *metric.range)),
        null=floor,
        unit=unit,
        better=metric.better,
        reason=found.reason or _silent(half),
    )
    gap = found.whole - found.value
    if abs(gap) <= ROUNDING:
        gap = 0.0
    half, p = found.gap_half_width, float("nan")
    if found.additive or found.gap_error <= ROUNDING:
        # No sample seen makes a difference; that none of the population does is not said by that.
        half, p = _unseen(metric, w), 1.0
    else:
        p = _t_p(gap / found.gap_error, found.groups)
    about = Estimate(EMAP_GAP, (), group=group, n=found.n, unit=unit, reason=found.reason or _silent(half))
    most = metric.range[1] - metric.range[0]
    yield replace(about, value=gap, low=max(gap - half, -most), high=min(gap + half, most), p=p)


def _unseen(metric: Metric, w: Resamples) -> float:
    """How far a score may be from one that no sample leaves; NaN of a metric without ends, which nothing bounds."""
    width = metric.range[1] - metric.range[0]
    return exact_bound(w) * width if np.isfinite(width) else float("nan")


def _silent(half: float) -> str:
    return f"{NO_INTERVAL}{STILL}" if half != half else ""


def _t_p(t: float, groups: int) -> float:
    """Two-sided p of Student's t from so many groups."""
    return float(2 * scipy.special.stdtr(groups - 1, -abs(t)))


def _shares(names: Sequence[str], anova: Anova, n: int) -> Iterator[Estimate]:
    few = f"no interval: {anova.groups} independent samples, {FEWEST_GROUPS} are needed"
    apart = f"{len(names)} modalities have too many pairs to tell them apart within the budget"

    nan = float("nan")

    def row(blank: Estimate, value: float | None, error: float) -> Estimate:
        if value is None:
            return replace(blank, n=n, unit="share", reason=anova.reason or apart)
        half = t_quantile(anova.groups) * error
        reason = "" if half == half else few
        if half <= ROUNDING:
            half, reason = nan, f"{NO_INTERVAL}{STILL}"
        return replace(
            blank, n=n, unit="share", value=value, low=value - half, high=min(value + half, 1.0), reason=reason
        )

    for members in _members(len(names), anova):
        blank = Estimate(SHARE, tuple(names[m] for m in members))
        yield row(blank, anova.share.get(members), anova.error.get(members, nan))
    for order, label in _orders(len(names)):
        blank = Estimate(ORDER_SHARE, (), (("order", label),))
        yield row(blank, anova.order.get(order), anova.error.get((-order,), nan))


def _members(modalities: int, anova: Anova) -> list[tuple[int, ...]]:
    """Single modalities and pairs, whether they were told apart or not, and triples that were."""
    sets = [s for size in (1, 2) for s in combinations(range(modalities), size)]
    return sets + sorted(s for s in anova.share if len(s) > 2)


def _orders(modalities: int) -> list[tuple[int, str]]:
    return [(1, "1"), (2, "2"), (3, "3+")][: max(modalities, 1)]


def _nothing(run: Run, names: Sequence[str], reason: str, groups: Iterable[str]) -> Iterator[Estimate]:
    unit = value_metric(run.task).unit_of(run.task)
    for name in (EMAP, EMAP_GAP):
        yield Estimate(name, (), unit=unit, reason=reason)
    yield from _shares(names, Anova({}, {}, {}, 0, reason), 0)
    for group in groups:
        for name in (EMAP, EMAP_GAP):
            yield Estimate(name, (), group=group, unit=unit, reason=reason)
