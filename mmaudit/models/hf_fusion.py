"""Fusion encoders of transformers, such as ViLT: one transformer over text and image, and a head that classifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mmaudit.errors import ContractBroken
from mmaudit.models.arguments import declared_outputs, matrix, one_of, require_inputs
from mmaudit.models.hf_core import Adapter, Hosted, Source
from mmaudit.models.hf_rows import Kind, Row, grouped, same_draws, taken
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.models.rows import filled
from mmaudit.models.torch import select
from mmaudit.types import Array, Batch, FloatArray, Task


class TransformersClassifier(Adapter):
    """A transformers model that reads image, text or audio together and returns a row of logits, such as ViLT.

    Its two stages are the processor and the model: what the processor makes of a modality is kept and used again under
    every condition that leaves the modality alone. ViLT draws the order of patches at random, and which ones where an
    image has more than `max_image_length`: here the draws are the same for every row, so a row's answer is its own.

    Args:
        source: a local folder, or what `load_pretrained` returned. Nothing is downloaded.
        modalities: name in the data to `"image"`, `"text"` or `"audio"`, at most one of each.
        outputs: `"logits"`, `"probabilities"` or `"values"`: the scale of what it returns.
        output: the field of what the model returns that is the output.
        absence: `None`: missing baselines stand in for an absent modality. `"dummy"`: what models trained for missing
            modalities get in its place (Lee et al., arXiv 2303.03369): the empty text, pixels that are all 1 after
            normalisation, silence. Say so only if yours was.
        trust: see `load_pretrained`.
        dtype: see `load_pretrained`.
        device: as in `TorchModel`.
        autocast: as in `TorchModel`.
        sample_rate: of each audio modality of the data, in Hz; see `TransformersRetriever`.
        resample: convert other sample rates.
        audio_range: of audio modalities that the data set declares a range of; see `TransformersRetriever`.
        name: shown in the report; the model's class by default.
        fingerprint: replaces the digest of weights and classes.

    Raises:
        BadInput: for an argument that does not go with the model; see also `load_pretrained`.
        MissingExtra: transformers is not installed.
    """

    def __init__(
        self,
        source: Source,
        modalities: Mapping[str, Kind] | Sequence[str],
        *,
        outputs: Outputs = "logits",
        output: str = "logits",
        absence: Literal["dummy"] | None = None,
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
        one_of(kind, "absence", absence, (None, "dummy"))
        self.outputs: Outputs = declared_outputs(kind, outputs)
        self._output = output
        hosted = Hosted(
            kind,
            source,
            modalities,
            ("image", "text", "audio"),
            distinct=True,
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

    def predict(self, batch: Batch) -> OutputArray:
        """Return float32 [n, k] in the declared scale.

        Raises:
            BadInput: a modality is not in the batch, or holds what the model does not take.
            ContractBroken: the model returned something else than one row of numbers per row.
        """
        return self.fuse({m: self.encode(m, batch) for m in self.modalities}, batch)

    def encode(self, modality: str, batch: Batch) -> list[Row]:
        """Return what the processor makes of one modality, row by row."""
        require_inputs(self._hosted.who, batch, (modality,))
        values, there = batch.inputs[modality], batch.present[modality]
        rows = self._hosted.rows[modality]
        if not self.native_absence or there.all():
            return rows.prepare(values)
        kind = self._hosted.kinds[modality]
        if kind == "text":
            return rows.prepare(np.where(there, values, ""))
        # The values of an absent row must not be looked at, and its shape should fit: those of a present one, or none.
        made = rows.prepare(filled(values, there) if there.any() else _blank(values, kind))
        return [row if there[i] else _dummy(row) for i, row in enumerate(made)]

    def fuse(self, features: Mapping[str, Any], batch: Batch) -> OutputArray:
        """Return what the model answers to prepared rows, float32 [n, k]."""
        with self._hosted.session(), same_draws():
            found = self.forward(features, len(batch))
        return matrix(self._hosted.who, found.to(torch.float32).cpu().numpy(), len(batch))

    def forward(self, columns: Mapping[str, list[Row]], n: int) -> Tensor:
        """Run the model on prepared rows, those of one shape together, and return [n, k]."""
        rows = [{name: x for m in self.modalities for name, x in columns[m][i].items()} for i in range(n)]
        parts: list[Tensor] = []
        order: list[int] = []
        for members, inputs in grouped(rows):
            # Where patches are drawn, the draw of a row would depend on the rows before it.
            step = 1 if self._draws(inputs) else len(members)
            for start in range(0, len(members), step):
                with same_draws():
                    some = {name: _part(x, start, step, len(members)) for name, x in inputs.items()}
                    returned = self._hosted.model(**self._hosted.placed(taken(self._hosted.model.forward, some)))
                    parts.append(self._rows_of(returned, min(step, len(members) - start)))
            order.extend(members.tolist())
        return torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(parts[0].device)]

    def gradient(self, batch: Batch, inputs: Mapping[str, Array], task: Task) -> tuple[FloatArray, dict[str, Array]]:
        """Return each sample's loss and its gradient with respect to images; see `Differentiable.gradient`."""
        from mmaudit.models.hf_gradient import of_classifier

        require_inputs(self._hosted.who, batch, self.modalities)
        return of_classifier(self, self._hosted, batch, inputs, task)

    def _options(self) -> tuple[Any, ...]:
        return "classifier", self.outputs, self._output

    def _draws(self, inputs: Row) -> bool:
        most = getattr(self._hosted.config, "max_image_length", -1)
        if self._hosted.config.model_type != "vilt" or not isinstance(most, int) or most < 0:
            return False
        size = inputs["pixel_values"].shape[-2:]
        return bool((size[0] // self._hosted.config.patch_size) * (size[1] // self._hosted.config.patch_size) > most)

    def _rows_of(self, returned: Any, n: int) -> Tensor:
        found = select(returned, self._output) if not hasattr(returned, self._output) else returned[self._output]
        if not isinstance(found, Tensor) or found.ndim not in (1, 2) or len(found) != n:
            raise ContractBroken(
                self._hosted.who,
                "shape",
                f"{self._output!r} of what the model returned is not one row of numbers per row",
            )
        return found.reshape(n, -1)


def _part(x: Tensor, start: int, step: int, n: int) -> Tensor:
    each = len(x) // n
    return x[start * each : (start + step) * each]


def _blank(values: Array, kind: Kind) -> Array:
    made = np.empty(len(values), object)
    shape = values.shape[1:] or ((32, 32, 3) if kind == "image" else (1,))
    made[:] = [np.zeros(shape, np.uint8 if kind == "image" else np.float32) for _ in values]
    return made


def _dummy(row: Row) -> Row:
    return {
        name: torch.ones_like(x) if name == "pixel_values" else torch.zeros_like(x) if name == "input_features" else x
        for name, x in row.items()
    }
