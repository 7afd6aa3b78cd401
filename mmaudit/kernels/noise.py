"""Noise that depends on the value it meets: photon counts, and salt and pepper. NumPy and SciPy twins: in the tests."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FloatArray32 = npt.NDArray[np.float32]

# From this mean on, the count is found from the normal distribution; below, by adding probabilities up.
_MANY = 64.0


@numba.njit(nogil=True, cache=True)
def photon_counts(x: FloatArray32, u: FloatArray32, photons: float) -> FloatArray32:
    """Return Poisson(x · photons) / photons at the quantiles `u`, cut off at 1; float32 of x's shape.

    The same `u` at another number of photons gives the count at the same quantile, so draws are coupled. Means from
    64 on use the Cornish-Fisher expansion of the quantile, off by one count in less than 2 % of draws.

    Args:
        x: contiguous values in [0, 1]; negative or not finite ones count as 0.
        u: uniforms in [0, 1), of x's shape.
        photons: mean count at x = 1.
    """
    values, quantiles = x.reshape(-1), u.reshape(-1)
    out = np.empty(values.size, np.float32)
    most = np.ceil(photons)
    for i in range(values.size):
        mean = min(values[i], np.float32(1)) * photons
        if not mean > 0:
            out[i] = 0
            continue
        count = _summed(mean, quantiles[i], most) if mean < _MANY else _expanded(mean, quantiles[i])
        out[i] = min(count / photons, 1.0)
    return out.reshape(x.shape)


@numba.njit(nogil=True, cache=True)
def _summed(mean, u, most):  # type: ignore[no-untyped-def]
    """The smallest count, `most` at most, whose cumulative probability exceeds `u`."""
    probability = np.exp(-mean)
    total, count = probability, 0.0
    while total <= u and count < most:
        count += 1.0
        probability *= mean / count
        total += probability
    return count


@numba.njit(nogil=True, cache=True)
def _expanded(mean, u):  # type: ignore[no-untyped-def]
    """The count at quantile `u` for a large mean (Cornish and Fisher 1938, two terms and a continuity correction)."""
    # The middle of the uniform's cell, which is never 0 or 1.
    z = _normal_quantile(u + 2.0**-25)
    spread = np.sqrt(mean)
    return max(np.ceil(mean + spread * z + (z * z - 1) / 6 + (z - z * z * z) / (72 * spread) - 0.5), 0.0)


@numba.njit(nogil=True, cache=True)
def _normal_quantile(p):  # type: ignore[no-untyped-def]
    """Inverse of the standard normal distribution function (Giles, "Approximating the erfinv function", 2012)."""
    x = 2 * p - 1
    w = -np.log((1 - x) * (1 + x))
    if w < 5:
        w -= 2.5
        y = 2.81022636e-08
        y = 3.43273939e-07 + y * w
        y = -3.5233877e-06 + y * w
        y = -4.39150654e-06 + y * w
        y = 0.00021858087 + y * w
        y = -0.00125372503 + y * w
        y = -0.00417768164 + y * w
        y = 0.246640727 + y * w
        y = 1.50140941 + y * w
    else:
        w = np.sqrt(w) - 3
        y = -0.000200214257
        y = 0.000100950558 + y * w
        y = 0.00134934322 + y * w
        y = -0.00367342844 + y * w
        y = 0.00573950773 + y * w
        y = -0.0076224613 + y * w
        y = 0.00943887047 + y * w
        y = 1.00167406 + y * w
        y = 2.83297682 + y * w
    return np.sqrt(2.0) * y * x


@numba.njit(nogil=True, cache=True)
def salt_and_pepper(x: FloatArray32, u: FloatArray32, share: np.float32) -> FloatArray32:
    """Return `x` with a share of its values replaced, those at the lowest `u` by 0 and those at the highest by 1."""
    values, draws = x.reshape(-1), u.reshape(-1)
    out = np.empty(values.size, np.float32)
    low, high = share / np.float32(2), np.float32(1) - share / np.float32(2)
    for i in range(values.size):
        kept = values[i] if draws[i] < high else np.float32(1)
        out[i] = kept if draws[i] >= low else np.float32(0)
    return out.reshape(x.shape)
