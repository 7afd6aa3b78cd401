"""Sounds as maps of frequency over time."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log2
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mmaudit.reference.prepare import Preparation, one_shape
from mmaudit.reference.series import channels_and_time, time_axis
from mmaudit.types import Array, Modality

BANDS, FRAMES = 40, 64
WINDOW_SECONDS = 0.032
ASSUMED_RATE = 16_000.0  # Hz, where no sampling rate is declared: only the spacing of bands depends on it
QUIET = 1e-4  # of the mean power: 40 dB below it, differences are silence
FREQUENCIES = 64


class Waveform(Preparation):
    """Logarithmic power in 40 mel bands, over at most 64 stretches of time, standardised per band.

    Hann windows of about 32 ms (a power of two of samples), half overlapping; triangular bands equally spaced on the
    mel scale 2595·log₁₀(1 + f/700). Powers are averaged over stretches of equal duration where there are more than 64
    windows, and always where recordings differ in length, which therefore are stretched to one duration. The logarithm
    is of the power plus 1/10,000 of the training rows' mean power.
    """

    form = "waveform"
    together = (2,)

    def __init__(self, modality: Modality) -> None:
        super().__init__(modality)
        self.floor = 0.0

    @property
    def said(self) -> str:
        """What is done to the values, in words."""
        return f"logarithmic power in {self.shape[1]} mel bands over {self.shape[2]} stretches of time, standardised"

    def raw(self, values: Array) -> Tensor:
        """Return `float32[n, channels, 40, frames]`, powers."""
        axis = time_axis(self.modality)
        if one_shape(values, self.modality):
            return self._powers(torch.from_numpy(np.array(values, np.float32)), axis, False)
        each = [self._powers(torch.from_numpy(np.array(v, np.float32))[None], axis, True) for v in values]
        return torch.cat(each)

    def learn(self, raw: Tensor) -> None:
        """Find how quiet silence is."""
        self.floor = float(raw.mean(dtype=torch.float64)) * QUIET

    def expand(self, raw: Tensor) -> Tensor:
        """Logarithms."""
        return (raw + max(self.floor, 1e-30)).log()

    def state(self) -> dict[str, Tensor]:
        """What it learned."""
        return {**super().state(), "floor": torch.tensor(self.floor, dtype=torch.float64)}

    def restore(self, spec: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        """Become what was saved."""
        super().restore(spec, state)
        self.floor = float(state["floor"])

    def _powers(self, x: Tensor, axis: int, stretched: bool) -> Tensor:
        x = channels_and_time(x, axis)
        rate = self.modality.sample_rate or ASSUMED_RATE
        length = self.modality.shape[axis]
        window = _window(rate, length)
        if x.shape[2] < window:
            x = F.pad(x, (0, window - x.shape[2]))
        frames = x.unfold(2, window, window // 2) * torch.hann_window(window)
        power: Tensor = torch.fft.rfft(frames, dim=3).abs().square() / window
        bands: Tensor = (power @ mel_bands(window, rate)).transpose(2, 3)
        if not stretched and bands.shape[3] <= FRAMES:
            return bands.contiguous()
        return F.adaptive_avg_pool1d(bands.flatten(0, 1), FRAMES).reshape(*bands.shape[:3], FRAMES)


class Spectrogram(Preparation):
    """A spectrogram as it is, means over areas of at most 64 × 64, standardised per frequency.

    Spectrograms of differing length are stretched to 64 steps of time.
    """

    form = "spectrogram"
    together = (2,)

    @property
    def said(self) -> str:
        """What is done to the values, in words."""
        return f"{self.shape[1]} frequencies over {self.shape[2]} stretches of time, standardised per frequency"

    def raw(self, values: Array) -> Tensor:
        """Return `float32[n, 1, frequencies, time]`."""
        if one_shape(values, self.modality):
            return self._one(torch.from_numpy(np.array(values, np.float32)))
        return torch.cat([self._one(torch.from_numpy(np.array(v, np.float32))[None]) for v in values])

    def _one(self, x: Tensor) -> Tensor:
        x = (x.transpose(1, 2) if self.modality.time_axis == 0 else x)[:, None]
        frequencies, time = self.modality.shape[::-1] if self.modality.time_axis == 0 else self.modality.shape
        size = min(frequencies or FREQUENCIES, FREQUENCIES), min(time or FRAMES, FRAMES)
        if not x.shape[2] or not x.shape[3]:
            return x.new_zeros(len(x), 1, *size)
        return F.adaptive_avg_pool2d(x.contiguous(), size)


def mel_bands(window: int, rate: float) -> Tensor:
    """Return `float32[window // 2 + 1, 40]`: weights of frequencies in triangular bands, each of sum 1."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    frequency = np.arange(window // 2 + 1) * rate / window
    rising = (frequency[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency[:, None]) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    # Low bands may be narrower than the distance of two frequencies: they take the nearest one.
    nearest = np.abs(frequency[:, None] - edges[1:-1]).argmin(axis=0)
    empty = np.flatnonzero(weights.sum(axis=0) <= 0)
    weights[nearest[empty], empty] = 1.0
    return torch.from_numpy((weights / weights.sum(axis=0)).astype(np.float32))


def _window(rate: float, length: int | None) -> int:
    wanted = 1 << max(4, round(log2(max(16.0, rate * WINDOW_SECONDS))))
    if length is None:
        return wanted
    return min(wanted, 1 << max(4, ceil(log2(max(2, length))) - 2))
