"""Tensor fusion: a linear layer on the outer product of two modalities' features, without making the outer product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmaudit.reference.base import Hyper, Parts, Reference, reference
from mmaudit.reference.methods.concatenation import SOURCE
from mmaudit.reference.methods.heads import HIDDEN, answer, factors, mask, pairs


class Bilinear(nn.Module):
    """`h_k = aᵀ W_k b`: what `Linear(d_a · d_b → 32)` makes of `vec(a bᵀ)`, by two contractions.

    The first contraction is one matrix product with `[d_a, 32 · d_b]`, the second is with b; the widest thing made is
    `[rows, 32, d_b]` instead of `[rows, d_a, d_b]`. Weights are drawn as that linear layer would draw them.
    """

    def __init__(self, one: int, two: int) -> None:
        super().__init__()
        bound = (one * two) ** -0.5
        self.weight = nn.Parameter(torch.empty(one, HIDDEN, two).uniform_(-bound, bound))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return `[rows, 32]` from `[rows, one]` and `[rows, two]`."""
        half = (a @ self.weight.flatten(1)).reshape(len(a), HIDDEN, b.shape[1])
        return torch.matmul(half, b[:, :, None]).squeeze(2)


@reference("tensor", title="Tensor (outer product)", source=SOURCE, hyper={"weight_decay": Hyper(0.0)})
class TensorFusion(Reference):
    """All products of two modalities' features, the outer product, into a small head.

    `Linear(N · M → 32)` of `vec(t iᵀ)`, ReLU, `Linear(32 → k)`; the outer product (589,824 numbers a row at
    N = M = 768) is never made: `h_k = tᵀ W_k i`, see `Bilinear`. Equal to the layer on the outer product to rounding.
    AdamW, learning rate 10⁻³, no weight decay, as in the paper.

    Left open by the paper, and decided here:
        activation: a ReLU; see `Head`.
        more than two modalities: the sum over all pairs, each with weights of its own. (Zadeh et al. 2017 take the
            product of all modalities at once, with a 1 appended to each; its weights grow with the product of all
            widths.)
        a missing modality: counts as 1 everywhere, so that the outer product repeats the other one's features; where
            both of a pair are absent it is 0. The presence mask goes into the hidden layer, with 32 weights for each
            modality.
    """

    rectified: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        # The wider modality is contracted first, which leaves the smaller rest.
        self.pairs = [(a, b) if parts.widths[a] >= parts.widths[b] else (b, a) for a, b in pairs(parts.query)]
        self.forms = nn.ModuleList([Bilinear(parts.widths[a], parts.widths[b]) for a, b in self.pairs])
        self.told = nn.Linear(len(parts.query), HIDDEN)
        self.second = nn.Linear(HIDDEN, parts.task.width)

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]` from features by modality."""
        some = features[self.pairs[0][0]]
        hidden: Tensor = self.told(mask(present, self.parts.query, some))
        for pair, form in zip(self.pairs, self.forms, strict=True):
            hidden = hidden + form(*factors(features, present, pair))
        return answer(hidden, self.second, self.rectified)
