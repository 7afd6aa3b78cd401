"""A few samples of every kind of modality, for looking at probes without data of one's own."""

from __future__ import annotations

import numpy as np

from mmaudit.data import ArrayData
from mmaudit.types import Array, FloatArray, Modality, Task

N = 6
SIDE = 224
RATE = 16_000
SENTENCES = (
    "The quick brown fox jumps over 17 lazy dogs, and nobody on the farm is surprised.",
    "I can see a small red triangle to the left of the large blue circle.",
    "The patient was admitted on 3 May with fever, cough and mild shortness of breath.",
    "This dress fits well, the colour is beautiful, but the zipper broke after two days.",
    "Two people are walking their dogs along the beach while the sun goes down.",
    "Please call me back before noon; the meeting has been moved to room 204.",
)


def samples() -> ArrayData:
    """Return six samples with an image, a sound, a sentence, a table row, a series and an embedding each.

    Images are crops of the two photographs that scikit-learn ships, table rows and embeddings come from its wine and
    digits data; sounds (a vowel that glides) and series (a pulse in three channels) are synthesised.
    """
    from sklearn.datasets import load_digits, load_sample_images, load_wine

    photographs = load_sample_images().images
    wine, digits = load_wine().data, load_digits().data
    rows = np.linspace(0, len(wine) - 1, N).astype(int)
    return ArrayData(
        {
            "image": np.stack([_crop(photographs[i % 2], i // 2) for i in range(N)]),
            "audio": np.stack([_vowel(i) for i in range(N)]),
            "text": list(SENTENCES),
            "table": wine[rows],
            "series": np.stack([_pulse(i) for i in range(N)]),
            "embedding": digits[np.linspace(0, len(digits) - 1, N).astype(int)].astype(np.float32),
        },
        np.arange(N) % 3,
        Task.classification(3),
        modalities=[
            Modality("image", "image", layout="HWC", range=(0, 255)),
            Modality("audio", "audio", range=(-1, 1), sample_rate=RATE),
            Modality("text", "text"),
            Modality("table", "tabular"),
            Modality("series", "series", layout="TC", sample_rate=100),
            Modality("embedding", "embedding"),
        ],
    )


def _crop(photograph: Array, place: int) -> Array:
    top, left = 427 // 2 - SIDE // 2, 40 + 180 * place
    return photograph[top : top + SIDE, left : left + SIDE]


def _vowel(number: int) -> FloatArray:
    """1.5 s of harmonics under two formants, the pitch falling, with a pause in the middle."""
    time = np.arange(int(1.5 * RATE)) / RATE
    pitch = (110 + 25 * number) * (1 - 0.1 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = np.zeros_like(time)
    for k in range(1, 30):
        heard = sum(np.exp(-(((k * pitch - f) / 150) ** 2)) for f in (600 + 60 * number, 1500 - 80 * number))
        sound += heard * np.sin(k * phase)
    sound *= np.clip(np.sin(2 * np.pi * time / 1.5) ** 2 * 2, 0, 1)
    return np.asarray(0.6 * sound / np.abs(sound).max())


def _pulse(number: int) -> FloatArray:
    """Four seconds at 100 Hz: a heart beat and two slow movements."""
    time = np.arange(400) / 100
    beat = (time * (1 + 0.1 * number)) % 1
    wave = np.exp(-(((beat - 0.3) / 0.02) ** 2)) + 0.2 * np.exp(-(((beat - 0.55) / 0.06) ** 2))
    return np.stack(
        [wave, 0.5 * np.sin(2 * np.pi * 0.4 * time + number), 0.3 * np.cos(2 * np.pi * 0.15 * time)], axis=1
    )
