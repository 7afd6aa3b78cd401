"""How strongly AECF rewards the gate's entropy: by a schedule, or row by row by how uncertain the modalities are."""

from __future__ import annotations

from math import log, pi
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Coefficient = Literal["schedule", "passes", "exact"]


def scheduled(epoch: Tensor, epochs: float, largest: Tensor, free: float = 0.0, warm: float = 3.0) -> Tensor:
    """Return λₜ of the author's repository (commit aed89e6), 0-d.

    0 until epoch `free`, then λ_max · min(1, (t − free) ÷ warm); in the last tenth of the epochs, from d = ⌊0.9 E⌋ on,
    times ½ (1 + cos(π (t − d) ÷ (E − d))).

    Args:
        epoch: t, with the fraction of the current epoch.
        epochs: E.
        largest: λ_max.
        free: epochs without the reward.
        warm: epochs of its growth.
    """
    growing = largest * ((epoch - free) / warm).clamp(0.0, 1.0)
    late = float(int(0.9 * epochs))
    fall = 0.5 * (1 + torch.cos(pi * ((epoch - late) / (epochs - late)).clamp(0.0, 1.0)))
    return growing * fall


def adaptive(variance: Tensor, least: Tensor | float, largest: Tensor) -> Tensor:
    """Return λ(x) = min(λ_max, λ_min + softplus(v) − ln 2), `[b]`, without a gradient.

    v is the variance of the modalities' logits. A review of the paper prints softplus(v) alone. That is at least
    ln 2 = 0.69 for every v ≥ 0, more than any λ_max of the author's code (0.05 to 0.5), so that the coefficient would
    be λ_max for every row; subtracting ln 2 makes it λ_min where the modalities are certain.
    """
    found = least + F.softplus(variance.detach()) - log(2.0)
    return torch.minimum(found, torch.as_tensor(largest, dtype=found.dtype, device=found.device))


def variance_of_passes(hidden: Tensor, weight: Tensor, uniform: Tensor, rate: float) -> Tensor:
    """Return the variance of each modality's outputs over stochastic passes (MC dropout), `[b, M]`.

    Unbiased over the K passes, mean over outputs; no gradient. Dropout is on what the linear head reads.

    Args:
        hidden: what the head reads, `[b, M, d]`.
        weight: of the head, `[k, d]`.
        uniform: in [0, 1), `[K, b, M, d]`, K ≥ 2.
        rate: of dropout.
    """
    hidden, weight = hidden.detach(), weight.detach()
    passes = (hidden * (uniform >= rate) / (1 - rate)) @ weight.T
    return passes.var(dim=0).mean(dim=-1)


def exact_variance(hidden: Tensor, weight: Tensor, rate: float) -> Tensor:
    """Return what `variance_of_passes` estimates, `[b, M]`: rate ÷ (1 − rate) · Σⱼ (weightⱼ hiddenⱼ)², mean over
    outputs.

    The head is linear and dropout independent, so the variance has this closed form, for one product of matrices and no
    random numbers.
    """
    hidden, weight = hidden.detach(), weight.detach()
    return rate / (1 - rate) * (hidden.square() @ weight.square().mean(dim=0))


def mean_over_present(values: Tensor, present: Tensor) -> Tensor:
    """Mean of `values[b, M]` over the modalities that are present, `[b]`; 0 where none is."""
    return (values * present).sum(dim=-1) / present.sum(dim=-1).clamp(min=1)
