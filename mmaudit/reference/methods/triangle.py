"""TRIANGLE: the area of the triangle whose corners are three modalities' embeddings."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mmaudit.reference.base import Parts, reference
from mmaudit.reference.methods.contrastive import LEARNING_RATE
from mmaudit.reference.methods.gram import SymmetricReference


@reference(
    "triangle",
    title="TRIANGLE",
    source="Cicchetti et al. 2025 (TRIANGLE), as the baseline in TillmannRheude/gated_symile (arXiv 2604.05834 v2)",
    tasks=("classification", "retrieval"),
    fewest=2,
    hyper={"lr": LEARNING_RATE},
)
class Triangle(SymmetricReference):
    """Minus twice the squared area of the triangle of two query embeddings and the candidate.

    With u and v from the candidate to the two: −½ (|u|²|v|² − (u·v)²), as the released baseline has it; the area is
    ½ √(|u|²|v|² − (u·v)²). Needs exactly two query modalities. Training as `gram`. Where one is absent its side counts
    as a side of length 1 at a right angle, so the score is minus half the squared distance to the other; where both
    are, every candidate scores −½ times the scale.
    """

    @classmethod
    def refuses(cls, parts: Parts) -> str | None:
        """Anything but two modalities to answer from."""
        if len(parts.query) != 2:
            return (
                f"a triangle has three corners, two modalities and the target; there are {len(parts.query)} modalities "
                f"to answer from: {', '.join(parts.query)}"
            )
        return None

    def logits(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor], target: str
    ) -> Tensor:
        """Minus twice the squared areas, times the logit scale."""
        one, other = query
        return -2 * self.factor(1) * squared_areas(query[one], query[other], candidates, present[one], present[other])


def squared_areas(one: Tensor, other: Tensor, candidates: Tensor, has_one: Tensor, has_other: Tensor) -> Tensor:
    """Squared area of each triangle (one[i], other[i], candidates[j]), `[q, c]`; see `Triangle` for absent corners.

    Args:
        one, other: `[q, D]`, rows of length 1.
        candidates: `[c, D]`, rows of length 1.
        has_one, has_other: `bool[q]`.
    """
    first, second = has_one[:, None], has_other[:, None]
    a, b = one @ candidates.T, other @ candidates.T
    side = torch.ones_like(a)
    u = torch.where(first, 2 - 2 * a, side)
    v = torch.where(second, 2 - 2 * b, side)
    angle = (one * other).sum(dim=1, keepdim=True) - a - b + 1
    angle = torch.where(first & second, angle, torch.zeros_like(angle))
    return (u * v - angle.square()) / 4
