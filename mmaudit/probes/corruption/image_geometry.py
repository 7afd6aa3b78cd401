"""Geometry and loss of parts: elastic_transform, rotation, occlusion, channel_drop. `x` is float32 [H, W, C]."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.kernels.random_field import smooth_field, spread
from mmaudit.kernels.warp import displaced, rotated
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.image_severity import grey, one_pixel, pixels
from mmaudit.types import Array

if TYPE_CHECKING:
    from mmaudit.data.statistics import ModalityStatistics

IMAGE = ("image",)


@corruption(
    "elastic_transform",
    kinds=IMAGE,
    severities=(12.5, 16.25, 21.25, 25, 30),
    unit="α, factor of the displacement",
    source="imagecorruptions (Michaelis et al. 2019), after ImageNet-C",
    declines=one_pixel,
)
def elastic_transform(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Elastic distortion: every pixel moves by a smooth random field.

    Displacements are α times uniform noise in ±0.005 of the side, blurred by a Gaussian of σ = 0.01 of it, as in
    imagecorruptions, which took the last three rows of ImageNet-C's table (α = 0.05, 0.07, 0.12 times 244 px, there
    with a small affine map before) and filled up the first two; ImageNet-C's own first two rows move the image as a
    whole and are not comparable in strength. For 224 px that is σ = 2.24 px and a displacement of 1.02 to 2.44 px
    root mean square along each axis; both scale with short side / 224, but σ is never below 1 px, under which the
    field would have no form. Bilinear; outside the edges the image is mirrored.

    Differs from imagecorruptions 1.1.2: there the displacement in pixels is the same whatever the size of the image,
    so a small image is torn apart, and σ along an axis follows that axis.
    """
    height, width = x.shape[:2]
    noise = rng.standard_normal((2, height, width), dtype=np.float32)
    sigma = max(pixels(x, 2.24), 1.0)
    rms = pixels(x, severity * 1.12 / math.sqrt(3) * spread(2.24))
    return np.asarray(displaced(x, smooth_field(noise[0], sigma), smooth_field(noise[1], sigma), rms))


@corruption(
    "rotation",
    kinds=IMAGE,
    severities=(5, 10, 20, 30, 45),
    unit="degrees",
    source="mmaudit",
    declines=one_pixel,
    not_monotone="where details repeat, an image turned further may match itself again",
)
def rotation(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Rotation about the centre, to the left or the right at random.

    Severity is the angle in degrees; the side is drawn per sample and the same at every severity. Bilinear; the
    corners that turn into view show the image mirrored at its edges. Above 180 degrees raises `BadInput`: that is a
    smaller rotation to the other side.
    """
    if severity > 180:
        raise BadInput(f"rotation: severity {severity} is above 180 degrees, a smaller rotation to the other side.")
    side = 1 if rng.random() < 0.5 else -1
    return np.asarray(rotated(x, side * math.radians(severity)))


@corruption(
    "occlusion",
    kinds=IMAGE,
    severities=(0.05, 0.1, 0.2, 0.35, 0.5),
    unit="share of the image's area",
    source="cutout (DeVries and Taylor 2017, arXiv 1708.04552); areas by mmaudit",
)
def occlusion(x: Array, severity: float, rng: np.random.Generator, statistics: ModalityStatistics) -> Array:
    """A square covers part of the image (cutout), in the data set's mean colour.

    Severity is the covered share of the area, in [0, 1]. The square lies inside the image, at a place drawn per
    sample; that of a higher severity contains that of a lower one. Where the image is too narrow for a square of this
    area, it is a rectangle. Pixels at its border are covered in part, so the area is exact in any image. The colour
    is the mean of the data set per channel, what zero is after normalisation, where cutout is usually applied.
    """
    if severity > 1:
        raise BadInput(f"occlusion: severity {severity} is above 1; it is a share of the image's area.")
    height, width = x.shape[:2]
    area = severity * height * width
    tall = min(max(math.sqrt(area), area / width), height)
    u, v = rng.random(2).tolist()
    down, across = _covered(height, tall, u), _covered(width, area / tall, v)
    rows, columns = _touched(down), _touched(across)
    part = x[rows, columns]
    with np.errstate(invalid="ignore"):  # ∞ − ∞, of a pixel of infinite value
        part += (down[rows, None] * across[columns])[:, :, None] * (statistics.colour - part)
    return x


def _touched(covered: Array) -> slice:
    """From the first to the last pixel that is covered at all."""
    places = np.flatnonzero(covered)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0)


def _covered(n: int, side: float, u: float) -> Array:
    """Return float32 [n], how much of each pixel a stretch of length `side` covers that starts at u·(n − side)."""
    start = u * (n - side)
    pixel = np.arange(n)
    covered = np.minimum(pixel + 1, start + side) - np.maximum(pixel, start)
    return np.asarray(np.clip(covered, 0, 1), np.float32)


@corruption(
    "channel_drop",
    kinds=IMAGE,
    severities=(0.2, 0.4, 0.6, 0.8, 1),
    unit="share of one channel's signal lost",
    source="mmaudit",
    declines=grey,
)
def channel_drop(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """One channel, drawn per sample, loses its signal.

    Severity is the share lost, in [0, 1]: the channel is multiplied by 1 − severity, so at 1 it is at the lowest legal
    value throughout, as when a sensor's band fails. Any number of channels from 2; images declared with one are
    declined, and one that turns out to have one stays as it is.
    """
    if severity > 1:
        raise BadInput(f"channel_drop: severity {severity} is above 1; it is the share of a channel that is lost.")
    channels = x.shape[2]
    channel = int(rng.random() * channels)
    if channels > 1:
        x[:, :, channel] *= np.float32(1 - severity)
    return x
