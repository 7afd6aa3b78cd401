"""The demo's model: a small network that answers easy-VQA questions about 64x64 images."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import Tensor, nn

WEIGHTS_NAME = "weights.safetensors"
WIDTH = 64
N_CLASSES = 13

# The sorted words of the easy-VQA training questions; spelled out so that the model needs no data to load.
VOCABULARY: tuple[str, ...] = (
    "a", "black", "blue", "brown", "circle", "color", "contain", "does", "gray", "green", "image", "in", "is",
    "no", "not", "of", "present", "rectangle", "red", "shape", "teal", "the", "there", "triangle", "what",
    "yellow",
)  # fmt: skip

_COLUMN = {word: column for column, word in enumerate(VOCABULARY)}


def words(question: str) -> list[str]:
    """The lower-cased words of a question, without question marks, in their order."""
    return question.lower().replace("?", "").split()


def bag_of_words(questions: Sequence[str] | npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Count the vocabulary's words in each question.

    Returns float32 counts of shape [n, len(VOCABULARY)]. A word outside the vocabulary, a misspelt one for
    instance, counts nowhere.
    """
    counts = np.zeros((len(questions), len(VOCABULARY)), dtype=np.float32)
    for row, question in enumerate(questions):
        for word in words(question):
            column = _COLUMN.get(word)
            if column is not None:
                counts[row, column] += 1.0
    return counts


class EasyVQANet(nn.Module):
    """A convolutional image encoder and a question encoder, joined by an element-wise product."""

    def __init__(self) -> None:
        super().__init__()
        # Strides do the shrinking (64 -> 32 -> 16 -> 8 pixels): a pass over the test split takes about a second.
        # The maximum over all positions is taken because no answer depends on where the shape is. Without batch
        # normalisation the tanh settles at the same +1 or -1 for every image, and the model learns questions only.
        self.image_encoder = nn.Sequential(
            nn.Conv2d(3, 16, kernel_size=5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(64, WIDTH),
            nn.BatchNorm1d(WIDTH),
            nn.Tanh(),
        )
        self.question_encoder = nn.Sequential(
            nn.Linear(len(VOCABULARY), WIDTH),
            nn.ReLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.Tanh(),
        )
        self.head = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, N_CLASSES))

    def forward(self, image: Tensor, question: Tensor) -> Tensor:
        """Score the 13 answers.

        image: uint8 of shape [n, 64, 64, 3], rows by columns by RGB, 0 to 255.
        question: float counts of shape [n, len(VOCABULARY)] from `bag_of_words`.
        Returns logits of shape [n, 13], columns in the order of `mmaudit.demo.easy_vqa.CLASSES`.
        """
        return self.answer(self.encode_image(image), self.question_encoder(question))

    def encode_image(self, image: Tensor) -> Tensor:
        """Image features of shape [n, WIDTH] from uint8 images of shape [n, 64, 64, 3]."""
        # -0.5 to 0.5: inputs centred near zero train faster.
        pixels = image.to(torch.float32).permute(0, 3, 1, 2) / 255.0 - 0.5
        features: Tensor = self.image_encoder(pixels)
        return features

    def answer(self, image_features: Tensor, question_features: Tensor) -> Tensor:
        """Logits of shape [n, 13] from the two encoders' features, each of shape [n, WIDTH]."""
        logits: Tensor = self.head(image_features * question_features)
        return logits


def load_model() -> EasyVQANet:
    """The trained model, on the CPU and in evaluation mode, from the weights that ship with the package."""
    content = resources.files("mmaudit.demo").joinpath(WEIGHTS_NAME).read_bytes()
    model = EasyVQANet()
    model.load_state_dict(safetensors.torch.load(content))
    return model.eval()
