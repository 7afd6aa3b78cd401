"""Models trained in seconds on the training splits of the shared real data; each is small and better than chance."""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder

from helpers.real_data import TRAIN, columns
from mmaudit import SklearnModel
from mmaudit.models import Model
from mmaudit.types import Array


@cache
def digits() -> Model:
    """AV-MNIST in torch: an image and the log spectrogram of a sound, encoded apart and added up."""
    import torch
    from torch import nn

    from mmaudit import TorchModel

    class Digits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 48), nn.Tanh())
            self.audio = nn.Sequential(nn.Flatten(), nn.Linear(62 * 65, 48), nn.Tanh())
            self.head = nn.Linear(96, 10)

        def forward(self, image: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
            frames = audio.to(torch.float32).unfold(1, 128, 128) / 32768
            loudness = torch.log1p(100 * torch.fft.rfft(frames).abs())
            seen = self.image(image.to(torch.float32) / 255)
            return self.head(torch.cat([seen, self.audio(loudness)], dim=1))

    found = columns("avmnist", ("image", "audio", "label"), TRAIN["avmnist"])
    image, audio = torch.from_numpy(found["image"]), torch.from_numpy(found["audio"])
    target = torch.from_numpy(found["label"].astype(np.int64))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Digits()
        optimiser = torch.optim.Adam(module.parameters(), lr=2e-3, weight_decay=1e-4)
        for _ in range(12):
            for rows in torch.randperm(len(target)).split(100):
                optimiser.zero_grad()
                nn.functional.cross_entropy(module(image[rows], audio[rows]), target[rows]).backward()
                optimiser.step()
    return TorchModel(module.eval(), ["image", "audio"], outputs="logits", name="spoken and written digits")


@cache
def reviews() -> Model:
    """Women's clothing, recommended or not, in scikit-learn: words, two numbers, three category codes."""
    names = ("text", "tab_num", "tab_cat")
    found = columns("clothing", (*names, "label"), TRAIN["clothing"])
    words = TfidfVectorizer(max_features=2000, ngram_range=(1, 2)).fit(found["text"])
    codes = OneHotEncoder(handle_unknown="ignore").fit(found["tab_cat"])
    prepare = {"text": words.transform, "tab_num": _over_fifty, "tab_cat": codes.transform}
    x = scipy.sparse.hstack([prepare[name](found[name]) for name in names]).tocsr()
    fitted = LogisticRegression(C=10, max_iter=2000).fit(x, found["label"].astype(int))
    return SklearnModel(fitted, names, prepare=prepare, name="recommended garments")


def _over_fifty(table: Array) -> Array:
    return table / 50


@cache
def emoji() -> Model:
    """The class of an emoji in scikit-learn: two drawings at 8×8 pixels, and the letters of its name."""
    names = ("image_twitter", "image_google", "text_name")
    found = columns("emoji", (*names, "label"), TRAIN["emoji"])
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=3000).fit(found["text_name"])
    prepare = {"image_twitter": _thumbnail, "image_google": _thumbnail, "text_name": letters.transform}
    x = scipy.sparse.hstack([prepare[name](found[name]) for name in names]).tocsr()
    fitted = make_pipeline(MaxAbsScaler(), LogisticRegression(C=1, max_iter=2000)).fit(x, found["label"].astype(int))
    return SklearnModel(fitted, names, prepare=prepare, name="kinds of emoji")


def _thumbnail(images: Array) -> Array:
    return images.reshape(len(images), 8, 6, 8, 6, 3).mean(axis=(2, 4)).reshape(len(images), -1) / 255
