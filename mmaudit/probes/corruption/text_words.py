"""Corruptions of the words of a text. A word is a run without white space; a Han or Hiragana character is one, too."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from mmaudit.kernels import splice, text
from mmaudit.kernels.text import IDEOGRAPH
from mmaudit.probes.base import corruption
from mmaudit.probes.corruption import english
from mmaudit.probes.corruption.lexicon import synonyms
from mmaudit.probes.corruption.nested import require_share
from mmaudit.probes.corruption.text_edits import deleted, hit, pieced, swapped
from mmaudit.randomness import Draws

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)

# An English word that stands alone: no part of a contraction, of a compound or of an accented word; with the article.
_ALONE = rf"[\w'’{english.COMBINING}-]"
_WORD = re.compile(rf"(?:(?<!{_ALONE})([Aa]n?)(\s+))?(?<!{_ALONE})([A-Za-z]{{3,}})(?!{_ALONE})")
_SENTENCE = re.compile(r"[^.!?\n\r]+(?:[.!?](?=\S)[^.!?\n\r]*)*")
_LATIN = re.compile(r"[A-Za-z]")


@corruption(
    "word_delete",
    kinds=("text",),
    severities=SHARES,
    unit="share of words",
    source="nlpaug RandomWordAug, delete",
    batched=True,
)
def word_delete(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Words left out.

    Severity is the share, in [0, 1], of the words deleted, with the punctuation that belongs to them; one word always
    stays. Of W words, severity·W are deleted, rounded up or down at random so that the share is right on average for
    the shortest text too. Words deleted at one severity are deleted at every higher one.
    """
    require_share("word_delete", severity, "the words")
    all_ = text.encode(texts)
    words = text.words(all_)
    places, _, _ = hit(draws, words.ends, severity, spare=1)
    return deleted(all_, *splice.runs(words.starts, words.stops, words.ends, places))


