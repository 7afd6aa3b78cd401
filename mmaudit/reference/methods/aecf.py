"""AECF, adaptive entropy-gated contrastive fusion: the reading of the paper, and the variant that we recommend.

Two more live in `aecf_repository` and `aecf_release`: three different things have been published under this name
(arXiv 2505.15417; github.com/leochlon/aecf in May 2025; PyPI `aecf` 0.1.0). Of the paper only the abstract, the
introduction, a caption and a review were at hand, so none of these is the paper's method to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmaudit.reference.base import Draw, Hyper, Method, Parts, Reference, Step, reference, references
from mmaudit.reference.losses import row_losses
from mmaudit.reference.methods.aecf_calibration import (
    Calibration,
    chains,
    confidence,
    consistency,
    monotonicity,
)
from mmaudit.reference.methods.aecf_entropy import (
    Coefficient,
    adaptive,
    exact_variance,
    mean_over_present,
    scheduled,
    variance_of_passes,
)
from mmaudit.reference.methods.aecf_gate import Gate, entropy, unit, unit_mean_square, weights
from mmaudit.reference.methods.aecf_masks import Masking, drop_probability, kept, ramp

REVIEW = "AECF, arXiv 2505.15417 (abstract and introduction; its formulas from a published review)"
SETTINGS = {
    "gate_rate": Hyper(1.0, 1.0, 10.0, log=True),
    "entropy": Hyper(0.05, 0.05, 0.5, log=True),
    "calibration": Hyper(0.1, 0.1, 0.5, log=True),
    "mask": Hyper(0.3, 0.1, 0.5),
}
DROPOUT = 0.1  # of the passes whose variance is the uncertainty
CALIBRATED_AFTER = 5.0  # epochs until the calibration term has its full weight (author's repository)
MASKED_AFTER = 15.0  # epochs until masking has its full strength (author's repository)


class Gated(Reference):
    """A gate weighs projected features, z = c Σ pₘ Wₘ hₘ; what it is trained on is a matter of modes.

    Whatever is absent, or masked in training, is zero to the gate and has weight 0, the others' weights sum to 1: a row
    masked in training is answered exactly as a row from which these modalities are missing. A row without any modality
    is answered by the head's bias.

    Attributes:
        coefficient: of the entropy reward: `schedule`, or per row from the variance of logits, by stochastic `passes`
            or `exact`.
        masking: rule of the curriculum, see `aecf_masks.drop_probability`.
        calibration: term across subsets, `mono` or `mse`, see `aecf_calibration`.
        rescue: whether masking leaves every row at least one modality.
        passes: K, of MC dropout.
        hidden: units of the gate.
        narrowest, widest: of the projected features, which are as wide as the widest modality within these bounds.
        summed: whether c is the number of modalities left, so that a uniform gate adds features up; 1 otherwise.
        bent: whether a ReLU is between z and the linear head, and features have a mean square of 1, not a length of 1.
    """

    coefficient: ClassVar[Coefficient] = "exact"
    masking: ClassVar[Masking] = "ramp"
    calibration: ClassVar[Calibration] = "mono"
    rescue: ClassVar[bool] = True
    passes: ClassVar[int] = 5
    hidden: ClassVar[int] = 256
    narrowest: ClassVar[int] = 64
    widest: ClassVar[int] = 512
    summed: ClassVar[bool] = True
    bent: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        wide = [parts.widths[m] for m in parts.query]
        self.width = min(self.widest, max(self.narrowest, *wide))
        self.project = nn.ModuleList([nn.Linear(w, self.width) for w in wide])
        self.gate = Gate(sum(wide), self.hidden, len(wide))
        self.head = nn.Linear(self.width, parts.task.width)

    # ---- what it computes

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]`; deterministic and without any mask but presence."""
        there = self.there(present)
        scaled = self._scaled(features, there)
        return self._answer(self._projected(scaled), self._weights(scaled, there), there)

    def gate_weights(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """The gate's weights `[b, M]` in the order of the modalities; 0 where absent."""
        there = self.there(present)
        return self._weights(self._scaled(features, there), there)

    def there(self, present: Mapping[str, Tensor]) -> Tensor:
        """Presence as `bool[b, M]`."""
        return torch.stack([present[m] for m in self.parts.query], dim=-1)

    def _scaled(self, features: Mapping[str, Tensor], there: Tensor) -> list[Tensor]:
        scale = unit_mean_square if self.bent else unit
        return [
            scale(torch.where(there[:, i, None], features[m], torch.zeros_like(features[m])))
            for i, m in enumerate(self.parts.query)
        ]

    def _projected(self, scaled: list[Tensor]) -> Tensor:
        return torch.stack([w(x) for w, x in zip(self.project, scaled, strict=True)], dim=-2)

    def _weights(self, scaled: list[Tensor], keep: Tensor) -> Tensor:
        """Weights `[…, b, M]` for any number of subsets `keep[…, b, M]` of the same rows."""
        seen = torch.cat([x * keep[..., m, None] for m, x in enumerate(scaled)], dim=-1)
        return weights(self.gate(seen), keep)

    def _read(self, fused: Tensor) -> Tensor:
        """What the linear head reads."""
        return torch.relu(fused) if self.bent else fused

    def _answer(self, projected: Tensor, p: Tensor, keep: Tensor) -> Tensor:
        """Outputs `[…, b, k]`."""
        factor = p * keep.sum(dim=-1, keepdim=True) if self.summed else p
        out: Tensor = self.head(self._read((factor[..., None] * projected).sum(dim=-2)))
        return out

    # ---- how it is trained

    def loss(self, step: Step) -> Tensor:
        """Task loss of masked rows − λ(x) · entropy of the unmasked gate + cₜ · calibration across subsets."""
        features = self.encode(step.inputs, step.present)
        there = self.there(step.present)
        scaled = self._scaled(features, there)
        projected = self._projected(scaled)
        # The last subset of a chain is all that is present.
        subsets = chains(step.draws["chain"], there) if self.calibration == "mono" else there[None]
        along = self._weights(scaled, subsets)
        p = along[-1]
        keep = self._kept(step, there, p)
        out = self._answer(projected, self._weights(scaled, keep), keep)
        task = row_losses(out, step.target, self.parts.task).mean()
        reward = (self._coefficient(step, projected, there) * entropy(p)).mean()
        return task - reward + self._calibration(step, projected, subsets, along)

    def _kept(self, step: Step, there: Tensor, p: Tensor) -> Tensor:
        """What masking leaves, `bool[b, M]`."""
        ramped = ramp(step.epoch, min(MASKED_AFTER, step.epochs / 2))
        dropped = drop_probability(self.masking, p, there, step.hyper["mask"], ramped)
        return kept(dropped, step.draws["mask"], p, there, rescue=self.rescue)

    def _coefficient(self, step: Step, projected: Tensor, there: Tensor) -> Tensor:
        """λ, 0-d or per row."""
        largest = step.hyper["entropy"]
        if self.coefficient == "schedule":
            return scheduled(step.epoch, step.epochs, largest)
        read = self._read(projected)
        if self.coefficient == "passes":
            variance = variance_of_passes(read, self.head.weight, step.draws["dropout"], DROPOUT)
        else:
            variance = exact_variance(read, self.head.weight, DROPOUT)
        return adaptive(mean_over_present(variance, there), 0.0, largest)

    def _calibration(self, step: Step, projected: Tensor, subsets: Tensor, along: Tensor) -> Tensor:
        """cₜ times the term across subsets; a regression has no confidence, so `mono` is 0 there.

        `along` are the weights for the subsets, both `[S, b, M]`; the last is all that is present.
        """
        task = self.parts.task
        growing = step.hyper["calibration"] * (step.epoch / CALIBRATED_AFTER).clamp(max=1.0)
        if self.calibration == "mse":
            alone: Tensor = self.head(self._read(projected))
            return growing * consistency(alone, self._answer(projected, along[-1], subsets[-1]), subsets[-1], task)
        if self.calibration == "mono" and task.kind != "regression":
            return growing * monotonicity(confidence(self._answer(projected, along, subsets), task), subsets)
        return torch.zeros_like(growing)

    def draws(self, rows: int) -> dict[str, Draw]:
        """Who is masked, in which order subsets are nested, and which units the passes drop."""
        M = len(self.parts.query)
        wanted = {"mask": Draw("uniform", (rows, M))}
        if self.calibration == "mono":
            wanted["chain"] = Draw("uniform", (rows, M))
        if self.coefficient == "passes":
            wanted["dropout"] = Draw("uniform", (self.passes, rows, M, self.width))
        return wanted

    def rate(self, name: str) -> str | None:
        """The gate may learn faster than the rest."""
        return "gate_rate" if name.startswith("gate.") else None

    def decays(self, name: str) -> bool:
        """No weight decay on the gate (author's repository)."""
        return not name.startswith("gate.")


@reference(
    "aecf",
    title="AECF",
    source=f"{REVIEW}, with what its author's code leaves broken mended",
    hyper=SETTINGS | {"entropy": Hyper(0.2, 0.05, 0.5, log=True)},
)
class AECF(Gated):
    """Adaptive entropy-gated fusion: the variant that we recommend.

    Follows the paper's outline, and where a source is silent or does not work takes what does:

    - Gate: Linear(256), ReLU, Linear on the features, each scaled to a mean square of 1; softmax over what is present.
    - z = n Σ pₘ Wₘ hₘ, n how many modalities are left, then ReLU and a linear head: with a uniform gate a concatenation
      head of one hidden layer. The sources have no n and a linear head, an average of the modalities' own predictions,
      in which evidence does not add up: on AV-MNIST with pictures reduced, removing a modality raised the confidence in
      43 % of cases without n in an early run; with it in 8 % (docs/reproductions/aecf_avmnist.md).
    - Entropy coefficient per row: λ(x) = min(λ_max, softplus(v) − ln 2), v the variance of the modalities' logits under
      dropout of 0.1, in closed form (the limit of infinitely many passes). See `aecf_entropy.adaptive` for the ln 2.
      λ_max is 0.2: with the repository's 0.05 all but 1 % of rows were at the bound after ten epochs on AV-MNIST.
    - Curriculum masking `ramp`: each modality is dropped with probability π · min(1, epoch ÷ 15), or half of the epochs
      where that is less; no row loses everything. The rules driven by the gate's entropy are modes (`mode`): `rfc` and
      `dominant` mask the less the more the entropy reward succeeds, and the weaker modality alone is answered worse.
    - Calibration: `mono`, a stand-in for the unreadable formula: the hinge of CML (Ma et al., ICML 2023) along one
      random chain of nested subsets per row, with weight 0.1 · min(1, epoch ÷ 5). Left out for a regression.

    Hyper-parameters: `gate_rate` multiplies the gate's learning rate, `entropy` is λ_max, `calibration` the weight,
    `mask` π. Ranges are those that the author's configurations span.
    """


@reference(
    "aecf_paper",
    title="AECF (paper, as far as readable)",
    source=REVIEW,
    hyper=SETTINGS | {"gate_rate": Hyper(10.0, 1.0, 10.0, log=True)},
)
class AECFPaper(Gated):
    """Adaptive entropy-gated fusion as far as the paper could be read.

    Read (from a review and a caption): a two-layer gate, softmax, z = Σ pₘ Wₘ hₘ; λ(x) = min(λ_max, λ_min +
    softplus(v)), v the mean over modalities of the variance of their logits over K stochastic passes; inputs masked at
    random with a probability that ramps linearly to π_max; monotone confidence across subsets; frozen encoders.

    Not found, and taken from elsewhere: K = 5, dropout 0.1, λ_min = 0 (ours); λ_max 0.05, π_max 0.30, the ramp of 15
    epochs (at most half of them), gate learning rate × 10, L2-normalised features, linear head (author's repository,
    commit aed89e6); the gate's 256 units (its `oldleg.py`); for the calibration term a stand-in, the hinge of CML (Ma
    et al., ICML 2023) along random chains of nested subsets. Two changes to what is printed: ln 2 is subtracted from
    the softplus, without which λ(x) is a constant; and the entropy is rewarded (the review's sign would punish it).
    Masked modalities are left out of the softmax, and all of a row's may be (independent drops).
    """

    coefficient = "passes"
    masking = "ramp"
    calibration = "mono"
    rescue = False
    summed = False
    bent = False


def mode(
    *,
    coefficient: Coefficient = AECF.coefficient,
    masking: Masking = AECF.masking,
    calibration: Calibration = AECF.calibration,
) -> Method:
    """Return the recommended variant with other modes, as a method that is not registered (ablations).

    The strength π of `random`, `release` and `rfc` is a hyper-parameter like that of `ramp`: the sources' values are
    0.4, 0.15 and 0.15.
    """
    base = references.get("aecf")
    modes = {"coefficient": coefficient, "masking": masking, "calibration": calibration}
    said = ", ".join(f"{k} {v}" for k, v in modes.items())
    cls = type("AECFMode", (AECF,), {**modes, "__doc__": f"{AECF.__doc__}\n    Modes: {said}."})
    return Method(f"aecf ({said})", f"AECF, {said}", base.source, base.tasks, base.fewest, cls, base.hyper)
