"""PMR: the worse modality is pulled to prototypes of the classes, the better one kept from settling early."""

from __future__ import annotations

import torch
from torch import Tensor

from mmaudit.reference.base import Hyper, Step, Tensors, reference
from mmaudit.reference.losses import task_loss
from mmaudit.reference.methods.balancing import Balanced, mean_of_others, mean_where, only, scores

SOURCE = (
    "Fan et al., PMR: Prototypical Modal Rebalance for Multimodal Learning, CVPR 2023; "
    "fanyunfeng-bit/Modal-Imbalance-PMR"
)
FAR = -1e9  # similarity to a class that has no prototype yet


@reference(
    "pmr",
    title="PMR",
    source=SOURCE,
    tasks=("classification",),
    hyper={
        "weight_decay": Hyper(1e-4),
        "alpha": Hyper(1.0, 0.6, 1.75),
        "entropy": Hyper(0.01),
        "momentum": Hyper(0.2),
        "until": Hyper(2 / 3),
        "entropy_until": Hyper(1 / 7),
    },
)
class Pmr(Balanced):
    """Prototypical modal rebalance.

    A modality's similarity to a class is minus the Euclidean distance between its features and the class's prototype,
    the mean of that class's features. With `s_m` the mean over rows of softmax(similarity)[truth] and `ρ_m = s_m /`
    mean of the others' (of two modalities: `s_0 / s_1`), the loss is the task's loss of the answer plus `α Σ
    clip(1/ρ_m − 1, 0, 1) · CE(similarities of m)`, which is 0 for the better modality, and during the first epochs
    minus `entropy · Σ clip(ρ_m − 1, 0, 1) · H(softmax(similarities of m))`, which is 0 for the worse one.

    Left open, or other than in the sources:

    - Prototypes. The authors take a pass over a tenth of the training rows after each epoch, which divides by 0 for a
      class that is not among them. Here they are the class means of all features of the epoch before, gathered while
      it was trained on (so they are half an epoch older), blended with those before as in the authors' code
      (`momentum` 0.2 of the old). During the first epoch they are the means so far, the batch at hand included. A
      class that was never seen has none: it gets no probability, and its rows no term.
    - The paper's clipped weights are used (so does GeWu-Lab/BalanceBenchmark); the authors' repository has 1 and 0.
    - `until` is the share of the epochs with prototypes (100 of 150 in the authors' code), `entropy_until` that with
      the entropy term, whose weight and length (0.01, 10 of 70 epochs) are those of BalanceBenchmark; the authors'
      repository lacks the term. Cross-entropy and entropy are means over rows in which the modality is present.
    - More than two modalities: the mean of the others takes the place of the other.
    """

    def initial_state(self) -> Tensors:
        """By modality: prototypes, which classes have one, sums and numbers of this epoch's features; and the epoch."""
        classes = self.parts.task.width
        found = {"epoch": torch.zeros(())}
        for m in self.names:
            width = self.parts.widths[m]
            found |= {
                f"prototypes {m}": torch.zeros(classes, width),
                f"known {m}": torch.zeros(classes, dtype=torch.bool),
                f"sums {m}": torch.zeros(classes, width),
                f"counts {m}": torch.zeros(classes),
            }
        return found

    def loss(self, step: Step) -> Tensor:
        """The task's loss, the worse modality's prototype loss, and early on the better one's entropy."""
        features = self.encode(step.inputs, step.present)
        answer = self.fuse(features, step.present)
        turned = torch.floor(step.epoch) > step.state["epoch"]
        step.state["epoch"] = torch.floor(step.epoch)
        logs, here = {}, {}
        for m in self.names:
            prototypes, known = self._prototypes(m, features[m].detach(), step, turned)
            logs[m] = similarities(features[m], prototypes, known).log_softmax(dim=1)
            here[m] = step.present[m] & known.gather(0, step.target)
        truth = {m: p.gather(1, step.target[:, None])[:, 0] for m, p in logs.items()}
        score, seen = scores({m: t.detach().exp() for m, t in truth.items()}, here)
        behind, ahead = pmr_weights(score, seen)
        active = step.epoch < step.hyper["until"] * step.epochs
        early = step.epoch < step.hyper["entropy_until"] * step.epochs
        pull = step.hyper["alpha"] * active * behind
        spread = step.hyper["entropy"] * early * ahead
        loss = task_loss(answer, step.target, self.parts.task)
        for i, (m, log) in enumerate(logs.items()):
            entropy = -(log.exp() * log).sum(dim=1)
            loss = loss - pull[i] * mean_where(truth[m], here[m]) - spread[i] * mean_where(entropy, here[m])
        return loss

    def _prototypes(self, m: str, features: Tensor, step: Step, turned: Tensor) -> tuple[Tensor, Tensor]:
        """Prototypes to use in this step and which classes have one; brings the state up to date."""
        state = step.state
        prototypes, known = state[f"prototypes {m}"], state[f"known {m}"]
        sums, counts = state[f"sums {m}"], state[f"counts {m}"]
        means = _means(sums, counts)
        momentum = step.hyper["momentum"]
        blended = torch.where(known[:, None], (1 - momentum) * means + momentum * prototypes, means)
        fresh = turned & (counts > 0)
        prototypes = torch.where(fresh[:, None], blended, prototypes)
        known = known | fresh
        classes = torch.arange(len(counts), device=counts.device)
        member = ((step.target[:, None] == classes) & step.present[m][:, None]).to(features.dtype)
        sums = torch.where(turned, torch.zeros_like(sums), sums) + member.T @ features
        counts = torch.where(turned, torch.zeros_like(counts), counts) + member.sum(dim=0)
        state[f"prototypes {m}"], state[f"known {m}"] = prototypes, known
        state[f"sums {m}"], state[f"counts {m}"] = sums, counts
        first = step.epoch < 1
        return torch.where(first, _means(sums, counts), prototypes), torch.where(first, counts > 0, known)


def _means(sums: Tensor, counts: Tensor) -> Tensor:
    """Mean features by class, 0 where there are none; averaged over processes, a number of rows can be below 1."""
    return sums / torch.where(counts > 0, counts, torch.ones_like(counts))[:, None]


def similarities(features: Tensor, prototypes: Tensor, known: Tensor) -> Tensor:
    """Minus the Euclidean distance of each row to each prototype, `[b, classes]`; very far where there is none."""
    with torch.autocast(features.device.type, enabled=False):  # a small difference of large numbers
        x = features.to(prototypes.dtype)
        squares = x.square().sum(dim=1)[:, None] + prototypes.square().sum(dim=1)[None, :]
        distance = (squares - 2 * x @ prototypes.T).clamp(min=1e-12).sqrt()
    return torch.where(known[None, :], -distance, torch.full_like(distance, FAR))


def pmr_weights(score: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the prototype loss and of the entropy term, `[modalities]` each, both 0 to 1.

    Args:
        score: mean probability that each modality's prototypes give the truth, `[modalities]`.
        seen: whether it could be measured.
    """
    others, comparable = mean_of_others(score, seen)
    least = torch.finfo(score.dtype).tiny
    behind = (only(comparable, others / score.clamp(min=least)) - 1).clamp(0, 1)
    ahead = (only(comparable, score / others.clamp(min=least)) - 1).clamp(0, 1)
    return behind, ahead
