"""Cross-attention: modalities as tokens that look at each other."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmaudit.reference.base import Parts, Reference, reference

TOKEN = 64
HEADS = 4
SOURCE = "Tsai et al. 2019, Multimodal Transformer; pooling by a learned query: Lee et al. 2019, Set Transformer"


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017) over few tokens, padding left out."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(TOKEN, TOKEN) for _ in range(4))

    def forward(self, queries: Tensor, tokens: Tensor, seen: Tensor) -> Tensor:
        """What the queries gather from the tokens, `[b, queries, TOKEN]`.

        Args:
            queries: `[b, queries, TOKEN]`.
            tokens: `[b, tokens, TOKEN]`.
            seen: `bool[b, tokens]`; at least one a row.
        """
        q, k, v = (
            layer(x).unflatten(2, (HEADS, TOKEN // HEADS)).transpose(1, 2)
            for layer, x in ((self.q, queries), (self.k, tokens), (self.v, tokens))
        )
        scores = q @ k.transpose(2, 3) * (TOKEN // HEADS) ** -0.5
        weights = scores.masked_fill(~seen[:, None, None, :], -torch.inf).softmax(dim=3)
        out: Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return out


@reference("attention", title="Cross-attention", source=SOURCE)
class CrossAttention(Reference):
    """Each modality is a token; tokens attend to each other, then a learned query gathers the answer.

    Features are projected to 64 numbers and get an embedding of their modality. One pre-norm block (attention over all
    tokens with 4 heads, then `Linear(64 → 128)`, GELU, `Linear(128 → 64)`, both residual), then one learned query
    attends to the tokens, then `Linear(64 → k)`. Absent modalities are left out of both attentions. One more token,
    learned, is always there, so that rows without any modality have something to attend to and get an answer.

    Left open by the sources: they attend over sequences within a modality; a reference sees one vector per modality,
    so a token is a modality here. Width, heads and depth are ours and not tuned.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.projections = nn.ModuleList([nn.Linear(parts.widths[m], TOKEN) for m in parts.query])
        self.kinds = nn.Parameter(torch.randn(len(parts.query), TOKEN) * 0.02)
        self.always = nn.Parameter(torch.randn(TOKEN) * 0.02)
        self.query = nn.Parameter(torch.randn(TOKEN) * 0.02)
        self.norms = nn.ModuleList([nn.LayerNorm(TOKEN) for _ in range(4)])
        self.across, self.gather = Attention(), Attention()
        self.wide, self.narrow = nn.Linear(TOKEN, 2 * TOKEN), nn.Linear(2 * TOKEN, TOKEN)
        self.answer = nn.Linear(TOKEN, parts.task.width)

    def decays(self, name: str) -> bool:
        """Norms, biases and learned tokens are not decayed, as is usual for transformers."""
        return name.endswith("weight") and not name.startswith("norms.")

    def fuse(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Outputs `[b, k]` from features by modality."""
        projected = [layer(features[m]) for m, layer in zip(self.parts.query, self.projections, strict=True)]
        tokens = torch.stack(projected, dim=1) + self.kinds
        rows = len(tokens)
        tokens = torch.cat([tokens, self.always.expand(rows, 1, TOKEN)], dim=1)
        first = present[self.parts.query[0]]
        seen = torch.stack([*(present[m] for m in self.parts.query), torch.ones_like(first)], dim=1)
        before, between, after, last = self.norms
        still = before(tokens)
        tokens = tokens + self.across(still, still, seen)
        tokens = tokens + self.narrow(nn.functional.gelu(self.wide(between(tokens))))
        gathered = self.gather(self.query.expand(rows, 1, TOKEN), after(tokens), seen)
        out: Tensor = self.answer(last(gathered.squeeze(1)))
        return out
