"""Dual encoders of transformers as classifiers, by prompts that describe the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from mmaudit.errors import BadInput
from mmaudit.models.arguments import matrix, one_of
from mmaudit.models.hf_core import Adapter, Hosted, Source
from mmaudit.models.hf_dual import DualEncoder
from mmaudit.models.hf_rows import Kind
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.types import Array, Batch, FloatArray, Task


class TransformersZeroShot(Adapter):
    """A CLIP-, SigLIP- or CLAP-like dual encoder as a classifier without training.

    A class is described by prompts; its feature is the mean of its prompts' unit features, made a unit again (the
    prompt ensemble of CLIP, arXiv 2103.00020, section 3.1.4). A row's logit of a class is the model's own logit of the
    two features. A model that is given several modalities answers with the mean of what each would answer alone.

    The softmax of the logits is what CLIP and CLAP mean by a class's probability. SigLIP means the sigmoid of each:
    audit it on a multilabel task, or read its calibration on a classification task as that of the usual softmax.

    Args:
        source: a local folder, or what `load_pretrained` returned. Nothing is downloaded.
        modalities: name in the data to `"image"`, `"audio"` or `"text"`.
        classes: of the task, in its order: each a name, or several, which are prompts of one class.
        template: what a name is put in, `{}` standing for it: `"a photo of a {}."`; several make an ensemble.
        absence: `None`: missing baselines stand in for an absent modality. `"skip"`: it is left out of the mean.
        trust: see `load_pretrained`.
        dtype: see `load_pretrained`.
        device: as in `TorchModel`.
        autocast: as in `TorchModel`.
        sample_rate: of each audio modality of the data, in Hz; see `TransformersRetriever`.
        resample: convert other sample rates.
        audio_range: of audio modalities that the data set declares a range of; see `TransformersRetriever`.
        name: shown in the report; the model's class by default.
        fingerprint: replaces the digest of weights and classes.

    Encoders run once per modality and condition that changes it; the rest is a product with the classes' features.

    Raises:
        BadInput: for an argument that does not go with the model; see also `load_pretrained`.
        MissingExtra: transformers is not installed.
    """

    outputs: Outputs = "logits"

    def __init__(
        self,
        source: Source,
        modalities: Mapping[str, Kind] | Sequence[str],
        *,
        classes: Sequence[str | Sequence[str]],
        template: str | Sequence[str] = "{}",
        absence: Literal["skip"] | None = None,
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
        self.prompts = _prompts(kind, classes, template)
        hosted = Hosted(
            kind,
            source,
            modalities,
            ("image", "audio", "text"),
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
        self._dual = DualEncoder(hosted)
        self._texts = hosted.text_rows("the classes' prompts")

    @cached_property
    def class_features(self) -> FloatArray:
        """Unit features of the classes, float64 [k, D]."""
        every = np.array([prompt for prompts in self.prompts for prompt in prompts], object)
        features = self._dual.of_rows("text", self._texts.prepare(every)).astype(np.float64)
        ends = np.cumsum([len(prompts) for prompts in self.prompts])[:-1]
        means = np.stack([part.mean(axis=0) for part in np.split(features, ends)])
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True))

    def predict(self, batch: Batch) -> OutputArray:
        """Return float32 [n, classes], logits.

        Raises:
            BadInput: a modality is not in the batch, or holds what the model does not take.
            ValueError: a row has nothing present under `absence="skip"`.
        """
        return self.fuse({m: self.encode(m, batch) for m in self.modalities}, batch)

    def encode(self, modality: str, batch: Batch) -> Array:
        """Return one modality's unit features, float32 [n, D]."""
        return self._dual.features(modality, batch, self.native_absence)

    def fuse(self, features: Mapping[str, Any], batch: Batch) -> OutputArray:
        """Return the mean of what the modalities that are present answer, float32 [n, classes]."""
        there = {m: np.ones(len(batch)) for m in self.modalities}
        if self.native_absence:
            there = {m: batch.present[m].astype(np.float64) for m in self.modalities}
        count = np.sum([there[m] for m in self.modalities], axis=0)
        if (count == 0).any():
            raise ValueError(
                f"{self._hosted.who}: sample {batch.ids[int(np.argmin(count))]} has no modality present; under "
                "absence='skip' there is nothing to answer from. Leave such samples out, or use a missing baseline."
            )
        total: Any = 0.0
        for m in self.modalities:
            scaled = features[m].astype(np.float64) * self._dual.scale(self._hosted.kinds[m])
            total = total + there[m][:, None] * scaled
        logits = (total / count[:, None]) @ self.class_features.T + self._dual.bias
        return matrix(self._hosted.who, logits, len(batch))

    def gradient(self, batch: Batch, inputs: Mapping[str, Array], task: Task) -> tuple[FloatArray, dict[str, Array]]:
        """Return each sample's loss and its gradient with respect to images; see `Differentiable.gradient`."""
        from mmaudit.models.hf_gradient import of_zero_shot

        return of_zero_shot(self, self._dual, batch, inputs, task)

    def _options(self) -> tuple[Any, ...]:
        return "zero shot", self.prompts


def _prompts(who: str, classes: Sequence[str | Sequence[str]], template: str | Sequence[str]) -> list[list[str]]:
    templates = [template] if isinstance(template, str) else list(template)
    bad = [t for t in templates if not isinstance(t, str) or t.count("{}") != 1]
    if bad or not templates:
        raise BadInput(f"{who}: template {bad[0] if bad else template!r} is not usable; give text with one {{}} in it.")
    if isinstance(classes, str) or len(classes) < 1:
        raise BadInput(f"{who}: classes={classes!r} is not usable; give the task's classes in order, a name each.")
    made = []
    for entry in classes:
        names = [entry] if isinstance(entry, str) else list(entry)
        if not names or not all(isinstance(n, str) and n.strip() for n in names):
            raise BadInput(f"{who}: class {entry!r} is not usable; give a name, or a sequence of prompts.")
        made.append([t.replace("{}", n) for n in names for t in templates])
    return made
