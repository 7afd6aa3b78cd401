"""What a training ends with: one method, several trials, each at its best epoch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from mmaudit.reference.base import Method, Parts, Reference, Tensors


@dataclass(frozen=True)
class Trial:
    """One training of a method: a seed, and the hyper-parameters that differ from the method's defaults."""

    seed: int
    hyper: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Trained:
    """A method trained in several trials.

    Attributes:
        method, parts: what was built.
        trials: seeds and complete hyper-parameters.
        module: its structure; the values of its parameters are nobody's.
        parameters, buffers: `[trials, …]` by name, of each trial's best epoch.
        outcomes: per trial, empty or why it failed. One that failed after a good epoch keeps that epoch.
        best_epoch: 0-based; −1 for a trial that never had a finite validation.
        validation: mean goodness on the validation rows at the best epoch; higher is better.
        history: per epoch, each trial's mean training loss and validation.
        seconds: spent on all trials together.
        note: what happened on the way that a reader should know; mostly empty.
    """

    method: Method
    parts: Parts
    trials: Sequence[Trial]
    module: Reference
    parameters: Tensors
    buffers: Tensors
    outcomes: list[str]
    best_epoch: list[int]
    validation: list[float]
    history: list[dict[str, list[float]]]
    seconds: float
    note: str = ""

    @property
    def usable(self) -> list[int]:
        """Places of the trials that did not fail."""
        return [i for i, reason in enumerate(self.outcomes) if not reason]

    @property
    def size(self) -> int:
        """Trained numbers of one trial."""
        return sum(p[0].numel() for p in self.parameters.values())

    def outputs(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return `[trials, n, k]`: what every trial answers to these rows."""
        found: Tensor = self.call("forward", inputs, present)
        return found

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a method of the module, the same arguments for every trial; tensors come back with trials first."""

        def one(parameters: Tensors, buffers: Tensors) -> Any:
            tensors = {f"module.{k}": t for k, t in {**parameters, **buffers}.items()}
            return functional_call(_Calling(self.module, name), tensors, arguments)

        with torch.no_grad():
            return vmap(one)(self.parameters, self.buffers)

    def loaded(self, place: int) -> Reference:
        """Return one trial's module with its own parameters, in evaluation mode; it shares no memory with others."""
        module = copy.deepcopy(self.module).eval()
        with torch.no_grad():
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                tensor.copy_((self.parameters.get(name, self.buffers.get(name)))[place])  # type: ignore[index]
        return module.requires_grad_(False)

    def one(self, place: int) -> Trained:
        """The same with one trial only."""
        return Trained(
            method=self.method,
            parts=self.parts,
            trials=[self.trials[place]],
            module=self.module,
            parameters={k: p[place : place + 1] for k, p in self.parameters.items()},
            buffers={k: b[place : place + 1] for k, b in self.buffers.items()},
            outcomes=[self.outcomes[place]],
            best_epoch=[self.best_epoch[place]],
            validation=[self.validation[place]],
            history=[{k: [v[place]] for k, v in epoch.items()} for epoch in self.history],
            seconds=self.seconds / len(self.trials),
            note=self.note,
        )


class _Calling(torch.nn.Module):
    def __init__(self, module: Reference, name: str) -> None:
        super().__init__()
        self.module = module
        self.name = name

    def forward(self, *arguments: Any) -> Any:
        return getattr(self.module, self.name)(*arguments)
