"""Time series of any length and number of channels, resampled to few steps."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mmaudit.reference.prepare import Preparation, one_shape
from mmaudit.types import Array, Modality

STEPS = 128


class Series(Preparation):
    """Series `[channels, steps]`, standardised per channel.

    At most 128 steps are kept as they are. Longer series, and those of differing lengths, are divided into 128
    stretches of equal duration; each gives its mean and, as another channel, its standard deviation, so that fast
    oscillations are not lost.
    """

    form = "series"
    together = (1,)

    @property
    def said(self) -> str:
        """What is done to the values, in words."""
        channels, steps = self.shape
        what = f"means and spreads over {steps} stretches of time" if self._resampled() else f"{steps} steps"
        return f"{what}, {channels} channels, standardised per channel"

    def raw(self, values: Array) -> Tensor:
        """Return `float32[n, channels, steps]`."""
        axis = time_axis(self.modality)
        if one_shape(values, self.modality):
            return self._one(torch.from_numpy(np.array(values, np.float32)), axis)
        each = [self._one(torch.from_numpy(np.array(v, np.float32))[None], axis) for v in values]
        return torch.cat(each)

    def _resampled(self) -> bool:
        length = self.modality.shape[time_axis(self.modality)]
        return length is None or length > STEPS

    def _one(self, x: Tensor, axis: int) -> Tensor:
        x = channels_and_time(x, axis)
        if not self._resampled():
            return x
        if not x.shape[2]:
            return x.new_zeros(len(x), 2 * x.shape[1], STEPS)
        # Centred first: the difference of large squares would lose all digits.
        centre = x.mean(dim=2, keepdim=True)
        mean = F.adaptive_avg_pool1d(x - centre, STEPS)
        square = F.adaptive_avg_pool1d((x - centre).square(), STEPS)
        spread = (square - mean.square()).clamp(min=0).sqrt()
        return torch.cat([mean + centre, spread], dim=1)


def time_axis(modality: Modality) -> int:
    """The axis along which time runs; where nobody declared it, the one of no fixed length, or else the longest."""
    if modality.time_axis is not None:
        return modality.time_axis
    shape = modality.shape
    return shape.index(None) if None in shape else int(np.argmax([n or 0 for n in shape]))


def channels_and_time(x: Tensor, axis: int) -> Tensor:
    """Return `[n, …]` as `[n, channels, time]`."""
    x = x.movedim(axis + 1, -1)
    return x.reshape(len(x), int(np.prod(x.shape[1:-1])), x.shape[-1]).contiguous()
