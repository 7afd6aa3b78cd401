"""What the fusion heads share: the small head of the product-fusion paper, the presence mask, pairs of modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

HIDDEN = 32


class Head(nn.Module):
    """`Linear(width → 32)`, ReLU, `Linear(32 → outputs)`.

    The head of "Encoding Domain Insights into Multi-modal Fusion" (MOSS @ ICML 2025). The paper names no activation
    between its two layers. Without one the head is a linear function of what it is given, so that concatenation could
    learn no interaction at all; the default here is a ReLU, and `rectified=False` is the literal reading.
    """

    def __init__(self, width: int, outputs: int, rectified: bool = True) -> None:
        super().__init__()
        self.first = nn.Linear(width, HIDDEN)
        self.second = nn.Linear(HIDDEN, outputs)
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        """Outputs `[b, outputs]` of `[b, width]`."""
        return answer(self.first(x), self.second, self.rectified)


def answer(hidden: Tensor, second: nn.Linear, rectified: bool) -> Tensor:
    """Apply the activation and the second layer of a head to its hidden layer `[b, 32]`."""
    out: Tensor = second(hidden.relu() if rectified else hidden)
    return out


def mask(present: Mapping[str, Tensor], modalities: Sequence[str], like: Tensor) -> Tensor:
    """Which modalities are there, `[b, modalities]` of 1 and 0 in the type of `like`."""
    return torch.stack([present[m] for m in modalities], dim=1).to(like.dtype)


def pairs(modalities: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs of modalities, in order."""
    return list(combinations(modalities, 2))


def factors(
    features: Mapping[str, Tensor], present: Mapping[str, Tensor], pair: tuple[str, str]
) -> tuple[Tensor, Tensor]:
    """Two modalities' features, made ready to be multiplied.

    An absent modality is 1 everywhere, the neutral element, so that a product is then the other modality's features;
    where both are absent, both are 0. Present ones are as they are.

    Args:
        features: by modality `[b, width]`, 0 where absent, as `Reference.encode` gives them.
        present: by modality `bool[b]`.
        pair: two modalities.
    """
    (one, a), (two, b) = ((present[m], features[m]) for m in pair)
    return a + (two & ~one).to(a.dtype)[:, None], b + (one & ~two).to(b.dtype)[:, None]
