"""Noise in units of the modality's own mean and spread, for everything that consists of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.probes.base import F, corruption
from mmaudit.probes.canonical import only_numbers
from mmaudit.probes.stand_in import codes
from mmaudit.types import Array, Modality

if TYPE_CHECKING:
    from mmaudit.data.statistics import ModalityStatistics

KINDS = ("image", "audio", "tabular", "series", "embedding")
SOURCE = "Encoding Domain Insights into Multi-modal Fusion, MOSS workshop at ICML 2025"
ALPHA = (0.1, 0.3, 0.5, 0.7, 0.95)
# 2: series of differing length are measured per channel, not by one pair over all values.
VERSIONS = {"series": 2}


def _noise(name: str) -> Callable[[F], F]:
    def register(fn: F) -> F:
        for kind in KINDS:
            version = VERSIONS.get(kind, 1)
            corruption(name, kinds=(kind,), severities=ALPHA, unit="α", source=SOURCE, version=version, declines=codes)(
                fn
            )
        return fn

    return register


@_noise("gaussian_noise_additive")
def gaussian_noise_additive(
    x: Array, severity: float, rng: np.random.Generator, modality: Modality, statistics: ModalityStatistics
) -> Array:
    """Gaussian noise like the modality itself, added: x + αn.

    n ~ N(mean, σ) with the modality's empirical mean and σ, here per dimension (where samples differ in shape: per
    channel of a series, else one pair). The literal reading of "α scales this sampled noise" in "Encoding Domain
    Insights into Multi-modal Fusion" (MOSS workshop, ICML 2025, OpenReview VkH4WH1cOO), which sweeps α over [0, 0.95].
    It shifts x by α·mean and keeps the sample in full under the noise; compare `gaussian_noise_convex`. Categorical
    columns stay.
    """
    return only_numbers(x + np.float32(severity) * _drawn(x, rng, statistics), x, modality)


@_noise("gaussian_noise_convex")
def gaussian_noise_convex(
    x: Array, severity: float, rng: np.random.Generator, modality: Modality, statistics: ModalityStatistics
) -> Array:
    """Gaussian noise like the modality itself, in its place: (1−α)x + αn.

    n as in `gaussian_noise_additive`. The other reading of the same paper, which its cap at α = 0.95 and its "no to
    heavy corruption" suggest: at α = 1 nothing of the sample is left, and the mean stays where it is. Categorical
    columns stay.
    """
    if severity > 1:
        raise BadInput(f"gaussian_noise_convex: severity {severity} is above 1, where nothing of the sample is left.")
    new = np.float32(1 - severity) * x + np.float32(severity) * _drawn(x, rng, statistics)
    return only_numbers(new, x, modality)


def _drawn(x: Array, rng: np.random.Generator, statistics: ModalityStatistics) -> Array:
    noise = rng.standard_normal(x.shape, dtype=x.dtype.type)
    noise *= statistics.std
    noise += statistics.mean
    return noise
