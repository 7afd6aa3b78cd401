"""Torch modules of many architectures, each with what a boundary is found by or not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGE = (3, 8, 8)
TEXT = 5
CLASSES = 4
WORDS = ("red", "green", "blue", "circle", "square", "is", "there", "a")


def image_encoder(width: int = 16) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, width)
    )


def text_encoder(width: int = 16, inputs: int = TEXT) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Dropout(0.5), nn.Linear(width, width))


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image = image_encoder()
        self.text = text_encoder()
        self.head = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, CLASSES))


class Product(Base):
    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        return self.head(self.image(image) * torch.tanh(self.text(text)))


class Concat(Base):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(32, CLASSES)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        x = functional.dropout(self.image(image), 0.5, training=self.training)
        return self.head(torch.cat([x.flatten(1), self.text(text)], dim=-1))


class Gated(Base):
    """A learned gate weighs the modalities; one head is applied to each and to their mixture."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(32, 2)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        a, b = self.image(image), self.text(text)
        weight = self.gate(torch.cat([a, b], 1)).softmax(-1)
        mixed = weight[:, :1] * a + weight[:, 1:] * b
        return self.head(mixed) + 0.5 * (self.head(a) + self.head(b))


class Shared(nn.Module):
    """One encoder serves both modalities."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(TEXT, 16), nn.ReLU(), nn.Linear(16, 16))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        return self.head((self.encoder(image.flatten(1)[:, :TEXT]) - self.encoder(text)).abs())


class EarlyAttention(nn.Module):
    """All tokens meet in attention at once: nothing depends on one modality alone but a reshape."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(5, 1, batch_first=True)
        self.head = nn.Linear(5, CLASSES)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        tokens = torch.cat([image.flatten(1)[:, :10].reshape(-1, 2, 5), text[:, None]], dim=1)
        mixed, _ = self.attention(tokens, tokens, tokens)
        return self.head(mixed.mean(1))


class CrossAttention(Base):
    """Sequence-first attention: the row axis is the second one where the modalities meet."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.attention = nn.MultiheadAttention(16, 2)
        self.register_buffer("place", torch.randn(6, 1, 16))

    def forward(self, image: Tensor, tokens: Tensor) -> Tensor:
        query = self.image(image).unsqueeze(0)
        keys = self.embed(tokens).transpose(0, 1) + self.place[: tokens.shape[1]]
        mixed, _ = self.attention(query, keys, keys)
        return self.head(mixed.squeeze(0))


class Recurrent(Base):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 16, batch_first=True)

    def forward(self, image: Tensor, tokens: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(self.embed(tokens))
        return self.head(self.image(image) + hidden[-1])


class Branching(Base):
    """Control flow on values at the top: this forward cannot be traced."""

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        a, b = self.image(image), self.text(text)
        if bool((a.abs().sum() + b.abs().sum()) > 1e9):
            a = a * 0
        return self.head(functional.normalize(a, dim=1) * b)


class BranchingPieces(nn.Module):
    """As Branching, with functional operations between an encoder's submodules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.linear = nn.Linear(64, 16)
        self.text = text_encoder()
        self.head = nn.Linear(16, CLASSES)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        early = functional.relu(self.conv(image))
        a = self.linear(early.flatten(1))
        if bool(a.isinf().any()):
            raise ValueError("infinite")
        return self.head(a * self.text(text))


class BranchingSkip(BranchingPieces):
    """As BranchingPieces, but the fusion reads the early output too: replaying the last one is not enough."""

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        early = functional.relu(self.conv(image))
        a = self.linear(early.flatten(1))
        if bool(a.isinf().any()):
            raise ValueError("infinite")
        return self.head(a * self.text(text)) + early.mean(dim=(1, 2, 3))[:, None] * text.sum(1, keepdim=True)


class BranchingEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = image_encoder()

    def forward(self, image: Tensor) -> Tensor:
        x = self.inner(image)
        return x * 2 if bool(x.sum() == 0) else x + 1


class OpaqueEncoder(Base):
    """Only a submodule cannot be traced: it is called as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.image = BranchingEncoder()

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        return self.head(self.image(image) * self.text(text))


class DictInput(Base):
    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        features = {name: getattr(self, name)(x) for name, x in inputs.items()}
        return self.head(sum(features.values()))


class TupleOutput(Product):
    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b = self.image(image), self.text(text)
        return a, self.head(a * b), b


class NestedOutput(Product):
    def forward(self, image: Tensor, text: Tensor) -> dict[str, Any]:
        return {"logits": super().forward(image, text), "aux": {"text": self.text(text)}}


class InPlaceFusion(Base):
    """Adds into a feature: the fusion must not spoil what is remembered."""

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        a = self.image(image)
        a += self.text(text)
        return self.head(functional.relu(a, inplace=True))


class InPlaceInput(Base):
    """Normalises its input in place."""

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        image = image.mul_(0.5).sub_(1.0)
        return self.head(self.image(image) * self.text(text))


class ConstantPart(Base):
    """Parameters are worked on alone, and the batch size is read from one modality."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 16))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        query = self.query.softmax(-1).expand(image.shape[0], -1)
        return self.head(self.image(image) * self.text(text) + query)


