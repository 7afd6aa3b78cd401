"""Unimodal head: what one modality can do alone."""

from __future__ import annotations

from mmaudit.reference.base import Hyper, Parts, reference
from mmaudit.reference.methods.concatenation import SOURCE, ConcatenationHead


@reference(
    "unimodal", title="One modality alone", source=SOURCE, fewest=1, single=True, hyper={"weight_decay": Hyper(0.0)}
)
class Unimodal(ConcatenationHead):
    """One modality's features into the same small head as the other fusion heads have.

    Trained once for each modality, on `Parts` of that modality alone: `cannot be trained` on more. It is told where
    its modality is missing and then answers with a constant. The best of them is what a fused model has to beat.
    """

    @classmethod
    def refuses(cls, parts: Parts) -> str | None:
        """More than one modality: there would be no saying which one answers."""
        if len(parts.query) == 1:
            return None
        return f"it answers from one modality, and there are {len(parts.query)}; train it once for each"
