"""Sounds added to the recording. `x` is [R, T]: channels of a waveform, or frequencies of a spectrogram, over time.

Severity is the RMS of what is added over the RMS of the recording, both over all its channels and its whole length,
padding included: 10^(−SNR/20), so that 0.1 is an SNR of 20 dB and 1 is 0 dB. It is met exactly, sample by sample, up
to clipping and rounding. The SNR of silence is not defined: silent recordings stay silent.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mmaudit.kernels.babble import babble
from mmaudit.kernels.mix import add_at_ratio, repeated
from mmaudit.kernels.music import music
from mmaudit.kernels.normals import normals
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.audio_axes import (
    AUDIO,
    AUDIOMENTATIONS,
    AVROBUST,
    no_time,
    over_time,
    rate_above,
    sampling_rate,
)
from mmaudit.types import Array, Modality

UNIT = "RMS of noise ÷ RMS of signal"
# SNRs of AVRobustBench in dB: 40, 30, 20, 10, 0 for its noises, 20, 15, 10, 5, 0 for its surroundings (as Aurora-2).
NOISES = tuple(10 ** (-snr / 20) for snr in (40, 30, 20, 10, 0))
SURROUNDINGS = tuple(10 ** (-snr / 20) for snr in (20, 15, 10, 5, 0))

HARMONICS = 20  # of the mains
_POINTS = 8192


@corruption(
    "gaussian_snr",
    kinds=AUDIO,
    severities=NOISES,
    unit=UNIT,
    source=f"{AVROBUST}, gaussian: SNR 40 to 0 dB; {AUDIOMENTATIONS}, AddGaussianSNR",
    declines=no_time,
)
@over_time
def gaussian_snr(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Gaussian white noise at a given signal-to-noise ratio.

    x' = x + severity · RMS(x) · n / RMS(n), n ~ N(0, 1), independent per time and channel: SNR 40, 30, 20, 10, 0 dB.
    In a spectrogram the noise is added to its values, and the signal is what they deviate from the sample's mean, for
    a logarithmic scale has no zero; a constant one stays.
    """
    noise = normals(rng, x.size).reshape(x.shape).astype(x.dtype, copy=False)
    add_at_ratio(x, noise, float(severity), float(x.mean(dtype=np.float64)) if modality.spectrogram else 0.0)
    return x


@corruption(
    "background_babble",
    kinds=AUDIO,
    severities=SURROUNDINGS,
    unit=UNIT,
    source=f"{AVROBUST}, crowd: SNR 20 to 0 dB; voices synthesised (Klatt 1980)",
    declines=rate_above(2000),
)
@over_time
def background_babble(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Babble: eight people talking at once, synthesised, at a given signal-to-noise ratio.

    A random part of 30 s that are always the same, repeated where the recording is longer. Every channel hears another
    part, as microphones in the midst of a crowd do. Needs a sampling rate above 2 kHz. SNR 20, 15, 10, 5, 0 dB.
    """
    places = rng.random(len(x))
    return _with_background(x, severity, babble(sampling_rate(modality)), places)


@corruption(
    "background_music",
    kinds=AUDIO,
    severities=SURROUNDINGS,
    unit=UNIT,
    source=f"{AVROBUST}, concert: SNR 20 to 0 dB; music synthesised",
    declines=rate_above(2000),
)
@over_time
def background_music(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Music-like background: chords, bass, tune and drums, synthesised, at a given signal-to-noise ratio.

    A random part of 32 s that are always the same, repeated where the recording is longer; the same in all channels,
    as from a loudspeaker. Needs a sampling rate above 2 kHz. SNR 20, 15, 10, 5, 0 dB.
    """
    return _with_background(x, severity, music(sampling_rate(modality)), np.full(len(x), rng.random()))


@corruption(
    "hum",
    kinds=AUDIO,
    severities=SURROUNDINGS,
    unit=UNIT,
    source=f"mmaudit; mains hum at the SNRs of {AVROBUST}'s surroundings",
    declines=rate_above(2 * 60),
)
@over_time
def hum(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Mains hum: 50 or 60 Hz and their harmonics, at a given signal-to-noise ratio.

    Fundamental drawn per sample, phase too; up to 20 harmonics below the Nyquist frequency, the k-th with amplitude
    1/k; the same in all channels, as from a ground loop. Needs a sampling rate above 120 Hz. SNR 20, 15, 10, 5, 0 dB.
    """
    rate = sampling_rate(modality)
    fundamental, phase = (50.0, 60.0)[int(rng.integers(2))], rng.random()
    below = min(HARMONICS, int(np.ceil(rate / 2 / fundamental)) - 1)
    wave = repeated(_period(max(below, 1)), fundamental / rate, phase, x.shape[1])
    add_at_ratio(x, wave.astype(x.dtype, copy=False), float(severity))
    return x


def _with_background(x: Array, severity: float, recording: Array, places: Array) -> Array:
    """Add to each channel the recording from a place on, in [0, 1) of its length, at the ratio asked for."""
    length = x.shape[1]
    rows = []
    for place in places.tolist():
        at = int(place * len(recording))
        parts = [recording[at : at + length]]
        while (missing := length - sum(map(len, parts))) > 0:
            parts.append(recording[:missing])
        rows.append(parts[0] if len(parts) == 1 else np.concatenate(parts))
    noise = rows[0][None] if len(rows) == 1 else np.stack(rows)
    add_at_ratio(x, noise.astype(x.dtype, copy=False), float(severity))
    return x


@lru_cache(maxsize=32)
def _period(harmonics: int) -> Array:
    turn = 2 * np.pi * np.arange(_POINTS) / _POINTS
    k = np.arange(1, harmonics + 1)[:, None]
    return np.asarray((np.sin(k * turn) / k).sum(axis=0), np.float32)
