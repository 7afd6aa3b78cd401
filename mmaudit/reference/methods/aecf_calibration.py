"""Calibration across subsets of modalities: what AECF's sources, and its public relative, add to the loss.

The formula of the paper's "contrastive expert calibration" could not be obtained. `mse` is what the author's repository
does under that name; `mono` is the confidence ranking of CML (Ma et al., ICML 2023), a stand-in with the same purpose.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mmaudit.types import Task

Calibration = Literal["none", "mse", "mono"]
BINS = 15


def probabilities(outputs: Tensor, task: Task) -> Tensor:
    """Softmax of a classification's outputs, sigmoid of a multilabel task's; values of a regression as they are."""
    if task.kind == "classification":
        return torch.softmax(outputs, dim=-1)
    return torch.sigmoid(outputs) if task.kind == "multilabel" else outputs


def confidence(outputs: Tensor, task: Task) -> Tensor:
    """Confidence of outputs `[…, k]`, `[…]` in [0, 1].

    Largest probability (classification) or mean over labels of |2p − 1| (multilabel).
    """
    p = probabilities(outputs, task)
    return p.amax(dim=-1) if task.kind == "classification" else (2 * p - 1).abs().mean(dim=-1)


def chains(uniform: Tensor, present: Tensor) -> Tensor:
    """Return a random chain of nested subsets per row, `bool[M, b, M]`: S₁ ⊂ S₂ ⊂ … up to all that is present.

    Step k holds the first k + 1 present modalities in a random order; where fewer are present, the last steps are
    equal. M − 1 pairs per row instead of the 3^M nested pairs there are.

    Args:
        uniform: in [0, 1), `[b, M]`; its order is the chain's.
        present: `bool[b, M]`.
    """
    place = torch.where(present, uniform, uniform + 1).argsort(dim=-1).argsort(dim=-1)
    steps = torch.arange(present.shape[-1], device=present.device)
    return present & (place <= steps[:, None, None])


def monotonicity(along: Tensor, subsets: Tensor) -> Tensor:
    """Return the mean over nested pairs of max(0, confidence of the smaller − confidence of the larger), 0-d.

    Args:
        along: confidences along the chains, `[M, b]`.
        subsets: the chains, `bool[M, b, M]`; pairs of equal subsets do not count.

    Returns:
        0 where no row has two modalities. It falls when the larger subset's confidence rises, deserved or not, so it
        says nothing of calibration itself.
    """
    differ = subsets.sum(dim=-1).diff(dim=0) > 0
    excess = torch.relu(along[:-1] - along[1:]) * differ
    return excess.sum() / differ.sum().clamp(min=1)


def consistency(alone: Tensor, fused: Tensor, present: Tensor, task: Task) -> Tensor:
    """Return Σ over modalities of the mean squared error of its own prediction to the fused one, 0-d.

    Predictions are probabilities; no gradient flows to the fused one (author's repository, commit aed89e6, where it is
    named CEC). A modality that is absent from a row adds nothing.

    Args:
        alone: outputs from each modality by itself, `[b, M, k]`.
        fused: outputs, `[b, k]`.
        present: `bool[b, M]`.
        task: what outputs mean.
    """
    target = probabilities(fused, task).detach()[..., None, :]
    errors = (probabilities(alone, task) - target).square().mean(dim=-1)
    return (errors * present).sum(dim=-1).mean()


def batch_ece(outputs: Tensor, target: Tensor, task: Task, bins: int = BINS) -> Tensor:
    """Return the expected calibration error of a mini-batch in bins of equal width, 0-d, with a gradient.

    Multilabel: all probabilities against all labels, flattened, as in the author's repository. Classification: top-
    label confidence against being right (the repository's function raises there: it flattens sizes that differ). The
    gradient flows through the mean confidence of each bin only.
    """
    p = probabilities(outputs, task)
    if task.kind == "classification":
        score = p.amax(dim=-1)
        outcome = (p.argmax(dim=-1) == target).to(score.dtype)
    else:
        score, outcome = p.flatten(), target.to(p.dtype).flatten()
    place = (score.detach() * bins).long().clamp(0, bins - 1)
    members = (place[:, None] == torch.arange(bins, device=place.device)).to(score.dtype)
    return ((score - outcome) @ members).abs().sum() / score.shape[0]