@corruption(
    "truncation",
    kinds=("text",),
    severities=(0.1, 0.2, 0.4, 0.6, 0.8),
    unit="share of words",
    source="mmaudit",
    batched=True,
)
def truncation(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """The end cut off.

    Severity is the share, in [0, 1], of the words missing at the end; the first word always stays. Rounding and
    nesting as in `word_delete`.
    """
    require_share("truncation", severity, "the words")
    all_ = text.encode(texts)
    words = text.words(all_)
    sizes = np.diff(words.ends)
    cut = np.minimum((severity * sizes + draws.uniform(1)[:, 0]).astype(np.int64), np.maximum(sizes - 1, 0))
    rows = np.flatnonzero(cut)
    last = words.ends[1:][rows] - cut[rows] - 1
    edits = np.concatenate(([0], np.cumsum(cut > 0)))
    return deleted(all_, edits, words.stops[last], all_.ends[1:][rows])


@corruption(
    "word_repeat",
    kinds=("text",),
    severities=SHARES,
    unit="share of words",
    source="mmaudit",
    batched=True,
)
def word_repeat(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Words that stand there twice.

    Severity is the share, in [0, 1], of the words repeated, without the punctuation around them. Rounding and nesting
    as in `word_delete`.
    """
    require_share("word_repeat", severity, "the words")
    all_ = text.encode(texts)
    words = text.words(all_)
    places, edits, _ = hit(draws, words.ends, severity)
    starts, stops = words.core_starts[places], words.core_stops[places]
    blank = len(all_.codes)
    pieces = np.empty((len(places), 2, 2), np.int64)
    pieces[:, 0, 0], pieces[:, 0, 1] = starts, stops
    pieces[:, 1, 0] = blank
    pieces[:, 1, 1] = blank + (all_.traits[starts] & IDEOGRAPH == 0)
    pool = np.append(all_.codes, np.uint32(ord(" ")))
    return pieced(all_, edits, starts, starts, pool, pieces)


@corruption(
    "word_swap",
    kinds=("text",),
    severities=SHARES,
    unit="share of words",
    source="nlpaug RandomWordAug, swap",
    batched=True,
)
def word_swap(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Words that trade places with the next one.

    Severity is the share, in [0, 1], of the words that move; a swap moves two different ones, punctuation stays where
    it is, and no word moves twice. So of W words severity·W/2 pairs are swapped, rounded up or down at random, at most
    about 0.86 of the words of a long text, where the others have no partner left. Pairs swapped at one severity are
    swapped at every higher one.
    """
    require_share("word_swap", severity, "the words")
    all_ = text.encode(texts)
    words = text.words(all_)
    starts, stops = words.core_starts, words.core_stops
    pairs, ends = splice.unlike_neighbours(all_.codes, starts, stops, words.ends, np.ones(len(starts), np.bool_))
    taken, edits = splice.match(draws.ragged(1 + np.diff(ends)), pairs, ends, float(severity))
    return swapped(all_, starts, stops, pairs[taken], edits)


@corruption(
    "synonym",
    kinds=("text",),
    severities=(0.1, 0.25, 0.4, 0.6, 0.9),
    unit="share of words with a synonym",
    source="WordNet 3.1; nlpaug SynonymAug",
    batched=True,
)
def synonym(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Words replaced by a synonym.

    Severity is the share, in [0, 1], of the words in the packaged lexicon that become one of their synonyms, in the
    same form and case; `a` and `an` before them follow. The lexicon holds the 3,200 English words and forms for which
    WordNet's tagged texts leave little doubt about the sense. Rounding and nesting as in `word_delete`.
    """
    require_share("synonym", severity, "the words with a synonym")
    lexicon = synonyms()
    found = [[m for m in _WORD.finditer(x) if m[3].lower() in lexicon] for x in texts]

    def swap(match: re.Match[str], choice: float) -> str:
        others = lexicon[match[3].lower()]
        new = _cased_like(others[int(choice * len(others))], match[3])
        return f"{_article(match[1], new)}{match[2]}{new}" if match[1] else new

    return _rewritten(texts, found, severity, draws, swap)


@corruption(
    "negation",
    kinds=("text",),
    severities=(0.1, 0.3, 0.5, 0.7, 0.9),
    unit="share of sentences",
    source="CheckList add_negation, remove_negation (Ribeiro et al. 2020)",
    batched=True,
    changes_meaning=True,
)
def negation(texts: list[str], severity: float, draws: Draws) -> list[str]:
    """Sentences that say the opposite: `not` put in, or taken out.

    Severity is the share, in [0, 1], of the sentences negated, English ones by their rules; sentences without a Latin
    letter stay. For a text of one sentence it is the probability. Rounding and nesting as in `word_delete`. It changes
    the meaning, so a changed answer is right, and an unchanged one is suspect.
    """
    require_share("negation", severity, "the sentences")
    found = [[m for m in _SENTENCE.finditer(x) if _LATIN.search(m[0])] for x in texts]
    return _rewritten(texts, found, severity, draws, lambda match, _: english.negated(match[0]))


def _rewritten(
    texts: list[str],
    found: list[list[re.Match[str]]],
    severity: float,
    draws: Draws,
    new: Callable[[re.Match[str], float], str],
) -> list[str]:
    """Return texts with a share of the places found in them rewritten by `new(match, uniform in [0, 1))`."""
    ends = np.concatenate(([0], np.cumsum([len(matches) for matches in found]))).astype(np.int64)
    places, edits, choice = hit(draws, ends, severity, extra=1)
    members, bounds, drawn = places.tolist(), edits.tolist(), choice[:, 0].tolist()
    out = list(texts)
    for i, first in enumerate(ends[:-1].tolist()):
        parts, at = [], 0
        for e in range(bounds[i], bounds[i + 1]):
            match = found[i][members[e] - first]
            parts += [texts[i][at : match.start()], new(match, drawn[e])]
            at = match.end()
        if parts:
            out[i] = "".join((*parts, texts[i][at:]))
    return out


def _cased_like(new: str, old: str) -> str:
    if old.isupper():
        return new.upper()
    return new.capitalize() if old[0].isupper() else new


def _article(old: str, following: str) -> str:
    article = "an" if following[0].lower() in "aeiou" else "a"
    return article.capitalize() if old[0].isupper() else article
