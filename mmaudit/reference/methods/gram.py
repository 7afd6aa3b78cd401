"""GRAM: the volume that all modalities' embeddings span."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mmaudit.reference.base import Step, Tensors, reference
from mmaudit.reference.methods.contrastive import LEARNING_RATE, ContrastiveReference, any_present, info_nce

SMALLEST = 1e-8  # of a squared length or volume: where a square root still has a finite slope


class SymmetricReference(ContrastiveReference):
    """In-batch cross-entropy in both directions: targets for a query, and queries for a target."""

    def anchor_loss(self, embedded: Tensors, step: Step, target: str) -> Tensor:
        """Mean of both directions, over the rows that have the target and something else."""
        query = {m: x for m, x in embedded.items() if m != target}
        logits = self.logits(query, embedded[target], step.present, target)
        usable = step.present[target] & any_present(step.present, list(query))
        sought = info_nce(logits, usable, step.present[target], step.target)
        return (sought + info_nce(logits.T, usable, usable, step.target)) / 2


@reference(
    "gram",
    title="GRAM",
    source="Cicchetti et al., ICLR 2025 (GRAM, arXiv 2412.11959); loss as in TillmannRheude/gated_symile",
    tasks=("classification", "retrieval"),
    fewest=1,
    hyper={"lr": LEARNING_RATE},
)
class Gram(SymmetricReference):
    """Minus the volume of the parallelotope of all unit embeddings, √det of their Gram matrix, in [−1, 0].

    In-batch cross-entropy in both directions, every modality as the anchor in turn, learned scale. The volume is the
    same for a vector and its negative. An absent modality counts as a unit vector at right angles to all others, which
    leaves the volume of the rest; where all are absent every candidate scores −1 times the scale. With one query
    modality the volume is the sine of the angle. Volumes below 10⁻⁴ count as 10⁻⁴, where the root's slope ends.
    """

    def logits(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor], target: str
    ) -> Tensor:
        """Minus volumes, times the logit scale."""
        return -self.factor(1) * volumes(list(query.values()), candidates)


def volumes(query: list[Tensor], candidates: Tensor) -> Tensor:
    """Volume of each query's unit vectors together with each candidate, `[q, c]`.

    The query's vectors are made orthonormal once (Gram-Schmidt); the volume is that of the query times the length of
    what they leave of the candidate. Rows of zeros count as unit vectors at right angles to everything.

    Args:
        query: `[q, D]` each, rows of length 1 or 0.
        candidates: `[c, D]`, rows of length 1.
    """
    basis: list[Tensor] = []
    squared = torch.ones_like(query[0][:, :1])
    left = torch.ones_like(query[0] @ candidates.T)
    for x in query:
        there = x.square().sum(dim=1, keepdim=True) > 0.5
        rest = x
        for b in basis:
            rest = rest - (rest * b).sum(dim=1, keepdim=True) * b
        length = rest.square().sum(dim=1, keepdim=True)
        squared = squared * torch.where(there, length, torch.ones_like(length))
        b = rest * length.clamp(min=SMALLEST).rsqrt()
        basis.append(b)
        left = left - (b @ candidates.T).square()
    return (squared * left).clamp(min=SMALLEST).sqrt()
