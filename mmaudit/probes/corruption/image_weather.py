"""Weather and darkness: snow, frost, fog, spatter, low_light. `x` is float32 [H, W, C] in [0, 1], any channels.

Severities between the rows of ImageNet-C's tables interpolate their parameters; below 1 the image fades from the
clean one to severity 1; above 5 is refused with `BadInput`.
"""

from __future__ import annotations

import math

import numpy as np

from mmaudit.kernels import ice
from mmaudit.kernels import spatter as drops
from mmaudit.kernels.blur import gaussian_blur
from mmaudit.kernels.exposure import underexposed
from mmaudit.kernels.motion import motion_blur
from mmaudit.kernels.plasma import diamond_square
from mmaudit.kernels.random_field import smooth_field, spread
from mmaudit.kernels.warp import zoomed
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.image_severity import (
    SEVERITIES,
    SOURCE,
    STYLE,
    UNIT,
    coloured,
    faded,
    luminance,
    parameters,
    pixels,
)
from mmaudit.types import Array

IMAGE = ("image",)

# errstate: a pixel of infinite value becomes ∞ − ∞ = not a number, and is itself the only one that does.

# Flakes: mean and σ of the noise they are cut from, its zoom, the threshold; their trail: radius and σ; share of the
# image that is not brightened.
SNOW = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
# Share of the image, share of the ice.
FROST = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
# Most px of the ice per pixel.
FROST_PX = 2.0
# Thickness, decay of the cloud's roughness per halving.
FOG = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))
# The liquid: mean and σ of noise, σ of its blur, threshold. Last, of water (rows 1 to 3) how much light it adds at
# most, of mud (4 and 5) the σ of the blur of its spots.
SPATTER = (
    (0.65, 0.3, 4, 0.69, 0.6),
    (0.65, 0.3, 3, 0.68, 0.6),
    (0.65, 0.3, 2, 0.68, 0.5),
    (0.65, 0.3, 1, 0.65, 1.5),
    (0.67, 0.4, 1, 0.65, 1.5),
)
# Pale turquoise and mud brown.
WATER_COLOUR = np.array([175, 238, 238], np.float32) / 255
MUD_COLOUR = np.array([63, 42, 20], np.float32) / 255
# Electrons of a full pixel of a small sensor at about ISO 800, and σ of its read noise.
FULL_WELL, READ_NOISE = 1000, 3


