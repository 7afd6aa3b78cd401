"""What a lossy coder did to recordings, in decibels, and the recordings that LAME was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from helpers.audio_signals import RATE, sounds

DIGITS = Path(__file__).parents[2].parent / "shared" / "data" / "avmnist.npz"
DIGITS_RATE = 8000
# Of the band from 0 to the Nyquist frequency.
EDGES = (0, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)
# kbit/s, from 4 to ½ and from 4 to 1 bits per sample; at 8 kHz MPEG has no lower rate.
RATES = {"voices": (64, 40, 24, 16, 8), "digits": (32, 24, 16, 8)}

Signal = npt.NDArray[np.float32]


def recordings(name: str) -> tuple[list[Signal], int]:
    """Synthetic voices, or thirty spoken digits of the shared data without their padding; and their sampling rate."""
    if name == "voices":
        return sounds(), RATE
    with np.load(DIGITS) as file:
        pairs = zip(file["audio"][::100], file["audio_length"][::100], strict=True)
        return [(x[:n] / 32768).astype(np.float32) for x, n in pairs], DIGITS_RATE


def coding(clean: npt.ArrayLike, new: npt.ArrayLike) -> dict[str, float | list[float]]:
    """Return what one recording became; `new` is aligned and as long as `clean`.

    gain: of the signal. The rest is relative to the signal times this gain, in dB. snr: signal to noise. noise: noise
    to signal in each band. power: what came out to what went in, in each band.
    """
    x, y = np.asarray(clean, np.float64), np.asarray(new, np.float64)
    gain = x @ y / (x @ x)
    y = y / gain
    band = np.searchsorted(EDGES, np.fft.rfftfreq(len(x)) * 2, "right") - 1
    power = [np.bincount(band, np.square(np.abs(np.fft.rfft(v))))[: len(EDGES) - 1] + 1e-12 for v in (x, y, y - x)]
    return {
        "gain": float(gain),
        "snr": float(10 * np.log10((x @ x) / ((y - x) @ (y - x)))),
        "noise": [float(v) for v in 10 * np.log10(power[2] / power[0])],
        "power": [float(v) for v in 10 * np.log10(power[1] / power[0])],
    }


def mean_of(found: list[dict[str, float | list[float]]]) -> dict[str, float | list[float]]:
    """Return the mean of each statistic over recordings."""
    return {key: np.mean([row[key] for row in found], axis=0).round(3).tolist() for key in found[0]}
