"""SynIB's PID-XOR: one source of the label per sample, unique, redundant or synergistic; who learns the rare synergy?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mmaudit.reference.base import Parts, Step, Tensors
from mmaudit.reference.loop import Budget, train
from mmaudit.reference.methods.synib_masks import LearnedMask
from mmaudit.reference.trained import Trial
from mmaudit.reproduce.base import Row, Settings, reproduction
from mmaudit.reproduce.xor_parts import MODALITIES, TASK, OwnRows, method_of, numbered, row

DIM, BLOCK, LATENT, SCALE = 32, 6, 4, 3.0
SOURCES = {"u1": 0.45, "u2": 0.0, "red": 0.45, "syn": 0.10}
SYN = list(SOURCES).index("syn")
SYNERGY = tuple(range(2 * BLOCK, 3 * BLOCK))
TRAINING, TEST, VALIDATION_SHARE = 2000, 4000, 0.1
EPOCHS, BATCH, FUSE = 30, 64, 128


def projections() -> list[Tensor]:
    """Matrices `[32, 4]` from latents to coordinates, of unique, redundant and synergy blocks, each for x0 and x1."""
    source = torch.Generator().manual_seed(999)
    return [torch.randn(DIM, LATENT, generator=source) * 0.5 for _ in range(6)]


def labels(rows: int) -> Tensor:
    """Fair coins `int64[rows]`, the same in all trials."""
    return torch.randint(2, (rows,), generator=torch.Generator().manual_seed(rows))


def samples(target: Tensor, seed: int, mixture: Sequence[float]) -> Tensors:
    """Rows of both modalities, before standardisation, and which source each has.

    Args:
        target: labels `int64[n]`.
        seed: of everything else.
        mixture: probabilities of the sources, in the order of `SOURCES`.

    Returns:
        `x0` and `x1` `[n, 32]`, and `source` `int64[n]`.
    """
    g = torch.Generator().manual_seed(seed)
    n = len(target)
    source = torch.multinomial(torch.tensor(mixture), n, replacement=True, generator=g)
    sign = (2 * target - 1).float()
    coin = (2 * torch.randint(2, (n,), generator=g) - 1).float()
    x = [torch.randn(n, DIM, generator=g) for _ in MODALITIES]
    matrices = projections()

    def put(which: int, block: int, rows: Tensor, latent: Tensor) -> None:
        columns = slice(block * BLOCK, (block + 1) * BLOCK)
        placed = latent @ matrices[2 * block + which][columns].T
        x[which][:, columns] = torch.where(rows[:, None], placed, x[which][:, columns])

    def latent(signs: Tensor) -> Tensor:
        return (torch.randn(n, LATENT, generator=g) * SCALE).abs() * signs[:, None]

    put(0, 0, source == 0, latent(sign))
    put(1, 0, source == 1, latent(sign))
    shared = latent(sign)
    put(0, 1, source == 2, shared)
    put(1, 1, source == 2, shared)
    put(0, 2, source == 3, latent(coin))
    put(1, 2, source == 3, latent(-coin * sign))  # b1 = b0 XOR y
    return {"x0": x[0], "x1": x[1], "source": source}


def world(training: int, test: int, seed: int) -> Tensors:
    """A trial's rows, standardised by its own training rows: inputs, and those and the sources of the test."""
    mixture = tuple(SOURCES.values())
    known = samples(labels(training), 2 * seed, mixture)
    unseen = samples(labels(test), 2 * seed + 1, mixture)
    out = {"synergistic": known["source"] == SYN, "test_synergistic": unseen["source"] == SYN}
    for m in MODALITIES:
        mean, deviation = known[m].mean(dim=0), known[m].std(dim=0) + 1e-7
        out[m] = (known[m] - mean) / deviation
        out[f"test_{m}"] = (unseen[m] - mean) / deviation
    return out


class PidXor(OwnRows):
    """The script's network: encoders of two layers (given), and three layers on their outputs side by side."""

    shapes: ClassVar = {m: (DIM,) for m in MODALITIES}
    block: ClassVar = {m: SYNERGY for m in MODALITIES}
    last = True

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        width = sum(parts.widths.values()) + len(parts.widths)
        self.head = nn.Sequential(
            nn.Linear(width, FUSE), nn.ReLU(), nn.Linear(FUSE, FUSE), nn.ReLU(), nn.Linear(FUSE, TASK.width)
        )

    def unimodal_head(self, width: int) -> nn.Module:
        """Two layers."""
        return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, TASK.width))

    def test_outputs(self) -> Tensor:
        """Logits `[test, 1]` of the trial's own test rows."""
        rows = {m: getattr(self, f"own_test_{m}") for m in MODALITIES}
        out: Tensor = self(rows, {m: torch.ones(len(x), dtype=torch.bool, device=x.device) for m, x in rows.items()})
        return out


class Vanilla(PidXor):
    """Concatenation."""

    masks = "none"
    pass


class Intact(PidXor):
    """The penalty on intact inputs."""

    masks = "none"


class Oracle(PidXor):
    """The synergy block is destroyed, in samples that have one; the others are penalised intact, as in the script."""

    masks = "oracle"

    def own(self, step: Step) -> Step:
        """Carries along which rows are synergistic."""
        flags = self.own_synergistic[step.inputs[MODALITIES[0]][:, 0].long()]
        return replace(super().own(step), draws={**step.draws, "synergistic": flags})

    def keep_gates(self, step: Step, values: Tensor, filling: Tensor, i: int, m: str) -> Tensor:
        """Everything but the block of those samples."""
        keep = super().keep_gates(step, values, filling, i, m)
        return torch.where(step.draws["synergistic"][:, None], keep, torch.ones_like(keep))


class Random(PidXor):
    """Half of the coordinates are destroyed."""


class Learned(PidXor):
    """What the gates keep is destroyed."""

    masks = "learned"
    gates = LearnedMask(steps=20, rate=0.1, start=1.0, hard=True, reading="rest", cosine=True)
