"""What a reference is trained on where its paper says nothing else: the task's own loss."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mmaudit.types import Task


def row_losses(outputs: Tensor, target: Tensor, task: Task) -> Tensor:
    """Return each row's loss, `[n]`.

    Classification: cross-entropy in nats. Multilabel: binary cross-entropy in nats, mean over labels. Regression:
    squared error, mean over dimensions.

    Args:
        outputs: `[n, k]`, logits or values.
        target: `int64[n]` (classification), `[n, labels]` of 0 and 1, or `[n, dims]`.
        task: classification, multilabel or regression.
    """
    if task.kind == "classification":
        return F.cross_entropy(outputs, target, reduction="none")
    if task.kind == "multilabel":
        return F.binary_cross_entropy_with_logits(outputs, target.to(outputs.dtype), reduction="none").mean(dim=1)
    return (outputs - target.to(outputs.dtype)).square().mean(dim=1)


def task_loss(outputs: Tensor, target: Tensor, task: Task) -> Tensor:
    """Return the mean of `row_losses`, a scalar."""
    return row_losses(outputs, target, task).mean()
