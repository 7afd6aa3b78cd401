"""Curriculum masking of AECF: which modalities a training row loses, by the rules of its different sources.

Every rule takes the gate's weights, what is present, and uniform random numbers, and says what is kept. None is used in
evaluation. Written for `torch.func.vmap`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mmaudit.reference.methods.aecf_gate import entropy, normalised

Masking = Literal["none", "random", "ramp", "release", "rfc", "dominant"]


def ramp(epoch: Tensor, warm_up: float) -> Tensor:
    """Share of its strength that masking has reached: min(1, epoch ÷ warm-up); 1 throughout without a warm-up."""
    return (epoch / warm_up).clamp(max=1.0) if warm_up > 0 else torch.ones_like(epoch)


def drop_probability(rule: Masking, p: Tensor, present: Tensor, strength: Tensor, ramped: Tensor) -> Tensor:
    """Return with which probability each modality is dropped, `[b, M]`; 0 for those that are absent anyway.

    Rules, with π the strength, Hₙ the entropy of the weights ÷ ln(number present):

    - `none`: 0.
    - `random`: π (every configuration of the author's repository, commit aed89e6).
    - `ramp`: π · min(1, epoch ÷ warm-up) (the repository's `apply_adaptive_mask`, whose docstring names it Eq. 4 of the
      paper; it has no caller there).
    - `release`: π · Hₙ (PyPI 0.1.0). A gate that has collapsed onto one modality is hardly ever masked.
    - `rfc`: π · (1 − Hₙ) (the author's RFC-0042 for PyTorch, and the repository until five days before the release).
      The more the gate has collapsed, the more is masked.
    - `dominant`: π · min(1, epoch ÷ warm-up) · (1 − Hₙ) for the modality of the largest weight, 0 for the others: the
      paper's stated intent, "adversarially probe dominant modalities"; no source has this formula.

    Args:
        rule: one of these.
        p: weights of the unmasked gate, `[b, M]`, 0 where absent; no gradient flows back to them.
        present: `bool[b, M]`.
        strength: π, 0-d.
        ramped: 0-d, what `ramp` returns.
    """
    p = p.detach()
    flat = torch.ones_like(p)
    if rule == "none":
        return torch.zeros_like(p)
    if rule == "random":
        return strength * flat * present
    if rule == "ramp":
        return strength * ramped * flat * present
    share = normalised(entropy(p), present)[..., None]
    if rule == "release":
        return strength * share * present
    if rule == "rfc":
        return strength * (1 - share) * present
    return strength * ramped * (1 - share) * (strongest(p) & present)


def strongest(p: Tensor) -> Tensor:
    """Where the largest weight is, `bool[…, M]`; the first of equals."""
    return torch.arange(p.shape[-1], device=p.device) == p.argmax(dim=-1, keepdim=True)


def kept(probability: Tensor, uniform: Tensor, p: Tensor, present: Tensor, *, rescue: bool = True) -> Tensor:
    """Return what a row keeps, `bool[b, M]`: each present modality is dropped independently.

    Args:
        probability: of being dropped, `[b, M]`.
        uniform: in [0, 1), `[b, M]`.
        p: weights of the unmasked gate.
        present: `bool[b, M]`.
        rescue: whether a row that would lose everything keeps the present modality of the largest weight (`min_active`
            of the PyPI release); without it such a row is trained on as all-missing.
    """
    found = present & (uniform >= probability)
    if not rescue:
        return found
    lost = ~found.any(dim=-1, keepdim=True)
    return torch.where(lost, strongest(p.detach()) & present, found)
