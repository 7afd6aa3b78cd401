"""AdamW on stacked parameters: one learning rate, weight decay and gradient norm per trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Tensors = dict[str, Tensor]


@dataclass
class AdamW:
    """Decoupled weight decay (Loshchilov & Hutter 2019), every tensor with the trials as its first axis.

    Where all trials have the same settings this is `torch.optim.AdamW` trial by trial, to rounding.

    Attributes:
        first, second: moments, by parameter.
        steps: taken so far.
        betas, eps: of Adam.
    """

    first: Tensors
    second: Tensors
    steps: int = 0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    @classmethod
    def of(cls, parameters: Mapping[str, Tensor], betas: tuple[float, float] = (0.9, 0.999)) -> AdamW:
        """Moments of zero for these parameters."""
        return cls(
            {k: torch.zeros_like(p) for k, p in parameters.items()},
            {k: torch.zeros_like(p) for k, p in parameters.items()},
            betas=betas,
        )

    def step(
        self,
        parameters: Tensors,
        gradients: Mapping[str, Tensor],
        rates: Mapping[str, Tensor],
        decays: Mapping[str, Tensor],
    ) -> None:
        """Change parameters in place.

        Args:
            parameters, gradients: `[trials, …]` by name.
            rates, decays: `[trials]` by name; a rate of 0 leaves a trial as it is.
        """
        self.steps += 1
        b1, b2 = self.betas
        c1, c2 = 1 - b1**self.steps, 1 - b2**self.steps
        for name, p in parameters.items():
            g, m, v = gradients[name], self.first[name], self.second[name]
            m.lerp_(g, 1 - b1)
            v.mul_(b2).addcmul_(g, g, value=1 - b2)
            rate = rates[name]
            p.mul_(_like(1 - rate * decays[name], p))
            # The two corrections of Adam's moments as factors of the rate and of eps: fewer arrays of the size of p.
            size = v.sqrt().add_(self.eps * c2**0.5)
            p.sub_((m * _like(rate * (c2**0.5 / c1), p)).div_(size))


def clip(gradients: Tensors, largest: float) -> Tensors:
    """Scale each trial's gradients so that their joint norm is at most `largest`."""
    # In float64, because squares of large float32 numbers overflow.
    each = [torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1, dtype=torch.float64) for g in gradients.values()]
    norm = torch.linalg.vector_norm(torch.stack(each), dim=0)
    factor = (largest / (norm + 1e-6)).clamp(max=1.0)
    return {k: g * _like(factor.to(g.dtype), g) for k, g in gradients.items()}


def _like(per_trial: Tensor, p: Tensor) -> Tensor:
    return per_trial.reshape(-1, *([1] * (p.ndim - 1)))
