"""How large a page may be, and what is left out of one that would be larger.

A report of 300 conditions, four modalities, groups, estimates and reference methods fits 3 MB with everything in it.
For a larger one parts are left out in an order that is always the same: first what a reader is least likely to miss in
a page. Everything that is left out is named in the page and stays in `report.json`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mmaudit.errors import BadInput

BUDGET = 3_000_000
"""Bytes of a page: what mail gateways and viewers of CI artefacts take without complaint."""

# What a note in the page takes that names a part which is left out.
NOTE = 160
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(B|kB|KB|MB|)\s*")
_FACTORS = {"": 1, "B": 1, "kB": 1_000, "KB": 1_000, "MB": 1_000_000}


@dataclass(frozen=True)
class Part:
    """A part of the page that can be left out.

    Attributes:
        name: what the page calls it inside; no two parts have the same.
        what: it in words, as the page names it.
        size: bytes that leaving it out gains.
        rows: of a table; 0 for anything else.
    """

    name: str
    what: str
    size: int
    rows: int = 0


def chosen(excess: int, parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts to leave out, from the front, until `excess` bytes are gained (or none is left); no note grows it."""
    found, gained = [], 0
    for part in parts:
        if gained >= excess:
            break
        if part.size > NOTE:
            found.append(part)
            gained += part.size - NOTE
    return tuple(found)


def read_size(text: str) -> int | None:
    """Bytes of a size as it is typed: `3MB`, `800kB`, `2500000`; None for `none`, which is no limit.

    Raises:
        BadInput: it is no size.
    """
    if text.strip().lower() == "none":
        return None
    found = _SIZE.fullmatch(text)
    given = float(found[1]) * _FACTORS[found[2]] if found else 0.0
    size = round(given) if math.isfinite(given) else 0
    if size < 1:
        raise BadInput(f"budget {text!r} is no size; give bytes, such as 3MB, 800kB or 2500000, or none for no limit.")
    return size


def said(size: int) -> str:
    """A size for people: `2.94 MB`, `41 kB`."""
    return f"{size / 1e6:.2f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
