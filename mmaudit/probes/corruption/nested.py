"""Choices that only grow with severity: what is hit at one severity is hit at every higher one."""

from __future__ import annotations

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.types import Array, BoolArray, FloatArray, IntArray


def require_share(name: str, severity: float, of: str) -> None:
    """Raise `BadInput` for what is no share of something: below 0, above 1, NaN."""
    if not 0 <= severity <= 1:
        wrong = "above 1" if severity > 1 else "not 0 or more"
        raise BadInput(f"{name}: severity {severity:g} is {wrong}; it is a share of {of}.")


def how_many(severity: float, places: int, rounding: FloatArray) -> IntArray:
    """Return `int64[n]`: severity·places, rounded up or down at random so that it is right on average.

    `rounding` is uniform in [0, 1), `float64[n]`. So a share of 0.3 means something for 2 places too.
    """
    return np.asarray(severity * places + rounding, np.int64)


def chosen(severity: float, u: FloatArray, rounding: FloatArray) -> BoolArray:
    """Return `bool[n, d]`: per row `how_many` of d places, those with the smallest `u`, `float64[n, d]`."""
    rank = np.argsort(np.argsort(u, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(rank < how_many(severity, u.shape[1], rounding)[:, None])


def swapped(severity: float, order: FloatArray, hit: FloatArray) -> IntArray:
    """Return `int64[n, d]`: where each of d places gets its value from when pairs of places exchange theirs.

    Each row pairs its places at random by `order`, uniform `float64[n, d]`; an odd one is left out. A pair exchanges
    where its entry of `hit`, uniform `float64[n, d // 2]`, is below severity.
    """
    shuffled = np.argsort(order, axis=1, kind="stable")
    pairs = hit.shape[1]
    one, other = shuffled[:, 0 : 2 * pairs : 2], shuffled[:, 1 : 2 * pairs : 2]
    exchange = hit < severity
    origin = np.broadcast_to(np.arange(order.shape[1]), order.shape).copy()
    np.put_along_axis(origin, one, np.where(exchange, other, one), axis=1)
    np.put_along_axis(origin, other, np.where(exchange, one, other), axis=1)
    return origin


def hit_and_sign(u: FloatArray, severity: float) -> tuple[BoolArray, Array]:
    """Return where a fresh uniform would lie below `severity`, and a sign ±1 independent of it, from one draw each.

    The half of [0, 1) in which `u` lies is the sign; its place within that half is uniform again.
    """
    upper = u >= 0.5
    return 2 * u - upper < severity, np.where(upper, np.float32(1), np.float32(-1))
