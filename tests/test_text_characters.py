"""Corruptions of characters on texts whose result is known."""

from __future__ import annotations

import numpy as np
import pytest

from mmaudit.probes.corruption.text_tables import ALPHABETS, LOOK_ALIKE, OCR
from text_cases import FAMILY, NAMES, QUESTION, REVIEW, UNICODE, characters, corrupted


@pytest.mark.parametrize("name", ["keyboard", "char_insert", "char_replace", "char_swap", "char_delete", "casing"])
def test_everything_is_hit_at_a_share_of_one(name):
    text = "letters"
    (new,) = corrupted(name, [text], 1.0)
    if name == "char_insert":
        assert new[::2] == text
        assert new[1::2].isalpha()
        assert new[1::2].islower()
    elif name == "char_delete":
        assert len(new) == 1  # one always stays
    elif name == "char_swap":
        # Five of the six neighbours differ (tt does not); two or three pairs find room among them.
        assert 4 <= sum(a != b for a, b in zip(text, new, strict=True)) <= 6
    else:
        assert all(a != b for a, b in zip(text, new, strict=True))


def test_random_letters_keep_alphabet_and_case():
    for first, last in ALPHABETS:
        for letter in (first, last):
            new = corrupted("char_replace", [letter] * 200, 1.0) + [
                x[1] for x in corrupted("char_insert", [letter] * 200, 1.0)
            ]
            assert all(first <= c <= last for c in new)
            assert letter not in new[:200]
    # An alphabet that is not known: a to z, in the same case; marks go with their letter.
    assert all("a" <= c <= "z" for c in corrupted("char_replace", ["é", "e\u0301", "ß", "ɐ"] * 50, 1.0))
    assert all("A" <= c <= "Z" for c in corrupted("char_replace", ["É", "Ø"] * 50, 1.0))


def test_what_is_no_letter_is_not_replaced():
    assert corrupted("char_replace", ["?! 🙂 —"], 1.0) == ["?! 🙂 —"]
    assert corrupted("char_swap", ["a b c", "aa bb", "x"], 1.0) == ["a b c", "aa bb", "x"]


def test_emoji_and_marks_are_one_character():
    text = f"a{FAMILY}e\u0301🇩🇪👍🏽"
    assert len(characters(text)) == 5
    deleted = set(corrupted("char_delete", [text] * 400, 0.2))
    assert deleted == {"".join(c for i, c in enumerate(characters(text)) if i != gone) for gone in range(5)}
    for new in corrupted("char_insert", [text] * 50, 0.2):
        assert [c for c in characters(new) if c not in "abcdefghijklmnopqrstuvwxyz"] == characters(text)[1:]


def test_ocr_reads_pairs_as_one_letter_and_back():
    assert set(corrupted("ocr", ["rn"] * 50, 1.0)) == {"m"}
    assert "rn" in set(corrupted("ocr", ["m"] * 50, 1.0))
    assert set(corrupted("ocr", ["5"] * 300, 1.0)) == set(OCR["5"]) == {"8", "S", "s"}
    assert corrupted("ocr", ["ж я"], 1.0) == ["ж я"]


def test_homoglyphs_go_both_ways():
    assert corrupted("homoglyphs", ["pace"], 1.0)[0] != "pace"
    assert set(corrupted("homoglyphs", ["\u0441"] * 20, 1.0)) == {"c"}
    (new,) = corrupted("homoglyphs", [QUESTION], 1.0)
    assert all((a != b) == (a in LOOK_ALIKE) for a, b in zip(QUESTION, new, strict=True))


def test_case_stays_where_the_other_case_is_no_single_letter():
    assert corrupted("casing", ["ßıŉ 12 שלום 我 ſ"], 1.0) == ["ßıŉ 12 שלום 我 ſ"]
    assert corrupted("casing", ["aÉπЖ e\u0301"], 1.0) == ["AéΠж E\u0301"]


def test_punctuation_marks_go_and_come():
    assert corrupted("punctuation", ["...!"], 1.0) == [""]
    (new,) = corrupted("punctuation", ["one two, three"], 1.0)
    assert new[3] in ".;?:!,"
    assert "two three" in new
    # In a number a mark is part of the number, and a key cap emoji is no mark.
    for new in corrupted("punctuation", ["3.5 5'8 #\ufe0f\u20e3", "17.", "5"], 1.0)[:1]:
        assert new.startswith("3.5")
        assert "5'8" in new
        assert "#\ufe0f\u20e3" in new
    assert corrupted("punctuation", ["17.", "5"], 1.0)[0] == "17"


def test_words_run_together_and_fall_apart():
    new = set(corrupted("whitespace", ["ab cd"] * 400, 1.0))
    # Both words are hit: the first joined or split, the last split, for nothing follows it.
    assert new == {"abc d", "a b c d"}
    assert set(corrupted("whitespace", ["a b"] * 50, 1.0)) == {"ab"}
    assert corrupted("whitespace", ["a"], 1.0) == ["a"]
    assert set(corrupted("whitespace", ["我爱你"] * 50, 1.0)) == {"我 爱 你"}
    assert set(corrupted("whitespace", ["a\r\n  b", "b"] * 50, 1.0)) == {"ab", "b"}


@pytest.mark.parametrize("name", NAMES)
def test_more_severity_leaves_fewer_reviews_as_they_were(name):
    shares = (0.005, 0.05, 0.1, 0.2, 0.4)
    same = [np.mean([x == REVIEW for x in corrupted(name, [REVIEW] * 60, s)]) for s in shares]
    assert same == sorted(same, reverse=True)
    assert same[0] > same[-1]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("keyboard", "ocr", "synonym", "negation")])
def test_text_in_cyrillic_is_corrupted_too(name):
    assert corrupted(name, [UNICODE[0]], 0.9) != [UNICODE[0]]
