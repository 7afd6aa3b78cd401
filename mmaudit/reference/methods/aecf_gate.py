"""The gate of AECF: weights over the modalities that are present, and their entropy."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn

TINY = 1e-8  # inside logarithms and norms


def unit(features: Tensor) -> Tensor:
    """Features `[…, d]` divided by their length; a zero vector stays zero, and its gradient stays finite."""
    return features * (features.square().sum(dim=-1, keepdim=True) + TINY**2).rsqrt()


def unit_mean_square(features: Tensor) -> Tensor:
    """Features `[…, d]` scaled to a mean square of 1; a zero vector stays zero."""
    return unit(features) * sqrt(features.shape[-1])


def weights(scores: Tensor, keep: Tensor) -> Tensor:
    """Softmax of `scores[…, M]` over what is kept.

    Args:
        scores: one per modality.
        keep: `bool[…, M]`.

    Returns:
        Weights `[…, M]`: 0 where not kept, summing to 1; all 0 in a row that keeps nothing.
    """
    lowest = torch.finfo(scores.dtype).min / 2
    return torch.softmax(torch.where(keep, scores, torch.full_like(scores, lowest)), dim=-1) * keep


def entropy(p: Tensor) -> Tensor:
    """Entropy of weights `[…, M]` in nats, `[…]`, within [0, ln of how many are positive].

    The logarithm is that of p + 10⁻⁸: with ln p itself, or `torch.xlogy`, the gradient at a weight of exactly 0 is NaN,
    and a modality that is absent has that weight.
    """
    return -(p * (p + TINY).log()).sum(dim=-1).clamp(max=0.0)


def most_entropy(present: Tensor) -> Tensor:
    """Largest entropy that weights over the present modalities can have, ln(count), `[…]`; 0 for one or none."""
    return present.sum(dim=-1).clamp(min=1).to(torch.get_default_dtype()).log()


def normalised(found: Tensor, present: Tensor) -> Tensor:
    """Entropy ÷ ln(number present), `[…]` in [0, 1]; 0 where one modality or none is present."""
    most = torch.where(present.sum(dim=-1) > 1, most_entropy(present), torch.ones_like(found))
    return (found / most).clamp(max=1.0)


class Gate(nn.Module):
    """Two-layer perceptron: features of all modalities side by side → one score per modality.

    Args:
        width: of all features together.
        hidden: units, with ReLU.
        modalities: scores.
    """

    def __init__(self, width: int, hidden: int, modalities: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, hidden)
        self.second = nn.Linear(hidden, modalities)

    def forward(self, features: Tensor) -> Tensor:
        """Scores `[…, M]`."""
        found: Tensor = self.second(torch.relu(self.first(features)))
        return found
