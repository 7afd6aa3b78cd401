"""What screens, files and image processing do, ImageNet-C's five. `x` is float32 [H, W, C] in [0, 1].

None of them has a size in pixels that would have to be scaled: cells of `pixelate` are relative to the image, and the
blocks of a JPEG file are 8 px in any image.
"""

from __future__ import annotations

import numpy as np

from mmaudit.errors import BadInput, NotApplicable
from mmaudit.kernels import colour
from mmaudit.kernels.pixelate import pixelate as cells
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption import jpeg
from mmaudit.probes.corruption.image_severity import SEVERITIES, SOURCE, UNIT, faded, one_pixel, parameters
from mmaudit.types import Array, Modality

# Saturation is multiplied by the first and raised by the second.
SATURATE = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))


def colourless(modality: Modality) -> str | None:
    """Return why a modality has no colours to saturate; None for images declared to have three channels."""
    axis = {"HWC": -1, "CHW": -3}.get(modality.layout or "")
    channels = 1 if axis is None else modality.shape[axis]
    if channels == 3:
        return None
    has = (
        "a number of channels that is not declared" if channels is None else f"{channels} channel{'s' * (channels > 1)}"
    )
    return f"{modality.name!r} has {has}; saturation needs red, green and blue"


@corruption(
    "brightness",
    kinds=("image",),
    severities=(0.1, 0.2, 0.3, 0.4, 0.5),
    unit="added to the value, of the legal range",
    source=SOURCE,
)
def brightness(x: Array, severity: float) -> Array:
    """Brighter: the HSV value of every pixel raised.

    V' = min(V + c, 1) with ImageNet-C's c; hue and saturation stay, so a pixel whose largest channel is at its limit
    does not change. Images that have not three channels have no HSV value: there, each channel is raised.
    """
    if x.shape[2] == 3:
        return np.asarray(colour.add_to_value(x, np.float32(severity)))
    return np.minimum(x + np.float32(severity), np.float32(1))


@corruption(
    "contrast",
    kinds=("image",),
    severities=(0.6, 0.7, 0.8, 0.9, 0.95),
    unit="share of contrast lost",
    source=SOURCE,
    declines=one_pixel,
)
def contrast(x: Array, severity: float) -> Array:
    """Less contrast: every channel closer to its own mean over the image.

    x' = mean + k (x − mean), with ImageNet-C's k = 1 − severity: 0.4, 0.3, 0.2, 0.1, 0.05.

    Raises:
        BadInput: a severity above 1.
    """
    if severity > 1:
        raise BadInput(f"contrast: severity {severity} is above 1, where nothing but the mean is left.")
    return np.asarray(colour.scale_contrast(x, np.float32(1 - severity)))


@corruption(
    "saturate",
    kinds=("image",),
    severities=SEVERITIES,
    unit=UNIT,
    source=SOURCE,
    declines=colourless,
    not_monotone="severities 1 and 2 take colour away, 3 to 5 add it; between 2 and 3 the image passes through itself",
)
def saturate(x: Array, severity: float) -> Array:
    """Less (severities 1 and 2) or more (3 to 5) saturated colours.

    HSV saturation S' = a S + b, cut off at 0 and 1, with ImageNet-C's (a, b): (0.3, 0), (0.1, 0), (2, 0), (5, 0.1),
    (20, 0.2). With b above 0 pixels without colour become reddish, as they do there, because HSV gives grey the hue
    of red. Modalities that are not declared to have three channels are declined.

    Raises:
        BadInput: a severity above 5.
        NotApplicable: an image that has not three channels.
    """
    if x.shape[2] != 3:
        raise NotApplicable(f"saturate: an image of shape {x.shape} has no red, green and blue to saturate.")
    factor, amount = parameters("saturate", SATURATE, severity)
    return faded(x, colour.scale_saturation(x, np.float32(factor), np.float32(amount)), severity)


@corruption(
    "pixelate",
    kinds=("image",),
    severities=(0.4, 0.5, 0.6, 0.7, 0.75),
    unit="share of resolution lost",
    source=SOURCE,
    declines=one_pixel,
)
def pixelate(x: Array, severity: float) -> Array:
    """Larger pixels: the mean over square cells.

    Cells are 1 / k px wide, with ImageNet-C's k = 1 − severity: 0.6, 0.5, 0.4, 0.3, 0.25. A pixel belongs to the cell
    that its middle is in. ImageNet-C makes a whole number of cells, rounded down, span the image; here the last
    cell may be cut.

    Raises:
        BadInput: a severity of 1 or more.
    """
    if severity >= 1:
        raise BadInput(f"pixelate: severity {severity} must be below 1, where no resolution is left.")
    return np.asarray(cells(x, 1 - severity))


@corruption(
    "jpeg_compression",
    kinds=("image",),
    severities=(75, 82, 85, 90, 93),
    unit="100 − JPEG quality",
    source=SOURCE,
)
def jpeg_compression(x: Array, severity: float) -> Array:
    """JPEG file, written and read again.

    ImageNet-C's qualities 25, 18, 15, 10, 7 on the scale of the IJG library. Three channels are stored as colour, with
    half the resolution for colour (4:2:0); any other number as that many grey images. Values are rounded to 8 bit
    first. Between whole qualities the quantisation tables are between theirs.

    Raises:
        BadInput: a severity above 99, that is a quality below 1.
    """
    if severity > 99:
        raise BadInput(f"jpeg_compression: severity {severity} is above 99, the lowest JPEG quality being 1.")
    return jpeg.roundtrip(x, 100 - severity)
