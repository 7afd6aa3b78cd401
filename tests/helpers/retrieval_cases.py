"""Retrieval by brute force, a bank in memory, and small data sets and models of which the right answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmaudit import ArrayData, RetrievalModel, Task
from mmaudit.types import Array, BoolArray, IntArray


class InMemory:
    """Features of all samples, as `mmaudit.retrieval.rank.Features` asks for; notes the most rows read at once."""

    def __init__(self, rows: Array, usable: BoolArray | None = None) -> None:
        self.rows = np.asarray(rows, np.float32)
        self.usable = np.ones(len(rows), np.bool_) if usable is None else usable
        self.most = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape[1:]

    def read(self, positions: IntArray) -> Array:
        self.most = max(self.most, len(positions))
        return self.rows[positions]


def by_hand(
    scores: Array, identity: Array, candidates: list[Array], usable: BoolArray | None = None
) -> list[tuple[float, ...] | None]:
    """Each query's answer row from the whole matrix of scores, one query at a time; None where it has none."""
    out: list[tuple[float, ...] | None] = []
    for i, mine in enumerate(candidates):
        there = [j for j in mine if usable is None or usable[j]]
        right = [scores[i, j] for j in there if identity[j] == identity[i]]
        wrong = [scores[i, j] for j in there if identity[j] != identity[i]]
        if not right:
            out.append(None)
            continue
        best = max(right)
        every = np.array([scores[i, j] for j in there], np.float64)
        total = np.log(np.exp(every - every.max()).sum()) + every.max()
        out.append(
            (
                float(sum(s > best for s in wrong)),
                float(sum(s == best for s in wrong)),
                float(sum(s == best for s in right)),
                float(min(j for j in there if scores[i, j] == every.max())),
                float(np.log(np.exp(np.array(right, np.float64) - total).sum())),
                float(every.max() - total),
            )
        )
    return out


def pairs(n: int = 300, width: int = 8, noise: float = 0.5, seed: int = 0, **more: Any) -> ArrayData:
    """Samples whose `left` and `right`, float32 [width] each, are two noisy views of one vector."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, width))
    inputs = {m: (shared + noise * rng.normal(size=(n, width))).astype(np.float32) for m in ("left", "right")}
    kinds = {"left": "embedding", "right": "embedding"}
    task = more.pop("task", Task.retrieval("left", "right"))
    return ArrayData(inputs, more.pop("target", None), task, kinds=kinds, **more)


def triples(n: int = 200, width: int = 16, seed: int = 0, **more: Any) -> ArrayData:
    """Signs `a`, `b`, `c` with c = a · b per dimension (XOR): each pair is independent, all three are not."""
    rng = np.random.default_rng(seed)
    a, b = (rng.choice([-1.0, 1.0], size=(n, width)).astype(np.float32) for _ in range(2))
    kinds = dict.fromkeys("abc", "embedding")
    return ArrayData({"a": a, "b": b, "c": a * b}, None, Task.retrieval(("a", "b"), "c"), kinds=kinds, **more)


def as_is(values: Array) -> Array:
    return values


def dual(**more: Any) -> RetrievalModel:
    return RetrievalModel({"left": as_is, "right": as_is}, **{"score": "dot", **more})


def triple(score: Any = "mip", **more: Any) -> RetrievalModel:
    return RetrievalModel(dict.fromkeys("abc", as_is), score, **more)
