"""Dual encoders of transformers: CLIP, SigLIP, CLAP and their kin, that embed two sorts of input in one space."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models.arguments import require_inputs
from mmaudit.models.hf_core import Hosted
from mmaudit.models.hf_rows import Kind, Row, grouped, taken
from mmaudit.models.rows import filled
from mmaudit.types import Array, Batch


class DualEncoder:
    """Unit features of each modality, and the scale and bias that turn their products into the model's logits.

    Args:
        hosted: the model.

    Raises:
        BadInput: the model does not embed a modality, or has no scale.
    """

    def __init__(self, hosted: Hosted) -> None:
        self.hosted = hosted
        for modality, kind in hosted.kinds.items():
            if not callable(getattr(hosted.model, f"get_{kind}_features", None)):
                offered = [k for k in ("image", "text", "audio") if hasattr(hosted.model, f"get_{k}_features")]
                raise BadInput(
                    f"{hosted.who} does not embed {kind}, which {modality!r} is; "
                    + (f"it embeds {' and '.join(offered)}." if offered else "it is no dual encoder, as CLIP is.")
                )
        self.bias = _number(hosted.model, "logit_bias") or 0.0
        self.sigmoid = hasattr(hosted.model, "logit_bias")
        self.scale("text")

    def scale(self, query: Kind) -> float:
        """The factor on the product of unit features; CLAP has one of its own for each side that asks."""
        own = "logit_scale_a" if query == "audio" else "logit_scale_t"
        for name in (own, "logit_scale"):
            found = _number(self.hosted.model, name)
            if found is not None:
                return float(np.exp(found))
        temperature = _number(self.hosted.model, "temperature")
        if temperature:  # ALIGN divides
            return 1.0 / temperature
        raise BadInput(
            f"{self.hosted.who} has no logit_scale and no temperature, so the scale of its scores is not known; it is "
            "no dual encoder, as CLIP is."
        )

    def features(self, modality: str, batch: Batch, skips: bool) -> Array:
        """Return one modality's unit features, float32 [n, D], on the CPU.

        Args:
            modality: in the batch.
            batch: rows.
            skips: what the modality holds where it is absent is not looked at; those rows' features mean nothing.

        Raises:
            BadInput: the modality is not in the batch, or holds what the model does not take.
        """
        require_inputs(self.hosted.who, batch, (modality,))
        values, there = batch.inputs[modality], batch.present[modality]
        if skips and there.any():
            values = filled(values, there)
        return self.of_rows(self.hosted.kinds[modality], self.hosted.rows[modality].prepare(values))

    def of_rows(self, kind: Kind, rows: list[Row]) -> Array:
        """Return the unit features of prepared rows."""
        made: Array | None = None
        with self.hosted.session():
            for members, inputs in grouped(rows):
                found = self.embed(kind, self.hosted.placed(inputs)).to(torch.float32).cpu().numpy()
                if made is None:
                    made = np.empty((len(rows), found.shape[1]), np.float32)
                made[members] = found
        return np.empty((0, 0), np.float32) if made is None else made

    def embed(self, kind: Kind, inputs: Row) -> Tensor:
        """Return unit features [n, D] as a tensor; keeps gradients where they are asked for."""
        function = getattr(self.hosted.model, f"get_{kind}_features")
        returned = function(**taken(function, inputs))
        # A tensor up to transformers 4; since 5 an output object, which holds the projected features as pooled output.
        found: Any = returned if isinstance(returned, Tensor) else getattr(returned, "pooler_output", None)
        if not isinstance(found, Tensor) or found.ndim != 2:
            raise ContractBroken(
                self.hosted.who,
                "shape",
                f"get_{kind}_features returned {type(returned).__name__}, expected features [n, D], a row each",
            )
        unit: Tensor = found / torch.linalg.vector_norm(found, dim=-1, keepdim=True)
        return unit


def _number(model: Any, name: str) -> float | None:
    found = getattr(model, name, None)
    if isinstance(found, Tensor) and found.numel() == 1:
        return float(found.detach().double().item())
    return float(found) if isinstance(found, int | float) else None
