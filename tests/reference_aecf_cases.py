"""Small modules, inputs and steps for the tests of AECF."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import mmaudit.reference.methods  # noqa: F401  registers the methods
from mmaudit.reference.base import Method, Parts, Reference, Step, references
from mmaudit.reference.loop import build
from mmaudit.types import Task

VARIANTS = ("aecf", "aecf_paper", "aecf_repository", "aecf_release")
ROWS, WIDTH = 8, 6
CLASSES = Task.classification(4)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Steps are too small to share: with other work on the machine, threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def parts(task: Task = CLASSES, modalities: str = "abc", width: int = WIDTH) -> Parts:
    names = tuple(modalities)
    return Parts(names, dict.fromkeys(names, nn.Identity), dict.fromkeys(names, width), task)


def module(name: str | Method, seed: int = 0, task: Task = CLASSES) -> Reference:
    return build(references.get(name) if isinstance(name, str) else name, parts(task), seed)


def inputs(seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    numbers = torch.Generator().manual_seed(seed)
    return (
        {m: torch.randn(ROWS, WIDTH, generator=numbers) for m in "abc"},
        {m: torch.ones(ROWS, dtype=torch.bool) for m in "abc"},
    )


def step(
    name: str | Method,
    *,
    padded: bool = False,
    nothing: bool = False,
    mask: Tensor | float | None = None,
    epoch: float = 20.0,
    epochs: float = 40.0,
    task: Task = CLASSES,
    **hyper: float,
) -> Step:
    """A step with the method's own hyper-parameters and draws, at an epoch where every schedule is at its full height.

    Args:
        name: of the method, or the method.
        padded: whether modality b is missing from half of the rows.
        nothing: whether one row has no modality.
        mask: the draws that decide who is masked; 0 masks all that can be, numbers near 1 mask nothing.
        epoch, epochs: where training is.
        task: what the target is of.
        **hyper: that differ from the defaults.
    """
    method = references.get(name) if isinstance(name, str) else name
    x, present = inputs()
    if padded:
        present["b"][::2] = False
    if nothing:
        for m in present:
            present[m][0] = False
    x = {m: v * present[m][:, None] for m, v in x.items()}
    found = module(method, task=task)
    numbers = torch.Generator().manual_seed(7)
    draws = {k: torch.rand(d.shape, generator=numbers) for k, d in found.draws(ROWS).items()}
    if mask is not None:
        draws["mask"] = mask if isinstance(mask, Tensor) else torch.full((ROWS, 3), float(mask))
    target = torch.arange(ROWS) % 4
    if task.kind == "multilabel":
        target = (torch.rand(ROWS, task.width, generator=numbers) > 0.5).float()
    if task.kind == "regression":
        target = torch.randn(ROWS, task.width, generator=numbers)
    values = {k: torch.tensor(h.default) for k, h in method.hyper.items()} | {
        k: torch.tensor(v) for k, v in hyper.items()
    }
    return Step(x, present, target, draws, values, found.initial_state(), torch.tensor(epoch), epochs)
