"""A budget: how much an audit may ask of a model. Passes go where the intervals are widest."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.formats import count, duration
from mmaudit.types import IntArray

FEWEST = 32
"""Samples, or whole clusters, that every condition gets before anything is known of it; no budget may go below."""

MOST_SECONDS = 1e15
"""More is no time, and no float."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Budget:
    """Most that may be spent; where both are given, whichever ends first.

    Attributes:
        forwards: answers of the model: samples × conditions, over the life of the run folder.
        seconds: time of answering, over the life of the run folder; scoring and report come on top.
    """

    forwards: int | None = None
    seconds: float | None = None

    @classmethod
    def given(cls, time: str | float | None, forwards: int | None) -> Budget | None:
        """Read what a user gave; None where there is no budget.

        Args:
            time: text with a unit, such as "90s", "10m", "1.5h" or "2d", or seconds.
            forwards: a whole number.

        Raises:
            BadInput: for anything else.
        """
        if forwards is not None and (
            isinstance(forwards, bool) or not isinstance(forwards, int | np.integer) or forwards < 1
        ):
            raise BadInput(f"forwards={forwards!r} is not usable; give a whole number of at least 1.")
        seconds = None if time is None else _seconds(time)
        return (
            None if forwards is None and seconds is None else cls(None if forwards is None else int(forwards), seconds)
        )

    @property
    def said(self) -> str:
        """In words: `50 000 answers`, `10 min`, or both."""
        answers = [f"{count(self.forwards)} answers"] if self.forwards else []
        return " or ".join([*answers, *([duration(self.seconds)] if self.seconds else [])])

    def to_json(self, rounds: Sequence[float] = ()) -> dict[str, Any]:
        """Return plain values, as run.json holds them; `rounds` are the seconds that each round took."""
        return {"forwards": self.forwards, "seconds": self.seconds, "rounds": list(rounds)}


def _seconds(time: str | float) -> float:
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])\s*", time, re.ASCII) if isinstance(time, str) else None
    seconds = float(found[1]) * _UNITS[found[2]] if found else time
    if isinstance(seconds, bool | str) or not isinstance(seconds, int | float) or not 0 < seconds < MOST_SECONDS:
        raise BadInput(f"budget={time!r} is not usable; give a time above 0 with its unit: 90s, 10m, 1.5h or 2d.")
    return float(seconds)


def steps(n: int, ends: IntArray | None = None) -> list[int]:
    """Return the numbers of samples that a condition may have: 32, 40, 51, 64, 81, … (thirds of a doubling) and n.

    A coarse grid: it keeps the files of a run few, and their passes full.

    Args:
        n: samples, at least 1.
        ends: numbers of samples at which a cluster ends, ascending, where clusters have to stay whole; then the grid
            counts clusters, for they are what an interval rests on.
    """
    units = np.arange(1, n + 1) if ends is None else ends
    grid = [round(FEWEST * 2 ** (i / 3)) for i in range(3 * 60)]
    return sorted({*(int(units[k - 1]) for k in grid if k < len(units)), n})


def raised(
    units: Sequence[Sequence[int]],
    counts: Sequence[int],
    widths: Sequence[float],
    grid: Sequence[int],
    answers: int,
    powers: Sequence[float] | None = None,
) -> list[int]:
    """Return samples per condition after spending further answers, each time on the widest interval.

    An interval is taken to narrow as n^−power. Whatever is raised, the first condition (clean)
    has at least as many samples as any other, since all are compared with it. Of a unit whose conditions have different
    numbers (a larger suite joined the run) those with fewer catch up first.

    Args:
        units: places of the conditions that share their samples, in the plan; those of clean, (0,), first.
        counts: samples of each condition, at least 1.
        widths: of the interval of each unit, in one unit of measurement; NaN where it is not known yet, which counts
            as the widest that is. Of equal ones the unit with the fewest samples goes first.
        grid: of `steps`.
        answers: most that may be spent.
        powers: of each unit: 1 for an exact bound, where nothing was seen to change, else ½; all ½ without it.
    """
    power = powers or [0.5] * len(units)
    known = [w for w in widths if math.isfinite(w)]
    width = [w if math.isfinite(w) else max(known, default=1.0) for w in widths]
    first = [min(counts[i] for i in places) for places in units]
    now = list(first)
    queue = [(-w, now[u], u) for u, w in enumerate(width)]
    heapq.heapify(queue)
    while queue:
        _, seen, u = heapq.heappop(queue)
        if seen == now[u]:
            step = next((k for k in grid if k > now[u]), None)
            if step is None:
                continue
            cost = sum(max(step - max(counts[i], now[u]), 0) for i in units[u]) + (max(step - now[0], 0) if u else 0)
            if cost > answers:
                continue
            answers -= cost
            now[u], now[0] = step, max(now[0], step)
        # Clean may have been raised meanwhile along with another.
        heapq.heappush(queue, (-width[u] * (first[u] / now[u]) ** power[u], now[u], u))
    after = list(counts)
    for places, samples in zip(units, now, strict=True):
        for i in places:
            after[i] = max(counts[i], samples)
    return after
