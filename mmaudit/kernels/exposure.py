"""Less light on a sensor: sRGB to linear light, fewer photons, noise, and back. NumPy twin: in the tests."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
Table = npt.NDArray[np.float32]


def underexposed(x: FloatImage, noise: FloatImage, kept: float, full: float, read: float) -> FloatImage:
    """Return sRGB values, float32 of x's shape, after the share `kept` of the light was left.

    Args:
        x: sRGB values in [0, 1].
        noise: N(0, 1) numbers of x's shape.
        kept: share of the light, in (0, 1].
        full: electrons at x = 1.
        read: standard deviation of the read noise, in electrons.
    """
    by_signal, constant = kept * (1 - kept) / full, (1 - kept**2) * (read / full) ** 2
    decode, encode = _tables()
    f = np.float32
    out: FloatImage = _expose(x.ravel(), noise.ravel(), f(kept), f(by_signal), f(constant), decode, encode)
    return out.reshape(x.shape)


@lru_cache(maxsize=1)
def _tables() -> tuple[Table, Table]:
    """sRGB's curve (IEC 61966-2-1) and its inverse over the root of the light, off by less than 2e-6 between steps.

    A power takes ten times as long as looking it up. Over the root the inverse is smooth, down to black.
    """
    v = np.linspace(0, 1, 4097)
    decode = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    light = v**2
    encode = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return decode.astype(np.float32), encode.astype(np.float32)


@numba.njit(nogil=True, cache=True, inline="always")
def _look_up(v, table):  # type: ignore[no-untyped-def]
    """Linear between the entries of a table over [0, 1]."""
    place = min(max(v, np.float32(0)), np.float32(1)) * np.float32(len(table) - 1)
    # Not a number becomes some large negative integer: it must not be read from.
    i = max(min(int(place), len(table) - 2), 0)
    t = place - np.float32(i)
    return table[i] + t * (table[i + 1] - table[i])


@numba.njit(nogil=True, cache=True)
def _expose(
    x: FloatImage,
    noise: FloatImage,
    kept: np.float32,
    by_signal: np.float32,
    constant: np.float32,
    decode: Table,
    encode: Table,
) -> FloatImage:
    out = np.empty(x.size, np.float32)
    for i in range(x.size):
        light = _look_up(x[i], decode)
        light = kept * light + noise[i] * np.sqrt(by_signal * light + constant)
        out[i] = _look_up(np.sqrt(max(light, np.float32(0))), encode)
    return out
