"""Corruptions of when and where a series was recorded. `x` is [n, …], series of one shape, in their own units."""

from __future__ import annotations

import numpy as np
from scipy.fft import dct, idct

from mmaudit.kernels import sensor, warp1d
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.nested import require_share, swapped
from mmaudit.probes.corruption.series_axes import SERIES, as_given, no_time_axis, one_channel, time_axis, time_first
from mmaudit.randomness import Draws
from mmaudit.types import Array, Modality

GAPS = 3  # in a recording
KNOTS = 6  # of a clock's speed: Um et al.'s four between the ends


@corruption(
    "dropout",
    kinds=SERIES,
    severities=(0.05, 0.1, 0.2, 0.4, 0.6),
    unit="share of the time",
    source="tsaug, Dropout, from its share of 0.05 on",
    batched=True,
    declines=no_time_axis,
)
def dropout(x: Array, severity: float, draws: Draws, modality: Modality) -> Array:
    """Dropout: nothing is received during three stretches of time, and all channels read 0.

    Severity is the share of the time, in [0, 1]. Place and length of the stretches are random. Where 0 is not a legal
    value, the nearest legal one stands in its place.
    """
    require_share("dropout", severity, "the time")
    series = time_first(x, modality)
    cuts = np.sort(draws.uniform(GAPS - 1, "cuts"), axis=1)
    lost = sensor.gaps(cuts, draws.uniform(GAPS, "anchors"), float(severity), series.shape[1])
    series[lost] = 0
    return as_given(series, modality)


@corruption(
    "jitter",
    kinds=SERIES,
    severities=(0.1, 0.2, 0.5, 1, 2),
    unit="σ in sampling intervals",
    source="mmaudit; clock jitter of analogue-to-digital converters",
    batched=True,
    declines=no_time_axis,
)
def jitter(x: Array, severity: float, draws: Draws, modality: Modality) -> Array:
    """Timing jitter: every sample is taken a little too early or too late.

    The sample of time t is that of t + severity·n, n ~ N(0, 1), in sampling intervals; the same for all channels,
    read by linear interpolation between neighbours. Not the jittering of Um et al. (2017): that is `gaussian_noise`.
    """
    series = time_first(x, modality)
    length = series.shape[1]
    times = np.arange(length) + severity * draws.normal(length).astype(np.float64)
    return as_given(warp1d.at_times(series, times), modality)


@corruption(
    "time_warp",
    kinds=SERIES,
    severities=(0.05, 0.1, 0.2, 0.4, 0.8),
    unit="σ of the log speed",
    source="Um et al. 2017, time warping, around its σ of 0.2",
    batched=True,
    declines=no_time_axis,
    not_monotone="once moved by more than its own correlation time, a series is as far from itself as from any other",
)
def time_warp(x: Array, severity: float, draws: Draws, modality: Modality) -> Array:
    """Time warping: the recording runs now faster, now slower, from the same start to the same end.

    The logarithm of the speed is a cubic spline through six points of N(0, severity²), evenly spaced in time, so that
    time never runs backwards; for small severities that is Um et al.'s speed, a spline through N(1, severity²). All
    channels keep the same time.
    """
    series = time_first(x, modality)
    curve = warp1d.smooth(draws.normal(KNOTS).astype(np.float64), series.shape[1])
    return as_given(warp1d.at_times(series, warp1d.clock(severity * curve)), modality)


@corruption(
    "resample",
    kinds=SERIES,
    severities=(0.25, 0.5, 0.75, 0.875, 0.9375),
    unit="1 − share of the sampling rate kept",
    source="mmaudit; resampling as scipy.signal.resample, with mirrored ends",
    batched=True,
    declines=no_time_axis,
)
def resample(x: Array, severity: float, modality: Modality) -> Array:
    """Lower sampling rate: recorded at a lower rate and brought back to the old one, without aliasing.

    Severity is 1 − share of the rate kept, in [0, 1]: 0.5 is half the rate, 0.9375 a sixteenth. What a recording at
    the lower rate cannot hold is taken away: the cosines above that share of the band, in the discrete cosine
    transform over time (DCT-II, which continues the series by its mirror image, so that ends do not ring). The mean
    always stays.
    """
    require_share("resample", severity, "the sampling rate")
    time = time_axis(modality)
    length = x.shape[time]
    if length < 2:
        return x
    # The cosine at the limit is weakened only, so that every severity differs from the next; the mean is cosine 0.
    lost = 1 - np.clip(1 + (1 - severity) * (length - 1) - np.arange(length), 0, 1)
    shape = [length if axis == time else 1 for axis in range(x.ndim)]
    with np.errstate(invalid="ignore"):  # ∞ − ∞; a transform of ∞ is NaN, in that series and channel alone
        # The first sample is taken off, so that a constant series has nothing to lose but rounding errors.
        spectrum = dct(x - x.take([0], axis=time), axis=time, norm="ortho", overwrite_x=True)
        spectrum *= lost.reshape(shape).astype(x.dtype)
        x -= idct(spectrum, axis=time, norm="ortho", overwrite_x=True)
    return x


@corruption(
    "channel_swap",
    kinds=SERIES,
    severities=(0.2, 0.4, 0.6, 0.8, 1),
    unit="share of channels",
    source="mmaudit; channels in another order, as in jenga's SwappedValues",
    batched=True,
    declines=one_channel,
)
def channel_swap(x: Array, severity: float, draws: Draws, modality: Modality) -> Array:
    """Swapped channels: pairs of channels exchange places, as by wrong cabling.

    Every recording pairs its channels at random (of an odd number one is left out); a pair exchanges with a
    probability of severity, in [0, 1].
    """
    require_share("channel_swap", severity, "the channels")
    series = time_first(x, modality)
    channels = series.shape[2]
    origin = swapped(severity, draws.uniform(channels), draws.uniform(channels // 2, "pairs"))
    return as_given(sensor.rewired(series, origin), modality)
