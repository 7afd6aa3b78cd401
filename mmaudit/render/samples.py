"""The worst samples as they were: images checked byte by byte, texts compared, series drawn."""

from __future__ import annotations

import base64
import binascii
import difflib
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mmaudit.formats import printable

# Together they keep a report of 20 examples below 3 MB; what is left out stays in report.json.
IMAGE_BUDGET = 1_500_000
TEXT_LIMIT = 2_000
LETTERS_LIMIT = 600
ALIKE = 0.7
SIDE_LIMIT = 4_096

Piece = tuple[Literal["same", "gone", "new"], str]


@dataclass(frozen=True)
class Shown:
    """One side (original or perturbed) of one modality, ready for the template; `note` where nothing can be shown."""

    pieces: tuple[Piece, ...] = ()
    image: str = ""
    width: int = 0
    height: int = 0
    path: str = ""
    values: str = ""
    note: str = ""


class Budget:
    """Counts the bytes of images, so that a page stays small."""

    def __init__(self, left: int = IMAGE_BUDGET) -> None:
        self.left = left

    def take(self, size: int) -> bool:
        """Whether `size` more bytes fit; if so they are counted."""
        if size > self.left:
            return False
        self.left -= size
        return True


def sides(
    original: Mapping[str, Any], perturbed: Mapping[str, Any] | None, budget: Budget
) -> tuple[Shown, Shown | None]:
    """Both sides of a modality (None where it was not perturbed); texts are marked where they differ."""
    if perturbed is not None and "text" in original and "text" in perturbed:
        before, after = compare(_cut(original["text"]), _cut(perturbed["text"]))
        return _text(before), _text(after)
    both = [
        v for side in (original, perturbed or {}) for v in side.get("values", ()) if v is not None and math.isfinite(v)
    ]
    span = (min(both), max(both)) if both else (0.0, 1.0)
    return _one(original, span, budget), None if perturbed is None else _one(perturbed, span, budget)


def _one(side: Mapping[str, Any], span: tuple[float, float], budget: Budget) -> Shown:
    if side.get("absent"):
        return Shown(note="absent")
    if "text" in side:
        return _text((("same", _cut(side["text"])),))
    if "png" in side:
        return picture(side["png"], budget)
    if "values" in side:
        values = side["values"]
        short = ", ".join("—" if v is None else f"{v:.3g}" for v in values) if len(values) <= 12 else ""
        return Shown(path=curve(values, span), values=short, note="" if values else "no values")
    return Shown(note="not kept in the report")


def _text(pieces: tuple[Piece, ...]) -> Shown:
    return Shown(pieces=pieces) if any(text.strip() for _, text in pieces) else Shown(note="empty text")


def picture(encoded: str, budget: Budget) -> Shown:
    """A checked image; one that is no sound PNG, or too large for the page, becomes a note."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return Shown(note="image not shown: it is not valid base64")
    try:
        width, height, kept = checked_png(data)
    except ValueError as error:
        return Shown(note=f"image not shown: {error}")
    text = base64.b64encode(kept).decode("ascii")
    if not budget.take(len(text)):
        return Shown(note="image left out to keep this page small; it is in report.json")
    return Shown(image=text, width=width, height=height)


def checked_png(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and the bytes of a PNG with only the chunks a picture needs; ValueError says what is wrong."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError("it is not a PNG file")
    at, kept, width, height = 8, [data[:8]], 0, 0
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + size
        if end > len(data):
            break
        if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise ValueError("a part of the PNG file is damaged")
        if (at == 8) != (kind == b"IHDR") or (kind == b"IHDR" and size != 13):
            raise ValueError("the PNG file has no proper head")
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", data, at + 8)
            if not (1 <= width <= SIDE_LIMIT and 1 <= height <= SIDE_LIMIT):
                raise ValueError(f"its size {width} × {height} is not between 1 and {SIDE_LIMIT}")
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(data[at:end])
        if kind == b"IEND":
            return width, height, b"".join(kept)
        at = end
    raise ValueError("the PNG file is cut short")


def compare(before: str, after: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts in pieces; what is gone is marked in the first, what is new in the second."""
    left: list[Piece] = []
    right: list[Piece] = []
    a, b, codes = _opcodes(before, after)
    for tag, i, j, k, m in codes:
        if tag == "equal":
            left.append(("same", "".join(a[i:j])))
            right.append(("same", "".join(b[k:m])))
            continue
        if j > i:
            left.append(("gone", "".join(a[i:j])))
        if m > k:
            right.append(("new", "".join(b[k:m])))
    return tuple(left), tuple(right)


def changes(before: str, after: str) -> tuple[Piece, ...]:
    """One text with what is gone and what is new marked where it was or is."""
    pieces: list[Piece] = []
    a, b, codes = _opcodes(before, after)
    for tag, i, j, k, m in codes:
        if tag == "equal":
            pieces.append(("same", "".join(b[k:m])))
            continue
        if j > i:
            pieces.append(("gone", "".join(a[i:j])))
        if m > k:
            pieces.append(("new", "".join(b[k:m])))
    return tuple(pieces)


def _opcodes(before: str, after: str) -> tuple[Sequence[str], Sequence[str], Sequence[tuple[str, int, int, int, int]]]:
    """Letter by letter where the texts are alike (typos), else word by word (another sample's text)."""
    if max(len(before), len(after)) <= LETTERS_LIMIT:
        letters = difflib.SequenceMatcher(None, before, after, autojunk=False)
        if letters.ratio() >= ALIKE:
            return before, after, letters.get_opcodes()
    a, b = _tokens(before), _tokens(after)
    return a, b, difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()


def _tokens(text: str) -> list[str]:
    words = text.split(" ")
    return [w + " " for w in words[:-1]] + words[-1:]


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]} … ({len(text) - TEXT_LIMIT} more characters)"


def curve(values: Sequence[float | None], span: tuple[float, float], width: float = 180, height: float = 56) -> str:
    """An SVG path of numbers, at most 400 points; gaps where a value is missing."""
    step = max(1, math.ceil(len(values) / 400))
    low, high = span
    parts, pen = [], "M"
    kept = values[::step]
    for i, v in enumerate(kept):
        if v is None or not math.isfinite(v):
            pen = "M"
            continue
        x = 2 + (width - 4) * (i / max(len(kept) - 1, 1))
        y = 3 + (height - 6) * (1 - (v - low) / ((high - low) or 1.0))
        parts.append(f"{pen}{x:.1f},{y:.1f}")
        pen = "L"
    return "".join(parts)
