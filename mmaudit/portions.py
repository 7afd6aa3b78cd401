"""Portions of a run: some conditions, and the samples that they are measured on.

An audit without a budget has one portion per increment: all its conditions on every sample. One with a budget measures
each condition on the first so many samples of a random order that all of them share: whatever two conditions have in
common is paired, and the samples of the one with fewer are among those of the one with more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, overload

import numpy as np

from mmaudit.types import Array, Condition, IntArray, digest


@dataclass(frozen=True)
class Portion:
    """Conditions and samples: every condition is measured on each of the samples.

    Attributes:
        conditions: in the order of the plan.
        places: their positions in the plan.
        samples: first and end of a range of the run's random order; None: all samples, in the order of the data.
    """

    conditions: tuple[Condition, ...]
    places: tuple[int, ...]
    samples: tuple[int, int] | None = None

    @cached_property
    def digest(self) -> str:
        """What tells its files from those of others: 8 hex digits."""
        keys = [c.key for c in self.conditions]
        return digest([*keys, f"{self.samples[0]}:{self.samples[1]}"] if self.samples else keys)[:8]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as run.json holds them."""
        return {"conditions": list(self.places), "samples": list(self.samples) if self.samples else None}


def portions_of(header: Mapping[str, Any], increments: Sequence[Sequence[Condition]]) -> list[Portion]:
    """The portions that a header names; without any, each increment is one."""
    if "portions" not in header:
        ends = np.cumsum([0, *map(len, increments)]).tolist()
        return [
            Portion(tuple(part), tuple(range(start, end)))
            for part, (start, end) in zip(increments, pairwise(ends), strict=True)
        ]
    plan = [c for part in increments for c in part]
    return [
        Portion(
            tuple(plan[i] for i in p["conditions"]),
            tuple(p["conditions"]),
            (p["samples"][0], p["samples"][1]) if p["samples"] else None,
        )
        for p in header["portions"]
    ]


def grown(conditions: Sequence[Condition], before: Sequence[int], after: Sequence[int], n: int) -> list[Portion]:
    """Return the portions that take every condition from so many of n samples to as many or more.

    Args:
        conditions: the plan.
        before, after: samples under each of them, in the run's random order.
        n: samples in all.
    """
    found: list[Portion] = []
    for low, high in pairwise(sorted({*before, *after})):
        places = tuple(i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a <= low and high <= b)
        if not places:
            continue
        last = found[-1] if found else None
        if last and last.samples and last.places == places and last.samples[1] == low:
            found[-1] = Portion(last.conditions, places, (last.samples[0], high))
        else:
            found.append(Portion(tuple(conditions[i] for i in places), places, (low, high)))
    # Everything in one go is what an audit without a budget does.
    return [Portion(p.conditions, p.places) if p.samples == (0, n) else p for p in found]


def random_order(ids: Array, cluster: Array | None) -> IntArray:
    """Return `int64[n]`: positions of all samples in an order that their ids alone decide, clusters whole."""
    from mmaudit.randomness import id_keys, stream_key, uniforms  # with it comes numba, which no gate waits for

    own = uniforms(stream_key("budget", ""), id_keys(ids))
    if cluster is None:
        return np.argsort(own, kind="stable")
    values, place = np.unique(cluster.astype(str), return_inverse=True)
    return np.lexsort((own, place.reshape(-1), uniforms(stream_key("budget", "cluster"), id_keys(values))[place]))


class ShardPositions(Sequence[IntArray]):
    """Positions of the samples of each shard, `int64[rows]`, made when they are asked for.

    Args:
        n: samples.
        rows: of a shard; the last may have fewer.
        positions: `int64[n]`, ascending; None: 0 to n − 1.
    """

    def __init__(self, n: int, rows: int, positions: IntArray | None = None) -> None:
        self._n, self._rows, self._positions = n, rows, positions

    def __len__(self) -> int:
        return -(-self._n // self._rows)

    @overload
    def __getitem__(self, shard: int) -> IntArray: ...
    @overload
    def __getitem__(self, shard: slice) -> list[IntArray]: ...
    def __getitem__(self, shard: int | slice) -> IntArray | list[IntArray]:
        if isinstance(shard, slice):
            return [self[i] for i in range(*shard.indices(len(self)))]
        start = range(len(self))[shard] * self._rows
        end = min(start + self._rows, self._n)
        return np.arange(start, end) if self._positions is None else self._positions[start:end]

    def size(self, shard: int) -> int:
        """Samples of a shard."""
        return min(self._rows, self._n - shard * self._rows)
