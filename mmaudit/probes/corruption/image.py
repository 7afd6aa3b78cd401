"""Corruptions of images. `x` is float32 [H, W, C] in [0, 1], any number of channels."""

from __future__ import annotations

import numpy as np

from mmaudit.kernels import blur
from mmaudit.probes.base import corruption
from mmaudit.types import Array

# Sizes in pixels are for this short side, that of ImageNet-C, and shrink or grow with the image.
SHORT_SIDE = 224


@corruption("gaussian_noise", kinds=("image",), severities=(0.08, 0.12, 0.18, 0.26, 0.38), unit="σ, of the legal range")
def gaussian_noise(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Gaussian noise, independent per pixel and channel.

    x' = x + σ n, n ~ N(0, 1), with ImageNet-C's σ (Hendrycks and Dietterich, ICLR 2019, arXiv 1903.12261).
    """
    noise = rng.standard_normal(x.shape, dtype=np.float32)
    noise *= np.float32(severity)
    noise += x
    return noise


@corruption("gaussian_blur", kinds=("image",), severities=(1, 2, 3, 4, 6), unit="σ in px, of a 224 px short side")
def gaussian_blur(x: Array, severity: float) -> Array:
    """Gaussian blur.

    σ follows ImageNet-C's extra corruption of that name (Hendrycks and Dietterich, ICLR 2019), which blurs images of
    224 px; here it is scaled by short side / 224, so that it hides details of the same relative size in any image.
    σ is the standard deviation of the kernel as applied, below one pixel too. Pixels outside repeat the edge; the
    kernel ends at 4 σ.
    """
    return blur.gaussian_blur(x, blur.sampled_sigma(severity * min(x.shape[:2]) / SHORT_SIDE))
