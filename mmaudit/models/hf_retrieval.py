"""Dual encoders of transformers as models for retrieval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch

from mmaudit.errors import BadInput
from mmaudit.models.arguments import one_of
from mmaudit.models.hf_core import Adapter, Hosted, Source
from mmaudit.models.hf_dual import DualEncoder
from mmaudit.models.hf_rows import Kind
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.types import Array, Batch, BoolArray


class TransformersRetriever(Adapter):
    """A CLIP-, SigLIP- or CLAP-like dual encoder as a model for retrieval.

    A pair's score is what the model gives as its logit: the product of the two unit features, times the scale of the
    query's side, plus the bias that SigLIP has. Of several query modalities the products are summed. Products are
    summed in float64, so that a pair's score does not depend on what is scored beside it.

    Args:
        source: a local folder, or what `load_pretrained` returned. Nothing is downloaded.
        modalities: name in the data to `"image"`, `"text"` or `"audio"`, query and target; several may be of one sort.
        absence: `None`: missing baselines stand in for an absent query modality. `"skip"`: it is left out of the sum.
        outputs: `"logits"`: the softmax of the scores over the candidates is meant as their probability, as in CLIP and
            CLAP. `"values"`: only their order is, as in SigLIP, whose logits are those of a pair by itself. By default
            what the model was trained for.
        trust: see `load_pretrained`.
        dtype: see `load_pretrained`.
        device: as in `TorchModel`.
        autocast: as in `TorchModel`.
        sample_rate: of each audio modality of the data, in Hz. Has to be what the feature extractor was made for.
        resample: convert other sample rates, row by row, by a polyphase filter.
        audio_range: lowest and highest legal value of audio modalities that the data set declares a range of. Without
            it floats are taken as they are, in [−1, 1], and integers as of their type's range.
        name: shown in the report; the model's class by default.
        fingerprint: replaces the digest of weights and classes.

    Images are uint8 [H, W, 3], [H, W, 1] or [H, W], of any size; texts that are longer than the model reads are cut, as
    its processor does. CLAP cuts long audio at random: here at a place that depends on the length alone.

    Raises:
        BadInput: for an argument that does not go with the model; see also `load_pretrained`.
        MissingExtra: transformers is not installed.
    """

    def __init__(
        self,
        source: Source,
        modalities: Mapping[str, Kind] | Sequence[str],
        *,
        absence: Literal["skip"] | None = None,
        outputs: Outputs | None = None,
        trust: bool = False,
        dtype: str = "auto",
        device: str | torch.device | None = None,
        autocast: Literal["bfloat16", "float16"] | None = None,
        sample_rate: Mapping[str, float] | None = None,
        resample: bool = False,
        audio_range: Mapping[str, tuple[float, float]] | None = None,
        name: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        kind = type(self).__name__
        one_of(kind, "absence", absence, (None, "skip"))
        one_of(kind, "outputs", outputs, (None, "logits", "values"))
        hosted = Hosted(
            kind,
            source,
            modalities,
            ("image", "text", "audio"),
            trust=trust,
            dtype=dtype,
            device=device,
            autocast=autocast,
            sample_rate=sample_rate,
            resample=resample,
            audio_range=audio_range,
            name=name,
            fingerprint=fingerprint,
        )
        super().__init__(hosted, absence)
        if len(self.modalities) < 2:
            raise BadInput(f"{hosted.who}: name the modalities of the query and of the target, two at least.")
        self._dual = DualEncoder(hosted)
        self.outputs: Outputs = outputs or ("values" if self._dual.sigmoid else "logits")

    def encode(self, modality: str, batch: Batch) -> OutputArray:
        """Return one modality's unit features, float32 [n, D]; 0 for rows it is absent from, under `absence="skip"`.

        Raises:
            BadInput: the modality is not in the batch, or holds what the model does not take.
        """
        if modality not in self.modalities:
            raise BadInput(f"{self._hosted.who} does not read {modality!r}; it reads {', '.join(self.modalities)}.")
        features: OutputArray = self._dual.features(modality, batch, self.native_absence)
        there = batch.present[modality]
        if self.native_absence and not there.all():
            features = np.where(there[:, None], features, np.float32(0))
        return features

    def scores(self, query: Mapping[str, Array], candidates: Array, present: Mapping[str, BoolArray]) -> OutputArray:
        """Return float32 [q, c], the logits of each query with each candidate; see `Retriever.scores`."""
        made: Any = 0.0
        for modality, features in query.items():
            scaled = features.astype(np.float64) * self._dual.scale(self._hosted.kinds[modality])
            if self.native_absence:
                scaled = np.where(present[modality][:, None], scaled, 0.0)
            made = made + scaled
        return np.asarray(made @ candidates.astype(np.float64).T + self._dual.bias, np.float32)

    def _options(self) -> tuple[Any, ...]:
        return "retrieval", self.outputs
