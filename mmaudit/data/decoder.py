"""What all decoders of files share: how damage shows, and how what decoding settles joins a description."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from mmaudit.errors import BadInput
from mmaudit.types import Modality

MAX_BYTES = 1 << 30
"""Bytes of the largest file that is read."""

# What decoders raise for damaged files beside their own errors.
DAMAGE = (EOFError, IndexError, KeyError, OverflowError, MemoryError, AttributeError, ZeroDivisionError)


class Decoder(Protocol):
    """Turns the bytes of one file into one sample."""

    @property
    def said(self) -> str:
        """What is done to every file, in words; empty where a sample is exactly what the file holds."""

    def decode(self, content: bytes, name: str) -> Any:
        """Return an array, or text. `name` is for messages. Raises `BadInput` where the file is not usable."""

    def described(self, modality: Modality) -> Modality:
        """Return the modality with what the way of decoding settles (layout, range, sample rate)."""


def settled(modality: Modality, **found: Any) -> Modality:
    """Return the modality with what decoding settles; what was declared and contradicts it is refused."""
    for key, value in found.items():
        declared = getattr(modality, key)
        default = key == "dtype" and declared == "float32"
        if value is not None and declared not in (None, value) and not default:
            raise BadInput(
                f"modality {modality.name!r} is declared with {key} {declared!r}, but its files decode to {value!r}; "
                f"leave {key} out."
            )
    return dataclasses.replace(modality, **{k: v for k, v in found.items() if v is not None})


def one_line(error: BaseException) -> str:
    """Return what an error says, on one line of at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
