"""Words on a page: texts of a run shown as they are, and the designed states for nothing, part of something, damage."""

from __future__ import annotations

import re

import streamlit as st

from mmaudit import states
from mmaudit.formats import printable, shorten, unbroken

MARKS = {"critical": "▲", "major": "◆", "minor": "●", "info": "○", "none": "✓"}
"""A shape per level of finding, so that colour is never alone."""
COLOURS = {"critical": "red", "major": "orange", "minor": "blue", "info": "gray", "none": "green"}

_STATES = {
    states.PASSED: "green",
    states.FAILED: "red",
    states.WARNING: "orange",
    states.SKIPPED: "gray",
    states.NOT_APPLIED: "orange",
    states.IN_PART: "orange",
}

# ASCII punctuation that Markdown, or what Streamlit adds to it (`:red[…]`, `:smile:`, `$…$`), gives a meaning to.
_MEANING = re.compile(r"([!-/:-@\[-`{-~])")
# These are looked for once Markdown has been read, when a backslash is gone: addresses, mails, the logo, arrows.
_AFTERWARDS = re.compile(
    r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=\S)(?=@)|(?<=:streamlit)(?=:)|(?<=[-<>~=])(?=[-<>=])", re.IGNORECASE
)
_UNSEEN = "\u2060"


def plain(text: object, limit: int = 600) -> str:
    """Text of a run as Markdown that shows it letter for letter: no markup, links, emoji names, formulas or lines.

    Whitespace becomes single spaces, characters that reorder or hide text become U+FFFD, and more than `limit`
    characters are cut in the middle.
    """
    shown = shorten(str(text), limit)
    return _MEANING.sub(r"\\\1", _AFTERWARDS.sub(_UNSEEN, shown))


def literal(text: object) -> None:
    """Show a text of a run of any length as it is, lines kept, without Markdown."""
    st.text(printable(str(text)))


def head(title: str, says: str = "") -> None:
    """The heading of a page (ours, plain Markdown) and a sentence that says what it answers."""
    st.title(title, anchor=False)
    if says:
        st.caption(unbroken(says))


def section(title: str, says: str = "") -> None:
    """The heading of a part of a page and how to read it."""
    st.subheader(title, anchor=False)
    if says:
        st.caption(unbroken(says))


def nothing(message: str) -> None:
    """The designed empty state: what is not there, and why or what would make it. `message` is plain text."""
    with st.container(border=True, key=None):
        st.markdown(f":material/do_not_disturb_on: {plain(unbroken(message))}")


def partial(message: str) -> None:
    """Something is there, and something is not."""
    st.warning(plain(message), icon=":material/hourglass_bottom:")


def damaged(message: str) -> None:
    """Something cannot be read, and why."""
    st.error(plain(message), icon=":material/broken_image:")


def outcome(state: str, name: str, message: str) -> None:
    """How a control or a check came out: mark and word, what it is, and what it found."""
    st.markdown(f":{_STATES[state]}[{states.MARKS[state]}] **{plain(name, 60)}** {plain(message)}")


def level(name: str, count: int | None = None) -> None:
    """A badge of a level of finding: shape, word and colour; with a count where one is given."""
    said = name if count is None else f"{count} {name}"
    st.badge(f"{MARKS.get(name, '')} {said}", color=COLOURS.get(name, "gray"))  # type: ignore[arg-type]
