"""OGM-GE: the gradients of the better modality's encoder are damped, and all encoders' gradients get noise."""

from __future__ import annotations

import torch
from torch import Tensor

from mmaudit.reference.base import Draw, Hyper, Parts, Step, Tensors, reference
from mmaudit.reference.losses import task_loss
from mmaudit.reference.methods.balancing import Balanced, added, certainty, mean_of_others, only, scores

SOURCE = (
    "Peng et al., Balanced Multimodal Learning via On-the-fly Gradient Modulation, CVPR 2022; GeWu-Lab/OGM-GE_CVPR2022"
)


def ogm_coefficients(score: Tensor, known: Tensor, alpha: Tensor) -> Tensor:
    """Return `k_m` of the paper's equation 10, `[modalities]`: 1 − tanh(α ρ_m) where ρ_m > 1, else 1.

    Args:
        score: mean probability that each modality by itself gives the truth, `[modalities]`.
        known: whether it could be measured.
        alpha: strength; 0 leaves all gradients as they are.
    """
    others, comparable = mean_of_others(score, known)
    ratio = score / others.clamp(min=torch.finfo(score.dtype).tiny)
    return only(comparable & (ratio > 1), 1 - torch.tanh(alpha * ratio))


@reference(
    "ogm_ge",
    title="OGM-GE",
    source=SOURCE,
    tasks=("classification", "multilabel"),
    hyper={
        "weight_decay": Hyper(1e-4),
        "alpha": Hyper(0.8, 0.1, 1.0),
        "noise": Hyper(1.0, 0.0, 1.0),
        "until": Hyper(0.5),
    },
)
class OgmGe(Balanced):
    """On-the-fly gradient modulation with generalisation enhancement.

    With `s_m` the mean probability that `u_m` (see `Balanced`) gives the truth and `ρ_m = s_m /` mean of the others'
    (of two modalities: `s_0 / s_1`), gradients `g` of m's encoder are multiplied by `k_m = 1 − tanh(α ρ_m)` where
    `ρ_m > 1`; then normal noise `n` of the unmodulated gradient's own standard deviation, times `ν`, is added to every
    encoder's gradients: the step goes along `k g + ν n`. `ν` is the hyper-parameter `noise`, published 1.

    With the sources' SGD the step is as long as that sum. AdamW divides by the usual size of what it is given, and so
    any common factor out: what `k` leaves of the step would depend on the noise. It is therefore given the sum at the
    size of `g`, `(k g + ν n) / √(k² + ν²)`, and the step is multiplied by `√(k² + ν²)`: direction and length are those
    of SGD, in units of AdamW's step along `g`. Clipping, too, sees gradients of the unmodulated size.

    As in the authors' code: weights are modulated, biases are not (theirs has only convolutions in mind), and it is
    done during the first half of the epochs (0 to 50 of 100; `until` is that share). α is 0.1 to 1 in published uses.
    Where the modalities are equal nothing is modulated, as equation 10 says; the code damps one of them then. `noise` 0
    is OGM without GE; with SGD noise fades with the gradient, with AdamW and few steps it can cost what the modulation
    gains, so a search goes down to 0. Multilabel: the probability is the mean over labels.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        encoders = {n: p for n, p in self.named_parameters() if n.startswith("encoders.")}
        self.shapes = {name: tuple(p.shape) for name, p in encoders.items() if p.ndim > 1 and p.requires_grad}

    def draws(self, rows: int) -> dict[str, Draw]:
        """Standard normal numbers, one per modulated weight."""
        return {name: Draw("normal", shape) for name, shape in self.shapes.items()}

    def initial_state(self) -> Tensors:
        """The coefficients of the last step, and how large its noise was beside the unmodulated gradients."""
        return {"coefficients": torch.ones(len(self.names)), "noise": torch.zeros(())}

    def loss(self, step: Step) -> Tensor:
        """The task's loss; measures the coefficients on the way."""
        parts = self.split(self.encode(step.inputs, step.present), step.present)
        rows = {m: certainty(u.detach(), step.target, self.parts.task) for m, u in parts.items()}
        k = ogm_coefficients(*scores(rows, step.present), step.hyper["alpha"])
        step.state["coefficients"] = torch.where(self._active(step), k, torch.ones_like(k))
        noise = step.hyper["noise"]
        step.state["noise"] = torch.where(self._active(step), noise, torch.zeros_like(noise))
        return task_loss(added(parts.values()), step.target, self.parts.task)

    def after_gradients(self, gradients: Tensors, step: Step) -> Tensors:
        """Damp the gradients of encoders and add noise; `paces` gives the sum its length."""
        size, lengths = step.state["noise"], self.paces(step.state)
        coefficients = self.by_modality(step.state["coefficients"])
        found = dict(gradients)
        for name in self.shapes:
            g = gradients[name]
            spread = g.std() + 1e-8 if g.numel() > 1 else torch.zeros_like(g)
            length = lengths[name].clamp(min=torch.finfo(g.dtype).tiny)
            found[name] = coefficients[name] / length * g + size / length * spread * step.draws[name]
        return found

    def paces(self, state: Tensors) -> Tensors:
        """Length of `k g + ν n` beside `g`, for the weights of encoders; without noise that is `k`."""
        factors = self.by_modality(torch.hypot(state["coefficients"], state["noise"]))
        return {name: factors[name] for name in self.shapes}

    def _active(self, step: Step) -> Tensor:
        return step.epoch < step.hyper["until"] * step.epochs
