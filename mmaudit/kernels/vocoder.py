"""Duration changed without changing pitch: a phase-locked vocoder. NumPy twin: in the tests."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy import fft

# Synthesis frames per window.
_OVERLAP = 4


def stretch(x: npt.NDArray[Any], rate: float, size: int, window: int) -> npt.NDArray[Any]:
    """Return the first `size` samples of signals `x` [C, T] played at `rate` times their speed, at the same pitch.

    A phase vocoder (Flanagan and Golden 1966) with Hann windows that overlap by three quarters. Phases advance as
    they do in the input over exactly one hop, taken from a second transform one hop earlier, so that nothing has to
    be unwrapped; neighbouring bins are kept in step (Puckette, "Phase-locked vocoder", 1995). At rate 1 the output is
    the input. What lies before or beyond the input is silence.

    Args:
        x: float32 or float64.
        rate: above 0; above 1 is faster and shorter.
        size: samples to return; zeros from the end of what there is.
        window: samples per window, a multiple of 4.
    """
    channels, length = x.shape
    hop = window // _OVERLAP
    out = np.zeros((channels, size), x.dtype)
    # Frames whose middle lies up to half a window beyond the end of the output or of the input.
    frames = 1 + int(min(np.ceil((size + window / 2) / hop), np.ceil((length + window / 2) / (hop * rate))))
    middles = np.rint(np.arange(frames) * hop * rate).astype(np.int64)
    before = window // 2 + hop
    shape = _hann(window).astype(x.dtype)
    for c in range(channels):
        padded = np.zeros(before + max(length, int(middles[-1])) + window, x.dtype)
        padded[before : before + length] = x[c]
        views = np.lib.stride_tricks.sliding_window_view(padded, window)
        now = fft.rfft(views[middles + hop] * shape, axis=1, overwrite_x=True)
        earlier = fft.rfft(views[middles] * shape, axis=1, overwrite_x=True)
        parts = (now.shape[0], now.shape[1], 2)
        _advance(now.view(x.dtype).reshape(parts), earlier.view(x.dtype).reshape(parts))
        _overlap_add(fft.irfft(now, window, axis=1, overwrite_x=True), shape, hop, out[c])
    return out


@lru_cache(maxsize=32)
def _hann(window: int) -> npt.NDArray[np.float64]:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window), np.float64)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _advance(now, earlier):  # type: ignore[no-untyped-def]
    """Turn the frames `now` in place, so that each follows from the one before by what the input turns in a hop.

    Both [frames, bins, 2], real and imaginary parts. Float64 within, so that products of products neither overflow
    nor vanish.
    """
    frames, bins, _ = now.shape
    done, start = np.zeros((2, bins + 2)), np.zeros((2, bins + 2))
    for t in range(1, frames):
        for k in range(bins):
            done[0, k + 1], done[1, k + 1] = now[t - 1, k, 0], now[t - 1, k, 1]
            start[0, k + 1], start[1, k + 1] = earlier[t, k, 0], earlier[t, k, 1]
        for k in range(bins):
            # A bin together with its neighbours: of a sinusoid's three bins the outer ones point the other way.
            a = done[0, k + 1] - done[0, k] - done[0, k + 2]
            b = done[1, k + 1] - done[1, k] - done[1, k + 2]
            c = start[0, k + 1] - start[0, k] - start[0, k + 2]
            d = start[1, k + 1] - start[1, k] - start[1, k + 2]
            real, imag = a * c + b * d, b * c - a * d
            square = real * real + imag * imag
            scale = 1 / np.sqrt(square)
            real = real * scale if square > 0 else 1.0
            imag = imag * scale if square > 0 else 0.0
            x, y = np.float64(now[t, k, 0]), np.float64(now[t, k, 1])
            now[t, k, 0] = x * real - y * imag
            now[t, k, 1] = x * imag + y * real


@numba.njit(nogil=True, cache=True)
def _overlap_add(frames, shape, hop, out):  # type: ignore[no-untyped-def]
    """Add the frames, windowed once more, and divide by the sum of the squared windows; frame 0 is centred on 0."""
    count, window = frames.shape
    total = np.zeros(len(out), shape.dtype)
    for t in range(count):
        start = t * hop - window // 2
        for i in range(max(0, -start), min(window, len(out) - start)):
            out[start + i] += frames[t, i] * shape[i]
            total[start + i] += shape[i] * shape[i]
    for i in range(len(out)):
        if total[i] > 0:
            out[i] /= total[i]
