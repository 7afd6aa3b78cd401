"""Concatenation: the features side by side, and which of them are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mmaudit.reference.base import Hyper, Parts, Reference, reference
from mmaudit.reference.methods.heads import Head, mask

SOURCE = "Encoding Domain Insights into Multi-modal Fusion, MOSS @ ICML 2025 (OpenReview VkH4WH1cOO)"


class ConcatenationHead(Reference):
    """Concatenated features and presence mask into a small head; what several methods train in different ways."""

    rectified: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        width = sum(parts.widths[m] for m in parts.query) + len(parts.query)
        self.head = Head(width, parts.task.width, self.rectified)

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]` from features by modality."""
        names = self.parts.query
        shown = [features[m] for m in names]
        out: Tensor = self.head(torch.cat([*shown, mask(present, names, shown[0])], dim=1))
        return out


@reference("concatenation", title="Concatenation", source=SOURCE, hyper={"weight_decay": Hyper(0.0)})
class Concatenation(ConcatenationHead):
    """All features side by side into a small head, told which modalities are missing.

    `Linear(F → 32)`, ReLU, `Linear(32 → k)` on `F = Σ widths + modalities` numbers: the features, 0 where absent, then
    a 1 for every modality that is there. AdamW, learning rate 10⁻³, no weight decay, as in the paper.

    Left open by the paper: the activation (see `Head`), and missing modalities, of which it has none. The mask adds 32
    weights per modality and, with nothing missing, is a second bias.
    """
