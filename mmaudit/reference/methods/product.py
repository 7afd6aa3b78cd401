"""Product fusion: features of two modalities multiplied element by element, in two passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mmaudit.reference.base import Hyper, Parts, Reference, reference
from mmaudit.reference.methods.concatenation import SOURCE
from mmaudit.reference.methods.heads import Head, factors, mask, pairs


@reference("product", title="Product", source=SOURCE, hyper={"weight_decay": Hyper(0.0)})
class Product(Reference):
    """Features multiplied element by element in two passes, the second against the reversed order.

    `F_j = T_j · I_j` and `F_{N+j} = T_j · I_{N−1−j}` for j = 0 … N − 1, then `Linear(2N → 32)`, ReLU,
    `Linear(32 → k)`. AdamW, learning rate 10⁻³, no weight decay, as in the paper.

    The paper prints the second pass as `T_j · I_{N−j}`, which is off by one: counted from 0 it needs I_N, counted from
    1 it needs I_0. Here it is the reversal, `T · flip(I)`. The other repair is circular, `I_{(N−j) mod N}`; the two
    differ by nothing that training shows (95.5 ± .3 and 95.4 ± .1 % on the paper's synthetic task).

    Left open by the paper, and decided here:
        activation: a ReLU; see `Head`.
        more than two modalities: all pairs, their products side by side.
        a missing modality: counts as 1 everywhere, the neutral element, so that the products are the other one's
            features; where both of a pair are absent its products are 0. The presence mask is given to the head too.

    All modalities need features of equal width; `cannot be trained` otherwise, as no paper says how to align them.
    """

    rectified: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.pairs = pairs(parts.query)
        width = sum(2 * parts.widths[a] for a, _ in self.pairs) + len(parts.query)
        self.head = Head(width, parts.task.width, self.rectified)

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]` from features by modality."""
        products = []
        for pair in self.pairs:
            a, b = factors(features, present, pair)
            products += [a * b, a * b.flip(1)]
        told = mask(present, self.parts.query, products[0])
        out: Tensor = self.head(torch.cat([*products, told], dim=1))
        return out

    @classmethod
    def refuses(cls, parts: Parts) -> str | None:
        """Unequal widths cannot be multiplied element by element."""
        widths = {m: parts.widths[m] for m in parts.query}
        if len(set(widths.values())) == 1:
            return None
        listed = ", ".join(f"{m} {w}" for m, w in widths.items())
        return (
            f"it multiplies features element by element, which needs equal widths, and they are {listed}; "
            "give encoders of one width, or use 'tensor' or 'concatenation'"
        )
