"""Transform coding as in MPEG audio: MDCT, bands, a step for each band, rounding. NumPy twins: in the tests."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy import fft

FloatArray = npt.NDArray[np.float64]

LINES = 576  # of an MPEG-1 layer III granule
# Scale-factor bands of long blocks at 16 and 22.05 kHz (ISO/IEC 13818-3): where each begins, in lines.
BANDS = (0, 6, 12, 18, 24, 30, 36, 44, 54, 66, 80, 96, 116, 140, 168, 200, 238, 284, 336, 396, 464, 522, 576)
# What share of the band LAME 3.100 codes with so many bits per sample, at 16 kHz; never more than 522 of 576 lines.
LOW_PASS = ((0.0, 0.5, 1.0, 1.5, 2.0), (0.0, 0.38, 0.70, 0.73, 0.906))
# These five were fitted to LAME's signal-to-noise ratios, in all and in five bands, at ½ to 4 bits per sample.
FOLLOW = (
    0.12  # how far the noise follows the level of its band, in dB per dB: 0 is white noise, 1 the same ratio everywhere
)
OVERHEAD = 0.1  # bits per sample: header, side information and scale factors of a frame
_NONZERO = 2.1  # bits for the sign and the least value of a coefficient that does not round to 0
_OCTAVE = 0.8  # bits for each doubling of it, of which companding leaves ¾
_PLACE = 0.75  # share of the entropy of which coefficients are 0: less than 1, because neighbours are alike


def mdct(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the modified discrete cosine transform of signals `x` [C, T]: [C, ceil(T / 576) + 1, 576].

    Sine window of 1,152 samples, orthonormal: the coefficients' sum of squares is that of the samples (Princen, Johnson
    and Bradley 1987).
    """
    channels, length = x.shape
    count = -(-length // LINES) + 1
    padded = np.zeros((channels, (count + 1) * LINES), x.dtype)
    padded[:, LINES : LINES + length] = x
    halves = padded.reshape(channels, count + 1, 2, LINES // 2)
    rising = _rising().astype(x.dtype).reshape(2, LINES // 2)
    a, b = (halves[:, :-1] * rising).swapaxes(0, 2)
    c, d = (halves[:, 1:] * rising[::-1, ::-1]).swapaxes(0, 2)
    folded = np.concatenate((-c[..., ::-1] - d, a - b[..., ::-1]), axis=-1).swapaxes(0, 1)
    return np.asarray(fft.dct(folded, type=4, axis=-1, norm="ortho"))


def inverse(lines: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """Return the signals [C, length] whose `mdct` the `lines` are."""
    channels, count, _ = lines.shape
    folded = fft.dct(lines, type=4, axis=-1, norm="ortho").reshape(channels, count, 2, LINES // 2)
    rising = _rising().astype(lines.dtype).reshape(2, LINES // 2)
    first, second = folded[:, :, 0], folded[:, :, 1]
    out = np.zeros((channels, count + 1, 2, LINES // 2), lines.dtype)
    out[:, :-1, 0] += second * rising[0]
    out[:, :-1, 1] -= second[..., ::-1] * rising[1]
    out[:, 1:, 0] -= first[..., ::-1] * rising[1, ::-1]
    out[:, 1:, 1] -= first * rising[0, ::-1]
    return out.reshape(channels, (count + 1) * LINES)[:, LINES : LINES + length]


@lru_cache(maxsize=1)
def _rising() -> FloatArray:
    return np.asarray(np.sin(np.pi / (2 * LINES) * (np.arange(LINES) + 0.5)), np.float64)


def coded(x: npt.NDArray[Any], bits: float) -> npt.NDArray[Any]:
    """Return signals `x` [C, T] after coding with `bits` per sample, above 0, the same number in every frame.

    Of each frame a part of its bits goes into headers, bits / (bits + 0.1) is left. Lines above `bandwidth(bits)` are
    dropped. Of every other coefficient c, |c| ÷ step to the power ¾ is rounded, up from 0.5946, as in mp3; the step of
    a band is g · (RMS of the band)^0.12 · (level of the frame)^0.88. What does not round to 0 counts as 2.1 +
    0.8·log₂(2·|c| ÷ step) bits, and where in the frame it stands as ¾ of the entropy of its share of the lines; in each
    frame g is what makes their sum meet the budget. That is near to what entropy coding takes.
    """
    lines = mdct(x)
    wide = int(np.ceil(bandwidth(bits) * LINES))
    lines[..., wide:] = 0
    frames = lines.reshape(-1, LINES)
    budget = bits * bits / (bits + OVERHEAD) * x.size / len(frames)
    bands = np.array(BANDS)
    power = np.add.reduceat(np.square(frames, dtype=np.float64), bands[:-1], axis=1) / np.diff(bands)
    # Relative to the frame's level, so that louder signals are coded alike.
    steps = power ** (0.5 * FOLLOW) * power.mean(axis=1, keepdims=True) ** (0.5 * (1 - FOLLOW))
    with np.errstate(divide="ignore", invalid="ignore"):  # no step where a band is empty; its lines are 0, too
        octaves = np.log2(np.abs(frames) / np.repeat(steps, np.diff(bands), axis=1))
    steps *= _gains(octaves, budget, wide)[:, None]
    return inverse(_rounded(frames, steps, bands, _companded()).reshape(lines.shape), x.shape[1])


def bandwidth(bits: float) -> float:
    """Return the share of the band that is coded with so many bits per sample, as LAME does at 16 kHz: `LOW_PASS`.

    Beyond 4 bits, where LAME still drops the last tenth, it opens: what costs nothing changes nothing.
    """
    share = float(np.interp(bits, *LOW_PASS))
    return share if bits <= 4 else 1 - (1 - share) * (4 / bits) ** 2


# Ratios of coefficient and step are counted in bins of an eighth of a factor of 2, from 2^−64 to 2^64.
_PER_OCTAVE, _OCTAVES = 8, 64
_LARGEST = 8206  # that mp3's tables have


@lru_cache(maxsize=1)
def _companded() -> FloatArray:
    return np.asarray(np.arange(_LARGEST + 1) ** (4 / 3), np.float64)


@numba.njit(nogil=True, cache=True)
def _spent(number, octaves, gain, wide):  # type: ignore[no-untyped-def]
    """Bits of `number` nonzero coefficients of `wide`, the sum of whose log₂ is `octaves`, at a step of 2^gain."""
    share = number / wide
    entropy = 0.0
    if 0 < share < 1:
        entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    return _NONZERO * number + _OCTAVE * (octaves + number * (1 - gain)) + _PLACE * wide * entropy


@numba.njit(nogil=True, cache=True)
def _gains(octaves, budget, wide):  # type: ignore[no-untyped-def]
    """Return each frame's g, at which the bits meet the budget; `octaves` are log₂ of the ratios at g = 1."""
    out = np.empty(len(octaves))
    bins = 2 * _OCTAVES * _PER_OCTAVE
    counts = np.zeros(bins, np.int64)
    for t in range(len(octaves)):
        counts[:] = 0
        for k in range(octaves.shape[1]):
            if octaves[t, k] > -_OCTAVES:
                place = int((octaves[t, k] + _OCTAVES) * _PER_OCTAVE)
                counts[min(place, bins - 1)] += 1
        # From the top down: lines above half a step, their number and the sum of their octaves.
        number, total, gain = 0, 0.0, float(_OCTAVES)
        for b in range(bins - 1, -1, -1):
            middle = (b + 0.5) / _PER_OCTAVE - _OCTAVES
            more, sums = number + counts[b], total + counts[b] * middle
            # log₂ g such that a line at the lower end of this bin is just at half a step.
            gain = middle + 1 - 0.5 / _PER_OCTAVE
            here = _spent(more, sums, gain, wide)
            if here > budget:
                # Between this bin and the one above the bits grow with the lines of this bin, taken as evenly spread.
                above = _spent(number, total, gain + 1 / _PER_OCTAVE, wide)
                gain += (here - budget) / (here - above) / _PER_OCTAVE
                break
            number, total = more, sums
        out[t] = 2.0**gain
    return out


@numba.njit(nogil=True, cache=True)
def _rounded(lines, steps, bands, companded):  # type: ignore[no-untyped-def]
    out = np.zeros_like(lines)
    for t in range(len(lines)):
        for b in range(len(bands) - 1):
            step = steps[t, b]
            if step > 0:
                for k in range(bands[b], bands[b + 1]):
                    if abs(lines[t, k]) < 0.49 * step:  # rounds to 0, as most do
                        continue
                    ratio = np.sqrt(abs(lines[t, k]) / step)
                    level = np.floor(ratio * np.sqrt(ratio) + 0.4054)
                    if level > 0:
                        size = companded[int(level)] if level < len(companded) else level ** (4 / 3)
                        out[t, k] = np.copysign(size * step, lines[t, k])
    return out
