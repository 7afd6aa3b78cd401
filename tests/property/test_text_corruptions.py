"""Every corruption of text on any text: emoji, marks, right-to-left, scripts without case or blanks, surrogates."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaudit.errors import BadInput
from mmaudit.kernels import text as kernel
from mmaudit.probes.corruption.text_tables import AEDA_MARKS, LOOK_ALIKE, OCR
from text_cases import FAMILY, NAMES, REVIEW, UNICODE, characters, corrupted

PIECES = (
    *("a", "B", "z", "7", "ß", "é", "e\u0301", "п", "Ω", "ש", "س", "我", "ひ", "カ", "ก", "ी", "한", "\u1112\u1161"),
    *(" ", " ", "\n", "\t", ".", ",", "'", "-", "—", "。", "_", "#\ufe0f\u20e3"),
    *("🙂", "👍🏽", FAMILY, "🇩🇪", "🇫", "\u200d", "\u200c", "\ufe0f", "\u0301", "\ud800", "\udc00", "\x00"),
    *("the ", "cat ", "is ", "bought ", "not ", "rn", "don't "),
)
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.text(max_size=40), st.sampled_from(UNICODE)
)
shares = st.floats(0.001, 1)
seeds = st.integers(0, 50)


def made_of(new: str, parts: list[str]) -> bool:
    """Whether a text is some of the parts, in their order, joined."""
    reached = {0}
    for part in parts:
        reached |= {at + len(part) for at in reached if new.startswith(part, at)}
    return len(new) in reached


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(texts, max_size=5), shares, seeds)
@settings(max_examples=60, deadline=None)
def test_a_text_depends_on_its_own_sample_alone(name, given_texts, share, seed):
    together = corrupted(name, given_texts, share, seed)
    assert together == [corrupted(name, [x], share, seed, first=i)[0] for i, x in enumerate(given_texts)]
    assert all(type(x) is str for x in together)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_corrupt_stays(name):
    nothing = ["", " ", "\n\t  ", "\u00a0"]
    assert corrupted(name, nothing, 1.0) == nothing
    assert corrupted(name, [], 0.5) == []
    with pytest.raises(BadInput, match="above 1"):
        corrupted(name, [REVIEW], 1.2)


@pytest.mark.parametrize("name", NAMES)
def test_a_very_long_text_is_no_trouble(name):
    text = (REVIEW + " ") * 500
    new = corrupted(name, [text, "short one"], 0.3)
    assert new[0] != text
    assert 0.3 * len(text) < len(new[0]) < 2 * len(text)


@given(texts)
@settings(max_examples=300, deadline=None)
def test_characters_are_those_of_the_plain_twin(text):
    codes = kernel.encode([text, "x", text])
    starts, stops, ends = kernel.clusters(*codes)
    pieces = ["".join(map(chr, codes.codes[a:b])) for a, b in zip(starts, stops, strict=True)]
    assert pieces == [*characters(text), "x", *characters(text)]
    assert ends.tolist() == [0, len(characters(text)), len(characters(text)) + 1, len(pieces)]
    assert kernel.decode(codes.codes, codes.ends) == [text, "x", text]


@given(texts, shares, seeds)
@settings(max_examples=150, deadline=None)
def test_characters_stay_whole(text, share, seed):
    """Deleting and swapping takes characters with all their marks; inserting leaves them together."""
    old = characters(text)
    (new,) = corrupted("char_delete", [text], share, seed)
    assert made_of(new, old)
    assert bool(new.strip()) == bool(text.strip())
    (new,) = corrupted("char_swap", [text], share, seed)
    assert sorted(new) == sorted(text)
    (new,) = corrupted("char_insert", [text], share, seed)
    assert is_subsequence(old, new)
    (new,) = corrupted("whitespace", [text], share, seed)
    assert "".join(new.split()) == "".join(text.split())
    assert made_of("".join(new.split()), [x for x in old if not x.isspace()])


@pytest.mark.parametrize("text", UNICODE)
def test_swapped_characters_are_the_same_characters(text):
    for new in corrupted("char_swap", [text] * 50, 0.6):
        assert sorted(characters(new)) == sorted(characters(text))
        assert len(new.split()) == len(text.split())


def is_subsequence(parts: list[str], whole: str) -> bool:
    """Whether all the parts occur in a text, in their order, whole and apart."""
    reached = {0}
    for part in parts:
        reached = {k + len(part) for at in reached for k in (at, at + 1) if whole.startswith(part, k)}
    return bool(reached)


@given(texts, shares, seeds)
@settings(max_examples=150, deadline=None)
def test_only_what_is_said_changes(text, share, seed):
    (new,) = corrupted("casing", [text], share, seed)
    assert all(a == b or a.swapcase() == b for a, b in zip(text, new, strict=True))
    (new,) = corrupted("homoglyphs", [text], share, seed)
    assert all(a == b or b in LOOK_ALIKE[a] for a, b in zip(text, new, strict=True))
    (new,) = corrupted("char_replace", [text], share, seed)
    kept = [(a, b) for a, b in zip(characters(text), characters(new), strict=True) if a != b]
    assert all(a[0].isalnum() or kernel.traits()[ord(a[0])] & (kernel.LETTER | kernel.DIGIT) for a, _ in kept)
    assert all(len(b) == 1 and (a[0].isupper() <= (b.isupper() or not b.isalpha() or b.lower() == b)) for a, b in kept)
    (new,) = corrupted("punctuation", [text], share, seed)
    marks = {c for c in new if kernel.traits()[min(ord(c), 0xE0200)] & kernel.MARK} | set(AEDA_MARKS)
    solid = [c for c in text if c not in marks and not kernel.traits()[min(ord(c), 0xE0200)] & kernel.MARK]
    assert [c for c in new if c not in marks] == solid
    (new,) = corrupted("truncation", [text], share, seed)
    assert text.startswith(new)
    assert bool(new.strip()) == bool(text.strip())
    (new,) = corrupted("word_delete", [text], share, seed)
    assert made_of(new, list(text))
    assert bool(new.strip()) == bool(text.strip())


@given(texts, shares, seeds)
@settings(max_examples=100, deadline=None)
def test_words_are_swapped_and_repeated_whole(text, share, seed):
    (new,) = corrupted("word_swap", [text], share, seed)
    assert sorted(new) == sorted(text)
    assert [c for c in new if c.isspace()] == [c for c in text if c.isspace()]
    (new,) = corrupted("word_repeat", [text], share, seed)
    assert made_of(text, list(new))


LATIN = st.text("abc def rn0lO, .'", min_size=1, max_size=60)


@pytest.mark.parametrize("name", ["keyboard", "homoglyphs", "casing", "char_replace"])
@given(st.text("abcXYZ ,.7é", max_size=80), shares, shares, seeds)
@settings(max_examples=60, deadline=None)
def test_places_hit_at_one_severity_are_hit_alike_at_every_higher_one(name, text, one, other, seed):
    low, high = (corrupted(name, [text], s, seed)[0] for s in sorted((one, other)))
    assert all(a in (x, b) for x, a, b in zip(text, low, high, strict=True))


@pytest.mark.parametrize(("name", "grows"), [("char_delete", -1), ("char_insert", 1), ("truncation", -1)])
@given(LATIN, shares, shares, seeds)
@settings(max_examples=60, deadline=None)
def test_damage_is_nested(name, grows, text, one, other, seed):
    low, high = (corrupted(name, [text], s, seed)[0] for s in sorted((one, other)))
    small, large = (high, low) if grows < 0 else (low, high)
    assert made_of(small, list(large))


@given(LATIN, seeds)
@settings(max_examples=100, deadline=None)
def test_ocr_reads_only_what_is_confused(text, seed):
    """At a share of 1 every character in the table is replaced, pairs first."""
    (new,) = corrupted("ocr", [text], 1.0, seed)
    expected, at = [{""}], 0
    while at < len(text):
        unit = text[at : at + 2] if text[at : at + 2] in OCR else text[at]
        expected.append(set(OCR.get(unit, (unit,))))
        at += len(unit)
    reached = {""}
    for options in expected:
        reached = {so_far + o for so_far in reached for o in options if new.startswith(so_far + o)}
    assert new in reached
