"""What the two XOR reproductions of SynIB share: a data set per trial, the last epoch, and how rows are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite, nan, sqrt
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mmaudit.reference.base import Hyper, Method, Parts, Step, Tensors
from mmaudit.reference.loop import Table
from mmaudit.reference.methods.synib import SynIB
from mmaudit.reproduce.base import Row, Settings, over_seeds
from mmaudit.types import Task

MODALITIES = ("x0", "x1")
TASK = Task.multilabel(1)  # one logit and binary cross-entropy, as in the authors' scripts

World = Callable[[int], Tensors]


class OwnRows(SynIB):
    """SynIB on a data set of each trial's own.

    The loop trains all trials on one table. Here that table holds row numbers and the labels, which all trials share;
    each trial looks its inputs up in tensors of its own, drawn from its seed. A reproduction's error bars thus include
    the draw of the data, as the source's do. Answers take inputs as they are.

    Attributes:
        world: returns, for a seed, the inputs `[rows, d]` by modality, and whatever else is to be kept as a buffer.
        last: whether the last epoch counts, as in the source, rather than the one with the best validation.
    """

    world: ClassVar[World]
    last: ClassVar[bool] = False
    level = "input"
    fill = "standard"
    hyper: ClassVar[Mapping[str, Hyper]] = {
        "lr": Hyper(3e-4),
        "weight_decay": Hyper(1e-5),
        "kl_weight": Hyper(10.0),
        "mask_probability": Hyper(0.5),
        "mask_sparsity": Hyper(1.0),
        "unimodal_weight": Hyper(1.0),
    }

    def __init__(self, parts: Parts) -> None:
        seed = torch.initial_seed()  # `loop.build` seeds the generator with the trial's seed before it calls us
        super().__init__(parts)
        for name, rows in type(self).world(seed).items():
            self.register_buffer(f"own_{name}", rows)
        if self.last:
            self.clock = nn.Parameter(torch.zeros(1))

    def validation_outputs(self, first: int) -> Tensor:
        """Logits `[n, 1]` of the trial's own rows from `first` on."""
        return self.of_own({m: getattr(self, f"own_{m}")[first:] for m in MODALITIES})

    def of_own(self, rows: Tensors) -> Tensor:
        """Logits `[n, 1]` of rows in which nothing is missing."""
        out: Tensor = self(rows, everything(rows))
        return out

    def looked_up(self, numbers: Mapping[str, Tensor]) -> Tensors:
        """Inputs of rows by number."""
        return {m: getattr(self, f"own_{m}")[numbers[m][:, 0].long()] for m in MODALITIES}

    def loss(self, step: Step) -> Tensor:
        """SynIB's, on the trial's own rows."""
        return super().loss(self.own(step))

    def own(self, step: Step) -> Step:
        """The step with the trial's own inputs instead of row numbers."""
        return replace(step, inputs=self.looked_up(step.inputs))

    def goodness(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Of the trial's own rows; where the last epoch counts, the number of steps taken, so that later is better."""
        if self.last:
            return self.clock.expand(len(target))
        return super().goodness(self.looked_up(inputs), present, target)

    def after_gradients(self, gradients: Tensors, step: Step) -> Tensors:
        """Adam moves a parameter of constant gradient by one learning rate per step: a clock."""
        return {k: -torch.ones_like(g) if k == "clock" else g for k, g in gradients.items()}

    def decays(self, name: str) -> bool:
        """A clock does not."""
        return name != "clock"


def method_on(arm: type[OwnRows], world: World, last: bool) -> Method:
    """An unregistered method for the loop: an arm on data sets made by `world`."""
    cls = type(arm.__name__, (arm,), {"world": staticmethod(world), "last": last, "__doc__": arm.__doc__})
    return Method(arm.__name__, arm.__name__, "SynIB's scripts", ("multilabel",), 2, cls, arm.hyper)


def seeds_of(settings: Settings) -> range:
    """At least five seeds at full size; two when quick."""
    return range(2 if settings.quick else max(5, settings.seeds))


def numbered(first: int, target: Tensor) -> Table:
    """The table of rows `first`, `first + 1`, … with these labels `[n]`."""
    n = len(target)
    numbers = torch.arange(first, first + n, dtype=torch.float32)[:, None]
    here = torch.ones(n, dtype=torch.bool)
    return Table(dict.fromkeys(MODALITIES, numbers), dict.fromkeys(MODALITIES, here), target[:, None])


def everything(inputs: Tensors) -> Tensors:
    """Nothing is missing."""
    return {m: torch.ones(len(x), dtype=torch.bool, device=x.device) for m, x in inputs.items()}


def row(
    setting: str,
    method: str,
    values: Sequence[float],
    reported: float = nan,
    error: float = nan,
    origin: str = "",
    note: str = "",
) -> Row:
    """A row, and whether it agrees with what was reported.

    It does if the two means differ by at most three standard errors of their difference, or by 0.02. Where the source
    gives no standard error (`error`), ours is taken for it, scaled to three seeds.
    """
    mean, low, high = over_seeds(values)
    agrees = None
    if isfinite(reported):
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        theirs = error if isfinite(error) else deviation / sqrt(3)
        allowed = max(0.02, 3 * sqrt(deviation**2 / len(values) + theirs**2))
        agrees = abs(mean - reported) <= allowed
    return Row(
        setting, method, mean, low, high, len(values), reported, origin if agrees is not None else "", agrees, note
    )
