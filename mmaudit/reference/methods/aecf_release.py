"""AECF as released on PyPI (`aecf` 0.1.0), with what makes it inert there mended."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmaudit.reference.base import Draw, Hyper, Parts, Reference, Step, reference
from mmaudit.reference.losses import row_losses
from mmaudit.reference.methods.aecf_gate import entropy, most_entropy, weights
from mmaudit.reference.methods.aecf_masks import drop_probability, kept

WIDTH, HEADS, BEFORE_LAST = 256, 8, 128
TARGET = 0.7  # share of the largest entropy


@reference(
    "aecf_release",
    title="AECF (PyPI 0.1.0, mended)",
    source="PyPI aecf 0.1.0 (MIT); projections and head of the author's benchmark notebook, github.com/leochlon/aecf",
    hyper={"entropy": Hyper(0.01, 0.001, 0.1, log=True), "mask": Hyper(0.15, 0.05, 0.5)},
)
class AECFRelease(Reference):
    """Attention pooling by a learned query with a curriculum mask on its weights: PyPI `aecf` 0.1.0, mended.

    Each modality is projected to 256 (linear, layer normalisation, ReLU); a learned query attends to them with 8
    heads; the pooled vector goes through a head of 128 units. Loss: task + 0.01 · mean (H − 0.7 ln n)², H the entropy
    of the weights averaged over heads, n how many modalities are present. In training each modality is dropped with
    probability 0.15 · H ÷ ln n; a row that would lose everything keeps the one of the largest weight.

    As released, using the package as documented is plain attention pooling, so these were mended:

    1. The mask went into a returned dictionary only and never touched the output. Here it takes the dropped modalities
       out of every head's softmax, which for one head is the release's own masking and renormalising.
    2. The entropy given to `entropy_loss` was detached, so the loss had no gradient. Here it has one.
    3. With a padded modality that gradient was NaN (derivative of x ln x at 0). See `aecf_gate.entropy`.
    4. A row with everything padded gave NaN. Here the pooled vector is the output projection's bias.
    5. Missing modalities were zeros unless a padding mask was given, and drew attention all the same. It always is
       here.
    6. Entropy was divided by, and its target set from, the number of all modalities, so that the target could be out of
       reach where some are missing. Here it is the number present in the row.
    7. The query was no parameter of the module; the functional form built a new, random module at every call; a buffer
       broke loading with and without masking. There is one module here, and it holds its parameters alone.

    Kept: the direction of the mask (a collapsed gate is hardly masked; `aecf_masks` has the opposite, of the RFC). Left
    out: dropout, which the benchmark has at 0.1.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.project = nn.ModuleList(
            [nn.Sequential(nn.Linear(parts.widths[m], WIDTH), nn.LayerNorm(WIDTH), nn.ReLU()) for m in parts.query]
        )
        self.query = nn.Parameter(torch.randn(WIDTH) * (2.0 / WIDTH) ** 0.5)
        self.to_query = nn.Linear(WIDTH, WIDTH)
        self.to_key = nn.Linear(WIDTH, WIDTH)
        self.to_value = nn.Linear(WIDTH, WIDTH)
        self.pooled = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Sequential(
            nn.Linear(WIDTH, BEFORE_LAST),
            nn.LayerNorm(BEFORE_LAST),
            nn.ReLU(),
            nn.Linear(BEFORE_LAST, parts.task.width),
        )

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]`; deterministic and without any mask but presence."""
        there = self._there(present)
        scores, values = self._attention(features)
        return self._pool(self._by_head(scores, there), values)

    def gate_weights(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Attention averaged over heads, `[b, M]`; 0 where absent."""
        scores, _ = self._attention(features)
        return self._by_head(scores, self._there(present)).mean(dim=-2)

    def _there(self, present: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([present[m] for m in self.parts.query], dim=-1)

    def _attention(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Scores `[b, heads, M]`, and values `[b, heads, M, width ÷ heads]`."""
        x = torch.stack([f(features[m]) for f, m in zip(self.project, self.parts.query, strict=True)], dim=-2)
        query = self.to_query(self.query).unflatten(-1, (HEADS, -1))
        keys = self.to_key(x).unflatten(-1, (HEADS, -1))
        values = self.to_value(x).unflatten(-1, (HEADS, -1))
        scores = (keys * query).sum(dim=-1) * query.shape[-1] ** -0.5
        return scores.transpose(-1, -2), values.transpose(-2, -3)

    def _by_head(self, scores: Tensor, keep: Tensor) -> Tensor:
        return weights(scores, keep[..., None, :])

    def _pool(self, p: Tensor, values: Tensor) -> Tensor:
        pooled = (p[..., None] * values).sum(dim=-2).flatten(-2)
        out: Tensor = self.head(self.pooled(pooled))
        return out

    def loss(self, step: Step) -> Tensor:
        """Task loss of masked rows + weight · mean squared distance of the entropy from its target."""
        there = self._there(step.present)
        scores, values = self._attention(self.encode(step.inputs, step.present))
        p = self._by_head(scores, there).mean(dim=-2)
        dropped = drop_probability("release", p, there, step.hyper["mask"], torch.ones_like(step.epoch))
        keep = kept(dropped, step.draws["mask"], p, there)
        out = self._pool(self._by_head(scores, keep), values)
        task = row_losses(out, step.target, self.parts.task).mean()
        return task + step.hyper["entropy"] * (entropy(p) - TARGET * most_entropy(there)).square().mean()

    def draws(self, rows: int) -> dict[str, Draw]:
        """Who is masked."""
        return {"mask": Draw("uniform", (rows, len(self.parts.query)))}
