"""Rows, a step of one trial and variants of a class, for tests of SynIB."""

import torch
from torch import nn

from mmaudit.reference.base import Parts, Step
from mmaudit.reference.draws import steps
from mmaudit.reference.loop import Table
from mmaudit.types import Task

WIDTHS = {"image": 6, "text": 4, "sound": 3}
NAMES = ("synib", "synib_learned", "synib_gaussian", "synib_anchor", "synib_full", "masking_only")
CLASSES = Task.classification(3)


def parts(task=CLASSES, modalities=tuple(WIDTHS)):
    return Parts(modalities, dict.fromkeys(modalities, nn.Identity), WIDTHS, task)


def rows(n, task=CLASSES, missing=0.3, seed=0, modalities=tuple(WIDTHS)):
    g = torch.Generator().manual_seed(seed)
    present = {m: torch.rand(n, generator=g) >= missing for m in modalities}
    inputs = {m: torch.randn(n, WIDTHS[m], generator=g) * present[m][:, None] for m in modalities}
    if task.kind == "regression":
        return Table(inputs, present, torch.randn(n, task.width, generator=g))
    if task.kind == "multilabel":
        return Table(inputs, present, torch.randint(2, (n, task.width), generator=g))
    return Table(inputs, present, torch.randint(task.width, (n,), generator=g))


def a_step(module, table, hyper=None, seed=0, epoch=0.0):
    drawn = next(iter(steps([seed], 0, 1, module.draws(len(table)))))
    known = {name: h.default for name, h in type(module).hyper.items()} | (hyper or {})
    return Step(
        table.inputs,
        table.present,
        table.target,
        {k: d[0] for k, d in drawn.items()},
        {k: torch.tensor(v) for k, v in known.items()},
        module.initial_state(),
        torch.tensor(epoch),
        10.0,
    )


def variant(base, **options):
    return type("Variant", (base,), options)
