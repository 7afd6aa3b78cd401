"""The negation of English sentences, each rule on a sentence it is for."""

from __future__ import annotations

from unicodedata import normalize

import pytest

from mmaudit.probes import probes
from mmaudit.probes.corruption.english import negated
from text_cases import corrupted

SENTENCES = [
    # an auxiliary
    ("the dress is true to size", "the dress is not true to size"),
    ("it can be dressy", "it cannot be dressy"),
    ("it's very comfortable", "it's not very comfortable"),
    ("They were fine", "They were not fine"),
    ("we have been there", "we have not been there"),
    # a verb in a finite form
    ("i love the colors", "i do not love the colors"),
    ("it fits", "it does not fit"),
    ("I bought it", "I did not buy it"),
    ("I have a dog", "I do not have a dog"),
    ("he had it", "he did not have it"),
    ("she read it", "she did not read it"),
    ("the cat sat on a mat", "the cat did not sit on a mat"),
    ("This cute blouse runs small", "This cute blouse does not run small"),
    ("Love this dress", "Do not love this dress"),
    ("Runs a little big", "Does not run a little big"),
    ("Loved it", "Did not love it"),
    ("had to return it", "did not have to return it"),
    # the verb with a pronoun rather than what may be a noun
    ("due to sizing issues, mine is going back", "due to sizing issues, mine is not going back"),
    # a negation taken out
    ("it is not for me", "it is for me"),
    ("I don't know", "I do know"),
    ("it won't fit", "it will fit"),
    ("she can't come", "she can come"),
    ("Cannot say", "Can say"),
    ("They have never seen it", "They have seen it"),
    ("there are no issues", "there are some issues"),
    ("Not good", "Good"),
    ("This is not.", "This is."),
    ("isn’t it", "is it"),
    # questions
    ("is there a red shape?", "is there not a red shape?"),
    ("is there not a red shape?", "is there a red shape?"),
    ("is a triangle present?", "is no triangle present?"),
    ("is no triangle present?", "is a triangle present?"),
    ("is no apple present?", "is an apple present?"),
    ("does the image contain a circle?", "does the image not contain a circle?"),
    ("does the image not contain a circle?", "does the image contain a circle?"),
    ("what is the blue shape?", "what is not the blue shape?"),
    ("What do you see?", "What do you not see?"),
    ("Why is he late?", "Why is he not late?"),
    ("Is this a cat?", "Is this not a cat?"),
    ("Can the fabric stretch?", "Can the fabric not stretch?"),
    ("Can you see it?", "Can you not see it?"),
    ("How many dogs are there?", "How many dogs are there not?"),
    # no verb
    ("Great casual outfit!", "Not great casual outfit!"),
    ("GREAT!", "NOT GREAT!"),
    ("Made of silk", "Not made of silk"),
    ("  very nice", "  not very nice"),
]


@pytest.mark.parametrize(("sentence", "expected"), SENTENCES)
def test_negated(sentence, expected):
    assert negated(sentence) == expected


@pytest.mark.parametrize("sentence", ["The cöwas runs", "It iś red", "Waś is", "Nó way is good", "État of the art"])
def test_an_accent_of_its_own_belongs_to_its_letter(sentence):
    apart = normalize("NFD", sentence)
    assert apart != sentence
    assert negated(apart) == normalize("NFD", negated(sentence))


def test_what_has_no_word_stays():
    assert negated("17, 18") == "17, 18"
    assert negated("") == ""
    assert corrupted("negation", ["привет", "17.", "🙂"], 1.0) == ["привет", "17.", "🙂"]


def test_sentences_are_negated_each_for_itself():
    text = "It fits.\nIs it red? No 3.5 here... i love it!!"
    negative = "It does not fit.\nIs it not red? Not no 3.5 here... i do not love it!!"
    assert corrupted("negation", [text], 1.0) == [negative]
    new = corrupted("negation", [text] * 300, 0.25)
    assert all(sum(a != b for a, b in zip(text.split(". "), x.split(". "), strict=False)) <= 3 for x in new)
    assert len(set(new)) >= 4


def test_probes_say_whether_the_meaning_changes():
    assert probes.get("text.negation").changes_meaning
    assert [p.name for p in probes if p.name.startswith("text.") and p.changes_meaning] == ["text.negation"]
