"""What rooms and transmission do to the spectrum. `x` is [C, T], channels of a waveform; all get the same filter."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from mmaudit.kernels import biquad, polyphase
from mmaudit.kernels.convolve import convolve
from mmaudit.kernels.mix import mean_square
from mmaudit.kernels.normals import normals
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.audio_axes import (
    AUDIO,
    AUDIOMENTATIONS,
    AVROBUST,
    no_rate,
    no_waveform,
    over_time,
    rate_above,
    sampling_rate,
)
from mmaudit.probes.corruption.nested import require_share
from mmaudit.types import Array, Modality

CUTOFFS = (100, 300, 600, 1200, 2400)  # Hz, of high_pass
CENTRE = 1000.0  # Hz, of band_pass
SETTLED = 3.0  # samples · cut-off ÷ Nyquist frequency, after which a filter's transient has died away
FINEST = 256  # largest whole number in a ratio of sampling rates
ROOM, DISTANCE = 60.0, 1.0  # m³ and m
_REVERBERANT = DISTANCE**2 / (0.057**2 * ROOM)  # reverberant ÷ direct energy, per second of RT60


@corruption(
    "low_pass",
    kinds=AUDIO,
    severities=(0.4, 1, 2, 3, 4),
    unit="octaves below the Nyquist frequency",
    source=f"{AVROBUST}, compression: 6 to 1 kHz of 8; filter of {AUDIOMENTATIONS}, LowPassFilter",
    declines=no_waveform,
)
@over_time
def low_pass(x: Array, severity: float) -> Array:
    """Low-pass filter: high frequencies are lost, as behind a wall or on a narrow line.

    Cut-off (−6 dB) at severity octaves below the Nyquist frequency: at 16 kHz 6063, 4000, 2000, 1000 and 500 Hz; the
    same share of the band at any other sampling rate. 24 dB per octave: Butterworth of second order, forwards and
    backwards, so that nothing is delayed. Severities beyond 13 all mean 13.
    """
    cutoff = 2.0**-severity
    return biquad.zero_phase(x, biquad.butterworth(cutoff, False), _settled(cutoff))


@corruption(
    "high_pass",
    kinds=AUDIO,
    severities=CUTOFFS,
    unit="Hz, cut-off",
    source=f"{AUDIOMENTATIONS}, HighPassFilter: 20 to 2400 Hz",
    declines=rate_above(2 * CUTOFFS[-1]),
)
@over_time
def high_pass(x: Array, severity: float, modality: Modality) -> Array:
    """High-pass filter: low frequencies are lost, as in a small loudspeaker.

    Severity is the cut-off (−6 dB) in Hz; slope and phase as in `low_pass`. A cut-off above the Nyquist frequency
    leaves nothing. Needs a sampling rate above 4.8 kHz.
    """
    cutoff = severity / _nyquist(modality)
    return biquad.zero_phase(x, biquad.butterworth(cutoff, True), _settled(cutoff))


@corruption(
    "band_pass",
    kinds=AUDIO,
    severities=(0.25, 0.5, 0.75, 1, 2),
    unit="Q: centre ÷ bandwidth",
    source=f"{AUDIOMENTATIONS}, BandPassFilter: bandwidth 2 to 0.5 of the centre",
    declines=rate_above(2 * CENTRE),
)
@over_time
def band_pass(x: Array, severity: float, modality: Modality) -> Array:
    """Band-pass filter: only a band around 1 kHz is left, as over a telephone or a megaphone.

    Severity is Q: the band from f₁ to f₂ (−6 dB each) has f₁·f₂ = (1 kHz)² and f₂ − f₁ = 1 kHz / Q: 236 to 4236, 414
    to 2414, 535 to 1869, 618 to 1618 and 781 to 1281 Hz. Slopes and phase as in `low_pass`; a high-pass at f₁ where
    f₂ lies above the Nyquist frequency. Needs a sampling rate above 2 kHz.
    """
    nyquist = _nyquist(modality)
    half = 1 / (2 * severity)
    upper = CENTRE * (math.hypot(1, half) + half)
    low, high = CENTRE**2 / upper / nyquist, upper / nyquist
    sections = biquad.butterworth_band(low, high) if high < 1 else biquad.butterworth(low, True)
    return biquad.zero_phase(x, sections, _settled(min(low, high - low)))


@corruption(
    "resample",
    kinds=AUDIO,
    severities=(0.25, 0.5, 0.75, 0.875, 0.9375),
    unit="1 − share of the sampling rate kept",
    source=f"{AUDIOMENTATIONS}, Resample; filter of scipy.signal.resample_poly",
    declines=no_waveform,
)
@over_time
def resample(x: Array, severity: float) -> Array:
    """Lower sampling rate: recorded at a lower rate and brought back to the old one, without aliasing.

    Severity is 1 − share of the rate kept, in [0, 1]: at 16 kHz the table is 12, 8, 4, 2 and 1 kHz. The share is taken
    to the nearest ratio of whole numbers up to 256. Both ways by a linear-phase windowed sinc, with silence beyond the
    ends; the length stays.

    Raises:
        BadInput: a severity above 1.
    """
    require_share("resample", severity, "the sampling rate")
    kept = Fraction(1 - severity).limit_denominator(FINEST)
    kept = min(max(kept, Fraction(1, FINEST)), Fraction(FINEST - 1, FINEST))
    down = polyphase.resample(x, kept.numerator, kept.denominator)
    return polyphase.resample(down, kept.denominator, kept.numerator)[:, : x.shape[1]]


@corruption(
    "reverb",
    kinds=AUDIO,
    severities=(0.15, 0.3, 0.5, 0.8, 1.5),
    unit="s, RT60",
    source=f"{AUDIOMENTATIONS}, RoomSimulator: RT60 0.15 to 0.8 s, concert hall 1.5 s; impulse synthesised",
    declines=no_rate,
)
@over_time
def reverb(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Reverberation: speaker and microphone 1 m apart in a room of 60 m³.

    Severity is RT60, the time in which sound decays by 60 dB. The room's impulse response is the direct sound followed
    by Gaussian noise that decays exponentially (Polack 1988), independent per channel as in a diffuse field. Their
    ratio follows from RT60 by the critical distance 0.057·√(V / RT60): +1, −2, −4, −6, −9 dB direct to reverberant
    over the table. The recording's RMS stays what it was, and what rings on after its end is cut. Needs the sampling
    rate.
    """
    channels, length = x.shape
    rate = sampling_rate(modality)
    tail = max(1, min(length, int(severity * rate)))
    # Time first, so that a longer tail begins with the same numbers.
    noise = normals(rng, tail * channels).reshape(tail, channels).T
    decay = 3 * math.log(10) / (severity * rate)
    # The tail's energy, the sum over n of e^(−2·decay·n), is 1 / (2·decay); it should be the ratio times RT60.
    level = math.sqrt(_REVERBERANT * severity * 2 * decay)
    impulse = noise * (level * np.exp(np.arange(tail, dtype=np.float32) * np.float32(-decay)))
    impulse[:, 0] = 1
    y = convolve(x, impulse)
    before, after = mean_square(x), mean_square(y)
    if after > 0:
        y *= x.dtype.type(math.sqrt(before / after))
    return y


def _settled(width: float) -> int:
    """Samples after which a filter as wide as this share of the band has forgotten where it began."""
    return int(SETTLED / max(width, 1e-6))


def _nyquist(modality: Modality) -> float:
    return sampling_rate(modality) / 2
