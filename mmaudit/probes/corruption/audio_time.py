"""What gets lost on the way: samples, packets, a stretch of time, a band of frequencies. `x` is [R, T]: channels of a
waveform, or frequencies of a spectrogram, over time.

Silence is 0 in a waveform and the sample's lowest value in a spectrogram, whose scale may be logarithmic. What is lost
at one severity is lost at every higher one.
"""

from __future__ import annotations

import numpy as np

from mmaudit.kernels.convolve import convolve, linear_phase
from mmaudit.kernels.packets import bursts, drop, replace, stretch_weights
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.audio_axes import (
    AUDIO,
    AUDIOMENTATIONS,
    along_time,
    no_rate,
    no_time,
    over_time,
    sampling_rate,
    silence,
)
from mmaudit.probes.corruption.nested import require_share
from mmaudit.types import Array, Modality

PACKET = 0.02  # s
FEWEST = 16  # packets in a recording
MEMORY = 0.5  # of the Gilbert chain
FADE, FADE_SHARE = 0.005, 1 / 64  # s, and of the recording at most
BANDS, ROLL_OFF = 1024, 160  # steps of the band at which a filter is designed, and its slopes: 50 Hz at 16 kHz


@corruption(
    "dropout",
    kinds=AUDIO,
    severities=(0.1, 0.3, 0.5, 0.7, 0.9),
    unit="share of samples",
    source="MultiBench, audio_random_dropout: noise levels 0 to 0.9",
    declines=no_time,
)
@over_time
def dropout(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Dropout: single samples of a waveform, or frames of a spectrogram, are silent.

    Severity is the probability of each, in [0, 1], independently of the others; the same in all channels.

    Raises:
        BadInput: a severity above 1.
    """
    require_share("dropout", severity, "the samples")
    drop(x, rng.random(x.shape[1], dtype=np.float32), float(severity), silence(x, modality))
    return x


def _no_packets(modality: Modality) -> str | None:
    return no_time(modality) if modality.spectrogram else no_rate(modality)


@corruption(
    "packet_loss",
    kinds=AUDIO,
    severities=(0.05, 0.1, 0.2, 0.3, 0.5),
    unit="share of packets",
    source="mmaudit; Gilbert 1960, Elliott 1963, as for voice over IP",
    declines=_no_packets,
)
@over_time
def packet_loss(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Packet loss: packets of 20 ms get lost in bursts and are silent.

    Severity is the share of packets lost, in [0, 1]. Losses follow the chain of Gilbert and Elliott whose bad state
    loses everything, with memory 0.5: bursts of 2 / (1 − severity) packets on average. Packets hold all channels. A
    recording of less than 16 packets is cut into 16 shorter ones; a packet of a spectrogram is one frame. Needs the
    sampling rate of a waveform.

    Raises:
        BadInput: a severity above 1.
    """
    require_share("packet_loss", severity, "the packets")
    length = x.shape[1]
    packet = 1.0
    if not modality.spectrogram:
        packet = max(1.0, min(PACKET * sampling_rate(modality), length / FEWEST))
    edges = np.ceil(np.arange(int(length / packet) + 2) * packet).astype(np.int64).clip(0, length)
    lost = np.flatnonzero(bursts(rng.random(len(edges) - 1), float(severity), MEMORY))
    blank = silence(x, modality)
    for start, end in zip(edges[lost].tolist(), edges[lost + 1].tolist(), strict=True):
        x[:, start:end] = blank
    return x


@corruption(
    "time_mask",
    kinds=AUDIO,
    severities=(0.05, 0.1, 0.2, 0.3, 0.4),
    unit="share of the time",
    source=f"SpecAugment (Park et al. 2019); {AUDIOMENTATIONS}, TimeMask: up to 20 %",
    declines=no_time,
)
@along_time
def time_mask(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Time mask: one stretch of the recording is blanked out, in all channels.

    Severity is its share of the time, in [0, 1]; its place is random. A waveform falls silent, fading out and in over
    5 ms within the stretch, or over 1/64 of a recording that is shorter than 320 ms; a spectrogram takes the sample's
    mean, as in SpecAugment. Without a sampling rate there is no fading.

    Raises:
        BadInput: a severity above 1.
    """
    require_share("time_mask", severity, "the time")
    fade = 0.0 if modality.spectrogram else min(FADE * (modality.sample_rate or 0), FADE_SHARE * x.shape[1])
    first, weights = stretch_weights(rng.random(), float(severity), x.shape[1], float(fade))
    return _blanked(x, first, weights, modality)


@corruption(
    "frequency_mask",
    kinds=AUDIO,
    severities=(0.05, 0.1, 0.2, 0.3, 0.4),
    unit="share of the band",
    source="SpecAugment (Park et al. 2019): up to 27 of 80 channels",
    declines=no_time,
)
@over_time
def frequency_mask(x: Array, severity: float, rng: np.random.Generator, modality: Modality) -> Array:
    """Frequency mask: one band of frequencies is blanked out, all the time and in all channels.

    Severity is its share of the whole band, in [0, 1]; its place is random. In a spectrogram the band takes the
    sample's mean, as in SpecAugment. From a waveform it is removed without delay, on a linear scale from 0 to the
    Nyquist frequency, with slopes of 1/160 of the band within it.

    Raises:
        BadInput: a severity above 1.
    """
    require_share("frequency_mask", severity, "the band")
    place = rng.random()
    if modality.spectrogram:
        first, weights = stretch_weights(place, float(severity), len(x), 1.0)
        return _blanked(x.T, first, weights, modality).T
    gains = np.ones(BANDS + 1)
    first, weights = stretch_weights(place, float(severity), BANDS + 1, BANDS / ROLL_OFF)
    gains[first : first + len(weights)] -= weights
    return convolve(x, linear_phase(gains)[None], BANDS)


def _blanked(x: Array, first: int, weights: Array, modality: Modality) -> Array:
    """Take a share away along the last axis: towards silence in a waveform, towards the mean in a spectrogram."""
    replace(x, first, weights, _mean(x) if modality.spectrogram else 0.0)
    return x


def _mean(x: Array) -> float:
    """The mean, values that are not finite counted as 0; divided before they are added, so that nothing overflows."""
    return float(np.sum(np.divide(np.where(np.isfinite(x), x, x.dtype.type(0)), x.size, dtype=np.float64)))
