"""Long filters by fast convolution in blocks. SciPy twin: `fftconvolve`, in the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

# Blocks that a signal is cut into, at least: so many short transforms run side by side in the processor's vector units.
_BLOCKS, _SHORTEST = 16, 256


def convolve(x: npt.NDArray[Any], taps: npt.NDArray[Any], start: int = 0) -> npt.NDArray[Any]:
    """Return samples `start` to `start + T` of signals `x` [C, T] convolved with `taps` [C or 1, L], silence beyond.

    Uniformly partitioned overlap-add (Stockham 1966; Kulp 1988): signal and filter are cut into blocks of one size,
    each is transformed once, and products are added up per block of output.
    """
    channels, length = x.shape
    if not length:
        return x.copy()
    block = max(_SHORTEST, 2 ** int(np.log2(max(length / _BLOCKS, 1))))
    signal, filter_ = _blocks(x, block), _blocks(taps[:, : start + length].astype(x.dtype), block)
    wanted = -(-(start + length) // block)
    spectrum = np.zeros((channels, wanted, block + 1), signal.dtype)
    for p in range(filter_.shape[1]):
        part = signal[:, : wanted - p]
        spectrum[:, p : p + part.shape[1]] += part * filter_[:, p : p + 1]
    made = fft.irfft(spectrum, 2 * block, axis=2, overwrite_x=True)
    out = made[:, :, :block]
    out[:, 1:] += made[:, :-1, block:]
    return np.ascontiguousarray(out.reshape(channels, wanted * block)[:, start : start + length])


def _blocks(x: npt.NDArray[Any], block: int) -> npt.NDArray[Any]:
    """Transforms [C, blocks, block + 1] of the blocks of signals [C, T], each filled up to twice its length."""
    channels, length = x.shape
    count = -(-length // block)
    padded = np.zeros((channels, count, 2 * block), x.dtype)
    whole = length // block
    padded[:, :whole, :block] = x[:, : whole * block].reshape(channels, whole, block)
    if whole < count:
        padded[:, whole, : length - whole * block] = x[:, whole * block :]
    return np.asarray(fft.rfft(padded, axis=2))


def linear_phase(gains: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the taps [2 N − 2] of a filter whose gain at N evenly spaced frequencies, 0 to Nyquist, is near `gains`.

    Symmetric around tap N − 1, the delay; tapered by a Hann window, which blurs the gains by about one of their steps.
    """
    taps = np.fft.fftshift(np.fft.irfft(gains))
    return np.asarray(taps * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(taps)) / len(taps))), np.float64)
