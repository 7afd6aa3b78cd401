"""Noise of cameras and transmission, ImageNet-C's four. `x` is float32 [H, W, C] in [0, 1], any number of channels."""

from __future__ import annotations

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.kernels import noise
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.image_severity import SOURCE
from mmaudit.types import Array


@corruption(
    "gaussian_noise",
    kinds=("image",),
    severities=(0.08, 0.12, 0.18, 0.26, 0.38),
    unit="σ, of the legal range",
    source=SOURCE,
)
def gaussian_noise(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Gaussian noise, independent per pixel and channel.

    x' = x + σ n, n ~ N(0, 1), with ImageNet-C's σ (Hendrycks and Dietterich, ICLR 2019, arXiv 1903.12261).
    """
    drawn = rng.standard_normal(x.shape, dtype=np.float32)
    drawn *= np.float32(severity)
    drawn += x
    return drawn


@corruption(
    "shot_noise",
    kinds=("image",),
    severities=(1 / 60, 1 / 25, 1 / 12, 1 / 5, 1 / 3),
    unit="1 / photons at the highest legal value",
    source=SOURCE,
)
def shot_noise(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Shot noise: too few photons, counted per pixel and channel.

    x' = min(k / λ, 1), k ~ Poisson(λ x), with λ = 1 / severity photons at x = 1: ImageNet-C's 60, 25, 12, 5, 3. A
    value keeps its place in the distribution at every severity. Where x is 0 no photon arrives and nothing changes.
    """
    return np.asarray(noise.photon_counts(x, rng.random(x.shape, dtype=np.float32), 1 / severity))


@corruption(
    "impulse_noise",
    kinds=("image",),
    severities=(0.03, 0.06, 0.09, 0.17, 0.27),
    unit="share of values replaced",
    source=SOURCE,
)
def impulse_noise(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Salt and pepper: values replaced by the lowest or the highest legal one, half each.

    Every pixel and channel by itself, with ImageNet-C's shares; what is hit at one severity is hit at all higher ones.

    Raises:
        BadInput: a share above 1.
    """
    if severity > 1:
        raise BadInput(f"impulse_noise: severity {severity} is above 1, where every value is replaced.")
    return np.asarray(noise.salt_and_pepper(x, rng.random(x.shape, dtype=np.float32), np.float32(severity)))


@corruption(
    "speckle_noise",
    kinds=("image",),
    severities=(0.15, 0.2, 0.35, 0.45, 0.6),
    unit="σ, of the value itself",
    source=SOURCE,
)
def speckle_noise(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Speckle: Gaussian noise in proportion to the value, independent per pixel and channel.

    x' = x + σ x n, n ~ N(0, 1), with ImageNet-C's σ. Where x is 0 nothing changes.
    """
    drawn = rng.standard_normal(x.shape, dtype=np.float32)
    drawn *= np.float32(severity)
    drawn += np.float32(1)
    drawn *= x
    return drawn
