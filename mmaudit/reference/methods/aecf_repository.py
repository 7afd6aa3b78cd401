"""AECF as its author's repository had it before the refactoring ("AECF-CLIP", commit aed89e6, May 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmaudit.reference.base import Draw, Hyper, Parts, Reference, Step, Tensors, reference
from mmaudit.reference.losses import task_loss
from mmaudit.reference.methods.aecf_calibration import batch_ece, consistency
from mmaudit.reference.methods.aecf_entropy import scheduled
from mmaudit.reference.methods.aecf_gate import Gate, entropy, unit

COOLEST = 1.5  # lowest temperature of the gate
RAMP = 5.0  # epochs until the consistency term has its full weight
ECE_WEIGHT, SIZE_WEIGHT = 0.5, 1e-4
ALPHA, GAMMA, SMOOTHING, HEAVIEST = 0.25, 2.0, 0.05, 10.0  # of the focal loss


@reference(
    "aecf_repository",
    title="AECF (author's repository, AECF-CLIP)",
    source="github.com/leochlon/aecf, commit aed89e6 (aecf/model.py, scripts/coco_ablation_suite.py), MIT",
    hyper={
        "lr": Hyper(1e-4, 1e-4, 1e-2, log=True),
        "gate_rate": Hyper(10.0),
        "entropy": Hyper(0.05, 0.05, 0.5, log=True),
        "calibration": Hyper(0.1, 0.1, 0.5, log=True),
        "mask": Hyper(0.4, 0.1, 0.5),
    },
)
class AECFRepository(Reference):
    """Entropy-gated fusion of the author's repository ("AECF-CLIP"), with the traits of that code.

    Features are L2-normalised; gate Linear(2048), ReLU, Linear; weights are softmax(u ÷ T) over **all** modalities, T
    learned from 2 and at least 1.5. In training the gate sees complete features, and the mask (each modality dropped
    with probability 0.4, possibly all) is applied **after** the gate without renormalising: z = Σ pₘ · maskₘ · hₘ,
    without projections, then a linear head. In evaluation a missing modality is a zero vector, which the gate sees. So
    training and evaluation differ for missing modalities, as they do there.

    Loss: task − λₜ · mean entropy (`aecf_entropy.scheduled`: λ_max 0.05 after 3 epochs) + 0.1 · min(1, epoch ÷ 5) · Σ
    MSE of each modality's own prediction to the fused one (named CEC there; it is one-sided consistency, neither
    contrastive nor monotone) + 0.5 · ECE of the mini-batch + 10⁻⁴ · mean squared output. The task's loss is focal
    cross-entropy for multilabel tasks (α 0.25, γ 2, smoothing 0.05, positives weighted by (1 − f) ÷ f up to 10, f
    their share in training so far; there: in the training set) and cross-entropy for classes.

    Not taken over: the sampler that halves COCO's "person" images; the cosine schedule of the learning rate is the
    training budget's affair. Ours: the ECE of classes is the top-label one (there the call would raise); regressions
    have squared errors and no ECE; where training rows themselves lack modalities, which never happens there, the
    entropy is that of the weights over what is present, and the consistency term counts these alone.
    """

    hidden = 2048

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        wide = [parts.widths[m] for m in parts.query]
        self.gate = Gate(sum(wide), self.hidden, len(wide))
        self.log_temperature = nn.Parameter(torch.tensor([log(2.0)]))
        self.head = nn.Linear(wide[0], parts.task.width)

    @classmethod
    def refuses(cls, parts: Parts) -> str | None:
        """Features are added without a projection, so they must be of one width."""
        wide = {m: parts.widths[m] for m in parts.query}
        if len(set(wide.values())) > 1:
            said = ", ".join(f"{m} {w}" for m, w in wide.items())
            return (
                f"it adds features without projecting them, so they must be equally wide; they are {said}. Use 'aecf'."
            )
        return None

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]`; absent features are zeros."""
        stacked = self._stacked(features)
        out: Tensor = self.head((self._weights(stacked)[..., None] * stacked).sum(dim=-2))
        return out

    def gate_weights(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """The gate's weights `[b, M]`, over all modalities whether present or not."""
        return self._weights(self._stacked(features))

    def _stacked(self, features: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([unit(features[m]) for m in self.parts.query], dim=-2)

    def _weights(self, stacked: Tensor) -> Tensor:
        temperature = self.log_temperature.exp().clamp(min=COOLEST)
        return torch.softmax(self.gate(stacked.flatten(-2)) / temperature, dim=-1)

    def loss(self, step: Step) -> Tensor:
        """Task loss of masked rows − λₜ H + cₜ consistency + ½ ECE + 10⁻⁴ mean squared output."""
        stacked = self._stacked(self.encode(step.inputs, step.present))
        there = torch.stack([step.present[m] for m in self.parts.query], dim=-1)
        p = self._weights(stacked)
        mask = step.draws["mask"] >= step.hyper["mask"]
        out = self.head(((p * mask)[..., None] * stacked).sum(dim=-2))
        alone: Tensor = self.head(stacked)
        over = p * there
        over = over / over.sum(dim=-1, keepdim=True).clamp(min=1e-8)
        total: Tensor = self._task_loss(out, step)
        total = total - scheduled(step.epoch, step.epochs, step.hyper["entropy"]) * entropy(over).mean()
        growing = step.hyper["calibration"] * (step.epoch / RAMP).clamp(max=1.0)
        total = total + growing * consistency(alone, out, there, self.parts.task) + SIZE_WEIGHT * out.square().mean()
        if self.parts.task.kind != "regression":
            total = total + ECE_WEIGHT * batch_ece(out, step.target, self.parts.task)
        return total

    def _task_loss(self, out: Tensor, step: Step) -> Tensor:
        if self.parts.task.kind != "multilabel":
            return task_loss(out, step.target, self.parts.task)
        target = step.target.to(out.dtype)
        positives = step.state["positives"] + target.sum(dim=0).detach()
        rows = step.state["rows"] + target.shape[0]
        step.state["positives"], step.state["rows"] = positives, rows
        share = positives / rows
        return focal(out, target, ((1 - share) / share.clamp(min=1e-8)).clamp(max=HEAVIEST))

    def initial_state(self) -> Tensors:
        """How often each label applied so far, and rows seen, for a multilabel task."""
        if self.parts.task.kind != "multilabel":
            return {}
        return {"positives": torch.zeros(self.parts.task.width), "rows": torch.zeros(())}

    def draws(self, rows: int) -> dict[str, Draw]:
        """Who is masked."""
        return {"mask": Draw("uniform", (rows, len(self.parts.query)))}

    def rate(self, name: str) -> str | None:
        """The gate learns ten times as fast."""
        return "gate_rate" if name.startswith(("gate.", "log_temperature")) else None

    def decays(self, name: str) -> bool:
        """No weight decay on the gate."""
        return not name.startswith(("gate.", "log_temperature"))


def focal(outputs: Tensor, target: Tensor, positive_weight: Tensor) -> Tensor:
    """Return the repository's focal binary cross-entropy, 0-d, in nats.

    Mean of −α (1 − p)^γ w y′ ln p − (1 − α) p^γ (1 − y′) ln(1 − p), y′ = 0.95 y + 0.025.

    Args:
        outputs: logits `[b, k]`.
        target: 0 and 1, `[b, k]`.
        positive_weight: w, `[k]`.
    """
    p = torch.sigmoid(outputs)
    y = target * (1 - SMOOTHING) + 0.5 * SMOOTHING
    yes = ALPHA * (1 - p) ** GAMMA * positive_weight * y * F.logsigmoid(outputs)
    no = (1 - ALPHA) * p**GAMMA * (1 - y) * F.logsigmoid(-outputs)
    found: Tensor = -(yes + no).mean()
    return found
