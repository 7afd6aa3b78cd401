"""Pairwise contrastive learning: CLIP over all pairs of modalities, and the additive log-sum-exp control."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor

from mmaudit.reference.base import Step, reference
from mmaudit.reference.methods.contrastive import (
    CLASS,
    FILL,
    LEARNING_RATE,
    ContrastiveReference,
    any_present,
    info_nce,
)


@reference(
    "clip",
    title="CLIP, mean of pairs",
    source="Radford et al., ICML 2021; several modalities as in TillmannRheude/gated_symile (mean over pairs)",
    tasks=("classification", "retrieval"),
    fewest=1,
    hyper={"lr": LEARNING_RATE},
)
class Clip(ContrastiveReference):
    """Dot products of unit embeddings, summed over the query's modalities.

    Score: exp(s) Σ_m <e_m, c>; dots among the query's own modalities are the same for all candidates and left out.
    Training for a retrieval: symmetric in-batch cross-entropy of every pair of modalities, the target's pairs and the
    others, mean over pairs, one logit scale for all. An absent modality adds nothing; where all are absent every
    candidate scores 0. A pair is trained on the rows that have both. For classification the cross-entropy of the summed
    scores is minimised. With one query modality it is a dual encoder.
    """

    def logits(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor], target: str
    ) -> Tensor:
        """Σ of the present modalities' dot products, times the logit scale."""
        return self.factor(1) * (torch.stack(list(query.values())).sum(dim=0) @ candidates.T)

    def loss(self, step: Step) -> Tensor:
        """Mean over pairs of the symmetric in-batch cross-entropy; cross-entropy for classification."""
        return super().loss(step) if self.sought == CLASS else self.pair_losses(step).mean()

    def pair_losses(self, step: Step) -> Tensor:
        """Symmetric in-batch cross-entropy of every pair of modalities, `[pairs]`."""
        embedded = self.embed(self.encode(step.inputs, step.present), step.present)
        found = []
        for one, other in combinations(self.parts.modalities, 2):
            both = step.present[one] & step.present[other]
            logits = self.factor(1) * (embedded[one] @ embedded[other].T)
            there, back = (info_nce(x, both, both, step.target) for x in (logits, logits.T))
            found.append((there + back) / 2)
        return torch.stack(found)


@reference(
    "clip_sum",
    title="CLIP, sum of pairs",
    source="Radford et al., ICML 2021; several modalities as in rajesh-lab/symile (sum over pairs)",
    tasks=("retrieval",),
    fewest=1,
    hyper={"lr": LEARNING_RATE},
)
class ClipSum(Clip):
    """`clip` with the sum over pairs instead of the mean, as in the Symile repository.

    The loss is larger by the number of pairs, which matters to the clipping of gradients alone. Scores are the same.
    """

    def loss(self, step: Step) -> Tensor:
        """Sum over pairs of the symmetric in-batch cross-entropy."""
        return self.pair_losses(step).sum()


@reference(
    "pairwise_lse",
    title="Pairwise scores, log-sum-exp",
    source="control of mmaudit, for arXiv 2604.05834: candidate-wise choice among pairwise scores, without products",
    tasks=("classification", "retrieval"),
    fewest=2,
    hyper={"lr": LEARNING_RATE},
)
class PairwiseLogSumExp(ContrastiveReference):
    """Additive log-sum-exp over pairwise scores: score = log mean_m exp(exp(s) <e_m, c>).

    A gate that sees the candidate can act as an OR over modalities: a candidate wins if one of them fits. So can this
    score, without gate, neutral directions or products; what a gated product gains over it is due to these. Trained
    like `symile_pair`, every modality as the target in turn, all other rows as negatives; scale as CLIP. An absent
    modality leaves the mean; where all are absent every candidate scores 0.
    """

    def logits(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor], target: str
    ) -> Tensor:
        """Log-mean-exp over the present modalities of scaled dot products."""
        dots = torch.stack([self.factor(1) * (x @ candidates.T) for x in query.values()])
        there = torch.stack([present[m] for m in query])[:, :, None]
        filled = torch.where(there, dots, torch.full_like(dots, FILL))
        count = there.sum(dim=0).clamp(min=1)
        found = torch.logsumexp(filled, dim=0) - count.log()
        return torch.where(any_present(present, list(query))[:, None], found, torch.zeros_like(found))