@corruption(
    "snow",
    kinds=IMAGE,
    severities=SEVERITIES,
    unit=UNIT,
    source=STYLE,
    not_monotone="ImageNet-C's rows 2 and 3 move an image about equally far; which of them further depends on it",
)
@np.errstate(invalid="ignore")
def snow(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Falling snow: a whitened scene under two layers of flakes that draw trails.

    x' = k x + (1 − k) max(x, 1.5 grey + 0.5) + f + f turned by 180°. f is Gaussian noise, stretched about its centre,
    what lies below a threshold cut off, drawn out along a line between −135° and −45°. All constants are ImageNet-C's.
    Trails scale with short side / 224, and so do flakes, which are never smaller than 2 px, so that snow in a small
    image still consists of flakes. Images without three channels are whitened by the mean of their channels.

    Differs from imagecorruptions 1.1.2: lengths are not rounded to pixels, the layer is not rounded to 8 bits, and it
    covers the whole of an image that is not square.
    """
    loc, scale, zoom, threshold, radius, sigma, keep = parameters("snow", SNOW, severity)
    height, width = x.shape[:2]
    angle = math.radians(rng.uniform(-135, -45))
    noise = rng.standard_normal((height, width), dtype=np.float32)
    flake = max(pixels(x, zoom), 2.0)
    layer = zoomed(noise, height / flake, width / flake)
    layer *= np.float32(scale)
    layer += np.float32(loc)
    layer[layer < threshold] = 0
    np.minimum(layer, 1, out=layer)
    layer = motion_blur(layer[:, :, None], pixels(x, sigma), 0.0, pixels(x, 2 * radius), angle)[:, :, 0]
    layer += layer[::-1, ::-1].copy()
    y = np.maximum(x, (1.5 * luminance(x) + np.float32(0.5))[:, :, None])
    y *= np.float32(1 - keep)
    y += np.float32(keep) * x
    y += layer[:, :, None]
    return faded(x, np.minimum(y, 1), severity)


@corruption(
    "frost",
    kinds=IMAGE,
    severities=SEVERITIES,
    unit=UNIT,
    source=STYLE,
    not_monotone="ImageNet-C's row 4 adds as much ice as row 3 to a darker image, often nearer to the clean one",
)
@np.errstate(invalid="ignore")
def frost(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Ice on the window: the image seen through crystals.

    x' = a x + b ice, with ImageNet-C's a and b. In the place of ImageNet-C's photographs stand five synthesised
    textures: pointed blades and ferns with branches at 60° over a cloudy ground, of the colours and the contrast of
    the five photographs that imagecorruptions uses. As there, the texture and the part of it that is seen are drawn
    per sample; here it may be turned and mirrored, too. 224 px of it span the short side of any image, but no pixel
    more than 2 of them, so that crystals in a small image are still seen as such. Images without three channels see
    its luminance.

    Differs from imagecorruptions 1.1.2: it cuts the part out at the photograph's own size, so that a small image sees
    little more than one shade of it, and fails where the photograph is hardly larger than the image. Of its six
    photographs two are the same and one is never drawn.
    """
    kept, added = parameters("frost", FROST, severity)
    which, top, left, turn = rng.random(4).tolist()
    texture = ice.ice(int(which * ice.COUNT))
    (height, width), place = x.shape[:2], (int(top * ice.SIDE), int(left * ice.SIDE))
    plane = ice.view(texture, height, width, min(1 / pixels(x, 1), FROST_PX), *place, int(turn * 8))
    y = plane[:, :, None] + coloured(texture.colour, x)
    np.clip(y, 0, 1, out=y)
    y *= np.float32(added)
    y += np.float32(kept) * x
    return faded(x, y, severity)


@corruption(
    "fog",
    kinds=IMAGE,
    severities=SEVERITIES,
    unit=UNIT,
    source=SOURCE,
    not_monotone="ImageNet-C's rows 3 and 4 are equally thick and differ in the cloud's roughness alone",
)
@np.errstate(invalid="ignore")
def fog(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Fog: a plasma fractal laid over the image, which loses contrast and keeps its maximum.

    x' = (x + c p) m / (m + c), m the image's maximum, p in [0, 1] a diamond-square map of the next power of two of
    the long side (at least 16), of which the image shows one corner; c and the decay of p's roughness are
    ImageNet-C's. The map spans the image whatever its size, so nothing here depends on pixels. A black image stays
    black: fog is seen by the light that it scatters. Any number of channels.

    Differs from imagecorruptions 1.1.2, which raises with NumPy 2.
    """
    thickness, decay = parameters("fog", FOG, severity)
    height, width = x.shape[:2]
    side = max(16, 1 << (max(height, width) - 1).bit_length())
    noise = rng.random((side, side), dtype=np.float32)
    noise *= 2
    noise -= 1
    brightest = float(x.max(initial=0, where=np.isfinite(x)))
    y = np.float32(thickness) * diamond_square(noise, decay)[:height, :width, None] + x
    y *= np.float32(brightest / (brightest + thickness))
    return faded(x, y, severity)


@corruption(
    "spatter",
    kinds=IMAGE,
    severities=SEVERITIES,
    unit=UNIT,
    source=STYLE,
    not_monotone="ImageNet-C changes from water to mud at severity 4; a dark image moves further under water",
)
@np.errstate(invalid="ignore")
def spatter(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Drops of water, from severity 4 on spots of mud, on the lens.

    Severities 1 to 3 add the light of drops of water, pale turquoise; 4 and 5 cover the image with mud, brown; from 3
    to 4 one fades into the other. Both lie where blurred Gaussian noise exceeds a threshold. All constants are
    ImageNet-C's; blurs scale with short side / 224, but that of the noise never below 1 px, and there is always at
    least one drop or spot. Images without three channels take the luminance of water and mud for every channel.

    Differs from imagecorruptions 1.1.2: a drop's light comes from the field that it is cut from, continuous and
    smaller than pixels, in the place of Canny edges, a distance transform and an equalised histogram; spots have
    soft edges. There, an image without any drop becomes not-a-number.
    """
    noise = rng.standard_normal(x.shape[:2], dtype=np.float32)
    if severity >= 4:
        return _muddied(x, noise, *parameters("spatter", SPATTER, severity))
    y = _watered(x, noise, *parameters("spatter", SPATTER, min(severity, 3)))
    if severity > 3:
        y += np.float32(severity - 3) * (_muddied(x, noise, *parameters("spatter", SPATTER, 4)) - y)
    return faded(x, y, severity)


def _watered(x: Array, noise: Array, loc: float, scale: float, sigma: float, threshold: float, light: float) -> Array:
    unit = max(pixels(x, 1), 1 / sigma)
    layer = drops.water(smooth_field(noise, sigma * unit), loc, scale * spread(sigma), threshold, sigma, unit)
    return np.minimum(x + layer[:, :, None] * (np.float32(light) * coloured(WATER_COLOUR, x)), 1)


def _muddied(x: Array, noise: Array, loc: float, scale: float, sigma: float, threshold: float, blur: float) -> Array:
    unit = max(pixels(x, 1), 1 / sigma)
    field = smooth_field(noise, sigma * unit)
    spots = field > min((threshold - loc) / (scale * spread(sigma)), field.max() - 0.5)
    covered = drops.mud(gaussian_blur(spots[:, :, None].astype(np.float32), blur * unit)[:, :, 0])[:, :, None]
    return np.asarray(x + covered * (coloured(MUD_COLOUR, x) - x))


@corruption(
    "low_light",
    kinds=IMAGE,
    severities=(1, 2, 3, 4, 5),
    unit="stops of exposure lost",
    source="Poissonian-Gaussian sensor noise (Foi et al. 2008); exposures by mmaudit",
)
def low_light(x: Array, severity: float, rng: np.random.Generator) -> Array:
    """Too little light: an image darker by some stops, with the noise of the photons that are left.

    Severity is the exposure lost in stops, that is halvings: t = 2^−severity of the light is left. In linear light L
    (sRGB's transfer curve undone), with a sensor that is full at N = 1000 electrons and reads with σ = 3 electrons:

        L' = t L + n √( t (1 − t) L / N + (1 − t²) σ² / N² ),  n ~ N(0, 1),

    clipped at 0 and encoded in sRGB again. Photon noise follows from each recorded electron being kept with
    probability t; the variance is signal-dependent plus constant as in Foi et al., "Practical Poissonian-Gaussian
    Noise Modeling and Fitting for Single-Image Raw-Data", IEEE TIP 17(10), 2008. The noise that the image came with
    is taken as that of the full exposure, so only what the loss of light adds is added, and none at 0 stops. N is
    that of a small sensor at about ISO 800. Any number of channels, each with its own noise; images of other
    quantities than light are treated as if they were sRGB.
    """
    noise = rng.standard_normal(x.shape, dtype=np.float32)
    return np.asarray(underexposed(x, noise, 2.0**-severity, FULL_WELL, READ_NOISE))
