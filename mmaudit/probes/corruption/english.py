"""The negation of an English sentence, by rules over its words. No parser: good for plain sentences and questions.

The operations are CheckList's `add_negation` and `remove_negation` (Ribeiro et al., ACL 2020), which need a parser.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from mmaudit.probes.corruption.lexicon import Verbs, verbs

Word = re.Match[str]

# Unicode's blocks of combining diacritical marks: an accent of its own belongs to the letter before it.
COMBINING = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_LETTERS = rf"(?:[^\W\d_][{COMBINING}]*)+"
TOKEN = re.compile(rf"{_LETTERS}(?:['’]{_LETTERS})*")


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_BE = _words("is are was were am")
_HAVE = _words("have has had")
_DO = _words("do does did")
_MODAL = _words("can could will would shall should must may might")
_AUXILIARY = _BE | _HAVE | _DO | _MODAL
_PRONOUNS = _words("i you he she it we they this that these those there who which what everyone everything")
_POINTING = _words("this that these those which what")
_PLURAL = _words("i you we they who which these those")
_THIRD = _words("he she it")
_ASKING = _words("what which who whom whose when where why how")
_ARTICLES = _words("a an the my your his her our their any")
_PREPOSITIONS = _words("of in on at by with for from to as into over under")
# After these stands no finite verb, but a noun, an adjective or a participle.
_NO_SUBJECTS = _ARTICLES | _PREPOSITIONS | _BE | _words("its and or very so too being been well no not")
_ADVERBS = _words("really just also absolutely definitely usually always only still truly actually already even")
_CONTRACTED = re.compile(r"(?i)(?:it|that|he|she|there|what|who|here|this)['’]s|[a-z]+['’](?:re|ll|ve|m|d)")
_NEGATED = re.compile(r"(?i)([a-z]+)n['’]t")
_SHORTENED = {"ca": "can", "wo": "will", "sha": "shall", "ai": "is"}
_NO_WORDS = _words("longer more one matter doubt")


def negated(sentence: str) -> str:
    """Return the sentence with its polarity turned over; the sentence itself where it has no word.

    The first negation (not, n't, never, cannot, `no` before a noun) is taken out. Where there is none, the first
    auxiliary gets a `not`, or the first verb that is recognised gets `do not`, `does not` or `did not`; a yes-no
    question about a thing gets `no` in place of its article, as in easy-VQA. What has no verb gets `not` in front.
    """
    words = list(TOKEN.finditer(sentence))
    if not words:
        return sentence
    return (
        _without(sentence, words) or _asked(sentence, words) or _stated(sentence, words) or _in_front(sentence, words)
    )


def _without(sentence: str, words: list[Word]) -> str | None:
    """Take the first negation out."""
    for k, word in enumerate(words):
        text = word[0].lower()
        after = words[k + 1][0].lower() if k + 1 < len(words) else ""
        if text in ("not", "never"):
            # With the white space that follows, or the one before at the end of a clause.
            start, stop = word.span()
            stop = re.compile(r"\s*").match(sentence, stop).end()  # type: ignore[union-attr]
            if stop == word.end():
                start = len(sentence[:start].rstrip())
            rest = sentence[:start] + sentence[stop:]
            return rest if k else _capital_like(sentence, word.start(), rest)
        if text == "cannot":
            return _put(sentence, word, word[0][:3])
        if contraction := _NEGATED.fullmatch(word[0]):
            stem = contraction[1]
            full = _SHORTENED.get(stem.lower(), stem.lower())
            return _put(sentence, word, full.capitalize() if stem[0].isupper() else full)
        if (
            text == "no"
            and after
            and after not in _NO_WORDS
            and not sentence[word.end() : words[k + 1].start()].strip(" ")
        ):
            following = words[k + 1][0].lower()
            article = "some" if following.endswith("s") else "an" if following[0] in "aeiou" else "a"
            return _put(sentence, word, article.capitalize() if word[0][0].isupper() else article)
    return None


def _asked(sentence: str, words: list[Word], start: int = 0) -> str | None:
    """Negate a question whose verb is the word at `start`; None where that is none."""
    first = words[start][0].lower()
    if first not in _AUXILIARY or len(words) < start + 2:
        return None
    second = words[start + 1]
    subject, then = (word[0].lower() for word in (*words[start + 1 : start + 3], second)[:2])
    if subject in _PRONOUNS and (subject not in _POINTING or then in _ARTICLES):
        return _after(sentence, second, " not")
    if first in _HAVE:
        return None
    if first in _BE:
        if subject in ("a", "an", "any"):
            return _put(sentence, second, "no")
        return _after(sentence, words[start], " not")
    known = verbs()
    for word in words[start + 2 :]:
        form = word[0].lower()
        if form in known.mostly or form in ("be", "have"):
            return sentence[: word.start()] + "not " + sentence[word.start() :]
    return None if first == "do" else _after(sentence, words[start], " not")


def _stated(sentence: str, words: list[Word]) -> str | None:
    """Negate the first auxiliary or verb with a pronoun; without any, the first word that looks like a finite verb."""
    known = verbs()
    texts = [word[0].lower() for word in words]
    subjects = _subjects(texts)
    for k, (word, text) in enumerate(zip(words, texts, strict=True)):
        after = texts[k + 1] if k + 1 < len(words) else ""
        if _CONTRACTED.fullmatch(text):
            return _after(sentence, word, " not")
        if k and text in _AUXILIARY and after in _PRONOUNS - _POINTING and texts[0] in _ASKING:
            return _asked(sentence, words, k)
        if k and text in _DO | _MODAL and after in _ARTICLES and texts[0] in _ASKING:
            return _asked(sentence, words, k)
        if text in _BE | _MODAL or (text in _HAVE and _perfect(after, known)) or (text in _DO and after in known.base):
            return _put(sentence, word, word[0] + "not") if text == "can" else _after(sentence, word, " not")
        if subjects[k] in _PRONOUNS and (new := _denied(text, subjects[k], known, known.base.keys())):
            return _put(sentence, word, new)
    for k, (word, text) in enumerate(zip(words, texts, strict=True)):
        participle = k == 0 and k + 1 < len(words) and texts[1] in ("of", "by", "with", "from") and text in known.past
        if participle or subjects[k] in _NO_SUBJECTS:
            continue
        if new := _denied(text, subjects[k], known, known.mostly):
            return _put(sentence, word, new if word[0][0].islower() else new.capitalize())
    return None


def _subjects(texts: list[str]) -> list[str]:
    """Return per word the word before it, adverbs left out; empty for the first."""
    subjects, last = [], ""
    for text in texts:
        subjects.append(last)
        if text not in _ADVERBS and not text.endswith("ly"):
            last = text
    return subjects


def _perfect(after: str, known: Verbs) -> bool:
    return after == "been" or after.endswith("ed") or after in known.past or after in _ADVERBS


def _denied(text: str, subject: str, known: Verbs, accepted: Collection[str]) -> str | None:
    """Return `do not`, `does not` or `did not` with the base form, for a finite form of one of the accepted verbs."""
    base = known.past.get(text)
    if base in accepted and (text != base or subject in _THIRD):
        return f"did not {base}"
    base = known.third.get(text)
    if base in accepted:
        return f"does not {base}"
    # A base form is a finite verb after a plural pronoun, or at the beginning: an order, or the writer left out.
    if text in accepted and text in known.base and (subject in _PLURAL or subject == ""):
        return f"do not {text}"
    return None


def _in_front(sentence: str, words: list[Word]) -> str:
    """Put `not` before the first word, which gives its capital to it."""
    start = words[0].start()
    rest = sentence[start:]
    word = words[0][0]
    if word[0].isupper() and word[1:].islower():
        return sentence[:start] + "Not " + rest[0].lower() + rest[1:]
    return sentence[:start] + ("NOT " if len(word) > 1 and word.isupper() else "not ") + rest


def _after(sentence: str, word: Word, what: str) -> str:
    return sentence[: word.end()] + what + sentence[word.end() :]


def _put(sentence: str, word: Word, new: str) -> str:
    return sentence[: word.start()] + new + sentence[word.end() :]


def _capital_like(sentence: str, at: int, rest: str) -> str:
    return rest[:at] + rest[at : at + 1].upper() + rest[at + 1 :] if sentence[at].isupper() else rest
