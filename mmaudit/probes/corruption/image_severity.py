"""What the image corruptions of ImageNet-C share: tables of several parameters, and sizes in pixels.

ImageNet-C: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
ICLR 2019, arXiv 1903.12261. Its tables are those of imagecorruptions 1.1.2 (Michaelis et al. 2019, arXiv 1907.07484).
"""

from __future__ import annotations

import numpy as np

from mmaudit.errors import BadInput
from mmaudit.types import Array, Modality

SEVERITIES = (1, 2, 3, 4, 5)
UNIT = "ImageNet-C severity"
SOURCE = "ImageNet-C (Hendrycks and Dietterich 2019)"
STYLE = "ImageNet-C-style (after Hendrycks and Dietterich 2019)"
# Sizes in pixels are for this short side, that of ImageNet-C, and shrink or grow with the image.
SHORT_SIDE = 224

Table = tuple[tuple[float, ...], ...]


def parameters(name: str, table: Table, severity: float) -> tuple[float, ...]:
    """Return a table's row at `severity`, interpolated linearly between its rows; below 1 the first row.

    Raises `BadInput` above 5: what comes after the last row, nobody has published.
    """
    if severity > len(table):
        raise BadInput(f"{name}: severity {severity} is above {len(table)}, the last row of ImageNet-C's table.")
    place = max(severity, 1.0) - 1
    i = min(int(place), len(table) - 2)
    t = place - i
    return tuple(a if a == b else (1 - t) * a + t * b for a, b in zip(table[i], table[i + 1], strict=True))


def faded(x: Array, y: Array, severity: float) -> Array:
    """Return `y`; below severity 1, between the clean `x` and `y` = x at severity 1, in proportion."""
    return y if severity >= 1 else x + (y - x) * x.dtype.type(severity)


def pixels(x: Array, at_224: float) -> float:
    """Return a length in pixels of `x` that is `at_224` pixels where the short side has 224 of them."""
    return at_224 * float(min(x.shape[:2])) / SHORT_SIDE


def one_pixel(modality: Modality) -> str | None:
    """Decline images declared as 1×1, in which no pixel has a neighbour."""
    size = [n for n, axis in zip(modality.shape, modality.layout or "", strict=False) if axis in "HW"]
    return f"{modality.name!r} is declared as a single pixel, which has no neighbours" if size == [1, 1] else None


def grey(modality: Modality) -> str | None:
    """Decline images declared with a single channel."""
    channels = [n for n, axis in zip(modality.shape, modality.layout or "", strict=False) if axis == "C"]
    return f"{modality.name!r} has a single channel" if channels in ([], [1]) else None


def luminance(x: Array) -> Array:
    """Return float32 [H, W]: for three channels 0.299 R + 0.587 G + 0.114 B (BT.601), otherwise the channels' mean."""
    weights = (0.299, 0.587, 0.114) if x.shape[2] == 3 else (1 / x.shape[2],) * x.shape[2]
    grey = np.float32(weights[0]) * x[:, :, 0]
    for channel, weight in enumerate(weights[1:], 1):
        grey += np.float32(weight) * x[:, :, channel]
    return np.asarray(grey)


def coloured(rgb: Array, x: Array) -> Array:
    """Return float32 [C]: the colour for x's channels, its luminance in each where x has not three of them."""
    return rgb if x.shape[2] == 3 else np.full(x.shape[2], luminance(rgb[None, None])[0, 0], np.float32)
