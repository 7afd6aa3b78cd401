"""Texts as arrays of code points, and where their characters and words begin and end.

A *character* is what a reader sees as one: a code point with the marks, joiners, selectors and modifiers that belong
to it, close to the extended grapheme clusters of Unicode (UAX #29). A *word* is a run without white space, but each
Han and Hiragana character is a word of its own, because these scripts put no spaces between words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

CodeArray = npt.NDArray[np.uint32]
TraitArray = npt.NDArray[np.uint16]
Places = npt.NDArray[np.int64]

# What a code point is; one may be several.
EXTEND = 1  # belongs to the code point before it: combining marks, joiners, variation selectors, skin tones
SPACE = 2
LETTER = 4
DIGIT = 8
MARK = 16  # punctuation
IDEOGRAPH = 32  # Han or Hiragana: a word by itself
JOINER = 64  # zero width joiner: the next code point belongs to this one, too
REGIONAL = 128  # regional indicators: two make a flag
UPPER = 256

_SCRIPTS_END, _TAGS, _TABLE_END = 0x20000, 0xE0000, 0xE0200
_IDEOGRAPHS = ((0x3005, 0x3007), (0x3041, 0x309F), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
# Vowels and final consonants of decomposed Hangul, zero width non-joiner and joiner, skin tones, tags of flags.
_EXTENDERS = ((0x1160, 0x11FF), (0xD7B0, 0xD7FF), (0x200C, 0x200D), (0x1F3FB, 0x1F3FF), (0xE0020, 0xE007F))


class Codes(NamedTuple):
    """Some texts in one array: text i is `codes[ends[i] : ends[i + 1]]`, and `traits` says what each code point is."""

    codes: CodeArray
    ends: Places
    traits: TraitArray


class Words(NamedTuple):
    """Words of some texts: word j is `starts[j]` to `stops[j]`, text i has the words `ends[i]` to `ends[i + 1]`.

    `core_starts` to `core_stops` is the word without the punctuation around it; a run of punctuation alone is no word.
    """

    starts: Places
    stops: Places
    core_starts: Places
    core_stops: Places
    ends: Places


def encode(texts: Sequence[str]) -> Codes:
    """Return texts as code points; lone surrogates stay what they are."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)
    ends = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=ends[1:])
    return Codes(codes, ends, traits()[np.minimum(codes, _TABLE_END)])


def decode(codes: CodeArray, ends: Places) -> list[str]:
    """Return the texts that `encode` would read as these code points."""
    joined = codes.astype("<u4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")
    places = ends.tolist()
    return [joined[a:b] for a, b in pairwise(places)]


@lru_cache(maxsize=1)
def traits() -> TraitArray:
    """Return what every code point is, as this Python's Unicode tables have it; the last entry is for all above."""
    table = np.zeros(_TABLE_END + 1, np.uint16)
    kinds = {"L": LETTER, "M": EXTEND, "N": DIGIT, "P": MARK}
    for code in (*range(_SCRIPTS_END), *range(_TAGS, _TABLE_END)):
        character = chr(code)
        category = unicodedata.category(character)
        table[code] = kinds.get(category[0], 0) | (UPPER if category == "Lu" else 0)
        if character.isspace():
            table[code] |= SPACE
    for first, last in _IDEOGRAPHS:
        table[first : last + 1] |= LETTER | IDEOGRAPH
    for first, last in _EXTENDERS:
        table[first : last + 1] |= EXTEND
    table[0x200D] |= JOINER
    table[0x1F1E6 : 0x1F1FF + 1] |= REGIONAL
    table[table & EXTEND > 0] &= EXTEND | JOINER
    table.flags.writeable = False
    return table


@numba.njit(nogil=True, cache=True)
def clusters(codes: CodeArray, ends: Places, traits: TraitArray) -> tuple[Places, Places, Places]:
    """Return where each character starts and stops, and how many characters the texts before and with i have."""
    starts, stops = np.empty(len(codes), np.int64), np.empty(len(codes), np.int64)
    counts = np.zeros(len(ends), np.int64)
    k = 0
    for i in range(len(ends) - 1):
        flags = 0  # regional indicators since the last character that was none
        for j in range(ends[i], ends[i + 1]):
            here = traits[j]
            flags = flags + 1 if here & REGIONAL else 0
            joined = False
            if j > ends[i] and not traits[j - 1] & SPACE:
                low = 0xDC00 <= codes[j] < 0xE000 and 0xD800 <= codes[j - 1] < 0xDC00
                after_joiner = traits[j - 1] & JOINER and not here & SPACE
                joined = here & EXTEND or after_joiner or low or (flags > 0 and flags % 2 == 0)
            if joined:
                stops[k - 1] = j + 1
            else:
                starts[k], stops[k] = j, j + 1
                k += 1
        counts[i + 1] = k
    return starts[:k].copy(), stops[:k].copy(), counts


def words(texts: Codes) -> Words:
    """Return the words of texts."""
    return Words(*_words(texts.codes, texts.ends, texts.traits))


@numba.njit(nogil=True, cache=True)
def _words(codes: CodeArray, ends: Places, traits: TraitArray) -> tuple[Places, Places, Places, Places, Places]:
    starts, stops = np.empty(len(codes), np.int64), np.empty(len(codes), np.int64)
    core_starts, core_stops = np.empty(len(codes), np.int64), np.empty(len(codes), np.int64)
    counts = np.zeros(len(ends), np.int64)
    k = 0
    for i in range(len(ends) - 1):
        j, end = ends[i], ends[i + 1]
        while j < end:
            if traits[j] & SPACE:
                j += 1
                continue
            start, ideograph = j, traits[j] & IDEOGRAPH
            j += 1
            while j < end and not traits[j] & SPACE:
                extends = traits[j] & EXTEND or traits[j - 1] & JOINER
                if not extends and (traits[j] & IDEOGRAPH or (ideograph and not traits[j] & MARK)):
                    break
                j += 1
            a, b = start, j
            # A mark that others extend is no punctuation, as in the emoji of a key: # + selector + enclosing key.
            while a < b and traits[a] & MARK and not (a + 1 < b and traits[a + 1] & EXTEND):
                a += 1
            while b > a and traits[b - 1] & MARK:
                b -= 1
            if a < b:
                starts[k], stops[k], core_starts[k], core_stops[k] = start, j, a, b
                k += 1
        counts[i + 1] = k
    return starts[:k].copy(), stops[:k].copy(), core_starts[:k].copy(), core_stops[:k].copy(), counts
