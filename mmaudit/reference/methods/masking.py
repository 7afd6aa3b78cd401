"""Masking-only: SynIB's masks without its divergence."""

from __future__ import annotations

import torch
from torch import Tensor

from mmaudit.reference.base import Hyper, Step, reference
from mmaudit.reference.losses import row_losses
from mmaudit.reference.methods.synib import PROBABILITY, PUBLISHED, SOURCE
from mmaudit.reference.methods.synib_passes import MaskedPasses, mean_over


@reference(
    "masking_only",
    title="Masking only",
    source=f"ablation of {SOURCE}",
    hyper={"masked_weight": Hyper(1.0, 0.01, 10.0, log=True), **PUBLISHED, **PROBABILITY},
)
class MaskingOnly(MaskedPasses):
    """Concatenation trained on intact and on masked samples alike, with the task's loss on both.

    `L = CE(intact) + w Σ_i CE(modality i masked)`: the masks of `synib` as plain augmentation, which tells what of
    SynIB's effect is due to its divergence. It asks for the opposite: the right answer although a modality is damaged.

    w is 1 in the authors' ablation (`masked_weight`). Rows count as in `SynIB`; any kind of mask can be set.
    """

    def loss(self, step: Step) -> Tensor:
        """The task's loss on the samples as they are, and on every masked pass."""
        task = self.parts.task
        features = self.encode(step.inputs, step.present)
        loss = row_losses(self.fuse(features, step.present), step.target, task).mean()
        passes = self.passes(step, features)
        masked = self.fuse(*self.together(passes, step.present)).reshape(len(passes), len(step.target), -1)
        losses = [mean_over(row_losses(o, step.target, task), p.rows) for o, p in zip(masked, passes, strict=True)]
        loss = loss + step.hyper["masked_weight"] * torch.stack(losses).sum()
        if self.has_heads:
            loss = loss + self.unimodal_loss(self.unimodal_outputs(features), step)
        return loss
