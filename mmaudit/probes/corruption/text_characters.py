"""Corruptions of the characters of a text. A character is what a reader sees as one, with its marks and joiners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mmaudit.kernels import splice
from mmaudit.kernels.text import DIGIT, LETTER, SPACE, UPPER, CodeArray
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.nested import require_share
from mmaudit.probes.corruption.text_edits import (
    Characters,
    Confusions,
    deleted,
    hit,
    only,
    replaced,
    swapped,
)
from mmaudit.probes.corruption.text_tables import ALPHABETS, LOOK_ALIKE, NEIGHBOURS, OCR
from mmaudit.randomness import Draws
from mmaudit.types import FloatArray

SHARES = (0.05, 0.1, 0.15, 0.2, 0.3)

_FIRST = np.array([ord(first) for first, _ in ALPHABETS])
_LAST = np.array([ord(last) for _, last in ALPHABETS])


@corruption(
    "keyboard",
    kinds=("text",),
    severities=SHARES,
    unit="share of letters",
    source="nlpaug KeyboardAug; neighbours among letters only",
    version=2,
    batched=True,
)
def keyboard(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Typing errors: letters replaced by a neighbour on the QWERTY keyboard.

    Severity is the share of a-z and A-Z replaced, in [0, 1]; case is kept, everything else stays, letters with
    combining marks too. Of L letters, severity·L are replaced, rounded up or down at random so that the share is right
    on average for the shortest text too. Letters replaced at one severity are replaced, by the same neighbour, at every
    higher one. The name and the operation are nlpaug's `KeyboardAug`; the neighbours here are letters only.
    """
    require_share("keyboard", severity, "the letters")
    return _confusions("keyboard").corrupt(texts, severity, draws)


