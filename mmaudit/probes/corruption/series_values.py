"""Corruptions of what a sensor reads. `x` is [n, …], series of one shape, in their own units.

σ is a channel's, over samples and time of the data set (`channel_sigma`). Names are those of the sensor faults in Ni
et al. (ACM Transactions on Sensor Networks 5(3), 2009) and of tsaug, a library of time series augmentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmaudit.kernels import bits, sensor, warp1d
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.nested import chosen, require_share
from mmaudit.probes.corruption.series_axes import SERIES, as_given, channel_sigma, no_time_axis, one_channel, time_first
from mmaudit.randomness import Draws
from mmaudit.types import Array, Modality

if TYPE_CHECKING:
    from mmaudit.data.statistics import ModalityStatistics

NI = "Ni et al. 2009"
SPIKE = 5.0  # σ
KNOTS = 5  # of a drift's curve: tsaug's three between the ends
PER_CHANNEL = 2  # version: each channel has its own σ and mean in series of differing length, too
PARTS = 3  # of a recording in which a sensor gets stuck


@corruption(
    "gaussian_noise",
    kinds=SERIES,
    severities=(0.05, 0.1, 0.2, 0.4, 0.8),
    unit="σ of the channel",
    source="Um et al. 2017, jittering, from its σ of 0.05 on; AddNoise of tsaug",
    version=PER_CHANNEL,
    batched=True,
    declines=no_time_axis,
)
def gaussian_noise(
    x: Array, severity: float, draws: Draws, modality: Modality, statistics: ModalityStatistics
) -> Array:
    """Gaussian noise of the sensor, independent per time and channel: x + severity·σ·n, n ~ N(0, 1).

    Channels that never change have no σ and stay.
    """
    series = time_first(x, modality)
    size = series[0].size
    noise = bits.normals(bits.random_bits(*draws.streams(), size + size % 2))[:, :size].reshape(series.shape)
    noise *= (channel_sigma(statistics, modality) * severity).astype(np.float32)
    series += noise
    return as_given(series, modality)


@corruption(
    "drift",
    kinds=SERIES,
    severities=(0.25, 0.5, 1, 2, 4),
    unit="σ of the channel",
    source="tsaug, Drift",
    version=PER_CHANNEL,
    batched=True,
    declines=no_time_axis,
)
def drift(x: Array, severity: float, draws: Draws, modality: Modality, statistics: ModalityStatistics) -> Array:
    """Baseline drift: a smooth random walk added to every channel, right at the start.

    A cubic spline through five points of a Gaussian random walk, moved to begin at 0 and scaled so that it strays
    from there by severity·σ at most; independent per channel. tsaug's definition, except that its drift is measured
    in the range of the single series. A series of one sample has no time to drift, and channels that never change
    stay.
    """
    series = time_first(x, modality)
    n, length, channels = series.shape
    if length < 2:
        return x
    walk = np.cumsum(draws.normal(channels * KNOTS).reshape(n, channels, KNOTS), axis=2, dtype=np.float64)
    return as_given(warp1d.strayed(series, walk, severity * channel_sigma(statistics, modality)), modality)


@corruption(
    "spikes",
    kinds=SERIES,
    severities=(0.005, 0.01, 0.02, 0.05, 0.1),
    unit="share of readings",
    source=NI + ", spikes; severities are mmaudit's",
    version=PER_CHANNEL,
    batched=True,
    declines=no_time_axis,
)
def spikes(x: Array, severity: float, draws: Draws, modality: Modality, statistics: ModalityStatistics) -> Array:
    """Spikes: single readings off by + or − 5 σ.

    Severity is the probability of a reading (one time of one channel), in [0, 1]. Channels that never change stay.
    """
    require_share("spikes", severity, "the readings")
    series = time_first(x, modality)
    drawn = bits.random_bits(*draws.streams(), series[0].size)
    return as_given(sensor.spiked(series, drawn, severity, SPIKE * channel_sigma(statistics, modality)), modality)


@corruption(
    "stuck_at",
    kinds=SERIES,
    severities=(0.1, 0.25, 0.5, 0.75, 1),
    unit="share of the time",
    source=NI + ", stuck-at; severities are mmaudit's",
    batched=True,
    declines=no_time_axis,
)
def stuck_at(x: Array, severity: float, draws: Draws, modality: Modality) -> Array:
    """Stuck sensor: it repeats a reading for a while, three times in a recording.

    Severity is the share of the time, in [0, 1]. Every channel's recording is cut at two random times; the sensor
    repeats the first reading of each part for that share of the readings that follow in it, rounded up or down at
    random to whole readings. At 1 a channel has three different readings.
    """
    require_share("stuck_at", severity, "the time")
    series = time_first(x, modality)
    n, _, channels = series.shape
    cuts = np.sort(draws.uniform(channels * (PARTS - 1), "cuts").reshape(n, channels, PARTS - 1), axis=2)
    rounding = draws.uniform(channels * PARTS, "rounding").reshape(n, channels, PARTS)
    return as_given(sensor.held(series, cuts, rounding, float(severity)), modality)


@corruption(
    "saturation",
    kinds=SERIES,
    severities=(0.1, 0.25, 0.5, 0.75, 0.9),
    unit="share of the range cut off",
    source=NI + ", clipping; severities are mmaudit's",
    batched=True,
    declines=no_time_axis,
)
def saturation(x: Array, severity: float, modality: Modality) -> Array:
    """Saturation: the sensor's range is too small, and it reads its limits instead of what lies beyond.

    The limits are the highest and the lowest reading of the series and channel, both moved towards its mean by
    severity, in [0, 1], of their distance from it. A constant series stays, as does one that is not finite.
    """
    require_share("saturation", severity, "the range")
    return as_given(sensor.clipped(time_first(x, modality), float(severity)), modality)


@corruption(
    "missing_channel",
    kinds=SERIES,
    severities=(0.1, 0.25, 0.5, 0.75, 0.9),
    unit="share of channels",
    source="mmaudit; sensor dropout as in Liu et al. 2017",
    version=PER_CHANNEL,
    batched=True,
    declines=one_channel,
)
def missing_channel(
    x: Array, severity: float, draws: Draws, modality: Modality, statistics: ModalityStatistics
) -> Array:
    """Missing channels: channels replaced by their mean over the data set, at every time.

    Severity is the share of the channels, in [0, 1], rounded up or down at random to whole channels. One channel
    alone declines: without it the modality is missing, which is the probe `missing`.
    """
    require_share("missing_channel", severity, "the channels")
    series = time_first(x, modality)
    lost = chosen(severity, draws.uniform(series.shape[2]), draws.uniform(1, "rounding")[:, 0])
    mean = time_first(np.broadcast_to(statistics.mean, x.shape[1:])[None], modality)[0]
    return as_given(sensor.replaced(series, lost, mean), modality)
