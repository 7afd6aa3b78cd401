"""Blur, ImageNet-C's five. `x` is float32 [H, W, C] in [0, 1], any number of channels.

Sizes are in pixels of ImageNet-C's 224 px images and scale with short side / 224, so that the same severity hides
details of the same relative size in any image. They are used as fractions of a pixel, too: on a small image a blur is
weak, but not nothing. In whole grey levels it may be: less than half a level rounds away, of 8-bit images below about
9 px at the first severities of `gaussian_blur`, one pixel wide at all of it and of `glass_blur`; the control `applied`
of an audit says so. Pixels outside repeat the edge. Images of one pixel are declined.
"""

from __future__ import annotations

import numpy as np

from mmaudit.kernels import blur, disk, displace, motion, zoom
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.image_severity import (
    SEVERITIES,
    SOURCE,
    UNIT,
    faded,
    one_pixel,
    parameters,
    pixels,
)
from mmaudit.types import Array

# σ of the blur before and after, furthest displacement in px, passes.
GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
# Radius in px (the line is twice as long), σ in px.
MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
# Step from one zoom to the next, zooms: up to 1.11, 1.15, 1.2, 1.24 and 1.3.
ZOOM = ((0.01, 12), (0.01, 16), (0.02, 11), (0.02, 13), (0.03, 11))


@corruption(
    "gaussian_blur",
    kinds=("image",),
    severities=(1, 2, 3, 4, 6),
    unit="σ in px, of a 224 px short side",
    source=SOURCE,
    declines=one_pixel,
)
def gaussian_blur(x: Array, severity: float) -> Array:
    """Gaussian blur.

    σ follows ImageNet-C's extra corruption of that name (Hendrycks and Dietterich, ICLR 2019), which blurs images of
    224 px; here it is scaled by short side / 224, so that it hides details of the same relative size in any image.
    σ is the standard deviation of the kernel as applied, below one pixel too. Pixels outside repeat the edge; the
    kernel ends at 4 σ.
    """
    return _gaussian(x, severity)


@corruption(
    "defocus_blur",
    kinds=("image",),
    severities=(3, 4, 6, 8, 10),
    unit="radius in px, of a 224 px short side",
    source=SOURCE,
    declines=one_pixel,
)
def defocus_blur(x: Array, severity: float) -> Array:
    """Lens out of focus: the mean over a disk.

    ImageNet-C's radii, scaled by short side / 224. ImageNet-C rasters the disk and softens its edge by a Gaussian of
    0.1 px (severity 1) or 0.5 px; here the edge is soft because the image is interpolated linearly between pixels,
    which adds a standard deviation of 0.41 px and lets the radius be any number.
    """
    return disk.disk_blur(x, pixels(x, severity))


@corruption("motion_blur", kinds=("image",), severities=SEVERITIES, unit=UNIT, source=SOURCE, declines=one_pixel)
def motion_blur(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Camera in motion: a Gaussian tail to one side, along a random line within 45° of the horizontal.

    Constants (radius r, σ) are ImageNet-C's, scaled by short side / 224. The angle is the sample's own, the same at
    every severity. ImageNet-C adds the image shifted by 0, 1, … 2 r px, in whole pixels both ways; here each of these
    steps is one pixel of a line from −½ to 2 r + ½ px, and the image is interpolated linearly.
    """
    radius, sigma = parameters("motion_blur", MOTION, severity)
    angle = np.deg2rad(rng.uniform(-45, 45))
    y = motion.motion_blur(x, pixels(x, sigma), pixels(x, -0.5), pixels(x, 2 * radius + 0.5), angle)
    return faded(x, y, severity)


@corruption("zoom_blur", kinds=("image",), severities=SEVERITIES, unit=UNIT, source=SOURCE, declines=one_pixel)
def zoom_blur(x: Array, severity: float) -> Array:
    """Camera moving towards the scene: the mean of ever larger versions of the image, about its middle.

    The zooms are ImageNet-C's, up to 1.11, 1.15, 1.2, 1.24 and 1.3, whatever the size of the image, with the image
    itself once more. ImageNet-C's are off the middle by up to a pixel; here the middle stays where it is.
    """
    step, layers = parameters("zoom_blur", ZOOM, severity)
    return faded(x, zoom.zoom_blur(x, step, layers), severity)


@corruption(
    "glass_blur",
    kinds=("image",),
    severities=SEVERITIES,
    unit=UNIT,
    source=SOURCE,
    declines=one_pixel,
    version=2,
    not_monotone="ImageNet-C's severities 2 and 4 displace further than 1 and 3, but in fewer passes",
)
def glass_blur(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Frosted glass: blurred, every pixel taken from a random place nearby, and blurred again.

    Constants (σ, furthest displacement δ, passes) are ImageNet-C's, the first two scaled by short side / 224, and so is
    the loop as published: whole steps from −δ to δ − 1, which shift the image by half a step per pass; in place, so
    that one pixel of a pair is overwritten instead of the two exchanged; the rim spared. The last pass is shortened
    where passes are not whole. Each pixel is displaced by itself, so the second blur evens out less in a small image
    than in a large one. ImageNet-C cuts the first blur's values off to whole grey levels; here they stay.
    """
    sigma, furthest, passes = parameters("glass_blur", GLASS, severity)
    moved = np.zeros((2, *x.shape[:2]), np.float32)
    for k in range(int(np.ceil(passes))):
        steps = rng.random(moved.shape, dtype=np.float32)
        displace.shuffle(moved, steps, furthest, pixels(x, min(passes - k, 1)))
    y = _gaussian(displace.displace(_gaussian(x, sigma), moved[0], moved[1]), sigma)
    return faded(x, y, severity)


def _gaussian(x: Array, sigma: float) -> Array:
    return blur.gaussian_blur(x, blur.sampled_sigma(pixels(x, sigma)))
