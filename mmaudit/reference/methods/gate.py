"""The gate of Gated Symile, and the exact score of every query with every candidate without one vector per pair.

A context embedding e is drawn towards a neutral direction N by a share b that depends on query and candidate, so that
the gated vector g = ((1 − b) e + b N) / n differs for every pair. But it depends on the pair through one number only,
and a product of M−1 such sums has 2^(M−1) terms, each a matrix product times numbers. For M = 3, with a = 1 − b:

    f = (a₁a₂ S₀₀ + a₁b₂ S₀₁ + b₁a₂ S₁₀ + b₁b₂ S₁₁) / (n₁ n₂),   n² = 1 − 2ab (1 − <e, N>)
    S₀₀ = (e₁∘e₂) cᵀ,  S₀₁ = (e₁∘N₂) cᵀ,  S₁₀ = (N₁∘e₂) cᵀ,  S₁₁ = (N₁∘N₂) cᵀ

which takes O(B²D) time and O(B²) memory, and works for a bank of candidates in blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import log, sqrt
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

SMALLEST = 1e-12  # squared length below which a gated vector is not made longer


@dataclass(frozen=True)
class GateOptions:
    """What a gate is made of. The defaults are the published benchmark's, not the released configuration file's.

    Attributes:
        mode: `attention`, weights from candidate and context; or `matrix`, one learned number per target and context,
            the same for all samples (no NULL: there is nothing for it to see).
        weights: `sigmoid`, each context modality on its own; or `softmax` over the context modalities and NULL.
        null: whether a candidate may turn all context modalities down.
        neutral: direction N of each modality: `trainable` and `random` start from a random unit vector, `ones` is
            1/√D in all coordinates, `none` shrinks instead, g = (1 − b) e, and is never renormalised.
        renormalise: whether gated vectors get unit length.
        temperature: T₀; the temperature is τ = softplus(log T) + 0.1, so 0.8 starts at 0.69.
        strength: γ₀; the gate's share is α = σ(γ). The released file's −3 starts with the gate nearly off.
        keys: width of the gate's projections, at most D.
    """

    mode: Literal["attention", "matrix"] = "attention"
    weights: Literal["sigmoid", "softmax"] = "sigmoid"
    null: bool = True
    neutral: Literal["trainable", "random", "ones", "none"] = "trainable"
    renormalise: bool = True
    temperature: float = 0.8
    strength: float = 3.0
    keys: int = 256


class Gate(nn.Module):
    """Weights w in [0, 1] of context modalities, and the gated product with candidates.

    Args:
        contexts, targets: names of what may be context and what may be target; they may overlap.
        width: D.
        options: which gate.
    """

    def __init__(self, contexts: Sequence[str], targets: Sequence[str], width: int, options: GateOptions) -> None:
        super().__init__()
        self.contexts, self.targets, self.options = list(contexts), list(targets), options
        self.null = options.null and options.mode == "attention"
        if options.mode == "attention":
            keys = min(options.keys, width)
            self.target_keys = nn.ModuleList(nn.Linear(width, keys, bias=False) for _ in targets)
            self.context_keys = nn.ModuleList(nn.Linear(width, keys, bias=False) for _ in contexts)
            self.log_temperature = nn.Parameter(torch.full((1,), log(options.temperature)))
        else:
            # Equal numbers are a saddle of a softmax's symmetry, hence the noise there; a sigmoid starts at a half.
            table = torch.zeros(len(targets), len(contexts))
            noise = 0.01 if options.weights == "softmax" else 0.0
            self.table = nn.Parameter(table + noise * torch.randn_like(table))
        if self.null:
            layers = (nn.LayerNorm(width), nn.Linear(width, keys), nn.ReLU(), nn.Linear(keys, 1))
            self.null_head = nn.Sequential(*layers)
            self.null_logits = nn.Parameter(torch.zeros(len(targets)))
        directions = F.normalize(torch.randn(len(contexts), width), dim=-1)
        if options.neutral in ("ones", "none"):
            directions = torch.full((len(contexts), width), 1 / sqrt(width))
        if options.neutral == "trainable":
            self.neutral = nn.Parameter(directions)
        else:
            self.register_buffer("neutral", directions)
        self.strength = nn.Parameter(torch.full((1,), options.strength))

    @property
    def temperature(self) -> Tensor:
        """τ, shape [1], above 0.1."""
        return F.softplus(self.log_temperature) + 0.1

    @property
    def share(self) -> Tensor:
        """α in (0, 1), shape [1]: 0 leaves the embeddings as they are."""
        return torch.sigmoid(self.strength)

    def directions(self, names: Sequence[str]) -> list[Tensor]:
        """Neutral unit directions `[D]` of these context modalities."""
        rows = F.normalize(self.neutral, dim=-1)
        return [rows[self.contexts.index(m)] for m in names]

    def weights(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor], target: str
    ) -> list[Tensor]:
        """Weight of each context modality for each pair, in the query's order: `[q, c]`, or `[1, 1]` of a matrix.

        Softmax weights of present modalities and NULL sum to 1; those of absent ones are 0 and mean nothing.
        """
        t = self.targets.index(target)
        if self.options.mode == "matrix":
            scores = [self.table[t, self.contexts.index(m)].reshape(1, 1) for m in query]
            null = None
        else:
            sought = F.normalize(self.target_keys[t](candidates), dim=-1)
            scores = []
            for m, x in query.items():
                asked = F.normalize(self.context_keys[self.contexts.index(m)](x), dim=-1)
                scores.append(asked @ sought.T / self.temperature)
            null = (self.null_head(candidates).T + self.null_logits[t]) / self.temperature if self.null else None
        if self.options.weights == "sigmoid":
            found = [torch.sigmoid(s) for s in scores]
            return found if null is None else [w * torch.sigmoid(-null) for w in found]
        there = [present[m][:, None] for m in query]
        masked = [torch.where(p, s, torch.full_like(s, -1e9)) for p, s in zip(there, scores, strict=True)]
        if null is not None:
            masked.append(null.expand_as(masked[0]))
        return list(torch.softmax(torch.stack(masked), dim=0)[: len(scores)])

    def drawn(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor], target: str
    ) -> list[Tensor]:
        """How far each context modality is drawn to neutral for each pair, b = α (1 − w), `[q, c]` or `[1, 1]`."""
        return [self.share * (1 - w) for w in self.weights(query, candidates, present, target)]

    def scores(
        self, query: Mapping[str, Tensor], candidates: Tensor, present: Mapping[str, Tensor], target: str
    ) -> Tensor:
        """Gated multilinear product of every query with every candidate, `[q, c]`; the candidate is not gated.

        An absent modality is its neutral direction whatever the gate says; without neutral directions, 1/√D in all
        coordinates, not shrunk.
        """
        drawn, directions = self.drawn(query, candidates, present, target), self.directions(list(query))
        told = [
            torch.where(present[m][:, None], x, direction)
            for (m, x), direction in zip(query.items(), directions, strict=True)
        ]
        if self.options.neutral != "none":
            return gated_products(told, directions, drawn, candidates, renormalise=self.options.renormalise)
        kept = [torch.where(present[m][:, None], b, torch.zeros_like(b)) for m, b in zip(query, drawn, strict=True)]
        nowhere = [torch.zeros_like(direction) for direction in directions]
        return gated_products(told, nowhere, kept, candidates, renormalise=False)


def gated_products(
    context: Sequence[Tensor],
    directions: Sequence[Tensor],
    drawn: Sequence[Tensor],
    candidates: Tensor,
    *,
    renormalise: bool = True,
) -> Tensor:
    """Σ_d c_d Π_m g_m,d for every query and candidate, `[q, c]`, with g = (1 − b) e + b N made unit length.

    O(q c D) time for a fixed number of modalities, O(q c) memory.

    Args:
        context: unit embeddings `[q, D]` of M−1 modalities.
        directions: neutral unit vectors `[D]`.
        drawn: b of each modality in [0, 1], `[q, c]` or a shape that broadcasts to it.
        candidates: `[c, D]`.
        renormalise: False for g as it is; embeddings and directions may then have any length.
    """

    def expand(prefix: Tensor | None, rest: int) -> Tensor:
        # All products of e or N of the modalities from `rest` on, each weighed by its 1 − b or b (Horner's scheme).
        if rest == len(context):
            assert prefix is not None
            return prefix @ candidates.T
        e, direction = context[rest], directions[rest][None]
        with_own = expand(e if prefix is None else prefix * e, rest + 1)
        with_neutral = expand(direction if prefix is None else prefix * direction, rest + 1)
        return with_own + drawn[rest] * (with_neutral - with_own)

    found = expand(None, 0)
    if not renormalise:
        return found
    squared = torch.ones_like(candidates[:1, 0])
    for e, direction, b in zip(context, directions, drawn, strict=True):
        # |(1 − b) e + b N|² = 1 − 2 b (1 − b) (1 − <e, N>) for unit vectors
        apart = 2 - 2 * (e @ direction)[:, None]
        squared = squared * (1 - apart * (b - b * b)).clamp(min=SMALLEST)
    return found * squared.rsqrt()


def materialised_products(
    context: Sequence[Tensor],
    directions: Sequence[Tensor],
    drawn: Sequence[Tensor],
    candidates: Tensor,
    *,
    renormalise: bool = True,
) -> Tensor:
    """Same as `gated_products` by its definition, one vector of D numbers per pair: for tests and benchmarks."""
    gated = []
    for e, direction, b in zip(context, directions, drawn, strict=True):
        g = (1 - b[..., None]) * e[:, None, :] + b[..., None] * direction
        gated.append(F.normalize(g, dim=-1) if renormalise else g)
    return (reduce(torch.mul, gated) * candidates).sum(dim=-1)
