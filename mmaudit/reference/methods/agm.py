"""AGM: each modality's branch is slowed down or sped up towards its own running mean."""

from __future__ import annotations

import torch
from torch import Tensor

from mmaudit.reference.base import Hyper, Step, Tensors, reference
from mmaudit.reference.losses import task_loss
from mmaudit.reference.methods.balancing import Balanced, added, certainty, mean_of_others, only, scores

SOURCE = "Li et al., Boosting Multi-modal Model Performance with Adaptive Gradient Modulation, ICCV 2023"
LEAST = 1e-8  # probability that a row's own is raised to before its logarithm is taken
LARGEST = 10.0  # that a step is multiplied by


def agm_coefficients(score: Tensor, usual: Tensor, known: Tensor, alpha: Tensor) -> Tensor:
    """Return `exp(α min(target_m − r_m, cap))`, `[modalities]`, with `r_m = exp(mean of the others' score − score_m)`.

    Args:
        score: mean surprise `−log p(truth)` of each modality's branch in this batch, `[modalities]`, in nats.
        usual: the same, mean over all batches so far; `target_m` is made of it as `r_m` is of `score`.
        known: whether the modality is in this batch.
        alpha: strength; 0 leaves all gradients as they are.
    """
    ratio, target = (torch.exp(mean_of_others(s, known)[0] - s) for s in (score, usual))
    cap = 10.0 if len(score) == 2 else 7.0
    comparable = mean_of_others(score, known)[1]
    return only(comparable, torch.exp(alpha * (target - ratio).clamp(max=cap)))


@reference(
    "agm",
    title="AGM",
    source=SOURCE,
    tasks=("classification", "multilabel"),
    hyper={"weight_decay": Hyper(1e-4), "alpha": Hyper(1.5, 0.1, 3.0)},
)
class Agm(Balanced):
    """Adaptive gradient modulation of mono-modal branches.

    A modality's branch is its Shapley value among answers with other modalities zero-padded; with two modalities `½
    (f(h_0, h_1) − f(0, h_1) + f(h_0, 0))`, and with a linear head exactly `u_m` of `Balanced`. Its surprise `s_m =
    mean −log p(truth)` gives `r_m = exp(mean of the others' s − s_m)`, large where m is ahead; the running means of
    `s` give the usual value of that ratio, and gradients through branch m are multiplied by `exp(α min(usual_m − r_m,
    10))`: less where it is further ahead than usual, more where it fell behind.

    From the authors' code: running means of the batches before this one, which are 0 at first; probabilities not
    below 10⁻⁸; 10 as the largest difference, 7 with three modalities (here: more than two). A coefficient can thus be
    e^15; the authors clip the norm of the gradients that come of it, and here no step is multiplied by more than 10.
    Multilabel: the probability is the mean over labels.
    """

    def initial_state(self) -> Tensors:
        """Running mean of each modality's surprise, of how many batches, and the coefficients of the last step."""
        none = torch.zeros(len(self.names))
        return {"usual": none, "batches": none, "coefficients": torch.ones_like(none)}

    def loss(self, step: Step) -> Tensor:
        """The task's loss; measures the coefficients on the way."""
        parts = self.split(self.encode(step.inputs, step.present), step.present)
        rows = {
            m: -certainty(u.detach(), step.target, self.parts.task).clamp(min=LEAST).log() for m, u in parts.items()
        }
        score, known = scores(rows, step.present)
        usual, batches = step.state["usual"], step.state["batches"]
        step.state["coefficients"] = agm_coefficients(score, usual, known, step.hyper["alpha"])
        after = batches + known
        step.state["batches"] = after
        step.state["usual"] = torch.where(known, usual + (score - usual) / after.clamp(min=1), usual)
        return task_loss(added(parts.values()), step.target, self.parts.task)

    def paces(self, state: Tensors) -> Tensors:
        """The coefficients, for encoders and their parts of the head."""
        return self.by_modality(state["coefficients"].clamp(max=LARGEST))
