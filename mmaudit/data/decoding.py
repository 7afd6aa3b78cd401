"""Encoded files of one sample (image, audio, text, NumPy array) turned into the arrays and strings that a model gets.

The bytes are not trusted: only raster formats are opened, sizes are checked before pixels or samples are unpacked, and
nothing is ever unpickled.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from tokenize import TokenError  # NumPy reads an array's header as Python text

import numpy as np

from mmaudit.data.audio_files import MAX_VALUES, AudioDecoder
from mmaudit.data.columns import sample_array
from mmaudit.data.decoder import MAX_BYTES, Decoder, one_line
from mmaudit.data.image_files import MAX_PIXELS, ImageDecoder
from mmaudit.data.infer import KindLike, parse_kind
from mmaudit.errors import BadInput
from mmaudit.given import number, whole
from mmaudit.types import Array, Modality

__all__ = ["MAX_BYTES", "ArrayDecoder", "AudioDecoder", "Decoder", "ImageDecoder", "TextDecoder", "decoder_of"]


@dataclass(frozen=True)
class TextDecoder:
    """Text files in UTF-8; a byte order mark is dropped."""

    said = ""

    def decode(self, content: bytes, name: str) -> str:
        """Return the text."""
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadInput(f"text file {name} is not UTF-8 ({error.reason} at byte {error.start}).") from error

    def described(self, modality: Modality) -> Modality:
        """Return the modality as it is."""
        return modality


@dataclass(frozen=True)
class ArrayDecoder:
    """NumPy .npy files of numbers; a pickled one is refused."""

    said = ""

    def decode(self, content: bytes, name: str) -> Array:
        """Return the array."""
        try:
            stream = io.BytesIO(content)
            values = np.lib.format.read_array(stream, allow_pickle=False, max_header_size=1_000)
        except (ValueError, OSError, EOFError, MemoryError, OverflowError, SyntaxError, TypeError, TokenError) as error:
            raise BadInput(
                f"array file {name} cannot be read ({one_line(error)}); write it with numpy.save, as numbers "
                "(pickled arrays are refused)."
            ) from error
        return sample_array(values, f"array file {name}")

    def described(self, modality: Modality) -> Modality:
        """Return the modality as it is."""
        return modality


_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "image": ("mode", "size", "max_pixels"),
    "audio": ("channels", "seconds", "max_values"),
}


def decoder_of(name: str, kind: KindLike) -> tuple[Modality, Decoder]:
    """Return the modality that `kind` declares, and how its files are decoded.

    Args:
        name: of the modality.
        kind: a `Modality`, or text as in `parse_kind`, with these options more: for images `mode=RGB`, `mode=L` or
            `mode=I;16`, and `size=HEIGHTxWIDTH`; for audio `channels=mono` or `channels=all`, and `seconds=1.5`. An
            audio's `sample_rate` is the one that files are resampled to.

    Raises:
        BadInput: an unknown kind or option, or a value that cannot be read.
    """
    if isinstance(kind, Modality):
        declared, options = kind, {}
    else:
        head, *parts = [part.strip() for part in kind.split(",")]
        own = [part for part in parts if part.partition("=")[0] in _OPTIONS.get(head, ())]
        declared = parse_kind(name, ",".join([head, *(part for part in parts if part not in own)]))
        options = {key: value for key, _, value in (part.partition("=") for part in own)}
    if declared.name != name:
        raise BadInput(f"input {name!r} is declared as modality {declared.name!r}; the names must agree.")
    decoder = _decoder(declared, options)
    return decoder.described(declared), decoder


def _decoder(modality: Modality, options: Mapping[str, str]) -> Decoder:
    try:
        if modality.kind == "image":
            mode = options.get(
                "mode", "I;16" if modality.dtype == "uint16" else "L" if modality.layout == "HW" else "RGB"
            )
            size = tuple(whole(x) for x in options["size"].split("x")) if "size" in options else None
            pixels = whole(options["max_pixels"]) if "max_pixels" in options else MAX_PIXELS
            return ImageDecoder(mode, size, pixels)  # type: ignore[arg-type]
        if modality.kind == "audio":
            return AudioDecoder(
                modality.sample_rate,
                options.get("channels", "all" if modality.layout == "TC" else "mono"),
                number(options["seconds"]) if "seconds" in options else None,
                whole(options["max_values"]) if "max_values" in options else MAX_VALUES,
            )
    except BadInput as error:
        raise BadInput(f"modality {modality.name!r}: {error}") from None
    except ValueError as error:
        raise BadInput(
            f"modality {modality.name!r}: {error}; write size=224x224 (height x width), seconds=1.5."
        ) from error
    return TextDecoder() if modality.kind == "text" else ArrayDecoder()
