"""Symile: the multilinear inner product, with three ways to make negatives."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from math import sqrt

import torch
from torch import Tensor

from mmaudit.reference.base import Draw, Parts, Step, Tensors, reference
from mmaudit.reference.methods.contrastive import FILL, LEARNING_RATE, ContrastiveReference, any_present, usable_mean


class MultilinearReference(ContrastiveReference):
    """Scores a candidate by the multilinear inner product with the query: Σ_d c_d Π_m e_m,d.

    An absent modality is the neutral direction 1/√D in all coordinates: up to the scale that every candidate shares, a
    factor of 1. Where all are absent the score is the sum of the candidate's coordinates, the same for every query.
    """

    start = -0.3

    def logits(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor], target: str
    ) -> Tensor:
        """Multilinear inner products, times the logit scale."""
        return self.factor(len(query) + 1) * (product(query, present) @ candidates.T)


@reference(
    "symile",
    title="Symile, O(N) negatives",
    source="Saporta et al., NeurIPS 2024 (arXiv 2411.01053); rajesh-lab/symile 0.1.0, negative_sampling 'n'",
    tasks=("classification", "retrieval"),
    fewest=2,
    hyper={"lr": LEARNING_RATE},
)
class Symile(MultilinearReference):
    """Multilinear inner product of all modalities; negatives shuffle every modality but the anchor.

    For each anchor an independent permutation of each other modality makes N tuples, shared by all rows; the diagonal
    is overwritten with the true products. Loss: mean over anchors of the cross-entropy over a row. Tuples that a
    permutation leaves intact, or puts together from rows of one identity, stay among the negatives, as in the released
    code. No variance scaling; the logit scale starts at exp(−0.3) as in the authors' examples. For classification the
    class is the only anchor and all other classes are its negatives, so that the three samplings are one.
    """

    def draws(self, rows: int) -> dict[str, Draw]:
        """One permutation per anchor and other modality."""
        if self.parts.target is None:
            return {}
        names = self.parts.modalities
        return {_key(self.slot(t), self.slot(m)): Draw("permutation", (rows,)) for t in names for m in names if m != t}

    def anchor_loss(self, embedded: Tensors, step: Step, target: str) -> Tensor:
        """Cross-entropy of each row's true tuple against N shuffled ones."""
        names = [m for m in embedded if m != target]
        shuffles = {m: step.draws[_key(self.slot(target), self.slot(m))] for m in names}
        fake_present = {m: step.present[m][shuffles[m]] for m in names}
        fake = product({m: embedded[m][shuffles[m]] for m in names}, fake_present)
        true = product({m: embedded[m] for m in names}, step.present)
        anchor, factor = embedded[target], self.factor(len(embedded))
        positives = factor * (anchor * true).sum(dim=1)
        logits = shuffled_logits(factor * (anchor @ fake.T), positives, any_present(fake_present, names))
        usable = step.present[target] & any_present(step.present, names)
        return usable_mean(torch.logsumexp(logits, dim=1) - positives, usable)


@reference(
    "symile_n_squared",
    title="Symile, O(N²) negatives",
    source="Saporta et al., NeurIPS 2024 (arXiv 2411.01053); rajesh-lab/symile 0.1.0, negative_sampling 'n_squared'",
    tasks=("retrieval",),
    fewest=2,
    hyper={"lr": LEARNING_RATE},
)
class SymileNSquared(MultilinearReference):
    """`symile` with every combination of the batch's rows as a negative: N² for three modalities, N^(M−1) for M.

    The authors recommend it for small data sets. Memory grows with N^M: at most four modalities, and batches of about
    a hundred rows.
    """

    @classmethod
    def refuses(cls, parts: Parts) -> str | None:
        """More than four modalities."""
        if len(parts.modalities) > 4:
            return f"all combinations of {len(parts.modalities)} modalities are too many; it takes up to 4 modalities"
        return None

    def anchor_loss(self, embedded: Tensors, step: Step, target: str) -> Tensor:
        """Cross-entropy of each row's true tuple against all combinations of rows."""
        names = [m for m in embedded if m != target]
        vectors = [neutral_where_absent(embedded[m], step.present[m]) for m in names]
        true = reduce(torch.mul, vectors)
        every = reduce(lambda a, b: (a[:, None] * b[None]).flatten(0, 1), vectors)
        told = reduce(lambda a, b: (a[:, None] | b[None]).flatten(), [step.present[m] for m in names])
        anchor, factor = embedded[target], self.factor(len(embedded))
        logits = factor * (anchor @ every.T)
        logits = torch.where(told[None, :], logits, torch.full_like(logits, FILL))
        positives = factor * (anchor * true).sum(dim=1)
        usable = step.present[target] & any_present(step.present, names)
        return usable_mean(torch.logsumexp(logits, dim=1) - positives, usable)


@reference(
    "symile_pair",
    title="Symile, pair negatives",
    source="TillmannRheude/gated_symile (arXiv 2604.05834), ungated, negative sampling 'pair', variance scaling on",
    tasks=("retrieval",),
    fewest=2,
    hyper={"lr": LEARNING_RATE},
)
class SymilePair(MultilinearReference):
    """`symile` with negatives that differ from the positive in the target alone: the ungated control of Gated Symile.

    All other rows of the batch are negatives, logits are multiplied by D^((M−1)/2), and the logit scale starts at
    exp(−0.5), all as in `gated_symile`. This bounds the information between the target and the other modalities
    together, which is what retrieval asks for, and not the total correlation of the original.
    """

    start = -0.5
    scaled = True


def neutral_where_absent(embedded: Tensor, present: Tensor) -> Tensor:
    """Embeddings `[n, D]` with 1/√D in all coordinates of absent rows."""
    return torch.where(present[:, None], embedded, torch.full_like(embedded, 1 / sqrt(embedded.shape[-1])))


def product(query: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
    """Element-wise product `[n, D]` of the modalities' embeddings, absent ones neutral."""
    return reduce(torch.mul, [neutral_where_absent(x, present[m]) for m, x in query.items()])


def shuffled_logits(shuffled: Tensor, positives: Tensor, told: Tensor) -> Tensor:
    """Logits `[n, n]` of shuffled tuples with the true ones on the diagonal.

    Args:
        shuffled: `[n, n]`, anchors against shuffled tuples.
        positives: `[n]`, anchors against their own tuple.
        told: `bool[n]`, shuffled tuples with at least one modality in them; the others are nobody's negative.
    """
    filled = torch.where(told[None, :], shuffled, torch.full_like(shuffled, FILL))
    own = torch.eye(len(positives), dtype=torch.bool, device=positives.device)
    return torch.where(own, positives[:, None], filled)


def _key(anchor: str, other: str) -> str:
    return f"{anchor}_{other}"
