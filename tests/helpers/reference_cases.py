"""Small tables that reference methods can be trained on in a second."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from mmaudit.reference.base import Parts
from mmaudit.reference.loop import Table
from mmaudit.types import Task

WIDTH = 6


def parts(task: Task, modalities: tuple[str, ...] = ("a", "b"), target: str | None = None, width: int = WIDTH) -> Parts:
    """Linear encoders from 5 numbers to `width`."""
    return Parts(
        modalities,
        {m: partial(nn.Linear, 5, width) for m in modalities},
        dict.fromkeys(modalities, width),
        task,
        target,
    )


def table(
    task: Task, modalities: tuple[str, ...] = ("a", "b"), n: int = 96, seed: int = 0, missing: float = 0.2
) -> Table:
    """Rows whose first modality says much and whose last says a little; some of each are missing."""
    source = torch.Generator().manual_seed(seed)
    inputs = {m: torch.randn(n, 5, generator=source) for m in modalities}
    score = inputs[modalities[0]][:, 0] + 0.5 * inputs[modalities[-1]][:, 1]
    present = {m: torch.rand(n, generator=source) >= missing for m in modalities}
    inputs = {m: x * present[m][:, None] for m, x in inputs.items()}
    return Table(inputs, present, target_of(task, score))


def target_of(task: Task, score: Tensor) -> Tensor:
    """A target of the task's kind that follows from a score."""
    if task.kind == "classification":
        edges = torch.linspace(-1, 1, task.width + 1)[1:-1]
        return torch.bucketize(score, edges)
    if task.kind == "multilabel":
        return torch.stack([score > 0.3 * k for k in range(task.width)], dim=1).to(torch.int8)
    if task.kind == "regression":
        return torch.stack([score + k for k in range(task.width)], dim=1)
    return torch.arange(len(score))