class BatchCoupled(Base):
    """Subtracts the batch's mean from a feature: no row stands alone, and no boundary keeps rows apart."""

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        a = self.image(image)
        return self.head((a - a.mean(0, keepdim=True)) * self.text(text))


class Remembering(Product):
    """Keeps its last features on itself, as models that show attention maps do."""

    last: Any = None

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        self.last = self.text(text)
        return self.head(self.image(image) * self.last)


class Noisy(Product):
    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        answers = super().forward(image, text)
        return answers + torch.rand(answers.shape[1])


class Tokens(Base):
    """Takes what a tokeniser returns."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(WORDS) + 1, 16)

    def forward(self, image: Tensor, text: dict[str, Tensor]) -> Tensor:
        mask = text["mask"].unsqueeze(-1)
        pooled = (self.embed(text["ids"]) * mask).sum(1) / mask.sum(1).clamp(min=1)
        return self.head(self.image(image) * pooled)


class TokensBranching(Tokens):
    def forward(self, image: Tensor, text: dict[str, Tensor]) -> Tensor:
        if bool(image.isnan().any()):
            raise ValueError("NaN")
        return super().forward(image, text)


class Masked(Base):
    """Masks enter at the fusion."""

    def forward(self, image: Tensor, text: Tensor, present: dict[str, Tensor]) -> Tensor:
        a = torch.where(present["image"][:, None], self.image(image), 0.0)
        b = torch.where(present["text"][:, None], self.text(text), 0.0)
        return self.head(a + b)


class MaskedEarly(Base):
    """A learned token replaces an absent input before the encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(TEXT))

    def forward(self, image: Tensor, text: Tensor, present: dict[str, Tensor]) -> Tensor:
        text = torch.where(present["text"][:, None], text, self.token)
        a = torch.where(present["image"][:, None], self.image(image), 0.0)
        return self.head(a * self.text(text) + a)


class MaskedBranching(Masked):
    def forward(self, image: Tensor, text: Tensor, present: dict[str, Tensor]) -> Tensor:
        if bool(image.isnan().any()):
            raise ValueError("NaN")
        return super().forward(image, text, present)


class Leaky(Base):
    """Claims to mask an absent image but reads it."""

    def forward(self, image: Tensor, text: Tensor, present: dict[str, Tensor]) -> Tensor:
        b = torch.where(present["text"][:, None], self.text(text), 0.0)
        return self.head(self.image(image) + b)


class Optional(Base):
    """Absent modalities come as None."""

    def forward(self, image: Tensor | None, text: Tensor | None) -> Tensor:
        parts = []
        if image is not None:
            parts.append(self.image(image))
        if text is not None:
            parts.append(self.text(text))
        return self.head(sum(parts) / len(parts))


class OptionalBranching(Optional):
    def forward(self, image: Tensor | None, text: Tensor | None) -> Tensor:
        if image is not None and bool(image.isnan().any()):
            raise ValueError("NaN")
        return super().forward(image, text)


class OptionalHeads(Base):
    """Another way for every pattern of what is present."""

    def __init__(self) -> None:
        super().__init__()
        self.image_only = nn.Linear(16, CLASSES)

    def forward(self, image: Tensor | None, text: Tensor | None) -> Tensor:
        if text is None:
            return self.image_only(self.image(image))
        if image is None:
            return self.head(self.text(text))
        return self.head(self.image(image) * self.text(text))


class OptionalOtherEncoder(OptionalHeads):
    """Alone, the image goes through another encoder: the features of the full pattern do not serve."""

    def __init__(self) -> None:
        super().__init__()
        self.alone = image_encoder()

    def forward(self, image: Tensor | None, text: Tensor | None) -> Tensor:
        return self.image_only(self.alone(image)) if text is None else super().forward(image, text)


class NeedsImage(Base):
    def forward(self, image: Tensor, text: Tensor | None) -> Tensor:
        a = self.image(image)
        return self.head(a if text is None else a * self.text(text))


class Three(Base):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 16)

    def forward(self, image: Tensor, text: Tensor, tokens: Tensor) -> Tensor:
        return self.head(self.image(image) * self.text(text) + self.embed(tokens).mean(1))
