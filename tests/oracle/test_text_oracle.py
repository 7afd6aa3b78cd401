"""Second opinions on corruptions of text: nlpaug's distances, sacrebleu's chrF, stated shares, the keyboard's twin."""

from __future__ import annotations

import json
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mmaudit.kernels.chrf import chrf
from mmaudit.kernels.distance import normalised_levenshtein
from mmaudit.probes.corruption.text_tables import HOMOGLYPHS, NEIGHBOURS, OCR
from mmaudit.randomness import generator, stream_key
from text_cases import QUESTION, REVIEW, corrupted

# Recorded by scripts/record_nlpaug.py.
NLPAUG = json.loads((Path(__file__).parents[1] / "golden" / "nlpaug.json").read_text())
SORT = {"ocr": "ocr", "word_delete": "words", "word_swap": "words"}
SAME = ("keyboard", "ocr", "char_insert", "char_delete", "word_delete")


def far(name: str, rate: float) -> np.ndarray:
    texts = NLPAUG["texts"][SORT.get(name, "letters")] * 60
    return normalised_levenshtein(texts, corrupted(name, texts, rate)).astype(float)


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("rate", ["0.1", "0.2", "0.3"])
def test_texts_move_as_far_as_with_nlpaug(name, rate):
    theirs = NLPAUG["distance"][name][rate]
    ours = far(name, float(rate))
    error = np.hypot(ours.std() / np.sqrt(len(ours)), theirs["error"])
    assert abs(ours.mean() - theirs["mean"]) < 4 * error + 1e-3


@pytest.mark.parametrize("rate", ["0.1", "0.2", "0.3"])
def test_nlpaug_replaces_a_letter_by_itself_once_in_26(rate):
    theirs = NLPAUG["distance"]["char_replace"][rate]
    assert far("char_replace", float(rate)).mean() * 25 / 26 == pytest.approx(theirs["mean"], abs=4 * theirs["error"])


@pytest.mark.parametrize("name", ["char_swap", "word_swap"])
@pytest.mark.parametrize("rate", ["0.1", "0.2", "0.3"])
def test_nlpaug_swaps_up_to_two_for_each_one_it_takes(name, rate):
    """Its share is of those that take a neighbour's place, some of which move back; ours is of those that moved."""
    theirs = NLPAUG["distance"][name][rate]["mean"]
    assert far(name, float(rate)).mean() < theirs < far(name, 2 * float(rate)).mean()


def test_keyboard_is_the_one_by_one_definition():
    """The plain twin: letters in the order of their draws, the first severity·L of them, a neighbour each."""
    for i, text in enumerate([REVIEW, QUESTION, "a", ""] * 5):
        rng = generator(stream_key("stream 3", "text"), i)
        letters = [k for k, c in enumerate(text) if c in NEIGHBOURS]
        rounding, order, choice = rng.random(), rng.random(len(letters)), rng.random(len(letters))
        new = list(text)
        for j in np.argsort(order)[: int(0.2 * len(letters) + rounding)]:
            near = NEIGHBOURS[text[letters[j]]]
            new[letters[j]] = near[int(choice[j] * len(near))]
        assert corrupted("keyboard", [text], 0.2, seed=3, first=i) == ["".join(new)]


BOUGHT = "I bought it"  # one word with a synonym
LETTERS = sum(c.isalpha() for c in QUESTION)
SOLID = sum(not c.isspace() for c in QUESTION)
WORDS = len(QUESTION.split())
LETTER_COUNT = {
    "keyboard": (LETTERS, lambda x: sum(a != b for a, b in zip(QUESTION, x, strict=True))),
    "casing": (LETTERS, lambda x: sum(a != b for a, b in zip(QUESTION, x, strict=True))),
    "char_replace": (LETTERS, lambda x: sum(a != b for a, b in zip(QUESTION, x, strict=True))),
    "char_insert": (SOLID, lambda x: len(x) - len(QUESTION)),
    "char_delete": (SOLID, lambda x: len(QUESTION) - len(x)),
    "char_swap": (SOLID - 1, lambda x: sum(a != b for a, b in zip(QUESTION, x, strict=True))),
    "word_delete": (WORDS, lambda x: WORDS - len(x.split())),
    "word_repeat": (WORDS, lambda x: len(x.split()) - WORDS),
    "truncation": (WORDS, lambda x: WORDS - len(x.split())),
    "word_swap": (WORDS, lambda x: sum(a != b for a, b in zip(words(QUESTION), words(x), strict=True))),
    "negation": (1, lambda x: x != QUESTION),
    "synonym": (1, lambda x: x != BOUGHT),
}


