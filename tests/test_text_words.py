"""Corruptions of words on texts whose result is known."""

from __future__ import annotations

from importlib.resources import files
from unicodedata import normalize

import pytest

from mmaudit.kernels import text as kernel
from mmaudit.probes.corruption.lexicon import synonyms, verbs
from text_cases import FAMILY, QUESTION, REVIEW, corrupted


def words_of(text: str) -> list[str]:
    """The words, without the punctuation around them."""
    codes = kernel.encode([text])
    words = kernel.words(codes)
    return ["".join(map(chr, codes.codes[a:b])) for a, b in zip(words.core_starts, words.core_stops, strict=True)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(one) two-three, don't - 'four'!", ["one", "two-three", "don't", "four"]),
        ("我爱你,这件。", ["我", "爱", "你", "这", "件"]),
        ("カタカナ ひら abc我def", ["カタカナ", "ひ", "ら", "abc", "我", "def"]),
        (f"{FAMILY} 🙂! #\ufe0f\u20e3", [FAMILY, "🙂", "#\ufe0f\u20e3"]),
        ("שלום, עולם", ["שלום", "עולם"]),
        ("... - !?", []),
        ("$5 +1", ["$5", "+1"]),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


def test_deleting_words_leaves_single_gaps_and_one_word():
    assert set(corrupted("word_delete", ["one two"] * 40, 1.0)) == {"one", "two"}
    new = set(corrupted("word_delete", ["one  two,\nthree"] * 200, 0.34))
    assert new >= {"two,\nthree", "one  three", "one  two,"}
    assert corrupted("word_delete", ["  one  "], 1.0) == ["  one  "]
    assert set(corrupted("word_delete", ["a b - c"] * 100, 0.34)) >= {"b - c", "a c", "a b"}


def test_truncation_cuts_words_off_the_end():
    assert set(corrupted("truncation", ["one two, three four!"] * 20, 0.5)) == {"one two,"}
    assert corrupted("truncation", ["one two", "one", ""], 1.0) == ["one", "one", ""]
    assert corrupted("truncation", ["我爱你们"], 0.5) == ["我爱"]


def test_repeated_words_leave_punctuation_alone():
    assert corrupted("word_repeat", ["(yes), no!"], 1.0) == ["(yes yes), no no!"]
    assert corrupted("word_repeat", ["我"], 1.0) == ["我我"]


def test_swapped_words_leave_punctuation_and_gaps():
    assert set(corrupted("word_swap", ["one,  two!"] * 5, 1.0)) == {"two,  one!"}
    assert corrupted("word_swap", ["the the", "one", "?!"], 1.0) == ["the the", "one", "?!"]


def test_synonyms_keep_case_form_and_article():
    assert corrupted("synonym", ["bought Bought BOUGHT xbought bought's re-bought"], 1.0) == [
        "purchased Purchased PURCHASED xbought bought's re-bought"
    ]
    lexicon = synonyms()
    consonant, vowel = next(
        (word, others[0])
        for word, others in lexicon.items()
        if len(others) == 1 and word[0] in "bcd" and others[0][0] in "aei"
    )
    assert corrupted("synonym", [f"a {consonant}, A {consonant}"], 1.0) == [f"an {vowel}, An {vowel}"]


def test_an_accent_of_its_own_belongs_to_its_letter():
    written = ["étude bought", "boughť a cár", "The sácar bought", "I bought a café"] * 5
    apart = [normalize("NFD", text) for text in written]
    assert apart != written
    new = corrupted("synonym", written, 1.0)
    assert corrupted("synonym", apart, 1.0) == [normalize("NFD", text) for text in new]
    assert new[0] == "étude purchased", "the other words do change"
    assert new[1] == "boughť a cár"


def test_lexicon_is_plausible():
    lexicon = synonyms()
    assert len(lexicon) > 3000
    assert all(word not in others and 1 <= len(others) <= 3 for word, others in lexicon.items())
    assert all(w.isascii() and w.isalpha() and w.islower() for word, others in lexicon.items() for w in (word, *others))
    assert not {"the", "and", "not", "is", "can", "found", "thought", "pants"} & lexicon.keys()
    assert lexicon["big"] == ["large"]
    known = verbs()
    assert known.past["bought"] == known.base["buy"] == known.third["buys"] == "buy"
    assert known.past["stopped"] == "stop"
    assert {"wear", "contain", "love"} <= known.base.keys()
    assert "wear" in known.mostly
    assert "fabric" not in known.base


def test_lexicon_carries_its_licence():
    notice = (files("mmaudit.probes.corruption.lexicon") / "LICENSE.txt").read_text(encoding="utf-8")
    assert "WordNet 3.1 Copyright 2011 by Princeton University" in notice
    assert "Permission to use, copy, modify and distribute" in notice


def test_most_of_a_review_keeps_its_words():
    (new,) = corrupted("synonym", [REVIEW], 1.0)
    old = REVIEW.split()
    changed = [(a, b) for a, b in zip(old, new.split(), strict=True) if a != b]
    assert (
        ("usually", "normally") in changed or ("usually", "commonly") in changed or ("usually", "ordinarily") in changed
    )
    assert len(changed) < len(old) / 4
    assert len(corrupted("word_swap", [QUESTION], 0.3)[0]) == len(QUESTION)
