"""Two texts, word by word, with what is gone and what is new marked, as markdown that shows them literally."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Literal

from mmaudit.app.parts import texts
from mmaudit.formats import count, printable

# Longer texts are cut: comparing takes time quadratic in the words, and nobody reads on.
LIMIT = 2_000
# A struck word and a bold one differ without colour, too.
MARKS = {"gone": ":red-background[~~{}~~]", "new": ":green-background[**{}**]"}

Kind = Literal["same", "gone", "new"]


def marked(before: str, after: str) -> tuple[str, str]:
    """Both texts as markdown: words that are gone struck in the first, words that are new bold in the second.

    White space that changed is shown as `␣`, a line break as `↵`. Texts above 2,000 characters are cut, and the cut is
    named.
    """
    a, b = _words(_cut(before)), _words(_cut(after))
    left: list[str] = []
    right: list[str] = []
    for same, gone, new in _steps(a, b):
        left += _piece("same" if same else "gone", gone)
        right += _piece("same" if same else "new", new)
    return "".join(left).strip(" ") or "*empty text*", "".join(right).strip(" ") or "*empty text*"


def _steps(a: Sequence[str], b: Sequence[str]) -> list[tuple[bool, Sequence[str], Sequence[str]]]:
    """What is the same and what is not, in turn; a space between two changed words belongs to the change."""
    found: list[tuple[bool, Sequence[str], Sequence[str]]] = []
    codes = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    for at, (tag, i, j, k, m) in enumerate(codes):
        blank = all(w.isspace() for w in a[i:j]) and 0 < at < len(codes) - 1
        same = tag == "equal" and not blank
        if found and found[-1][0] is same:
            _, before, after = found.pop()
            found.append((same, [*before, *a[i:j]], [*after, *b[k:m]]))
        else:
            found.append((same, a[i:j], b[k:m]))
    return found


def literal(text: str) -> str:
    """One text as markdown, nothing marked; cut like the others."""
    return marked(text, text)[0]


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= LIMIT else f"{text[:LIMIT].rstrip()} … ({count(len(text) - LIMIT)} more characters)"


def _words(text: str) -> list[str]:
    """Words and the white space between them, in turn; a line break is a word of its own."""
    return [w for w in re.split(r"(\s+)", re.sub(r"\r\n|[\r\n]", " ↵ ", text)) if w]


def _piece(kind: Kind, words: Sequence[str]) -> list[str]:
    if kind == "same":
        return [_flat(w) for w in words]
    # Marks stand close to a word: with white space at their edge they would not be read as marks.
    first = next((i for i, w in enumerate(words) if not w.isspace()), None)
    if first is None:
        return [MARKS[kind].format("␣" * len(w)) for w in words]
    last = max(i for i, w in enumerate(words) if not w.isspace())
    core = "".join(_flat(w) for w in words[first : last + 1])
    return [*(_flat(w) for w in words[:first]), MARKS[kind].format(core), *(_flat(w) for w in words[last + 1 :])]


def _flat(word: str) -> str:
    """Escaped; runs of spaces are kept."""
    if word.isspace():
        return "\u00a0" * (len(word) - 1) + " "
    return texts.plain(word, LIMIT)