def words(text: str) -> list[str]:
    return text.rstrip("?").split()


@pytest.mark.parametrize("name", LETTER_COUNT)
@pytest.mark.parametrize("share", [0.04, 0.1, 0.2, 0.3])
def test_share_is_right_on_average_for_a_short_text(name, share):
    size, count = LETTER_COUNT[name]
    hits = np.array([count(x) for x in corrupted(name, [BOUGHT if name == "synonym" else QUESTION] * 4000, share)])
    assert abs(hits.mean() / size - share) < 5 * hits.std() / np.sqrt(len(hits)) / size + 1e-9


def test_choices_are_uniform():
    """Of the neighbours, of the alphabet, and of the two ways to break a word."""
    new = corrupted("keyboard", ["s"] * 6000, 1.0)
    assert sorted(set(new)) == sorted(NEIGHBOURS["s"])
    counts = np.array([new.count(c) for c in NEIGHBOURS["s"]])
    assert (np.abs(counts - 1000) < 5 * np.sqrt(1000)).all()
    new = corrupted("char_replace", ["s"] * 7500, 1.0)
    counts = np.array([new.count(chr(c)) for c in range(ord("a"), ord("z") + 1) if chr(c) != "s"])
    assert (np.abs(counts - 300) < 5 * np.sqrt(300)).all()
    joined = sum(x == "onetwo" for x in corrupted("whitespace", ["one two"] * 4000, 0.5))
    assert 0.2 < joined / 4000 < 0.3  # one of the two words is hit; the first is joined every other time


def test_homoglyphs_come_from_another_script_or_are_phonetic():
    for letter, twins in HOMOGLYPHS.items():
        for twin in twins:
            name = unicodedata.name(twin)
            assert name.startswith(("CYRILLIC", "GREEK", "ARMENIAN", "LATIN SMALL LETTER SCRIPT")), name
            assert unicodedata.normalize("NFKC", twin) != letter


def test_confusions_are_mutual_and_never_the_same():
    for one, others in OCR.items():
        assert one not in others
        assert len(set(others)) == len(others)
        assert all(one in OCR[other] for other in others)


# sacrebleu 2.6.0, CHRF().sentence_score(text, [reference]) / 100.
SACREBLEU = [
    ("The cat sat on the mat.", "The cat sat on the mat.", 1.0),
    ("Teh cat sat on hte mat", "The cat sat on the mat", 0.5240995115995116),
    ("the cat", "The cat sat on the mat", 0.22446328505723367),
    ("The cat sat on the mat", "the cat", 0.4558367379250231),
    ("abc", "xyz", 0.0),
    ("ab", "abcdefgh", 0.23404255319148937),
    ("a b c d e f g", "abcdefg", 1.0),
    ("", "abc", 0.0),
    ("abc", "", 0.0),
    ("naïve café 🙂👍🏽", "naive cafe 🙂👍", 0.35012513802954637),
    ("шапка на голове", "шапка", 0.6376840278306412),
    ("aaaaaaaaaa", "aaaaa", 0.7329284307288246),
    (
        "the quick brown fox jumped over the lazy dog",
        "the quick brown dog jumped over the lazy fox",
        0.7996248572742881,
    ),
]


def test_chrf_is_sacrebleus():
    text, reference, theirs = zip(*SACREBLEU, strict=True)
    assert chrf(text, reference) == pytest.approx(theirs, abs=1e-12)
    assert chrf(["", " ", REVIEW * 50], ["", "\n", REVIEW * 50]).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="one reference per text"):
        chrf(["a"], [])


@pytest.mark.parametrize("name", ["keyboard", "char_delete", "word_delete", "ocr"])
def test_chrf_falls_with_severity(name):
    scores = [chrf(corrupted(name, [REVIEW] * 50, s), [REVIEW] * 50).mean() for s in (0.0, 0.05, 0.1, 0.2, 0.3)]
    assert scores[0] == 1
    assert all(a > b for a, b in pairwise(scores))
