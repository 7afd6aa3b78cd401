"""Where time and channels run in a series, and the channels' own σ. Series are [T], [T, C] or [C, T]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmaudit.errors import NotApplicable
from mmaudit.types import Array, Modality

if TYPE_CHECKING:
    from mmaudit.data.statistics import ModalityStatistics

SERIES = ("series",)


def no_time_axis(modality: Modality) -> str | None:
    """Return why it is unknown where a series' time runs, or None where it is known."""
    if modality.time_axis is None:
        return f"{modality.name!r} of shape {modality.shape} declares no layout; series of two axes need 'TC' or 'CT'"
    return None


def time_axis(modality: Modality) -> int:
    """Return the axis of [n, …] along which time runs; raises `NotApplicable` where it is unknown."""
    if modality.time_axis is None:
        raise NotApplicable(no_time_axis(modality) or "")
    return 1 + modality.time_axis


def one_channel(modality: Modality) -> str | None:
    """Return why there are no two channels, or None where there are or may be."""
    if reason := no_time_axis(modality):
        return reason
    channels = 1 if len(modality.shape) == 1 else modality.shape[2 - time_axis(modality)]
    return f"{modality.name!r} has one channel, and two are needed" if channels == 1 else None


def time_first(x: Array, modality: Modality) -> Array:
    """Return series [n, …] as contiguous [n, T, C]."""
    if time_axis(modality) == 2:
        x = x.swapaxes(1, 2)
    return np.ascontiguousarray(x[:, :, None] if x.ndim == 2 else x)


def as_given(x: Array, modality: Modality) -> Array:
    """Return series [n, T, C] in the modality's own axes: undoes `time_first`."""
    if len(modality.shape) == 1:
        return x[:, :, 0]
    return np.ascontiguousarray(x.swapaxes(1, 2)) if time_axis(modality) == 2 else x


def channel_sigma(statistics: ModalityStatistics, modality: Modality) -> Array:
    """Return σ of each channel over samples and time, [C] or [1]; 0 where it is unknown.

    From the moments per time step, by the law of total variance. Where samples differ in length, the moments are the
    channels' already; where they differ in channels too, there is one σ for all.
    """
    mean, std = np.asarray(statistics.mean, np.float64), np.asarray(statistics.std, np.float64)
    if mean.ndim == 0:
        mean, std = mean.reshape(1, 1, 1), std.reshape(1, 1, 1)
    else:
        mean, std = time_first(mean[None], modality), time_first(std[None], modality)
    if mean.shape[1] == 0:
        return np.zeros(mean.shape[2], np.asarray(statistics.std).dtype)
    with np.errstate(invalid="ignore"):
        variance = np.square(std).mean(axis=1) + mean.var(axis=1)
    sigma = np.sqrt(variance[0])
    return np.asarray(np.where(np.isfinite(sigma), sigma, 0), np.asarray(statistics.std).dtype)
