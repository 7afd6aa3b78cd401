"""Butterworth filters of second order, run forwards and backwards. SciPy twins: `butter`, `sosfilt`, in the tests."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy.signal import butter

Sections = npt.NDArray[np.float64]

# Shares of the Nyquist frequency between which the bilinear transform keeps its digits.
_LOWEST, _HIGHEST = 1e-4, 1 - 1e-4


@lru_cache(maxsize=256)
def butterworth(cutoff: float, high: bool) -> Sections:
    """Return the section `[1, 6]` of a second-order Butterworth filter, as `scipy.signal.butter(2, …, output="sos")`.

    Args:
        cutoff: frequency of −3 dB as a share of the Nyquist frequency; held to [0.0001, 0.9999].
        high: passes what lies above the cut-off, not below.
    """
    k = math.tan(math.pi / 2 * min(max(cutoff, _LOWEST), _HIGHEST))
    norm = 1 + math.sqrt(2) * k + k * k
    b = (1.0, -2.0, 1.0) if high else (k * k, 2 * k * k, k * k)
    a = (norm, 2 * (k * k - 1), 1 - math.sqrt(2) * k + k * k)
    return np.array([(*b, *a)]) / norm


@lru_cache(maxsize=256)
def butterworth_band(low: float, high: float) -> Sections:
    """Return the two sections `[2, 6]` of `scipy.signal.butter(2, (low, high), "bandpass", output="sos")`.

    Args:
        low: lower frequency of −3 dB as a share of the Nyquist frequency, above 0.
        high: upper one, above `low`, below 1.
    """
    return np.asarray(butter(2, (max(low, _LOWEST), min(high, _HIGHEST)), "bandpass", output="sos"), np.float64)


def zero_phase(x: npt.NDArray[Any], sections: Sections, reach: int) -> npt.NDArray[Any]:
    """Return signals `x` [C, T], contiguous, filtered forwards and backwards: no delay, attenuation twice over.

    As `scipy.signal.sosfiltfilt(sections, x, padtype="even", padlen=min(reach, T − 1))` for S `sections` [S, 6], but
    that each pass starts from the steady state of the mean, not of a single value: beyond its ends a signal goes on
    as its mirror image for `reach` samples, and before that has been at its mean for ever.
    """
    length = x.shape[1]
    if not length:
        return x.copy()
    steady = _steady(sections.tobytes(), len(sections))
    return np.asarray(_both_ways(x, sections, steady, min(reach, length - 1)))


@lru_cache(maxsize=256)
def _steady(sections: bytes, count: int) -> Sections:
    """The state [S, 2] of each section after an infinitely long input of ones; see `scipy.signal.sosfilt_zi`."""
    out, level = np.zeros((count, 2)), 1.0
    for s, (b0, b1, b2, _, a1, a2) in enumerate(np.frombuffer(sections).reshape(count, 6).tolist()):
        gain = (b0 + b1 + b2) / (1 + a1 + a2)
        out[s] = (gain - b0) * level, (b2 - a2 * gain) * level
        level *= gain
    return out


@numba.njit(nogil=True, cache=True)
def _both_ways(x, sections, steady, pad):  # type: ignore[no-untyped-def]
    channels, length = x.shape
    out = np.empty_like(x)
    padded = np.empty(length + 2 * pad)
    for c in range(channels):
        for i in range(pad):
            padded[i] = x[c, pad - i]
            padded[pad + length + i] = x[c, length - 2 - i]
        for i in range(length):
            padded[pad + i] = x[c, i]
        _run(padded, sections, steady)
        _run(padded[::-1], sections, steady)
        for i in range(length):
            out[c, i] = padded[pad + i]
    return out


@numba.njit(nogil=True, cache=True)
def _run(x, sections, steady):  # type: ignore[no-untyped-def]
    """Filter `x` in place from the steady state of its mean, two sections at a time.

    A section has to wait for its own last output; the second one works meanwhile.
    """
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    start = total / len(x)
    for s in range(0, len(sections) - 1, 2):
        p, q = sections[s], sections[s + 1]
        b0, b1, b2, a1, a2 = p[0], p[1], p[2], p[4], p[5]
        d0, d1, d2, c1, c2 = q[0], q[1], q[2], q[4], q[5]
        z1, z2 = steady[s, 0] * start, steady[s, 1] * start
        w1, w2 = steady[s + 1, 0] * start, steady[s + 1, 1] * start
        for i in range(len(x)):
            value = x[i]
            y = b0 * value + z1
            z1 = (b1 * value + z2) - a1 * y
            z2 = b2 * value - a2 * y
            v = d0 * y + w1
            w1 = (d1 * y + w2) - c1 * v
            w2 = d2 * y - c2 * v
            x[i] = v
    if len(sections) % 2:
        p = sections[-1]
        b0, b1, b2, a1, a2 = p[0], p[1], p[2], p[4], p[5]
        z1, z2 = steady[-1, 0] * start, steady[-1, 1] * start
        for i in range(len(x)):
            value = x[i]
            y = b0 * value + z1
            z1 = (b1 * value + z2) - a1 * y
            z2 = b2 * value - a2 * y
            x[i] = y
