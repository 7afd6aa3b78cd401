"""Exhibits out of a file that anybody may have written: checked before they are unpacked, and written anew.

What goes on to a browser is a PNG or WAV that this module encoded; no byte of the file's own pictures and sounds does.
"""

from __future__ import annotations

import base64
import io
import math
import struct
import wave
from typing import Any

from mmaudit.formats import printable

MAX_ENCODED = 8 * 2**20  # letters of base64
MAX_SIDE = 4_096
MAX_PIXELS = 4_194_304
MAX_TEXT = 2**20
MAX_CURVES = 64
MAX_NUMBERS = 100_000
RATES = (1_000, 192_000)  # Hz
ENLARGED = 256  # px; smaller pictures are shown with their pixels


def checked(exhibit: Any) -> dict[str, Any]:
    """Return an exhibit in the forms of `mmaudit.browse.kept.Side`.

    Args:
        exhibit: parsed JSON, as `mmaudit.exhibits.exhibit` writes it, or `{"absent": true}`.

    Raises:
        ValueError: it has none of the forms, or a picture or sound is damaged, too large or of another format.
    """
    if not isinstance(exhibit, dict):
        raise ValueError("it is not a JSON object")
    match exhibit:
        case {"absent": True}:
            return {"absent": True}
        case {"text": str(text)} if len(text) <= MAX_TEXT:
            return {"text": printable(text), **_total(exhibit)}
        case {"image": str(uri)}:
            return _picture(uri)
        case {"curves": list(curves)} if len(curves) <= MAX_CURVES:
            sound = _sound(exhibit["audio"]) if "audio" in exhibit else {}
            return {"curves": [_numbers(curve) for curve in curves], **sound}
        case {"values": list(values)}:
            return {"values": _numbers(values), **(_total(exhibit) or {"of": len(values)})}
    raise ValueError("it is neither text, picture, sound, curves nor values")


def _total(exhibit: dict[str, Any]) -> dict[str, int]:
    if "of" not in exhibit:
        return {}
    if not isinstance(exhibit["of"], int) or not 0 <= exhibit["of"] < 2**62:
        raise ValueError("it states no usable length")
    return {"of": int(exhibit["of"])}


def _numbers(values: Any) -> list[float | None]:
    if not isinstance(values, list) or len(values) > MAX_NUMBERS:
        raise ValueError("a list of numbers is too long, or none")
    if any(v is not None and (isinstance(v, bool) or not isinstance(v, int | float)) for v in values):
        raise ValueError("a list of numbers holds something else")
    return [_number(v) for v in values]


def _number(value: int | float | None) -> float | None:
    if value is None or abs(value) > 1e308 or not math.isfinite(value):
        return None
    return float(value)


def _content(uri: Any, kinds: tuple[str, ...]) -> bytes:
    """The bytes of a data URI of one of these kinds."""
    if not isinstance(uri, str) or len(uri) > MAX_ENCODED:
        raise ValueError(f"its data are longer than {MAX_ENCODED} letters, or no text")
    head, comma, encoded = uri.partition(",")
    if not comma or head not in {f"data:{kind};base64" for kind in kinds}:
        raise ValueError(f"its data are not {' or '.join(kinds)}")
    return base64.b64decode(encoded, validate=True)  # binascii.Error is a ValueError


# ---- pictures


def _picture(uri: str) -> dict[str, Any]:
    from PIL import Image

    data = _content(uri, ("image/png", "image/webp"))
    width, height = stated_size(data)
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise ValueError(f"a picture of {width} × {height} px is too large or empty; at most {MAX_PIXELS} px are shown")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as image:
            if image.size != (width, height):
                raise ValueError("the picture states two sizes")
            image.load()
            plain = image if image.mode in ("L", "RGB") else image.convert("RGBA" if "A" in image.mode else "RGB")
            if (factor := ENLARGED // max(plain.size)) > 1:
                plain = plain.resize((width * factor, height * factor), Image.Resampling.NEAREST)
            # A new picture: what the file says beside its pixels stays behind.
            clean = Image.frombytes(plain.mode, plain.size, plain.tobytes())
    except (OSError, SyntaxError, EOFError, MemoryError, struct.error, Image.DecompressionBombError) as error:
        raise ValueError(f"the picture is damaged: {error}") from None
    buffer = io.BytesIO()
    clean.save(buffer, "PNG", compress_level=3)
    return {"image": buffer.getvalue(), "width": clean.width, "height": clean.height}


def stated_size(data: bytes) -> tuple[int, int]:
    """Width and height in px that a PNG or WebP states in its head, before anything is decoded.

    Raises:
        ValueError: the bytes are neither.
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        kind = data[12:16]
        if kind == b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        if kind == b"VP8L" and data[20] == 0x2F:
            bits = int.from_bytes(data[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
    raise ValueError("the picture is neither PNG nor WebP")


# ---- sounds


def _sound(uri: Any) -> dict[str, Any]:
    """A sound as a new 16-bit WAV, its sampling rate and length."""
    data = _content(uri, ("audio/wav",))
    try:
        with wave.open(io.BytesIO(data), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if width != 2 or channels not in (1, 2) or not RATES[0] <= rate <= RATES[1]:
                raise ValueError(f"a sound of {channels} channels, {8 * width} bit and {rate} Hz is not played")
            # The head may state more frames than there are; no more than the file holds are asked for.
            frames = file.readframes(min(file.getnframes(), len(data) // (width * channels)))
    except (wave.Error, EOFError, struct.error, RuntimeError, OSError) as error:
        raise ValueError(f"the sound is damaged: {error}") from None
    frames = frames[: len(frames) // (width * channels) * width * channels]
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(frames)
    return {"audio": buffer.getvalue(), "rate": rate, "seconds": len(frames) / (width * channels * rate)}
