"""Levels changed: gain, clipping, coarse coding. `x` is [R, T]: channels of a waveform or frequencies over time."""

from __future__ import annotations

import numpy as np

from mmaudit.kernels.mdct import coded
from mmaudit.kernels.mix import amplify
from mmaudit.kernels.quantiles import quantiles
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.audio_axes import (
    AUDIO,
    AUDIOMENTATIONS,
    along_time,
    no_time,
    no_waveform,
    over_time,
    require_below,
)
from mmaudit.probes.corruption.nested import require_share
from mmaudit.types import Array, Modality

PCM = 16  # bits of an uncompressed sample


@corruption(
    "gain",
    kinds=AUDIO,
    severities=(2, 4, 6, 9, 12),
    unit="dB",
    source=f"{AUDIOMENTATIONS}, Gain: up to ±12 dB",
    declines=no_time,
)
@along_time
def gain(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Gain: the whole recording louder or softer.

    x' = x · 10^(±severity/20); half of the samples, drawn at random, become louder, the others softer. What then
    leaves the legal range is clipped. The values of a spectrogram are taken for amplitudes and multiplied, or, where
    its unit begins with "dB", for levels: then ±severity is added.

    Raises:
        BadInput: a severity above 200 dB.
    """
    require_below("gain", severity, 200, "dB")
    sign = 1 if rng.random() < 0.5 else -1
    if modality.spectrogram and (modality.unit or "").lower().startswith("db"):
        x += x.dtype.type(sign * severity)
    else:
        amplify(x, 10 ** (sign * severity / 20), float(np.finfo(x.dtype).max))
    return x


@corruption(
    "clipping",
    kinds=AUDIO,
    severities=(0.02, 0.05, 0.1, 0.2, 0.4),
    unit="share of samples clipped",
    source=f"{AUDIOMENTATIONS}, ClippingDistortion: up to 40 %",
    declines=no_waveform,
)
@over_time
def clipping(x: Array, severity: float) -> Array:
    """Clipping: an overdriven microphone or amplifier cuts the peaks off.

    Samples below the quantile severity/2 or above 1 − severity/2 of the recording's own values, over all channels, are
    set to it: a share of severity, in [0, 1], is clipped, and at 1 all become the median. Zeros before the first sound
    and after the last, which recordings are padded with, do not count. Silence stays.

    Raises:
        BadInput: a severity above 1.
    """
    require_share("clipping", severity, "the samples")
    low, high = quantiles(_sounding(x), (severity / 2, 1 - severity / 2))
    return np.clip(x, x.dtype.type(low), x.dtype.type(high), out=x)


def _sounding(x: Array) -> Array:
    """The stretch from the first to the last moment that is not 0 in every channel; all of it where there is none."""
    if x[:, 0].any() and x[:, -1].any():
        return x
    there = np.flatnonzero(x.any(axis=0))
    return x[:, there[0] : there[-1] + 1] if len(there) else x


@corruption(
    "mp3_compression",
    kinds=AUDIO,
    severities=(4, 6, 10, 16, 32),
    unit="bits of 16-bit samples ÷ bits coded",
    source="mp3-like; rates, low-pass and noise of LAME 3.100: 64 to 8 kbit/s at 16 kHz",
    declines=no_waveform,
    version=2,
)
@over_time
def mp3_compression(x: Array, severity: float) -> Array:
    """Lossy compression like that of mp3: coarse rounding in a transform, frame by frame.

    An MDCT of 576 lines, mp3's scale-factor bands and rounding, a low-pass, and so many bits per sample that 16-bit
    samples shrink by the factor severity: at 16 kHz the table is 64, 43, 26, 16 and 8 kbit/s. Rounding steps hardly
    follow the spectrum, so weak bands go first; loud ones get warbling noise, and transients echo ahead. In noise and
    band, in all and in five bands, it is near LAME (`tests/golden/lame.json`); LAME also lowers the level by 5 % at
    these rates, which this does not. Not an mp3 encoder: one window, no psychoacoustic model, no bits kept for later
    frames, no bit stream, hence "like". Channels are coded each by itself from one budget. Silence stays.
    """
    return coded(x, PCM / severity)
