"""Inputs of an image + question model, drawn for reports of the tests."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmaudit.types import Condition

QUESTIONS = (
    "what shape is in the image?",
    "is there a red circle in the image?",
    "what color is the rectangle?",
    "does the image contain a blue triangle?",
)


def png(pixels: np.ndarray) -> str:
    """Base64 of an RGB PNG of uint8 [H, W, 3]."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\x00" + pixels[i].astype(np.uint8).tobytes() for i in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def picture(i: int) -> np.ndarray:
    """A 64 × 64 drawing of one shape on a pale ground."""
    rng = np.random.default_rng(i)
    colours = ((200, 30, 30), (30, 80, 200), (20, 130, 60), (120, 80, 40), (10, 10, 10))
    image = np.full((64, 64, 3), (235 + i % 3 * 8, 240, 235 + i % 5 * 4), np.uint8)
    y, x = np.mgrid[:64, :64]
    cy, cx = rng.integers(22, 42, 2)
    shape = (
        (y - cy) ** 2 + (x - cx) ** 2 < 200,
        (abs(y - cy) < 10) & (abs(x - cx) < 15),
        (y - cy < 12) & (y - cy > -12) & (abs(x - cx) * 2 < y - cy + 12),
    )[i % 3]
    image[shape] = colours[i % 5]
    return image


def some_examples(
    modalities: Sequence[str], kinds: Sequence[str], hurting: list[Condition], how_many: int
) -> list[dict[str, Any]]:
    out = []
    for i in range(how_many):
        rng = np.random.default_rng(i)
        hit = i % len(modalities)
        condition = next((c for c in hurting if c.modalities == (modalities[hit],)), hurting[0])
        shown = []
        for j, (m, kind) in enumerate(zip(modalities, kinds, strict=True)):
            original: dict[str, Any]
            perturbed: dict[str, Any]
            if kind == "image":
                image = picture(i)
                noisy = np.clip(image + rng.normal(0, 70, image.shape), 0, 255).astype(np.uint8)
                original, perturbed = {"png": png(image)}, {"png": png(noisy)}
            elif kind == "text":
                text = QUESTIONS[i % 4]
                original, perturbed = {"text": text}, {"text": text.replace("e", "r", 2).replace("is", "si", 1)}
            else:
                wave = np.sin(np.arange(32) / (2 + j)) + 0.1 * i
                original, perturbed = (
                    {"values": wave.round(4).tolist()},
                    {"values": (wave + rng.normal(0, 0.5, 32)).round(4).tolist()},
                )
            if j == hit and i % 5 == 4:
                perturbed = {"absent": True}
            shown.append(
                {
                    "name": m,
                    "kind": kind,
                    "changed": j == hit,
                    "original": original,
                    "perturbed": perturbed if j == hit else original,
                }
            )
        out.append(
            {
                "condition": condition.key,
                "label": condition.label,
                "sample": f"test-{137 * i:05d}",
                "target": ("circle", "rectangle", "triangle")[i % 3],
                "clean": {"prediction": ("circle", "rectangle", "triangle")[i % 3], "confidence": 0.99 - 0.01 * i},
                "perturbed": {"prediction": ("blue", "yes", "circle")[i % 3], "confidence": 0.93 - 0.03 * i},
                "modalities": shown,
            }
        )
    return out
