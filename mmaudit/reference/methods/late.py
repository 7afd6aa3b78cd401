"""Late fusion: every modality answers alone; the answers are averaged."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmaudit.reference.base import Parts, Reference, Step, reference
from mmaudit.reference.losses import row_losses
from mmaudit.reference.methods.heads import Head, mask

SOURCE = "Kittler et al. 1998, On combining classifiers (decision-level fusion)"


class LateHeads(Reference):
    """One small head per modality, and an answer for rows without any modality."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.heads = nn.ModuleList([Head(parts.widths[m], parts.task.width) for m in parts.query])
        self.nothing = nn.Parameter(torch.zeros(parts.task.width))

    def alone(self, features: Mapping[str, Tensor]) -> Tensor:
        """Each modality's own answer, `[b, modalities, k]`; rows in which it is absent mean nothing."""
        return torch.stack([head(features[m]) for m, head in zip(self.parts.query, self.heads, strict=True)], dim=1)

    def weigh(self, answers: Tensor, there: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean over the modalities that are there.

        Args:
            answers: `[b, modalities, k]`.
            there: `[b, modalities]` of 1 and 0.
            weights: positive, `[modalities, 1 or k]`.
        """
        shares = there[:, :, None] * weights
        total = shares.sum(dim=1)
        some = there.any(dim=1, keepdim=True)
        # An absent modality's answer is replaced, not only weighed by 0: it may be anything.
        answers = torch.where(there[:, :, None] > 0, answers, torch.zeros_like(answers))
        mean = (answers * shares).sum(dim=1) / torch.where(some, total, torch.ones_like(total))
        return torch.where(some, mean, self.nothing.expand_as(mean))


@reference("late_mean", title="Late fusion (mean)", source=SOURCE)
class LateMean(LateHeads):
    """Every modality has a head and a loss of its own; the answer is the mean of the logits of those present.

    Nothing about the combination is learned, so it is what independent unimodal models give when they vote. For
    classification the mean of logits is the geometric mean of the class probabilities, renormalised. Rows without any
    modality get a learned constant.

    Left open by the source: the heads (`Head`), and how they are trained: here each on its own loss over the rows in
    which its modality is present, all in one training; the epoch is chosen by the combined answer.
    """

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]` from features by modality."""
        answers = self.alone(features)
        return self.weigh(answers, mask(present, self.parts.query, answers), torch.ones_like(answers[0, :, :1]))

    def loss(self, step: Step) -> Tensor:
        """Mean over rows of the present modalities' own losses, averaged over modalities."""
        answers = self.alone(self.encode(step.inputs, step.present))
        there = mask(step.present, self.parts.query, answers)
        task = self.parts.task
        own = torch.stack([row_losses(answers[:, i], step.target, task) for i in range(len(self.heads))], dim=1)
        none = row_losses(self.nothing.expand_as(answers[:, 0]), step.target, task)
        count = there.sum(dim=1)
        return torch.where(count > 0, (own * there).sum(dim=1) / count.clamp(min=1), none).mean()


@reference("late_learned", title="Late fusion (learned weights)", source=SOURCE)
class LateLearned(LateHeads):
    """The weighted mean of the modalities' logits, weights and heads trained together on the answer.

    One positive weight per modality and output column, `exp(w) / Σ exp(w)` over the modalities that are present, equal
    at first. Each modality still answers from itself alone, so the answer is additive: no interaction between
    modalities can be learned, and a gap to the other methods is what interaction is worth. Rows without any modality
    get a learned constant.

    Left open by the source: the heads (`Head`) and the form of the weights.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.weights = nn.Parameter(torch.zeros(len(parts.query), parts.task.width))

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]` from features by modality."""
        answers = self.alone(features)
        there = mask(present, self.parts.query, answers)
        return self.weigh(answers, there, (self.weights - self.weights.amax(dim=0, keepdim=True).detach()).exp())
