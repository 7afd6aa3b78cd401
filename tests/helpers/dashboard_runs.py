"""Two audits of small models on the same data, as the dashboard's pages need them: pictures, words and sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import mmaudit
from mmaudit.types import Array, FloatArray

N, RATE = 180, 4_000
WORDS = ("apple", "river", "stone")
SUITE = ["control", "missing", "mismatch", "conflict", "image.gaussian_noise", "text.keyboard", "audio.gaussian_snr"]


def data() -> mmaudit.ArrayData:
    """Three classes, each told by colour, word and pitch; two sites, one of them noisier."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, N)
    site = rng.choice(["north", "south"], N)
    pictures = rng.integers(0, 60, (N, 24, 24, 3))
    pictures[np.arange(N), :, :, label] += rng.integers(60, 180, N)[:, None, None]
    words = [" ".join([WORDS[k], *rng.choice(["of", "the", "day"], 2)]) for k in label]
    t = np.arange(RATE // 4) / RATE
    noise = np.where(site == "north", 0.5, 0.05)[:, None] * rng.standard_normal((N, len(t)))
    sound = (0.3 * np.sin(2 * np.pi * 400 * (1 + label)[:, None] * t) + 0.2 * noise).astype(np.float32)
    return mmaudit.ArrayData(
        {"picture": pictures.astype(np.uint8), "caption": words, "sound": sound},
        target=label,
        task=mmaudit.Task.classification(["red", "green", "blue"]),
        kinds={"sound": f"audio,sample_rate={RATE}"},
        groups={"site": site},
        ids=[f"item-{i:03d}" for i in range(N)],
    )


def model(name: str, weights: tuple[float, float, float]) -> mmaudit.FunctionModel:
    """A model that adds up what picture, caption and sound say, with these weights."""

    def answer(picture: Array, caption: Sequence[str], sound: Array) -> FloatArray:
        colour = np.asarray(picture, np.float64).mean(axis=(1, 2)) / 100
        word = np.array([[text.count(w) for w in WORDS] for text in caption], np.float64)
        wave = np.asarray(sound, np.float64)
        place = [round(400 * (1 + k) * wave.shape[1] / RATE) for k in range(3)]
        pitch = np.abs(np.fft.rfft(wave, axis=1))[:, place] / (wave.shape[1] / 8)
        return np.asarray(3 * (weights[0] * colour + weights[1] * word + weights[2] * pitch))

    return mmaudit.FunctionModel(answer, ["picture", "caption", "sound"], outputs="logits", name=name)


def make_runs(root: Path) -> None:
    """Audit both models below `root`: `first` reads the caption alone, `second` all three."""
    for name, weights in (("first", (0.0, 2.0, 0.0)), ("second", (1.0, 1.0, 1.0))):
        title = f"The {name} model"
        mmaudit.audit(model(name, weights), data(), out=root / name, suite=SUITE, resamples=200, title=title)
