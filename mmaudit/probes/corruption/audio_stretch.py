"""Speed without pitch, and pitch without speed. `x` is [R, T]: channels of a waveform or frequencies over time."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from mmaudit.kernels import polyphase, vocoder
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.audio_axes import AUDIO, AUDIOMENTATIONS, no_time, over_time, require_below, silence
from mmaudit.types import Array, Modality

WINDOW = 0.03  # s, three periods of a low voice; longer ones smear gliding harmonics, shorter ones beat
UNKNOWN = 512  # samples, where the sampling rate is unknown
CENT = 0.5  # of a semitone's hundredths, how far a ratio of whole numbers may be off
FAR = "once moved by more than half a period, an oscillation is as far from itself as it can get"


@corruption(
    "time_stretch",
    kinds=AUDIO,
    severities=(0.05, 0.1, 0.15, 0.2, 0.25),
    unit="share faster, or as much slower",
    source=f"{AUDIOMENTATIONS}, TimeStretch: rates 0.8 to 1.25",
    declines=no_time,
    not_monotone=FAR,
)
@over_time
def time_stretch(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Time stretch: faster or slower at the same pitch.

    The rate is 1 + severity for half of the samples, drawn at random, and 1 / (1 + severity) for the others. What gets
    longer is cut at its old length, what gets shorter is filled up with silence. Waveforms by a phase-locked vocoder
    with windows of about 30 ms (512 samples where the sampling rate is unknown; less in short recordings), each
    channel by itself; spectrograms by linear interpolation between frames.
    """
    rate = (1 + severity) ** (1 if rng.random() < 0.5 else -1)
    if modality.spectrogram:
        return _read_at(x, np.arange(x.shape[1]) * rate, silence(x, modality))
    return vocoder.stretch(x, rate, x.shape[1], _window(x.shape[1], modality))


@corruption(
    "pitch_shift",
    kinds=AUDIO,
    severities=(0.5, 1, 2, 3, 4),
    unit="semitones",
    source=f"{AUDIOMENTATIONS}, PitchShift: up to ±4 semitones",
    declines=no_time,
    not_monotone=FAR,
)
@over_time
def pitch_shift(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Pitch shift: higher or lower at the same speed, formants too.

    Every frequency is multiplied by 2^(severity/12) for half of the samples, drawn at random, and divided by it for the
    others. Waveforms are resampled without aliasing, by a ratio of whole numbers that is half a cent off at most, and
    brought back to their length as in `time_stretch`. The rows of a spectrogram are taken for frequencies from 0
    upwards, evenly spaced, and read by linear interpolation; above the highest is silence.

    Raises:
        BadInput: a severity above 60 semitones.
    """
    require_below("pitch_shift", severity, 60, "semitones")
    higher = 2 ** (severity / 12) if rng.random() < 0.5 else 2 ** (-severity / 12)
    if modality.spectrogram:
        return _read_at(np.ascontiguousarray(x.T), np.arange(len(x)) / higher, silence(x, modality)).T
    ratio = _ratio(1 / higher)
    shifted = polyphase.resample(x, ratio.numerator, ratio.denominator)
    return vocoder.stretch(shifted, float(ratio), x.shape[1], _window(x.shape[1], modality))


def _ratio(value: float) -> Fraction:
    """Return a ratio of small whole numbers near `value`, other than 1 where that is possible."""
    ratio = Fraction(1)
    for finest in (64, 256, 1024, 4096):
        ratio = max(Fraction(value).limit_denominator(finest), Fraction(1, finest))
        if ratio != 1 and 1200 * abs(math.log2(ratio / value)) < CENT:
            break
    return ratio


def _window(length: int, modality: Modality) -> int:
    """Samples per window: a power of 2 near 30 ms, that fits twice into the recording, of 16 at least."""
    rate = modality.sample_rate
    wanted = UNKNOWN if not rate else 2 ** round(float(np.log2(max(rate * WINDOW, 16))))
    return int(max(16, min(wanted, 2 ** int(np.log2(max(length / 2, 1))))))


def _read_at(x: Array, places: Array, beyond: float) -> Array:
    """Return [R, T]: `x` read along its last axis at `places` from 0 on, linearly; `beyond` its end."""
    last = x.shape[1] - 1
    left = np.minimum(places.astype(np.int64), last)
    share = (places - left).astype(x.dtype)
    a, b = x[:, left], x[:, np.minimum(left + 1, last)]
    return np.asarray(np.where(places <= last, a + share * (b - a), x.dtype.type(beyond)))
