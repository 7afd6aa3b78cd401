"""One exhibit of a stranger's run: checked before it is unpacked, and written anew."""

from __future__ import annotations

import base64
import io
import json
import struct
import time
import tracemalloc
import wave
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmaudit.browse.media import MAX_TEXT, checked, stated_size

PIXELS = (np.arange(5 * 7 * 3).reshape(5, 7, 3) * 2).astype(np.uint8)


def uri(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def picture(form: str = "PNG", pixels: Any = PIXELS, **how: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **how)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, body: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def sound(channels: int = 1, width: int = 2, rate: int = 8000, frames: bytes = bytes(range(200))) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(frames)
    return buffer.getvalue()


FORMS = [("PNG", {}), ("WEBP", {"lossless": True}), ("WEBP", {"quality": 90})]


@pytest.mark.parametrize(
    ("form", "how", "mode"),
    [(form, how, mode) for form, how in FORMS for mode in ("RGB", "L", "RGBA", "P") if form == "PNG" or mode != "P"],
)
def test_a_picture_is_written_anew_with_its_own_pixels(form: str, how: dict[str, Any], mode: str) -> None:
    source = Image.fromarray(PIXELS).convert(mode)
    buffer = io.BytesIO()
    source.save(buffer, form, **how)
    shown = checked({"image": uri(f"image/{form.lower()}", buffer.getvalue())})
    with Image.open(io.BytesIO(shown["image"])) as image:
        assert image.format == "PNG"
        assert image.size == (shown["width"], shown["height"]) == (7 * 36, 5 * 36), "enlarged pixel by pixel"
        small = np.asarray(image.convert("RGB"))[::36, ::36].astype(int)
    assert np.abs(small - np.asarray(source.convert("RGB")).astype(int)).mean() < (1 if how != {"quality": 90} else 25)


def test_what_a_picture_says_beside_its_pixels_stays_behind() -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("comment", "zebra")
    for data in (picture(pnginfo=info), picture() + b"zebra" * 9, picture(exif=b"Exif\x00\x00zebra")):
        assert b"zebra" in data
        assert b"zebra" not in checked({"image": uri("image/png", data)})["image"]


def test_large_pictures_keep_their_size() -> None:
    shown = checked({"image": uri("image/png", picture(pixels=np.zeros((200, 300), np.uint8)))})
    assert (shown["width"], shown["height"]) == (300, 200)


@pytest.mark.parametrize("form", ["lossy", "lossless", "extended"])
def test_the_size_of_a_webp_is_read_from_its_head(form: str) -> None:
    rgba = np.dstack([PIXELS, np.arange(35, dtype=np.uint8).reshape(5, 7)])
    how = {"lossy": {"quality": 80}, "lossless": {"lossless": True}, "extended": {"exif": b"Exif\x00\x00x"}}[form]
    data = picture("WEBP", rgba if form == "extended" else PIXELS, **how)
    assert data[12:16] == {"lossy": b"VP8 ", "lossless": b"VP8L", "extended": b"VP8X"}[form]
    assert stated_size(data) == (7, 5)


BOMB = png(60_000, 60_000, zlib.compress(bytes(2**20), 9) * 4)
WEBP_BOMB = b"RIFF\x64\x00\x00\x00WEBPVP8L\x40\x00\x00\x00\x2f" + struct.pack("<I", 16_382 | 16_382 << 14) + bytes(80)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


@pytest.mark.parametrize(
    ("exhibit", "said"),
    [
        ({"image": uri("image/png", BOMB)}, "60000 × 60000 px is too large"),
        ({"image": uri("image/webp", WEBP_BOMB)}, "16383 × 16383 px is too large"),
        ({"image": uri("image/png", png(0, 5, b""))}, "0 × 5 px"),
        ({"image": uri("image/png", png(8, 8, b"no zlib"))}, "damaged"),
        ({"image": uri("image/png", picture()[:50])}, "damaged"),
        ({"image": uri("image/png", SVG)}, "neither PNG nor WebP"),
        ({"image": uri("image/svg+xml", SVG)}, "not image/png or image/webp"),
        ({"image": uri("image/gif", picture("GIF", PIXELS[:, :, 0]))}, "not image/png"),
        ({"image": uri("image/png", picture("GIF", PIXELS[:, :, 0]))}, "neither PNG nor WebP"),
        ({"image": "https://evil.example/x.png"}, "not image/png"),
        ({"image": "javascript:alert(1)"}, "not image/png"),
        ({"image": "data:image/png;base64,@@@@"}, "base64|Only"),
        ({"image": uri("image/png", bytes(2**23))}, "longer than"),
        ({"image": 7}, "neither text"),
        ({"curves": [[0.0]], "audio": uri("audio/mpeg", sound())}, "not audio/wav"),
        ({"curves": [[0.0]], "audio": uri("audio/wav", sound(channels=9, frames=bytes(180)))}, "9 channels"),
        ({"curves": [[0.0]], "audio": uri("audio/wav", sound(width=3, frames=bytes(180)))}, "24 bit"),
        ({"curves": [[0.0]], "audio": uri("audio/wav", sound(rate=2))}, "2 Hz"),
        ({"curves": [[0.0]], "audio": uri("audio/wav", b"RIFF")}, "damaged"),
        ({"curves": [[0.0]], "audio": None}, "no text"),
        ({"curves": [["<b>"]]}, "something else"),
        ({"curves": [[True]]}, "something else"),
        ({"curves": [{"a": 1}]}, "list of numbers"),
        ({"curves": [[0.0]] * 1000}, "neither text"),
        ({"values": [0.0] * 200_000}, "too long"),
        ({"values": [1.0], "of": -1}, "length"),
        ({"values": [1.0], "of": "many"}, "length"),
        ({"values": {"a": 1}}, "neither text"),
        ({"text": 7}, "neither text"),
        ({"text": "x" * (MAX_TEXT + 1)}, "neither text"),
        ({"absent": "yes"}, "neither text"),
        ({}, "neither text"),
        ([], "not a JSON object"),
        (None, "not a JSON object"),
    ],
)
def test_what_is_no_exhibit_is_refused_before_it_is_unpacked(exhibit: Any, said: str) -> None:
    began = time.process_time()
    tracemalloc.start()
    with pytest.raises(ValueError, match=said):
        checked(exhibit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**26
    assert time.process_time() - began < 1


def test_a_sound_is_written_anew_whatever_its_head_promises() -> None:
    shown = checked({"curves": [[0.0, None, 1]], "audio": uri("audio/wav", sound(frames=bytes(160)))})
    assert (shown["rate"], shown["seconds"], shown["curves"]) == (8000, 0.01, [[0.0, None, 1.0]])
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    lies = b"RIFF" + b"\xff" * 4 + b"WAVE" + form + b"data" + struct.pack("<I", 2**32 - 9) + bytes(101)
    with wave.open(io.BytesIO(checked({"curves": [], "audio": uri("audio/wav", lies)})["audio"])) as file:
        assert file.getnframes() == 50


def test_numbers_that_are_not_finite_become_none() -> None:
    assert checked(json.loads('{"values": [NaN, Infinity, -1e400, 2]}'))["values"] == [None, None, None, 2.0]
    assert checked({"values": [10**400, None], "of": 9}) == {"values": [None, None], "of": 9}
