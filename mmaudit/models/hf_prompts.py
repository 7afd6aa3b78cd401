"""The prompt of a vision-language generator: a template in which each modality of the data has its place."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from mmaudit.errors import BadInput


class Prompt:
    """Fills a template with a row's texts and marks for its images.

    Args:
        who: starts error messages.
        template: text with each modality's name in braces once: `"{image}\\n{question} Answer:"`. `{{` is a brace.
        kinds: modality to `"image"` or `"text"`.
        processor: its image token stands for an image.
        chat: the filled template is a user's message in the processor's chat template, and the answer begins after it.

    Raises:
        BadInput: the template does not name each modality once, or there is no chat template.
    """

    def __init__(self, who: str, template: str, kinds: Mapping[str, str], processor: Any, chat: bool) -> None:
        self.kinds = dict(kinds)
        self.template = template
        self.chat = chat
        self._processor = processor
        self._tokenizer = processor.tokenizer
        # Gemma 3 calls the mark that its processor looks for otherwise than the token it puts there.
        self._mark = str(getattr(processor, "boi_token", None) or getattr(processor, "image_token", None) or "")
        self._pieces = _pieces(who, template, kinds)
        self._special = _special(self._tokenizer, self._mark)
        if chat and not getattr(processor, "chat_template", None):
            raise BadInput(f"{who}: chat=True, but its processor has no chat template; write the whole prompt instead.")

    @property
    def images(self) -> tuple[str, ...]:
        """Image modalities in the order of their places."""
        return tuple(name for _, name in self._pieces if name is not None and self.kinds[name] == "image")

    def filled(self, texts: Mapping[str, str], images: Sequence[str]) -> str:
        """Return the prompt of one row.

        Args:
            texts: by text modality. What would be read as a special token is broken up by a space: data is text, and a
                sample that holds `<image>` must not be taken to bring one.
            images: the image modalities that are there; the others' places stay empty.
        """
        content: list[dict[str, str]] = [{"type": "text", "text": ""}]
        for literal, name in self._pieces:
            content[-1]["text"] += literal
            if name is None:
                continue
            if self.kinds[name] == "text":
                content[-1]["text"] += self._plain(texts[name])
            elif name in images:
                content += [{"type": "image"}, {"type": "text", "text": ""}]
        if not self.chat:
            return "".join(part.get("text", self._mark) for part in content)
        said = [part for part in content if part.get("text") != ""]
        found = self._processor.apply_chat_template(
            [{"role": "user", "content": said}], add_generation_prompt=True, tokenize=False
        )
        return str(found)

    def _plain(self, text: str) -> str:
        # Again until nothing is left: breaking one up may put another together. It ends, as space only grows.
        while any(token in text for token in self._special):
            for token in self._special:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def _pieces(who: str, template: str, kinds: Mapping[str, str]) -> list[tuple[str, str | None]]:
    try:
        parsed = list(string.Formatter().parse(template))
    except (ValueError, TypeError) as error:
        raise BadInput(f"{who}: prompt {template!r} is not usable: {error}.") from error
    named = [name for _, name, _, _ in parsed if name is not None]
    if any(spec or conversion for _, _, spec, conversion in parsed) or sorted(named) != sorted(kinds):
        expected = ", ".join(f"{{{name}}}" for name in kinds)
        raise BadInput(f"{who}: prompt {template!r} has to hold {expected}, once each, and nothing else in braces.")
    return [(literal, name) for literal, name, _, _ in parsed]


def _special(tokenizer: Any, mark: str) -> list[str]:
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    found = {*map(str, tokenizer.all_special_tokens), *(str(t) for t in added if getattr(t, "special", False)), mark}
    # Without the space around them, which breaking up would not take away. One character cannot be broken up; such
    # tokens are ordinary punctuation.
    return sorted({token.strip() for token in found if len(token.strip()) > 1}, key=len, reverse=True)
