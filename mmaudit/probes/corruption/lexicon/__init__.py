"""The packaged lexicon: English synonyms, and verbs with their forms.

The data beside this file are made from WordNet 3.1 by scripts/build_lexicon.py; LICENSE.txt holds WordNet's notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple


class Verbs(NamedTuple):
    """English verbs by form, each leading to the base form.

    Attributes:
        base, third, past: `wear`, `wears`, `wore`, each → `wear`.
        mostly: base forms of words that are verbs rather than anything else.
    """

    base: dict[str, str]
    third: dict[str, str]
    past: dict[str, str]
    mostly: frozenset[str]


@lru_cache(maxsize=1)
def synonyms() -> dict[str, list[str]]:
    """Return per lower-case English word, in one of its forms, its synonyms in the same form, most frequent first."""
    return {word: others for word, *others in _lines("synonyms.txt")}


@lru_cache(maxsize=1)
def verbs() -> Verbs:
    """Return the English verbs that WordNet's tagged texts use."""
    base: dict[str, str] = {}
    third: dict[str, str] = {}
    past: dict[str, str] = {}
    mostly: set[str] = set()
    for verb, with_she, before, *mark in _lines("verbs.txt"):
        base[verb], third[with_she] = verb, verb
        past.setdefault(before, verb)
        if mark:
            mostly.add(verb)
    return Verbs(base, third, past, frozenset(mostly))


def _lines(name: str) -> Iterator[list[str]]:
    content = (files(__name__) / name).read_text(encoding="utf-8")
    return (line.split() for line in content.splitlines() if not line.startswith("#"))
