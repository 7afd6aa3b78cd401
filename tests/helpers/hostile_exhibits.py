"""Kept inputs of a stranger: pictures that are bombs, sounds that lie, and exhibits that are none."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from helpers.hostile_case import Hostile, conditions
from helpers.hostile_files import cut, table_of
from helpers.hostile_texts import HTML


def bomb_png(side: int = 60_000) -> bytes:
    """A sound PNG of side × side black pixels: kilobytes on disk, 3.6 GB as pixels."""
    return _png(side, side, zlib.compress(bytes(2**20), 9) * 4)


def lying_png() -> bytes:
    """Its head says 8 × 8; its data unpack to 128 MiB."""
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(bytes(2**20)) for _ in range(128)) + packer.flush()
    return _png(8, 8, body)


def _png(width: int, height: int, body: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def bomb_webp() -> bytes:
    """A WebP of 16,383 × 16,383 equal pixels, made without ever having them: a lossless head and little else."""
    size = 16_383 - 1
    bits = struct.pack("<I", size | size << 14)
    body = b"\x2f" + bits + bytes(64)
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def lying_wav() -> bytes:
    """A WAV whose head promises 4 GB."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    return b"RIFF" + struct.pack("<I", 2**32 - 1) + b"WAVE" + form + b"data" + struct.pack("<I", 2**32 - 9) + bytes(100)


@cache
def exhibits() -> dict[str, dict[str, Any]]:
    """Hostile exhibits by name, in the form of `mmaudit.exhibits.exhibit`."""

    def uri(mime: str, content: bytes) -> str:
        return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"

    svg = f"<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked=1'>{HTML}</svg>".encode()
    return {
        "png-bomb": {"image": uri("image/png", bomb_png())},
        "png-lies": {"image": uri("image/png", lying_png())},
        "webp-bomb": {"image": uri("image/webp", bomb_webp())},
        "svg": {"image": uri("image/svg+xml", svg)},
        "svg-called-png": {"image": uri("image/png", svg)},
        "html": {"image": uri("text/html", HTML.encode())},
        "javascript": {"image": "javascript:window.hacked=1"},
        "remote": {"image": "http://evil.example/x.png"},
        "file": {"image": "file:///etc/passwd"},
        "not-base64": {"image": "data:image/png;base64,@@@@"},
        "image-number": {"image": 7},
        "wav-lies": {"audio": uri("audio/wav", lying_wav()), "curves": [[0.0, 1.0]]},
        "mp3": {"audio": uri("audio/mpeg", b"ID3" + bytes(100)), "curves": [[0.0, 1.0]]},
        "curves-text": {"curves": [["<b>", None]]},
        "curves-long": {"curves": [[0.0] * 200_000]},
        "curves-many": {"curves": [[0.0]] * 100_000},
        "values-deep": {"values": [[[[1.0]]]], "of": 1},
        "nothing": {},
        "unknown": {"script": HTML},
    }


def write_exhibits(folder: Path, shown: dict[str, Any] | str, modality: str = "photo") -> None:
    """An exhibits.parquet that holds one exhibit as the original and as the first perturbed version of sample 0.

    Its metadata are what `mmaudit.browse.kept` asks for; `shown` may be a text that is no JSON.
    """
    text = shown if isinstance(shown, str) else json.dumps(shown)
    rows = {
        "position": pa.array([0, 0], pa.int64()),
        "condition": pa.array(["", conditions()[4].key]),
        "modality": pa.array([modality, modality]),
        "exhibit": pa.array([text, text]),
    }
    about = {
        "version": 1,
        "modalities": [[modality, "image"]],
        "samples": [{"position": 0, "sample": "10000", "why": HTML, "condition": ""}],
        "left_out": HTML,
        "unmade": {},
    }
    table = pa.table(rows).replace_schema_metadata({b"mmaudit.kept": json.dumps(about).encode()})
    pq.write_table(table, folder / "exhibits.parquet", compression="zstd")


def _exhibit(name: str) -> Callable[[Path], None]:
    return lambda folder: write_exhibits(folder, exhibits()[name])


KEPT = (
    *(Hostile(f"exhibit-{name}", _exhibit(name), "", "kept") for name in exhibits()),
    Hostile("exhibit-no-json", lambda f: write_exhibits(f, "{{{"), "", "kept"),
    Hostile("exhibit-nested", lambda f: write_exhibits(f, "[" * 100_000), "", "kept"),
    Hostile("exhibits-cut", lambda f: (write_exhibits(f, {"text": "x"}), cut(f / "exhibits.parquet")), "", "kept"),
    Hostile("exhibits-foreign", lambda f: table_of(price=[1.0])(f / "exhibits.parquet"), "", "kept"),
)
