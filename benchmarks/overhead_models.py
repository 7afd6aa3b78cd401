"""The models of `overhead.py` with their data: the demo's, and one whose encoders are nearly all of the work."""

from __future__ import annotations

import numpy as np
import torch
from overhead_sides import Case, ToTensor
from torch import Tensor, nn

import mmaudit
from mmaudit.data import subset
from mmaudit.demo import run as demo
from mmaudit.demo.model import bag_of_words, load_model
from mmaudit.types import Array

TARGET_MEMOISED = 0.45


class ThreeEncoders(nn.Module):
    """Image, audio and embedding, each through an encoder of about 3 million multiplications, and a small fusion."""

    def __init__(self) -> None:
        super().__init__()
        self.image_encoder = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        self.audio_encoder = nn.Sequential(
            *(nn.Conv1d(1, 32, 16, stride=4), nn.ReLU()),
            *(nn.Conv1d(32, 64, 8, stride=4), nn.ReLU()),
            *(nn.Conv1d(64, 128, 4, stride=2), nn.ReLU()),
            *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, 64)),
        )
        self.text_encoder = nn.Sequential(
            *(nn.Linear(256, 1024), nn.ReLU()),
            *(nn.Linear(1024, 1024), nn.ReLU()),
            *(nn.Linear(1024, 1024), nn.ReLU()),
            nn.Linear(1024, 64),
        )
        self.fusion = nn.Sequential(nn.Linear(3 * 64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, image: Tensor, audio: Tensor, text: Tensor) -> Tensor:
        """Ten logits from uint8 [n, 32, 32, 3], float32 [n, 2048] and float32 [n, 256]."""
        pixels = image.to(torch.float32).permute(0, 3, 1, 2) / 255.0 - 0.5
        features = [self.image_encoder(pixels), self.audio_encoder(audio.unsqueeze(1)), self.text_encoder(text)]
        logits: Tensor = self.fusion(torch.cat(features, dim=1))
        return logits


def three_encoders(rows: int, batch_rows: int) -> Case:
    """The three-modality model with random weights, on random inputs."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    data = mmaudit.ArrayData(
        {
            "image": rng.integers(0, 256, (rows, 32, 32, 3), np.uint8),
            "audio": rng.normal(0, 0.2, (rows, 2048)).clip(-1, 1).astype(np.float32),
            "text": rng.normal(size=(rows, 256)).astype(np.float32),
        },
        rng.integers(0, 10, rows),
        mmaudit.Task.classification(10),
        kinds={"audio": "audio,sample_rate=8000", "text": "embedding"},
    )
    prepare = dict.fromkeys(("image", "audio", "text"), torch.from_numpy)
    return Case("three encoders", ThreeEncoders().eval(), prepare, data, batch_rows, TARGET_MEMOISED)


def easy_vqa(rows: int, batch_rows: int) -> Case:
    """The demo's model on its first test questions, in their own order: about ten to a picture."""
    everything = demo.data()
    data = subset(everything, np.arange(min(rows, len(everything))))
    prepare: dict[str, ToTensor] = {"image": torch.from_numpy, "question": tokenise}
    return Case("easy-VQA demo", load_model(), prepare, data, batch_rows, TARGET_MEMOISED)


def tokenise(questions: Array) -> Tensor:
    """The demo's bag of words, as a tensor."""
    return torch.from_numpy(bag_of_words(questions))
