"""Texts as counts of hashed words and of hashed sequences of letters."""

from __future__ import annotations

import torch
from torch import Tensor

from mmaudit.crossfit.features import WORDS, words
from mmaudit.distances import BUCKETS, ngrams
from mmaudit.reference.prepare import Preparation
from mmaudit.types import Array


class Text(Preparation):
    """Roots of the counts of 1,024 hashed words, then counts of 1,024 hashed sequences of 1 to 3 letters.

    Each of the two has length 1 per text. Columns are centred; they keep their relative sizes within each of the two,
    since all count the same thing and a rare word would drown the others.
    """

    form = "text"

    @property
    def said(self) -> str:
        """What is done to the values, in words."""
        return f"{WORDS} hashed words and {BUCKETS} hashed sequences of letters, centred"

    def raw(self, values: Array) -> Tensor:
        """Return `float32[n, 2048]`."""
        counts = torch.from_numpy(words(values)), torch.from_numpy(ngrams(values))
        return torch.cat(counts, dim=1).to(torch.float32)

    def settle(self, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
        """One scale for words and one for sequences of letters."""
        parts = deviation[:WORDS], deviation[WORDS:]
        return mean, torch.cat([torch.full_like(p, float(p.square().mean().sqrt())) for p in parts])
