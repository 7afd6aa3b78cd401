"""A trained contrastive reference as a retrieval model that can be audited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.reference.inputs import Inputs
from mmaudit.reference.methods.contrastive import ContrastiveReference
from mmaudit.reference.trained import Trained
from mmaudit.types import Array, Batch


class ReferenceRetriever:
    """One trial of a contrastive method: embeds every modality, scores candidates, and leaves out what is absent.

    Args:
        trained: the method; with one trial.
        inputs: what its encoders are given.
        name: shown in reports.
        fingerprint: of weights and inputs.
    """

    outputs: Outputs = "logits"
    native_absence = True

    def __init__(self, trained: Trained, inputs: Inputs, name: str, fingerprint: str) -> None:
        module = trained.loaded(0)
        assert isinstance(module, ContrastiveReference)
        self._module = module
        self._inputs = inputs
        self.name, self.fingerprint = name, fingerprint
        self.modalities = trained.parts.modalities

    def encode(self, modality: str, batch: Batch) -> Array:
        """Return unit embeddings float32 [n, D]; 0 where the modality is absent."""
        values = self._inputs.one(modality, batch)
        there = self._tensor(batch.present[modality])
        with torch.inference_mode():
            unit = self._module.embed_one(modality, values)
            found: Array = torch.where(there[:, None], unit, torch.zeros_like(unit)).float().cpu().numpy()
        return found

    def scores(self, query: Mapping[str, Array], candidates: Array, present: Mapping[str, Array]) -> OutputArray:
        """Return float32 [q, c]; see `mmaudit.models.Retriever`."""
        with torch.inference_mode():
            found = self._module.scores(
                {m: self._tensor(x) for m, x in query.items()},
                self._tensor(candidates),
                {m: self._tensor(p) for m, p in present.items()},
            )
            scores: OutputArray = found.float().cpu().numpy()
        return scores

    def _tensor(self, x: Any) -> Tensor:
        return torch.from_numpy(np.array(x)).to(self._inputs.device)
