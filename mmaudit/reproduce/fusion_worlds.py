"""Made-up text and image embeddings with a known label, the two readings of the noise, and what they do to a product.

Used by `fusion_noise`. All accuracies of a perfect product model have a closed form, `product_accuracy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, pi, sqrt
from typing import Literal

import numpy as np
import torch

from mmaudit.reference.loop import Table
from mmaudit.types import Array, FloatArray

Regime = Literal["iso", "aniso", "outl"]
Label = Literal["dot", "add"]
Reading = Literal["R1", "R2"]
Trial = Literal["text", "image", "both"]

MODALITIES = ("text", "image")
NOISY: dict[Trial, tuple[str, ...]] = {"text": ("text",), "image": ("image",), "both": MODALITIES}
SHARED = 0.09  # share of variance that text and image have in common, where they have any
STEEPNESS = 2.0  # of the additive label's logistic curve; nobody can be right more often than 79 % of the time


@dataclass(frozen=True)
class World:
    """Where embeddings and labels come from.

    Attributes:
        regime: `iso`, standard normal, text and image independent; `aniso`, a mean drawn from N(0, 1) and a log-normal
            spread (σ = ½) for every dimension, 9 % of the variance shared between text and image; `outl`, as `iso` but
            for one dimension of each, another one, with mean √dims, as CLIP embeddings have them.
        label: `dot`, whether the dot product is above its expectation (0, and so its median, for `iso` and `outl`);
            `add`, drawn from a logistic curve of text score + ½ image score, either score a fixed random direction of
            the standardised embedding.
        dims: of each embedding.
    """

    regime: Regime
    label: Label
    dims: int

    def rows(self, n: int, seed: int) -> Table:
        """`n` rows; other seeds give other rows of the same world."""
        fixed = np.random.default_rng([self.dims, 1])
        mean, spread = np.zeros((2, self.dims)), np.ones((2, self.dims))
        if self.regime == "aniso":
            mean = fixed.standard_normal((2, self.dims))
            spread = np.exp(0.5 * fixed.standard_normal((2, self.dims)))
        elif self.regime == "outl":
            mean[0, 0] = mean[1, 1] = sqrt(self.dims)
        rng = np.random.default_rng([self.dims, 2, seed])
        z = rng.standard_normal((2, n, self.dims))
        if self.regime == "aniso":
            z = sqrt(SHARED) * rng.standard_normal((n, self.dims)) + sqrt(1 - SHARED) * z
        x = mean[:, None] + spread[:, None] * z
        if self.label == "dot":
            covariance = SHARED * (spread[0] * spread[1]).sum() if self.regime == "aniso" else 0.0
            target = np.einsum("nd,nd->n", x[0], x[1]) > mean[0] @ mean[1] + covariance
        else:
            directions = fixed.standard_normal((2, self.dims, 1))
            text, image = (z @ (directions / np.linalg.norm(directions, axis=1, keepdims=True)))[:, :, 0]
            target = rng.random(n) < 1 / (1 + np.exp(-STEEPNESS * (text + 0.5 * image)))
        return table(x, target)


def table(x: FloatArray, target: Array) -> Table:
    """Rows of text and image embeddings `[2, n, dims]` with nothing missing."""
    inputs = {m: torch.from_numpy(x[i].astype(np.float32)) for i, m in enumerate(MODALITIES)}
    present = {m: torch.ones(len(target), dtype=torch.bool) for m in MODALITIES}
    return Table(inputs, present, torch.from_numpy(target.astype(np.int64)))


def noisy(rows: Table, trial: Trial, reading: Reading, alpha: float, *, scalar: bool = False) -> Table:
    """The same rows with noise in one or both embeddings, and the labels they had.

    `n ~ N(μ_m, σ_m)` of the modality; `R1` is `x + α n`, `R2` is `(1 − α) x + α n`. The draws are the same for every α,
    trial and reading.

    Args:
        rows: clean ones; the noise has their mean and standard deviation.
        trial: which modalities are noisy.
        reading: R1 or R2.
        alpha: level of noise.
        scalar: one mean and standard deviation per modality instead of one per dimension.
    """
    draw = torch.Generator().manual_seed(20250610)
    inputs = {}
    for m, x in rows.inputs.items():
        spread, mean = torch.std_mean(x) if scalar else torch.std_mean(x, dim=0)
        n = mean + spread * torch.randn(x.shape, generator=draw)
        mixed = x + alpha * n if reading == "R1" else (1 - alpha) * x + alpha * n
        inputs[m] = mixed if m in NOISY[trial] else x
    return Table(inputs, rows.present, rows.target)


def product_accuracy(trial: Trial, reading: Reading, alpha: float) -> float:
    """Accuracy of a model that answers with the sign of the dot product, on `iso` data: `1 − atan(r) / π`.

    r is the noise of the dot product over its own spread: `α` (R1) or `α / (1 − α)` (R2) with one noisy modality,
    exactly so at any number of dimensions; with both, `√(2α² + α⁴)` (R1) or `√(2α²(1 − α)² + α⁴) / (1 − α)²` (R2),
    in the limit of many dimensions.
    """
    keep = 1.0 if reading == "R1" else 1 - alpha
    r = alpha / keep if trial != "both" else sqrt(2 * (alpha * keep) ** 2 + alpha**4) / keep**2
    return 1 - atan(r) / pi
