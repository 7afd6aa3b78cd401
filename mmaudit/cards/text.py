"""Text of a run inside Markdown: it must stay text on GitHub, GitLab and the Hugging Face Hub.

Besides Markdown itself these turn plain text into links when they show it: mentions (@name), references (#1, GH-1, !1),
addresses (https://…, www.…), emoji (:name:), formulas ($x$). No backslash stops them, as they look at the text that
Markdown has become. A word joiner (U+2060, no width) between the characters that they look for does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mmaudit.formats import shorten

JOINER = "\u2060"
LONGEST = 300

# Marks without a glyph that change the direction of what follows; `shorten` has replaced the stronger ones.
_MARKS = re.compile("[\u200e\u200f\u061c]")
_RIGHT_TO_LEFT = (
    "\u0590-\u05ff\u0600-\u06ff\u0700-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
)
_RUN = re.compile(f"[{_RIGHT_TO_LEFT}](?:[^A-Za-z0-9\n]*[{_RIGHT_TO_LEFT}])*")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}
_SPECIAL = re.compile(r"[&<>$\\`*_\[\]|~#]")
_JOINED = (
    (re.compile(r"@"), f"@{JOINER}"),
    (re.compile(r"#(?=\w)"), f"#{JOINER}"),
    (re.compile(r"([!~%&])(?=\w)"), rf"\1{JOINER}"),
    (re.compile(r"(?i)\b(GH)(?=-\d)"), rf"\1{JOINER}"),
    (re.compile(r":(?=//)"), f":{JOINER}"),
    (re.compile(r"(?i)(www|mailto|xmpp)(?=[.:])"), rf"\1{JOINER}"),
    (re.compile(r":(?=[\w+-]+:)"), f":{JOINER}"),
)
# What would start a list, underline a heading or rule a line; numbers with a sign or a point do not.
_START = re.compile(r"^(?:(\d{1,9})(?=[.)](?:\s|$))|(?=[+=-]+(?:\s|$)))")


def plain(text: object, limit: int = LONGEST) -> str:
    """Return text that Markdown shows as it is: one line, at most `limit` characters of the original.

    Right-to-left words are isolated (U+2068 … U+2069), so that numbers beside them keep their places.
    """
    shown = _MARKS.sub("", shorten(str(text), limit))
    for pattern, joined in _JOINED:
        shown = pattern.sub(joined, shown)
    shown = _SPECIAL.sub(lambda c: _ENTITIES.get(c[0], f"\\{c[0]}"), shown)
    shown = _START.sub(lambda c: f"{c[1]}{JOINER}" if c[1] else "\\", shown)
    return _RUN.sub(lambda run: f"\u2068{run[0]}\u2069", shown)


def code(text: object, limit: int = LONGEST) -> str:
    """Return a code span: the characters as they are, one line; not for a table, where `|` would end the cell."""
    shown = _MARKS.sub("", shorten(str(text), limit))
    if not shown:
        return "none"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    space = " " if "`" in (shown[0], shown[-1]) else ""
    return f"{fence}{space}{shown}{space}{fence}"


def row(cells: Iterable[str]) -> str:
    """A row of a table, of cells that are Markdown already."""
    return f"| {' | '.join(cells)} |"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """A table, line by line; cells are Markdown already, numeric columns stand right."""
    rule = row("---:" if right else "---" for right in numeric)
    return [row(titles), rule, *(row(cells) for cells in rows)]
