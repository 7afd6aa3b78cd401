"""Sounds for tests and recordings: made of numbers alone, the same on any machine, and statistics of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE = 16000
SECONDS = 2.0

Sound = npt.NDArray[np.float32]


def sounds(count: int = 8, seconds: float = SECONDS, rate: int = RATE) -> list[Sound]:
    """Voice-like sounds: gliding harmonics in syllables of 4 Hz, and a little noise; peak 0.5."""
    out = []
    for i in range(count):
        rng = np.random.default_rng(i)
        t = np.arange(int(seconds * rate)) / rate
        pitch = 110 + 15 * i + 20 * np.sin(2 * np.pi * rng.uniform(0.5, 1.5) * t + rng.uniform(0, 6))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        voice = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 25))
        syllables = np.clip(np.sin(2 * np.pi * 2 * t + rng.uniform(0, 6)), 0, None)
        x = voice * syllables + 0.02 * rng.standard_normal(len(t))
        out.append((0.5 * x / np.abs(x).max()).astype(np.float32))
    return out


def rms(x: npt.ArrayLike) -> float:
    return float(np.sqrt(np.mean(np.square(np.asarray(x, np.float64)))))


def centroid(x: npt.ArrayLike, rate: float = RATE) -> float:
    """Hz: mean frequency, weighted by power."""
    power = np.square(np.abs(np.fft.rfft(np.asarray(x, np.float64))))
    return float(np.sum(power * np.fft.rfftfreq(np.size(x), 1 / rate)) / np.sum(power))


def envelope_shift(x: npt.ArrayLike, rate: float = RATE) -> float:
    """Hz: mean frequency of the envelope's own spectrum up to 20 Hz, how fast syllables follow one another."""
    frame = int(0.01 * rate)
    x = np.asarray(x, np.float64)
    envelope = np.abs(x[: len(x) // frame * frame].reshape(-1, frame)).mean(axis=1)
    power = np.square(np.abs(np.fft.rfft(envelope - envelope.mean(), 4 * len(envelope))))
    frequency = np.fft.rfftfreq(4 * len(envelope), 0.01)
    low = frequency < 20
    return float(np.sum((power * frequency)[low]) / np.sum(power[low]))


def statistics_of(clean: Sound, new: npt.ArrayLike, rate: float = RATE) -> dict[str, float]:
    """Distance and level relative to the clean sound's RMS, centroid in Hz, pace of the envelope in Hz."""
    new = np.asarray(new)[: len(clean)]
    new = np.pad(new, (0, len(clean) - len(new)))
    return {
        "distance": rms(new - clean) / rms(clean),
        "level": rms(new) / rms(clean),
        "centroid": centroid(new, rate),
        "pace": envelope_shift(new, rate),
    }
