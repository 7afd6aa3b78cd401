"""Vision-language generators of transformers as classifiers, by the likelihood of given answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from mmaudit.errors import BadInput
from mmaudit.models.arguments import matrix, one_of, require_inputs
from mmaudit.models.hf_core import Adapter, Hosted, Source
from mmaudit.models.hf_likelihood import Likelihood, Way
from mmaudit.models.hf_prompts import Prompt
from mmaudit.models.hf_rows import Kind, Row, grouped, picture, text
from mmaudit.models.protocol import OutputArray, Outputs
from mmaudit.types import Batch


class TransformersChoices(Adapter):
    """A generator that reads images and text, such as LLaVA, as a classifier among given answers.

    A row's output for an answer is the log-likelihood of its tokens after the prompt, in nats; the softmax over the
    answers is their probability, given that it is one of them. Nothing is generated, and no text is parsed.

    Rows are never padded: those of one shape run together, so an answer does not depend on what else is in the batch.
    The prompt runs once, and the answers on its keys and values, where trying shows that this gives what running each
    whole gives; see `way`.

    Args:
        source: a local folder, or what `load_pretrained` returned. Nothing is downloaded.
        modalities: name in the data to `"image"` or `"text"`.
        choices: the answers, in the order of the task's classes; each is tokenised alone, as it stands: where the
            tokenizer marks words by a space before them, write that space.
        prompt: text with each modality's name in braces: `"USER: {image}\\n{question} ASSISTANT:"`.
        chat: the prompt is a user's message in the processor's own chat template.
        score: `"sum"`: log-likelihood. `"mean"`: divided by the number of tokens, so that long answers are not at a
            disadvantage; no probability then, but on the scale of one.
        absence: `None`: missing baselines stand in for an absent modality. `"leave_out"`: its place in the prompt stays
            empty.
        trust: see `load_pretrained`.
        dtype: see `load_pretrained`.
        device: as in `TorchModel`.
        autocast: as in `TorchModel`.
        name: shown in the report; the model's class by default.
        fingerprint: replaces the digest of weights and classes.

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
        choices: Sequence[str],
        prompt: str,
        chat: bool = False,
        score: Literal["sum", "mean"] = "sum",
        absence: Literal["leave_out"] | None = None,
        trust: bool = False,
        dtype: str = "auto",
        device: str | torch.device | None = None,
        autocast: Literal["bfloat16", "float16"] | None = None,
        name: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        kind = type(self).__name__
        one_of(kind, "score", score, ("sum", "mean"))
        one_of(kind, "absence", absence, (None, "leave_out"))
        hosted = Hosted(
            kind,
            source,
            modalities,
            ("image", "text"),
            trust=trust,
            dtype=dtype,
            device=device,
            autocast=autocast,
            name=name,
            fingerprint=fingerprint,
        )
        super().__init__(hosted, absence)
        who = hosted.who
        if getattr(hosted.config, "is_encoder_decoder", False) or not hasattr(hosted.model, "generate"):
            raise BadInput(f"{who} is no decoder that generates text after a prompt, as LLaVA is; use another adapter.")
        self.choices = tuple(choices) if not isinstance(choices, str) else ()
        self._score = score
        self._tokenizer: Any = getattr(hosted.processor, "tokenizer", None)
        if self._tokenizer is None:
            raise BadInput(f"{who}: its processor has no tokenizer.")
        self._prompt = Prompt(who, prompt, hosted.kinds, hosted.processor, chat)
        self._answers = [self._tokens(who, choice) for choice in self.choices]
        if len(self._answers) < 2 or len(set(map(tuple, self._answers))) < len(self._answers):
            raise BadInput(f"{who}: choices={choices!r}: give at least two that the tokenizer tells apart.")

    @cached_property
    def way(self) -> Way:
        """How likelihoods are computed; decided once, on a grey image and the text "a", whatever the data."""
        grey = {m: np.full((64, 64, 3), 127, np.uint8) for m in self._prompt.images}
        words = {m: "a" for m, kind in self._hosted.kinds.items() if kind == "text"}
        with self._hosted.session():
            prefix = self._hosted.placed(self._inputs(words, grey))
            return Likelihood(self._hosted.model).way(prefix, self._answers, self._hosted.torch.tolerance)

    def predict(self, batch: Batch) -> OutputArray:
        """Return float32 [n, choices]: the answers' log-likelihoods, or their means per token.

        Raises:
            BadInput: a modality is not in the batch, or holds what the model does not take.
        """
        require_inputs(self._hosted.who, batch, self.modalities)
        way = self.way
        likelihood = Likelihood(self._hosted.model)
        made = np.empty((len(batch), len(self._answers)))
        with self._hosted.session():
            for members, inputs in grouped([self._row(batch, i) for i in range(len(batch))]):
                found = likelihood.of(self._hosted.placed(inputs), self._answers, way)
                made[members] = found.cpu().numpy()
        if self._score == "mean":
            made /= np.array([len(answer) for answer in self._answers])
        return matrix(self._hosted.who, made, len(batch))

    def _options(self) -> tuple[Any, ...]:
        return "choices", self._prompt.template, self._prompt.chat, list(self.choices), self._score

    def _row(self, batch: Batch, i: int) -> Row:
        texts: dict[str, str] = {}
        images: dict[str, Any] = {}
        for m, kind in self._hosted.kinds.items():
            there = bool(batch.present[m][i]) or not self.native_absence
            if kind == "text":
                texts[m] = text(self._hosted.who, m, batch.inputs[m][i]) if there else ""
            elif there:
                images[m] = picture(self._hosted.who, m, batch.inputs[m][i])
        return self._inputs(texts, images)

    def _inputs(self, texts: Mapping[str, str], images: Mapping[str, Any]) -> Row:
        """One row's inputs, up to where the answer begins."""
        prompt = self._prompt.filled(texts, list(images))
        shown = {"images": [images[m] for m in self._prompt.images if m in images]} if images else {}
        found = self._hosted.processor(text=[prompt], **shown, return_tensors="pt")
        row: Row = {str(name): x for name, x in found.items() if isinstance(x, torch.Tensor)}
        ids = row["input_ids"]
        ends = {self._tokenizer.eos_token_id, self._tokenizer.sep_token_id} - {None}
        if ids.shape[1] > 1 and int(ids[0, -1]) in ends and not prompt.endswith(self._tokenizer.decode(ids[0, -1:])):
            # A mark of the end, put there by the tokenizer: an answer follows.
            row = {name: x[:, :-1] if x.shape == ids.shape else x for name, x in row.items()}
        return row

    def _tokens(self, who: str, choice: str) -> list[int]:
        found = self._tokenizer(choice, add_special_tokens=False)["input_ids"] if isinstance(choice, str) else []
        if not found:
            raise BadInput(f"{who}: choice {choice!r} is not usable; give text of at least one token.")
        return [int(token) for token in found]