@corruption(
    "ocr",
    kinds=("text",),
    severities=SHARES,
    unit="share of confusable characters",
    source="nlpaug OcrAug, its table with more like shapes",
    batched=True,
)
def ocr(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Errors of optical character recognition: 0 for O, l for 1, rn for m.

    Severity is the share, in [0, 1], of the characters in the table of confusions that are read as something they are
    confused with; a pair such as `rn` counts as one. Share, rounding and nesting as in `keyboard`. Letters of the basic
    Latin alphabet and digits only; other text stays.
    """
    require_share("ocr", severity, "the confusable characters")
    return _confusions("ocr").corrupt(texts, severity, draws)


@corruption(
    "homoglyphs",
    kinds=("text",),
    severities=(0.05, 0.1, 0.2, 0.3, 0.5),
    unit="share of characters with a twin",
    source="Unicode confusables, UTS #39",
    batched=True,
)
def homoglyphs(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Characters replaced by ones of another script that look the same, as Cyrillic а for Latin a.

    Severity is the share, in [0, 1], of the characters that have such a twin; Latin letters go to Cyrillic, Greek,
    Armenian or phonetic ones, and those back to Latin. A reader sees no difference, a tokeniser does. Share, rounding
    and nesting as in `keyboard`.
    """
    require_share("homoglyphs", severity, "the characters with a twin")
    return _confusions("homoglyphs").corrupt(texts, severity, draws)


@corruption(
    "char_insert",
    kinds=("text",),
    severities=SHARES,
    unit="share of characters",
    source="nlpaug RandomCharAug, insert",
    batched=True,
)
def char_insert(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Random letters inserted.

    Severity is the share, in [0, 1], of the characters other than white space that are followed by a letter too many:
    a random one of the same alphabet and case (a digit after a digit; a to z where the alphabet is not known). It
    comes after the whole character, never between a letter and its marks. Share, rounding and nesting as in `keyboard`.
    """
    require_share("char_insert", severity, "the characters")
    all_ = Characters(texts)
    solid, ends = only(all_.ends, all_.traits & SPACE == 0)
    places, edits, choice = hit(draws, ends, severity, extra=1)
    chosen = solid[places]
    new = _letters(all_.texts.codes[all_.starts[chosen]], all_.traits[chosen], choice[:, 0], other=False)
    return replaced(all_.texts, edits, all_.stops[chosen], all_.stops[chosen], new)


@corruption(
    "char_replace",
    kinds=("text",),
    severities=SHARES,
    unit="share of letters and digits",
    source="nlpaug RandomCharAug, substitute; letters of the same alphabet",
    batched=True,
)
def char_replace(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Letters and digits replaced by random ones.

    Severity is the share, in [0, 1], of the letters and digits that become another one of the same alphabet and case
    (a to z where the alphabet is not known), with their marks. Share, rounding and nesting as in `keyboard`.
    """
    require_share("char_replace", severity, "the letters and digits")
    all_ = Characters(texts)
    letters, ends = only(all_.ends, all_.traits & (LETTER | DIGIT) > 0)
    places, edits, choice = hit(draws, ends, severity, extra=1)
    chosen = letters[places]
    new = _letters(all_.texts.codes[all_.starts[chosen]], all_.traits[chosen], choice[:, 0], other=True)
    return replaced(all_.texts, edits, all_.starts[chosen], all_.stops[chosen], new)


@corruption(
    "char_delete",
    kinds=("text",),
    severities=SHARES,
    unit="share of characters",
    source="nlpaug RandomCharAug, delete",
    batched=True,
)
def char_delete(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Characters left out.

    Severity is the share, in [0, 1], of the characters other than white space that are deleted, each with its marks;
    one always stays, so that a text does not become an empty one. Share, rounding and nesting as in `keyboard`.
    """
    require_share("char_delete", severity, "the characters")
    all_ = Characters(texts)
    solid, ends = only(all_.ends, all_.traits & SPACE == 0)
    places, edits, _ = hit(draws, ends, severity, spare=1)
    return deleted(all_.texts, edits, all_.starts[solid[places]], all_.stops[solid[places]])


@corruption(
    "char_swap",
    kinds=("text",),
    severities=SHARES,
    unit="share of characters",
    source="nlpaug RandomCharAug, swap adjacent",
    batched=True,
)
def char_swap(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Characters that trade places with the next one.

    Severity is the share, in [0, 1], of the characters that move; a swap moves two, within a word, which differ, and
    no character moves twice. So of C characters with such a neighbour severity·C/2 pairs are swapped, rounded up or
    down at random; at most about 0.86 of the characters of a long word, where the others have no partner left. Pairs
    swapped at one severity are swapped at every higher one.
    """
    require_share("char_swap", severity, "the characters")
    all_ = Characters(texts)
    pairs, ends = splice.unlike_neighbours(
        all_.texts.codes, all_.starts, all_.stops, all_.ends, all_.traits & SPACE == 0
    )
    taken, edits = splice.match(draws.ragged(1 + np.diff(ends)), pairs, ends, float(severity))
    return swapped(all_.texts, all_.starts, all_.stops, pairs[taken], edits)


@lru_cache(maxsize=3)
def _confusions(name: str) -> Confusions:
    tables: dict[str, Mapping[str, Sequence[str]]] = {"keyboard": NEIGHBOURS, "ocr": OCR, "homoglyphs": LOOK_ALIKE}
    return Confusions(tables[name])


def _letters(codes: CodeArray, traits: npt.NDArray[np.uint16], u: FloatArray, other: bool) -> CodeArray:
    """Return a random letter of each code point's alphabet; with `other`, never the same one."""
    old = codes.astype(np.int64)
    alphabet = np.searchsorted(_FIRST, old, side="right") - 1
    inside = (alphabet >= 0) & (old <= _LAST[alphabet])
    latin = np.where(traits & UPPER, ALPHABETS.index(("A", "Z")), ALPHABETS.index(("a", "z")))
    alphabet = np.where(inside, alphabet, latin)
    first, size = _FIRST[alphabet], _LAST[alphabet] - _FIRST[alphabet] + 1
    skip = inside & other
    place = (u * (size - skip)).astype(np.int64)
    place += skip & (place >= old - first)
    new: CodeArray = (first + place).astype(np.uint32)
    return new
