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
    # Each phase of the input behind one another, so that the inner loops run straight through and vectorise.
    per_phase = -(-length // down)
    phases = np.zeros((channels, per_phase * down), x.dtype)
    phases[:, :length] = x
    phases = np.ascontiguousarray(phases.reshape(channels, per_phase, down).transpose(0, 2, 1))
    per_output = -(-size // up)
    made = _filtered(phases, _taps(up, down).astype(x.dtype), up, down, per_output)
    return np.asarray(made.transpose(0, 2, 1).reshape(channels, per_output * up)[:, :size])


@lru_cache(maxsize=128)
def _taps(up: int, down: int) -> npt.NDArray[np.float64]:
    slower = max(up, down)
    taps = firwin(2 * _REACH * slower + 1, 1 / slower, window=("kaiser", _BETA))
    return np.asarray(taps * up, np.float64)


@numba.njit(nogil=True, cache=True)
def _filtered(phases, taps, up, down, per_output):  # type: ignore[no-untyped-def]
    """Return [C, up, J]: output up·j + i = Σ over inputs n of x[n] · taps[(up·j + i)·down − n·up + reach]."""
    channels, _, per_phase = phases.shape
    reach = (len(taps) - 1) // 2
    out = np.zeros((channels, up, per_output), phases.dtype)
    for c in range(channels):
        for start in range(0, per_output, _BLOCK):
            stop = min(start + _BLOCK, per_output)
            for i in range(up):
                target = out[c, i]
                # With n = down·j + q, and q = down·shift + p: input n is entry j + shift of phase p.
                for q in range(-((reach - i * down) // up), (i * down + reach) // up + 1):
                    tap = taps[i * down - q * up + reach]
                    shift = q // down
                    source = phases[c, q - shift * down]
                    first, last = max(start, -shift), min(stop, per_phase - shift)
                    if first < last:
                        add, to = source[first + shift : last + shift], target[first:last]
                        for j in range(len(to)):
                            to[j] += tap * add[j]
    return out
