"""Modality dropout: concatenation that practises with modalities missing."""

from __future__ import annotations

import torch
from torch import Tensor

from mmaudit.reference.base import Draw, Hyper, Step, Tensors, reference
from mmaudit.reference.losses import task_loss
from mmaudit.reference.methods.concatenation import ConcatenationHead

SOURCE = "Neverova et al. 2015, ModDrop: adaptive multi-modal gesture recognition"


@reference("modality_dropout", title="Modality dropout", source=SOURCE, hyper={"rate": Hyper(0.5, 0.1, 0.7)})
class ModalityDropout(ConcatenationHead):
    """Concatenation trained with modalities left out at random, row by row, never all of them.

    In every training step each present modality of each row is dropped with probability `rate`; a row that would lose
    all keeps one of those it had, each as likely as the others. A dropped modality is 0 and the head is told so, as it
    is of one that was missing from the start. Nothing is dropped when answering.

    Left open by the source, or different here: the paper zeroes modalities without telling the network; all references
    here are told. It does not exclude rows that lose everything; here at least one modality stays. Of two modalities
    both stay with probability (1 − rate)²: at the default rate of 0.5 in a quarter of the rows, and each alone in three
    eighths. At a rate of 1 − 1/√3 ≈ 0.42 the three patterns are equally likely.
    """

    def draws(self, rows: int) -> dict[str, Draw]:
        """One uniform number per row and modality."""
        return {"drop": Draw("uniform", (rows, len(self.parts.query)))}

    def loss(self, step: Step) -> Tensor:
        """The task's loss with modalities left out."""
        names = self.parts.query
        present = kept(step.present, step.draws["drop"], step.hyper["rate"], names)
        return task_loss(self(step.inputs, present), step.target, self.parts.task)


def kept(present: Tensors, drawn: Tensor, rate: Tensor, names: tuple[str, ...]) -> Tensors:
    """Which modalities stay.

    Args:
        present: by modality `bool[b]`.
        drawn: uniform numbers `[b, modalities]`.
        rate: probability of being dropped.
        names: order of the columns.
    """
    there = torch.stack([present[m] for m in names], dim=1)
    candidates = torch.where(there, drawn, torch.full_like(drawn, -1.0))
    # The largest draw stays in any case: if any is above the rate it is, and if none is, each is as likely as another.
    best = candidates == candidates.amax(dim=1, keepdim=True)
    stays = there & ((drawn >= rate) | best)
    return {m: stays[:, i] for i, m in enumerate(names)}
