"""The torch side of retrieval models: a module that encodes one modality, and a score that works on tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmaudit.errors import ContractBroken
from mmaudit.models.torch import TorchModel
from mmaudit.types import Array, Batch


class TorchEncoder:
    """A torch module as the encoder of one modality: it is given that modality's tensor, and returns [n, …]."""

    def __init__(
        self,
        who: str,
        modality: str,
        module: nn.Module,
        prepare: Callable[[Array], Any] | None,
        device: str | torch.device | None,
    ) -> None:
        self._who, self._modality = f"{who}: the encoder of {modality!r}", modality
        # Everything an adapter has to do for a module of one input; only the shape of what it returns is freer here.
        self._model = TorchModel(
            module,
            [modality],
            outputs="values",
            prepare=None if prepare is None else {modality: prepare},
            device=device,
            name=f"encoder of {modality}",
        )
        self.device = self._model.device

    @property
    def digest(self) -> str:
        """Of weights, buffers, classes and options."""
        return self._model.fingerprint

    def training_submodules(self) -> list[str]:
        """Names of submodules in training mode."""
        return self._model.training_submodules()

    def encode(self, values: Array) -> Array:
        """Return features as float32 [n, …], on the CPU."""
        n = len(values)
        self._model.require_evaluation_mode()
        batch = Batch({self._modality: values}, {self._modality: np.ones(n, np.bool_)}, *[np.arange(n)] * 3)
        with self._model.session():
            found = self._model.forward({self._modality: self._model.prepared(self._modality, batch)}, None)
            if not isinstance(found, Tensor):
                raise ContractBroken(self._who, "shape", f"returned a {type(found).__name__}, expected a tensor")
            return np.asarray(found.to(torch.float32).cpu().numpy())


def call(
    score: Callable[..., Any], query: Mapping[str, Array], candidates: Array, masks: Mapping[str, Any], device: str
) -> Array:
    """Call a score on tensors, without gradients, and return what it gives as an array."""

    def there(x: Array) -> Tensor:
        # A copy: the function may write into what it is given.
        return torch.from_numpy(np.array(x)).to(device)

    with torch.inference_mode():
        extra = {"present": {m: there(x) for m, x in masks["present"].items()}} if masks else {}
        found = score({m: there(x) for m, x in query.items()}, there(candidates), **extra)
        return np.asarray(found.to(torch.float32).cpu().numpy() if isinstance(found, Tensor) else found)
