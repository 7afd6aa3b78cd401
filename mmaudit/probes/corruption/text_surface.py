"""Corruptions of how a text is written down: case, punctuation, white space. The words stay."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mmaudit.kernels import text
from mmaudit.kernels.text import DIGIT, MARK, CodeArray, Codes, Places
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption.nested import require_share
from mmaudit.probes.corruption.text_edits import Characters, hit, only, replaced
from mmaudit.probes.corruption.text_tables import AEDA_MARKS
from mmaudit.randomness import Draws

_CASED_END = 0x1F000
_MARKS = np.array([ord(mark) for mark in AEDA_MARKS], np.uint32)
_BLANK = ord(" ")


@corruption(
    "casing",
    kinds=("text",),
    severities=(0.05, 0.1, 0.2, 0.3, 0.5),
    unit="share of cased letters",
    source="AugLy change_case by character; flipped here",
    batched=True,
)
def casing(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Letters whose case is flipped.

    Severity is the share, in [0, 1], of the letters with a case of their own that become the other one; at 0.5 case
    says nothing any more. Letters whose other case is more than one letter, or leads back to another letter (ß, ı),
    stay, and so do scripts without case. Share, rounding and nesting as in `keyboard`.
    """
    require_share("casing", severity, "the cased letters")
    all_ = text.encode(texts)
    other = _other_case()[np.minimum(all_.codes, _CASED_END)]
    places = np.flatnonzero(other)
    taken, edits, _ = hit(draws, np.searchsorted(places, all_.ends), severity)
    chosen = places[taken]
    return replaced(all_, edits, chosen, chosen + 1, other[chosen])


@corruption(
    "punctuation",
    kinds=("text",),
    severities=(0.05, 0.1, 0.2, 0.3, 0.5),
    unit="share of places",
    source="AEDA (Karimi et al. 2021) for marks inserted; mmaudit",
    batched=True,
)
def punctuation(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Punctuation marks missing, and marks where none belong.

    Severity is a share, in [0, 1], of the places: every punctuation mark, which is left out, and the end of every
    word without one, where one of . ; ? : ! , is put in. Marks between two digits stay, as in 3.5. Share, rounding
    and nesting as in `keyboard`.
    """
    require_share("punctuation", severity, "the places")
    all_ = Characters(texts)
    words = text.words(all_.texts)
    is_mark = (all_.traits & MARK > 0) & (all_.stops - all_.starts == 1) & ~_in_numbers(all_)
    index, mark_ends = only(all_.ends, is_mark)
    marks = all_.starts[index]
    index, word_ends = only(words.ends, words.core_stops == words.stops)
    ends_of_words = words.stops[index]
    # By text, then by place; the end of a word comes before a mark there, which is one of the next text or word.
    rows = np.concatenate((_rows(mark_ends), _rows(word_ends)))
    starts = np.concatenate((marks, ends_of_words))
    inserts = np.arange(len(starts)) >= len(marks)
    order = np.lexsort((~inserts, starts, rows))
    starts, inserts = starts[order], inserts[order]
    places, edits, choice = hit(draws, mark_ends + word_ends, severity, extra=1)
    starts, inserts = starts[places], inserts[places]
    new = np.where(inserts, _MARKS[(choice[:, 0] * len(_MARKS)).astype(np.int64)], 0).astype(np.uint32)
    return replaced(all_.texts, edits, starts, starts + ~inserts, new)


@corruption(
    "whitespace",
    kinds=("text",),
    severities=(0.05, 0.1, 0.2, 0.3, 0.5),
    unit="share of words",
    source="nlpaug SplitAug for words split; mmaudit",
    batched=True,
)
def whitespace(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Words run together with the next one, and words torn apart.

    Severity is the share, in [0, 1], of the words hit, joined or split with even odds: joined by leaving out the white
    space that follows, split by a blank between two of its characters. A word that allows one of the two only gets
    that. Where words follow each other without white space (Han, Hiragana), a blank comes after the word. Share,
    rounding and nesting as in `keyboard`. The letters stay, so a similarity floor, for which white space does not
    count, never limits it.
    """
    require_share("whitespace", severity, "the words")
    all_ = Characters(texts)
    words = text.words(all_.texts)
    first = np.searchsorted(all_.starts, words.starts)
    inner = np.searchsorted(all_.starts, words.stops) - first - 1  # places inside the word
    joinable = np.ones(len(first), np.bool_)
    joinable[words.ends[1:][np.diff(words.ends) > 0] - 1] = False  # the last word of a text
    able, ends = only(words.ends, joinable | (inner > 0))
    taken, edits, choice = hit(draws, ends, severity, extra=1)
    w = able[taken]
    coin, place = np.divmod(2 * choice[:, 0], 1)
    join = joinable[w] & ((coin == 0) | (inner[w] == 0))
    inside = all_.starts[first[w] + np.where(join, 0, 1 + (place * inner[w]).astype(np.int64))]
    starts = np.where(join, words.stops[w], inside)
    gaps = np.where(join, _gaps(all_.texts, words.stops[w]), 0)
    new = np.where(gaps > 0, 0, _BLANK).astype(np.uint32)
    return replaced(all_.texts, edits, starts, starts + gaps, new)


@lru_cache(maxsize=1)
def _other_case() -> CodeArray:
    """Per code point its other case, where the two lead to each other; 0 where there is none."""
    table = np.zeros(_CASED_END + 1, np.uint32)
    for code in range(_CASED_END):
        letter = chr(code)
        other = letter.swapcase()
        if other != letter and len(other) == 1 and other.swapcase() == letter:
            table[code] = ord(other)
    table.flags.writeable = False
    return table


def _in_numbers(all_: Characters) -> npt.NDArray[np.bool_]:
    """Whether a character stands between two digits of its text."""
    digit = all_.traits & DIGIT > 0
    between = np.zeros(len(digit), np.bool_)
    between[1:-1] = digit[:-2] & digit[2:]
    some = np.diff(all_.ends) > 0
    between[all_.ends[:-1][some]] = between[all_.ends[1:][some] - 1] = False  # first and last of a text
    return between


def _rows(ends: Places) -> Places:
    return np.repeat(np.arange(len(ends) - 1), np.diff(ends))


def _gaps(texts: Codes, stops: Places) -> Places:
    """Return how much white space follows each place within its text."""
    # The next code point that is none, or the end of the text, whichever comes first.
    solid = np.append(np.flatnonzero(texts.traits & text.SPACE == 0), len(texts.codes))
    following = solid[np.searchsorted(solid, stops)]
    own_end = texts.ends[np.searchsorted(texts.ends, stops, side="left")]
    result: Places = np.minimum(following, own_end) - stops
    return result
