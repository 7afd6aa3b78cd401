"""What a masked prediction is pulled towards, and how far it is from there.

A prediction is a table of log-probabilities `[b, groups, outcomes]`: one group of K outcomes for a classification, one
group of two outcomes per label for a multilabel task. A divergence is in nats, a mean over groups, one number per row.
"""

from __future__ import annotations

from math import log
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mmaudit.types import Task

Direction = Literal["masked_to_reference", "reference_to_masked"]
DECAY = 0.99  # of the running class frequencies
SMALLEST = 1e-6  # probability of a reference, so that its logarithm is finite


def log_probabilities(outputs: Tensor, task: Task) -> Tensor:
    """Log-probabilities `[b, groups, outcomes]` of logits `[b, k]`."""
    if task.kind == "multilabel":
        return torch.stack([F.logsigmoid(-outputs), F.logsigmoid(outputs)], dim=2)
    return F.log_softmax(outputs, dim=1)[:, None, :]


def table_shape(task: Task) -> tuple[int, int]:
    """Groups and outcomes of a task's predictions."""
    return (task.width, 2) if task.kind == "multilabel" else (1, task.width)


def uniform(task: Task) -> Tensor:
    """Log-probabilities `[groups, outcomes]` that say nothing."""
    groups, outcomes = table_shape(task)
    return torch.full((groups, outcomes), -log(outcomes))


def frequencies(target: Tensor, task: Task) -> Tensor:
    """Shares `[groups, outcomes]` of a batch's labels."""
    if task.kind == "multilabel":
        positive = target.to(torch.float32).mean(dim=0)
        return torch.stack([1 - positive, positive], dim=1)
    return F.one_hot(target, task.width).to(torch.float32).mean(dim=0)[None]


def as_log(probabilities: Tensor) -> Tensor:
    """Logarithm of probabilities, those of 0 raised a little and the rest scaled to sum to 1 along the last axis."""
    raised = probabilities.clamp(min=SMALLEST)
    return (raised / raised.sum(dim=-1, keepdim=True)).log()


def categorical(masked: Tensor, reference: Tensor, direction: Direction) -> Tensor:
    """Kullback-Leibler divergence `[b]` between masked predictions and a reference, in nats, ≥ 0.

    Args:
        masked: log-probabilities `[b, groups, outcomes]`.
        reference: log-probabilities of the same shape, or one table for all rows.
        direction: `masked_to_reference` is KL(q ‖ r) = Σ q log(q / r), as the paper writes it; to a uniform reference
            this is log K − H(q). `reference_to_masked` is KL(r ‖ q), which the released code computes for anchors.
    """
    reference = reference.expand_as(masked)
    if direction == "reference_to_masked":
        masked, reference = reference, masked
    return (masked.exp() * (masked - reference)).sum(dim=2).mean(dim=1)


def gaussian(mean: Tensor, log_variance: Tensor, centre: Tensor, log_spread: Tensor, direction: Direction) -> Tensor:
    """Divergence `[b]` between N(mean, exp(log_variance)) and N(centre, exp(log_spread)), summed over dimensions, ≥ 0.

    With a centre of 0 and a variance of 1 this is ½ Σ (exp ℓ + μ² − 1 − ℓ), as in the released code.

    Args:
        mean, log_variance: `[b, k]`, of the masked prediction.
        centre, log_spread: of the reference; broadcast over rows.
        direction: as for `categorical`.
    """
    centre, log_spread = centre.expand_as(mean), log_spread.expand_as(mean)
    if direction == "reference_to_masked":
        mean, log_variance, centre, log_spread = centre, log_spread, mean, log_variance
    ratio = (log_variance - log_spread).exp() + (mean - centre).square() / log_spread.exp()
    return 0.5 * (ratio - 1 - (log_variance - log_spread)).sum(dim=1)
