"""An image through a JPEG file and back, by Pillow, at any quality, whole or not."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from mmaudit.kernels import cast, packing
from mmaudit.types import Array

# The quantisation tables of the JPEG standard (ITU-T T.81, annex K.1), for brightness and for colour, row by row.
_BRIGHTNESS = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
_COLOUR = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
    *(99, 99, 99, 99, 99, 99, 99, 99),
)


def roundtrip(x: Array, quality: float) -> Array:
    """Return float32 [H, W, C] in [0, 1] as it comes back from a JPEG file; `x` is overwritten.

    Args:
        x: image; three channels are stored as RGB with colour at half resolution, others one by one as grey.
        quality: of the IJG library, in [1, 100].
    """
    height, width, channels = x.shape
    x = np.ascontiguousarray(x)
    tables = _tables(quality)
    if channels == 3:
        # Pillow uses this form of colour in place, without a copy of its own.
        image = Image.frombuffer("RGBX", (width, height), packing.rgbx(x), "raw", "RGBX", 0, 1)
        packing.unpack(_stored(image, qtables=tables, subsampling="4:2:0"), x)
        return x
    pixels = np.empty((height, width), np.uint8)
    for c in range(channels):
        cast.from_unit(np.ascontiguousarray(x[:, :, c]), np.float32(0), np.float32(255), pixels)
        x[:, :, c] = _stored(Image.fromarray(pixels), qtables=tables[:1]) * np.float32(1 / 255)
    return x


def _stored(image: Image.Image, **options: Any) -> Array:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    # Naming the format saves Pillow trying others.
    with Image.open(file, formats=("JPEG",)) as found:
        return np.asarray(found)


@lru_cache(maxsize=64)
def _tables(quality: float) -> tuple[list[int], ...]:
    """Quantisation tables of the IJG library, whose formula does not need a whole quality."""
    percent = int(5000 / quality if quality < 50 else 200 - 2 * quality)
    scaled = np.clip((np.array([_BRIGHTNESS, _COLOUR]) * percent + 50) // 100, 1, 255)
    return tuple(table.tolist() for table in scaled)
