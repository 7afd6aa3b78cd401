"""Image files of one sample turned into pixels; the bytes are not trusted."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmaudit.data.decoder import DAMAGE, one_line, settled
from mmaudit.errors import BadInput
from mmaudit.types import Array, Modality

# Pillow can open formats that start other programs (EPS) or are seldom meant (ICNS, PSD).
_IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_IMAGE_MODES = ("RGB", "L", "I;16")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")
MAX_PIXELS = 64_000_000


@dataclass(frozen=True)
class ImageDecoder:
    """Image files as uint8 [H, W, 3] (`RGB`) or [H, W] (`L`), or uint16 [H, W] (`I;16`).

    The orientation that a camera wrote (EXIF) is applied. Transparency is dropped, as `Image.convert("RGB")` does; of
    an animation the first frame is read. Floating-point pixels, which a TIFF may hold, are refused: their range is not
    known, and most would come out black or cut off.

    Attributes:
        mode: `RGB`, `L` (grey; luma of ITU-R 601) or `I;16` (16-bit grey, as radiographs are; a file of 8 bits or with
            a palette is refused, as its values are on another scale).
        size: (height, width) to resize to, bilinear with antialiasing; None keeps each image's own size, so that images
            of differing sizes make a ragged modality.
        max_pixels: larger images are refused before they are unpacked.
    """

    mode: str = "RGB"
    size: tuple[int, int] | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.mode not in _IMAGE_MODES:
            raise BadInput(f"image mode {self.mode!r} is not one of {', '.join(_IMAGE_MODES)}.")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise BadInput(f"image size {self.size} is not usable; give (height, width), both at least 1.")
        if self.size is not None and math.prod(self.size) > self.max_pixels:
            raise BadInput(f"image size {self.size} is more than {self.max_pixels:,} pixels; give a smaller one.")

    @property
    def said(self) -> str:
        """What is done to every file, in words."""
        return f"resized to {self.size[0]}x{self.size[1]}" if self.size else ""

    def decode(self, content: bytes, name: str) -> Array:
        """Return the picture as an array; see the class."""
        from PIL import Image, ImageOps

        try:
            with Image.open(io.BytesIO(content), formats=_IMAGE_FORMATS) as opened:
                width, height = opened.size
                if width * height > self.max_pixels:
                    raise BadInput(
                        f"image {name} has {width:,} x {height:,} pixels, more than the {self.max_pixels:,} that "
                        "are unpacked; make it smaller first."
                    )
                if opened.mode == "F":
                    raise BadInput(
                        f"image {name} has floating-point pixels, whose range is not known; save it with 8 or 16 bits "
                        "per pixel, or put the numbers into a .npz or zarr array."
                    )
                if opened.mode in _SIXTEEN_BITS and self.mode != "I;16":
                    raise BadInput(
                        f"image {name} has 16 bits per pixel, which 8-bit {self.mode} would cut off; read it with "
                        "mode 'I;16'."
                    )
                picture = ImageOps.exif_transpose(opened)
                if self.mode == "I;16":
                    return self._sixteen(picture, name)
                if picture.mode == "P" and "transparency" in picture.info:
                    picture = picture.convert("RGBA")
                picture = picture if picture.mode == self.mode else picture.convert(self.mode)
                if self.size is not None and picture.size != self.size[::-1]:
                    picture = picture.resize(self.size[::-1], Image.Resampling.BILINEAR)
                return np.array(picture)
        except BadInput:
            raise
        # Warning: a caller may have made warnings errors; Pillow warns of damage and of very large images.
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning, *DAMAGE) as error:
            raise BadInput(
                f"image {name} cannot be decoded ({one_line(error)}); copy it again, or leave its cell empty to mark "
                f"it as not recorded. Formats read: {', '.join(_IMAGE_FORMATS)}."
            ) from error

    def _sixteen(self, picture: Any, name: str) -> Array:
        if picture.mode not in _SIXTEEN_BITS:
            raise BadInput(
                f"image {name} (Pillow's mode {picture.mode}) is not 16-bit grey, so its values are on another scale; "
                "read it with mode 'RGB' or 'L', or save it with 16 bits per pixel as the other files are."
            )
        values = np.array(picture)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65_535:
            raise BadInput(
                f"image {name} holds values from {values.min():,} to {values.max():,}, and 16 bits hold 0 to 65,535; "
                "save it on that scale, or put the numbers into a .npz or zarr array."
            )
        values = values.astype(np.uint16)
        if self.size is None or values.shape == self.size:
            return values
        from PIL import Image

        resized = Image.fromarray(values.astype(np.float32)).resize(self.size[::-1], Image.Resampling.BILINEAR)
        whole: Array = np.clip(np.rint(np.array(resized)), 0, 65_535).astype(np.uint16)
        return whole

    def described(self, modality: Modality) -> Modality:
        """Return the modality with layout, range and dtype."""
        layout = "HWC" if self.mode == "RGB" else "HW"
        bounds = (0.0, 65_535.0) if self.mode == "I;16" else (0.0, 255.0)
        dtype = "uint16" if self.mode == "I;16" else "uint8"
        return settled(modality, layout=layout, range=bounds, dtype=dtype)
