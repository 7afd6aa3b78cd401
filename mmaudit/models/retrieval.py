"""Encoders and a score as a model for retrieval: dual encoders, triple encoders, anything that scores candidates."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np

from mmaudit.errors import BadInput, ContractBroken
from mmaudit.models.arguments import known_modalities, modality_names, one_of, require_inputs
from mmaudit.models.fingerprints import code_digest
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.models.rows import filled
from mmaudit.types import Array, Batch, BoolArray, digest

# Rows of scores that are computed in float64 at a time.
_SMALLEST_NORM = 1e-12


class Encoder(Protocol):
    """One modality's encoder behind an adapter."""

    @property
    def digest(self) -> str:
        """Of all that decides its features."""

    def encode(self, values: Array) -> Array:
        """Return features, float32 [n, …]."""


class RetrievalModel:
    """A dual or triple encoder as a model: one encoder per modality, and a score of query and candidate features.

    Args:
        encoders: modality name to its encoder: a function from an array of rows (text: of `str`) to features [n, D],
            as an array or a tensor; or a torch module in evaluation mode, which gets a tensor.
        score: `"dot"`: the dot products of candidate and query features, summed over the query modalities (one query
            modality: CLIP). `"mip"`: the multilinear inner product Σ_d q1_d · q2_d · … · c_d (Symile). Or a function
            `score(query, candidates)` of the features, {modality: [q, …]} and [c, …], that returns [q, c]: whatever
            depends on the candidate. It gets tensors where any encoder is a torch module, arrays otherwise.
        normalise: divide features by their length, for `"dot"` and `"mip"`.
        temperature: scores are divided by it; the learned one, exp(−logit scale), makes them logits.
        outputs: `"logits"`: the softmax of the scores over the candidates is meant as their probability. `"values"`:
            only their order is. By default logits where a temperature is given.
        absence: how a query modality that is absent is met. `None`: it is not; missing baselines stand in.
            `"skip"`, for `"dot"` and `"mip"`: it is left out of the sum or the product. `"mask"`, for a function: it is
            called with the keyword `present`, {modality: bool[q]}, and features of absent rows are 0.
        prepare: per modality a function from an array of rows to what its torch module takes, as in `TorchModel`.
        device: of the torch modules; as in `TorchModel`.
        name: shown in the report.
        fingerprint: replaces the digest of encoders and score.

    Raises:
        BadInput: for an argument that is missing, or does not go with another one.
        ContractBroken: clause "evaluation mode", when a torch module is in training mode.
    """

    def __init__(
        self,
        encoders: Mapping[str, Any],
        score: Literal["dot", "mip"] | Callable[..., Any] = "dot",
        *,
        normalise: bool = False,
        temperature: float | None = None,
        outputs: Outputs | None = None,
        absence: Literal["skip", "mask"] | None = None,
        prepare: Mapping[str, Callable[[Array], Any]] | None = None,
        device: Any = None,
        name: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.name = name or "retrieval model"
        who = f"RetrievalModel {self.name!r}"
        if not isinstance(encoders, Mapping):
            raise BadInput(f"{who}: encoders is a {type(encoders).__name__}; give a mapping of modality to encoder.")
        self.modalities = modality_names(who, encoders)
        if len(self.modalities) < 2:
            raise BadInput(f"{who}: one encoder alone finds nothing; give those of the query and of the target.")
        own = callable(score)
        if not own:
            one_of(who, "score", score, ("dot", "mip"))
        if own and normalise:
            raise BadInput(f"{who}: normalise is for 'dot' and 'mip'; a function normalises what it wants to.")
        if temperature is not None and not 0 < temperature < float("inf"):
            raise BadInput(f"{who}: temperature={temperature!r} is not usable; give a number above 0.")
        one_of(who, "outputs", outputs, (None, "logits", "values"))
        one_of(who, "absence", absence, (None, "mask") if own else (None, "skip"))
        known_modalities(who, "prepare", prepare or {}, self.modalities)
        self.outputs: Outputs = outputs or ("values" if temperature is None else "logits")
        self.native_absence = absence is not None
        self._who = who
        self._score = score
        self._normalise = normalise
        self._temperature = 1.0 if temperature is None else float(temperature)
        self._absence = absence
        self._given = fingerprint
        self._tensors = any(_is_torch_module(e) for e in encoders.values())
        self._encoders = {m: self._wrapped(m, e, (prepare or {}).get(m), device) for m, e in encoders.items()}
        devices = [str(e.device) for e in self._encoders.values() if hasattr(e, "device")]
        self.device = devices[0] if devices else "cpu"

    def _wrapped(self, modality: str, encoder: Any, prepare: Callable[[Array], Any] | None, device: Any) -> Encoder:
        if _is_torch_module(encoder):
            torch_side = importlib.import_module("mmaudit.models.torch_retrieval")
            made: Encoder = torch_side.TorchEncoder(self._who, modality, encoder, prepare, device)
            return made
        if not callable(encoder):
            raise BadInput(f"{self._who}: the encoder of {modality!r} is no function; give one, or a torch module.")
        return _FunctionEncoder(encoder if prepare is None else lambda values: encoder(prepare(values)), encoder)

    @cached_property
    def fingerprint(self) -> str:
        """The one given, else a digest of encoders and score; and of how they are combined."""
        identity: Any = self._given
        if identity is None:
            score = self._score if isinstance(self._score, str) else code_digest(self._score)
            identity = [[m, e.digest] for m, e in self._encoders.items()] + [score]
        options = [self.modalities, self._normalise, self._temperature, self.outputs, self._absence]
        return digest("retrieval", identity, options)

    @property
    def tolerance(self) -> float:
        """How far a score may move with what is scored beside it, as a share of the largest score."""
        return 1e-3 if self.device.startswith("cuda") else 1e-4

    def training_submodules(self) -> list[str]:
        """Names of submodules in training mode, after the modality."""
        found: list[tuple[str, list[str]]] = [
            (m, e.training_submodules()) for m, e in self._encoders.items() if hasattr(e, "training_submodules")
        ]
        return [f"{m}: {name}" for m, names in found for name in names]

    def encode(self, modality: str, batch: Batch) -> OutputArray:
        """Return the features of one modality, float32 [n, …]; 0 for rows it is absent from, where that is handled.

        Raises:
            BadInput: the modality is not in the batch, or there is no encoder for it.
            ContractBroken: the encoder returned something else than one row of numbers per row.
        """
        if modality not in self._encoders:
            raise BadInput(f"{self._who} has no encoder of {modality!r}; it has {', '.join(self.modalities)}.")
        require_inputs(self._who, batch, (modality,))
        values, there = batch.inputs[modality], batch.present[modality]
        if self.native_absence and there.any():
            values = filled(values, there)
        features = np.asarray(self._encoders[modality].encode(values))
        if features.ndim < 2 or len(features) != len(batch) or features.dtype.kind not in "fiub":
            raise ContractBroken(
                self._who,
                "shape",
                f"the encoder of {modality!r} returned {features.dtype} {list(features.shape)} for {len(batch)} rows; "
                "expected numbers [n, D]",
            )
        features = np.ascontiguousarray(features, np.float32)
        if self._normalise:
            flat = features.reshape(len(features), -1).astype(np.float64)
            length = np.linalg.norm(flat, axis=1, keepdims=True)
            features = (flat / np.maximum(length, _SMALLEST_NORM)).astype(np.float32).reshape(features.shape)
        if self.native_absence and not there.all():
            features = np.where(there.reshape(-1, *[1] * (features.ndim - 1)), features, np.float32(0))
        return features

    def scores(self, query: Mapping[str, Array], candidates: Array, present: Mapping[str, BoolArray]) -> OutputArray:
        """Return float32 [q, c]; see `Retriever.scores`. Built-in scores are summed in float64.

        So a pair's score does not depend on what is scored beside it, and equal candidates tie.

        Raises:
            ContractBroken: features of different widths, or a function that returned another shape.
        """
        if isinstance(self._score, str):
            return self._product(query, candidates, present)
        masks = {"present": dict(present)} if self._absence == "mask" else {}
        if self._tensors:
            torch_side = importlib.import_module("mmaudit.models.torch_retrieval")
            found = torch_side.call(self._score, dict(query), candidates, masks, self.device)
        else:
            found = np.asarray(self._score(dict(query), candidates, **masks))
        expected = (len(next(iter(query.values()))), len(candidates))
        if found.shape != expected or found.dtype.kind not in "fiub":
            raise ContractBroken(
                self._who,
                "score shape",
                f"the score returned {found.dtype} {list(found.shape)}, expected numbers {list(expected)}: a row per "
                "query, a column per candidate",
            )
        scores: OutputArray = np.asarray(found / self._temperature, np.float32)
        return scores

    def _product(self, query: Mapping[str, Array], candidates: Array, present: Mapping[str, BoolArray]) -> OutputArray:
        widths = {m: x.shape[1:] for m, x in query.items()} | {"the target": candidates.shape[1:]}
        if len(set(widths.values())) > 1 or candidates.ndim != 2:
            listed = ", ".join(f"{m} {list(shape)}" for m, shape in widths.items())
            raise ContractBroken(
                self._who,
                "feature width",
                f"score {self._score!r} needs features [n, D] of one width, but their shapes are {listed}",
            )
        multiply = self._score == "mip"
        made: Any = None
        for m, x in query.items():
            x = x.astype(np.float64)
            if self._absence == "skip":
                x = np.where(present[m][:, None], x, 1.0 if multiply else 0.0)
            made = x if made is None else made * x if multiply else made + x
        return np.asarray((made @ candidates.astype(np.float64).T) / self._temperature, np.float32)


class _FunctionEncoder:
    """A function as an encoder."""

    def __init__(self, function: Callable[[Array], Any], named: Callable[..., Any]) -> None:
        self._function = function
        self._named = named

    @property
    def digest(self) -> str:
        return code_digest(self._named) if self._function is self._named else code_digest(self._function)

    def encode(self, values: Array) -> Array:
        found = self._function(values)
        if hasattr(found, "detach"):  # a tensor, without importing torch
            found = found.detach().cpu().float()
        return np.asarray(found)


def _is_torch_module(found: Any) -> bool:
    # Whoever holds a torch module has imported torch; asking must not be what imports it.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(found, torch.nn.Module)
