"""Sampling rates changed by a ratio of whole numbers, without aliasing. SciPy twin: `resample_poly`, in the tests."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy.signal import firwin

# Samples of the slower rate that the filter reaches to each side, and its window's shape: scipy's.
_REACH, _BETA = 10, 5.0
# Outputs made at a time, so that all they are made of stays in the nearest cache.
_BLOCK = 1024
_TOGETHER = 4  # taps


def resample(x: npt.NDArray[Any], up: int, down: int) -> npt.NDArray[Any]:
    """Return signals `x` [C, T] at up/down times their sampling rate, [C, ceil(T · up / down)].

    As `scipy.signal.resample_poly(x, up, down, axis=1)`: a linear-phase low-pass at the lower of the two Nyquist
    frequencies, a sinc under a Kaiser window of β = 5; silence is assumed beyond both ends. `up` and `down` have no
    common divisor.
    """
    channels, length = x.shape
    size = -(-length * up // down)
    if up == down or not length:
        return x.copy()
    # Each phase of the input behind one another, so that the inner loops run straight through and vectorise; silence
    # before and after, as far as the filter reaches.
    per_phase, per_output = -(-length // down), -(-size // up)
    around = _REACH * max(up, down) // (up * down) + _TOGETHER + 1
    phases = np.zeros((channels, down, per_phase + 2 * around + 1), x.dtype)
    for p in range(down):
        phase = x[:, p::down]
        phases[:, p, around : around + phase.shape[1]] = phase
    made = _filtered(phases, _taps(up, down, x.dtype.str), up, down, per_output, around)
    out = np.empty((channels, per_output * up), x.dtype)
    for i in range(up):
        out[:, i::up] = made[:, i]
    return out[:, :size]


@lru_cache(maxsize=128)
def _taps(up: int, down: int, dtype: str) -> npt.NDArray[Any]:
    slower = max(up, down)
    taps = firwin(2 * _REACH * slower + 1, 1 / slower, window=("kaiser", _BETA))
    return np.asarray(taps * up, dtype)


@numba.njit(nogil=True, cache=True)
def _filtered(phases, taps, up, down, per_output, around):  # type: ignore[no-untyped-def]
    """Return [C, up, J]: output up·j + i = Σ over inputs n of x[n] · taps[(up·j + i)·down − n·up + reach].

    Input n = down·(j + s) + p is entry j + s of phase p, which begins with `around` zeros.
    """
    channels = len(phases)
    every = up * down
    out = np.zeros((channels, up, per_output), phases.dtype)
    near = np.empty(_TOGETHER, phases.dtype)
    for c in range(channels):
        for start in range(0, per_output, _BLOCK):
            stop = min(start + _BLOCK, per_output)
            for i in range(up):
                to = out[c, i, start:stop]
                for p in range(down):
                    base = i * down - p * up + (len(taps) - 1) // 2
                    first, last = -((len(taps) - 1 - base) // every), base // every
                    # Several taps at a time, so that an output is fetched and put back less often.
                    for s in range(first, last + 1, _TOGETHER):
                        for k in range(_TOGETHER):
                            near[k] = taps[base - (s + k) * every] if s + k <= last else 0
                        t0, t1, t2, t3 = near[0], near[1], near[2], near[3]
                        add = phases[c, p, around + s + start : around + s + stop + _TOGETHER - 1]
                        for j in range(len(to)):
                            to[j] += t0 * add[j] + t1 * add[j + 1] + t2 * add[j + 2] + t3 * add[j + 3]
    return out
