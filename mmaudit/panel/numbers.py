"""From replicates to the numbers of a row: interval, paired difference, p, and p adjusted over the panel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from mmaudit.comparison import NO_INTERVAL, NO_INTERVAL_OF_CHANGE, uncertain
from mmaudit.kernels.inference import benjamini_hochberg
from mmaudit.panel.answers import Paired
from mmaudit.panel.intervals import Draw, both, detectable, p_of, unseen_share
from mmaudit.panel.values import CLEAN, ECE, EVERYTHING, RIGHT, SYNERGY, VALUE, Row
from mmaudit.types import FloatArray

# Quantities whose value for one seed is the metric itself.
AS_MEASURED = (VALUE, ECE, RIGHT)


def filled(
    about: Row,
    values: FloatArray,
    audited: FloatArray | None,
    draws: Sequence[Draw],
    p: Paired,
    within: tuple[float, float] = (-np.inf, np.inf),
    size: float | None = None,
) -> Row:
    """Return the row with its numbers: value and interval, and for a method the paired difference.

    Args:
        about: what it is; an empty method is the audited model itself.
        values: `float64[1 + B]`.
        audited: the same of the audited model; None where no difference is taken.
        draws: the parts of the seeds.
        p: whose samples, and the reason why the number is undefined.
        within: legal values.
        size: by how much the value moves where every sample goes from one end of the metric's range to the other; the
            width of `within` without it. Infinite where that has no bound.
    """
    size = within[1] - within[0] if size is None else size
    many = len(p.seeds) if about.method else 0
    about = replace(about, n=p.n, seeds=many, reason=p.reason)
    if p.reason:
        return about
    if not np.isfinite(values[0]):
        return replace(about, reason="not defined on these samples")
    parts = draws if about.method else []
    low, high, why = around(values, parts, p, within, size)
    about = replace(about, reason=why and f"{NO_INTERVAL}{why}")
    between = float(np.std(p.seeds[:, 0], ddof=1)) if many > 1 and about.quantity in AS_MEASURED else float("nan")
    about = replace(about, value=float(values[0]), low=low, high=high, between=between)
    if not about.method or audited is None or not np.isfinite(audited[0]):
        return about
    delta = values - audited
    width = within[1] - within[0]
    low, high, why = around(delta, parts, p, (-width, width), size)
    return replace(
        about,
        delta=float(delta[0]),
        delta_low=low,
        delta_high=high,
        p=p_of(delta, parts, p.units),
        mde=detectable(delta, parts, unseen_share(delta, p.bound * size), p.units),
        reason=about.reason or (why and f"{NO_INTERVAL_OF_CHANGE}{why}"),
    )


def around(
    values: FloatArray, draws: Sequence[Draw], p: Paired, within: tuple[float, float], size: float
) -> tuple[float, float, str]:
    """Return the 95 % interval for samples and seeds, and why there is none, as `mmaudit.comparison.around` does."""
    unseen = unseen_share(values, p.bound * size)
    if not unseen and (why := uncertain(values, p.units)):
        return float("nan"), float("nan"), why
    return *both(values, draws, within, unseen, p.units), ""


def adjusted(rows: Iterable[Row]) -> list[Row]:
    """Add adjusted p values: per quantity over all methods, conditions apart from clean data, groups and the rest."""
    out = list(rows)
    families: dict[tuple[str, bool], list[int]] = {}
    for i, row in enumerate(out):
        if row.p == row.p:
            families.setdefault((row.quantity, _is_condition(row.place)), []).append(i)
    for members in families.values():
        for i, p in zip(members, benjamini_hochberg(np.array([out[i].p for i in members])), strict=True):
            out[i] = replace(out[i], p_adjusted=float(p))
    return out


def _is_condition(place: str) -> bool:
    return place not in (CLEAN, EVERYTHING, SYNERGY) and "[" not in place
