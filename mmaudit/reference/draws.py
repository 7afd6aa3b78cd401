"""Random numbers of a training: each trial has its own, whatever else is trained beside it and on whichever device."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from math import prod

import torch
from torch import Tensor

from mmaudit.reference.base import Draw

AT_ONCE = 2**22  # numbers of one trial drawn together


def generator(*key: int | str) -> torch.Generator:
    """A generator on the CPU that depends on `key` alone."""
    number = int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1
    return torch.Generator().manual_seed(number)


def orders(seeds: Sequence[int], epoch: int, rows: int) -> Tensor:
    """Return `int64[trials, rows]`: the order in which each trial reads the training rows in an epoch."""
    return torch.stack([torch.randperm(rows, generator=generator(seed, epoch, "order")) for seed in seeds])


def steps(seeds: Sequence[int], epoch: int, count: int, wanted: Mapping[str, Draw]) -> Iterator[dict[str, Tensor]]:
    """Yield one step's draws after the other, `[trials, …]` by name, for `count` steps of an epoch."""
    if not wanted:
        yield from ({} for _ in range(count))
        return
    together = max(1, AT_ONCE // max(1, sum(prod(d.shape) for d in wanted.values())))
    for first in range(0, count, together):
        size = min(together, count - first)
        block = {
            name: torch.stack([_draw(draw, size, generator(seed, epoch, first, name)) for seed in seeds], dim=1)
            for name, draw in wanted.items()
        }
        for i in range(size):
            yield {name: numbers[i] for name, numbers in block.items()}


def _draw(draw: Draw, count: int, source: torch.Generator) -> Tensor:
    shape = (count, *draw.shape)
    if draw.kind == "uniform":
        return torch.rand(shape, generator=source)
    if draw.kind == "normal":
        return torch.randn(shape, generator=source)
    if draw.kind == "integers":
        return torch.randint(draw.high, shape, generator=source)
    return torch.rand(count, draw.shape[0], generator=source).argsort(dim=1)
