"""MLB: a loss for each modality beside the common one, and gradients scaled both down and up."""

from __future__ import annotations

import torch
from torch import Tensor

from mmaudit.reference.base import Hyper, Step, Tensors, reference
from mmaudit.reference.losses import row_losses, task_loss
from mmaudit.reference.methods.balancing import (
    OwnHeads,
    certainty,
    mean_of_others,
    only,
    scores,
    unimodal_losses,
)

SOURCE = "Kontras et al., Improving Multimodal Learning with Multi-Loss Gradient Modulation, BMVC 2024; kkontras/MLB"


def mlb_coefficients(ratio: Tensor, comparable: Tensor, alpha: Tensor, largest: Tensor) -> Tensor:
    """Return `k_m = 1 + (β_m − 1) tanh(α (r_m − 1))`, `[modalities]`; β is `largest` where `r_m > 1`, else 2.

    Args:
        ratio: how far each modality is behind the mean of the others, `[modalities]`; above 1 is behind.
        comparable: whether it could be measured; the coefficient is 1 elsewhere.
        alpha: strength; 0 leaves all gradients as they are.
        largest: what the coefficient of a modality far behind tends to.
    """
    room = torch.where(ratio > 1, largest - 1, torch.ones_like(ratio))
    return only(comparable, 1 + room * torch.tanh(alpha * (ratio - 1)))


@reference(
    "mlb",
    title="MLB",
    source=SOURCE,
    hyper={
        "weight_decay": Hyper(1e-4),
        "alpha": Hyper(0.8, 0.5, 5.0),
        "largest": Hyper(2.0, 1.0, 10.0),
        "unimodal": Hyper(1.0),
    },
)
class Mlb(OwnHeads):
    """Multi-loss balanced training: unimodal losses, and a coefficient for everything that belongs to a modality.

    `loss = L(answer) + unimodal · Σ L(own head of m)`. With `s_m` the mean probability that m's own head gives the
    truth and `r_m` = mean of the others' s / `s_m`, all gradients of m's encoder, of its own head and of its weights
    in the common head are multiplied by `k_m = 1 + (β − 1) tanh(α (r_m − 1))`: the modality behind learns faster, the
    one ahead slower, and at `r_m = 1` nothing is changed. β is 2 for the one ahead and `largest` for the one behind
    (2 by default, which is `1 + tanh`; the authors' runs use up to 10 and α from 0.5 to 5). Regression, as in the
    authors' code: with `s_m` the squared error, `r_m = s_m /` mean of the others'. Multilabel: the probability is the
    mean over labels.
    """

    def initial_state(self) -> Tensors:
        """The coefficients of the last step."""
        return {"coefficients": torch.ones(len(self.names))}

    def loss(self, step: Step) -> Tensor:
        """The losses of all heads; measures the coefficients on the way."""
        task = self.parts.task
        features = self.encode(step.inputs, step.present)
        own = self.unimodal(features)
        quality = row_losses if task.kind == "regression" else certainty
        score, known = scores({m: quality(u.detach(), step.target, task) for m, u in own.items()}, step.present)
        others, comparable = mean_of_others(score, known)
        least = torch.finfo(score.dtype).tiny
        behind = score / others.clamp(min=least) if task.kind == "regression" else others / score.clamp(min=least)
        k = mlb_coefficients(behind, comparable, step.hyper["alpha"], step.hyper["largest"])
        step.state["coefficients"] = k
        extra = unimodal_losses(own, step.present, step.target, task)
        return task_loss(self.fuse(features, step.present), step.target, task) + step.hyper["unimodal"] * extra

    def paces(self, state: Tensors) -> Tensors:
        """The coefficients, for encoders, their own heads and their parts of the common head."""
        return self.by_modality(state["coefficients"])
