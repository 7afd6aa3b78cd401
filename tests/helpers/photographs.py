"""Natural photographs that every test environment has, and how far a corrupted one is from the clean one."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_sample_images

from mmaudit.types import Array

SIDE = 224
# Corners of the crops, in scikit-learn's two photographs of 427 x 640: a temple, a flower.
CORNERS = ((0, 0, 0), (0, 100, 208), (0, 203, 416), (1, 0, 300), (1, 203, 60), (1, 100, 260))


def crops() -> list[Array]:
    """Six crops, uint8 [224, 224, 3]."""
    images = load_sample_images().images
    return [images[k][top : top + SIDE, left : left + SIDE].copy() for k, top, left in CORNERS]


def distances(clean: Array, new: Array) -> dict[str, float]:
    """Return the statistics of a corrupted image, in units of 0 to 255 where they have one.

    rms: root mean square difference. mean: mean difference. sigma: standard deviation of the difference. detail:
    energy of differences between neighbours, over that of the clean image: above 1 for noise, below for blur.
    ssim: structural similarity of the luminance (Wang et al. 2004), mean over blocks of 8 x 8.
    """
    a, b = clean.astype(np.float64), new.astype(np.float64)
    return {
        "rms": float(np.sqrt(np.mean((b - a) ** 2))),
        "mean": float(np.mean(b - a)),
        "sigma": float(np.std(b - a)),
        "detail": _detail(b) / _detail(a),
        "ssim": _ssim(a.mean(2), b.mean(2)),
    }


def _detail(x: Array) -> float:
    return float(np.mean(np.diff(x, axis=0) ** 2) + np.mean(np.diff(x, axis=1) ** 2))


def _ssim(a: Array, b: Array) -> float:
    blocks = [x[: len(x) // 8 * 8, : x.shape[1] // 8 * 8].reshape(len(x) // 8, 8, -1, 8).swapaxes(1, 2) for x in (a, b)]
    p, q = (x.reshape(-1, 64) for x in blocks)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    covariance = ((p - p.mean(1, keepdims=True)) * (q - q.mean(1, keepdims=True))).mean(1)
    top = (2 * p.mean(1) * q.mean(1) + c1) * (2 * covariance + c2)
    return float(np.mean(top / ((p.mean(1) ** 2 + q.mean(1) ** 2 + c1) * (p.var(1) + q.var(1) + c2))))
