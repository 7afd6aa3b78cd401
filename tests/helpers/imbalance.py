"""A planted imbalance for the balancing methods, models to train on it, and steps made by hand."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from mmaudit.reference.base import COMMON, Method, Parts, Step, references
from mmaudit.reference.loop import Budget, Table, train
from mmaudit.reference.methods.balancing import Balanced
from mmaudit.reference.trained import Trained, Trial
from mmaudit.types import Task

WIDE = 8
SEEDS = (0, 1, 2)


class Plain(Balanced):
    """The same model, trained by the task's loss alone."""


PLAIN = Method("plain", "Plain", "the control of these tests", ("classification",), 2, Plain, COMMON)


def planted(rows: int, seed: int) -> Table:
    """Two classes. `easy` tells them by its first number; `slow` by whether its first two have the same sign."""
    source = torch.Generator().manual_seed(seed)
    target = torch.randint(2, (rows,), generator=source)
    sign = 2.0 * target - 1
    easy, slow = torch.randn(2, rows, WIDE, generator=source)
    easy[:, 0] += 3 * sign
    one = torch.where(torch.rand(rows, generator=source) < 0.5, 1.0, -1.0)
    slow[:, 0] = one + 0.3 * slow[:, 0]
    slow[:, 1] = one * sign + 0.3 * slow[:, 1]
    here = torch.ones(rows, dtype=torch.bool)
    return Table({"easy": easy, "slow": slow}, {"easy": here, "slow": here.clone()}, target)


def parts(modalities: int = 2, task: Task | None = None, width: int = 4, inputs: int = WIDE) -> Parts:
    """Parts with linear encoders from `inputs` numbers to `width` features; named easy and slow where they are two."""
    names = ("easy", "slow") if modalities == 2 else tuple(f"m{i}" for i in range(modalities))
    encoder = partial(nn.Linear, inputs, width)
    return Parts(names, dict.fromkeys(names, encoder), dict.fromkeys(names, width), task or Task.classification(2))


def step(
    made: Parts, target: torch.Tensor, method: str, seed: int = 0, absent: float = 0.0, epoch: float = 0.0
) -> Step:
    """One mini-batch of noise for a method, with a share of absent inputs; hyper-parameters at their defaults."""
    source = torch.Generator().manual_seed(seed)
    rows = len(target)
    present = {m: torch.rand(rows, generator=source) >= absent for m in made.modalities}
    inputs = {m: torch.randn(rows, WIDE, generator=source) * present[m][:, None] for m in made.modalities}
    chosen = references.get(method)
    module = chosen.make(made)
    kinds = {"uniform": torch.rand, "normal": torch.randn}
    draws = {name: kinds[d.kind](d.shape, generator=source) for name, d in module.draws(rows).items()}
    hyper = {name: torch.tensor(h.default) for name, h in chosen.hyper.items()}
    return Step(inputs, present, target, draws, hyper, module.initial_state(), torch.tensor(epoch), 10.0)


def trained(
    method: Method,
    seeds: tuple[int, ...] = (0, 1, 2),
    rows: int = 1024,
    epochs: int = 12,
    clip: float = 1.0,
    **hyper: float,
):
    """Train on the planted imbalance at one learning rate and without early stop."""
    trials = [Trial(seed, {"lr": 2e-3, **hyper}) for seed in seeds]
    budget = Budget(epochs=epochs, batch=64, patience=0, clip=clip)
    return train(method, parts(width=32), planted(rows, 1), planted(256, 2), trials, budget)


def accuracy_alone(found: Trained, rows: int = 2000) -> torch.Tensor:
    """How often each modality by itself is right on new rows, `[trials, modalities]`."""
    test = planted(rows, 3)
    alone = found.call("alone", test.inputs, test.present)
    return (alone.argmax(dim=-1) == test.target).float().mean(dim=-1)
