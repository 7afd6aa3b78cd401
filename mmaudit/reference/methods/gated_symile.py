"""Gated Symile: a product of embeddings in which each candidate decides how much it trusts each context modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mmaudit.reference.base import Hyper, Parts, Tensors, reference
from mmaudit.reference.methods.contrastive import BLOCK, LEARNING_RATE, ContrastiveReference
from mmaudit.reference.methods.gate import Gate, GateOptions

SOURCE = "Rheude et al. 2026 (arXiv 2604.05834); TillmannRheude/gated_symile"
HYPER = {"lr": LEARNING_RATE, "gate_rate": Hyper(2.0, 1.0, 20.0, log=True)}


@reference(
    "gated_symile",
    title="Gated Symile",
    source=SOURCE,
    tasks=("classification", "retrieval"),
    fewest=2,
    hyper=HYPER,
)
class GatedSymile(ContrastiveReference):
    """Symile whose context embeddings are drawn towards neutral directions by a gate that sees the candidate.

    For a target embedding c and each context modality m, as in the released code:

        s_m = cos(W_q c, W_k e_m) / τ,  n = (head(c) + ν) / τ,  w_m = σ(s_m) (1 − σ(n))
        g_m = normalised (1 − α) e_m + α (w_m e_m + (1 − w_m) N_m),   logit = exp(s) D^((M−1)/2) Σ_d c_d Π_m g_m,d

    with τ = softplus(log T) + 0.1 and α = σ(γ) learned. The score of all pairs is exact and takes O(B²D)
    (`mmaudit.reference.methods.gate`). Training: every modality is the target in turn, all other rows' targets are the
    negatives (the released code draws them with replacement), no auxiliary loss. Parameters of the gate learn
    `gate_rate` times as fast and do not decay. An absent modality is its neutral direction, whatever the gate says, so
    that with all absent a candidate is scored by the neutral directions alone.

    Left open by the source, or different here: temperature and strength start at T₀ = 0.8 and γ₀ = 3, near those of the
    released launch files (the configuration file says 0.7 and −3), the logit scale at exp(−0.5), and none of them is
    searched; for classification the learned embedding of a class is the candidate. A subclass with other `options`
    exchanges the neutral directions, the kind of weights, renormalisation.
    """

    start = -0.5
    scaled = True
    options: ClassVar[GateOptions] = GateOptions()

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.gate = Gate(parts.modalities, self.anchors, self.width, self.options)

    def logits(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor], target: str
    ) -> Tensor:
        """Gated multilinear products, times the logit scale."""
        return self.factor(len(query) + 1) * self.gate.scores(query, candidates, present, target)

    def own_weights(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensors:
        """Weight w of each query modality `[n]` when a row's own target is the candidate: what the gate trusts.

        For a retrieval only. Weights of absent modalities mean nothing.
        """
        embedded = self.embed(self.encode(inputs, present), present)
        found: dict[str, list[Tensor]] = {m: [] for m in self.parts.query}
        for first in range(0, len(embedded[self.sought]), BLOCK):
            rows = slice(first, first + BLOCK)
            query, there = ({m: t[m][rows] for m in self.parts.query} for t in (embedded, present))
            candidates = embedded[self.sought][rows]
            for m, w in zip(query, self.gate.weights(query, candidates, there, self.sought), strict=True):
                found[m].append(w.expand(len(candidates), len(candidates)).diagonal())
        return {m: torch.cat(ws) for m, ws in found.items()}

    def rate(self, name: str) -> str | None:
        """Parameters of the gate have a learning rate of their own."""
        return "gate_rate" if name.startswith("gate.") else None

    def decays(self, name: str) -> bool:
        """Parameters of the gate do not decay."""
        return not name.startswith("gate.")


@reference(
    "gated_symile_matrix",
    title="Gated Symile, constant gate",
    source=f"{SOURCE}, gate_mode 'matrix'",
    tasks=("classification", "retrieval"),
    fewest=2,
    hyper=HYPER,
)
class GatedSymileMatrix(GatedSymile):
    """`gated_symile` with one learned weight per target and context modality, the same for every pair: an ablation.

    It shows what neutral directions are worth without attention. There is no NULL, which needs a candidate to look at.
    """

    options = GateOptions(mode="matrix", null=False)


@reference(
    "gated_symile_no_null",
    title="Gated Symile, without NULL",
    source=f"{SOURCE}, use_null false",
    tasks=("classification", "retrieval"),
    fewest=2,
    hyper=HYPER,
)
class GatedSymileNoNull(GatedSymile):
    """`gated_symile` in which a candidate cannot turn all context modalities down at once: w = σ(s); an ablation."""

    options = GateOptions(null=False)
