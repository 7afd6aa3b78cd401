"""The page on paper: its size, and what stands at the foot of every sheet."""

from __future__ import annotations

from typing import Literal, get_args

from markupsafe import Markup

from mmaudit.errors import UnknownName
from mmaudit.formats import shorten

Paper = Literal["a4", "letter"]
PAPERS: tuple[Paper, ...] = get_args(Paper)
LONGEST_FOOT = 90


def paper_of(name: str) -> Paper:
    """The paper of a name, in capitals or not; raises `UnknownName` for another."""
    for paper in PAPERS:
        if name.lower() == paper:
            return paper
    raise UnknownName("paper", name, PAPERS)


def paper_css(paper: Paper, foot: str) -> Markup:
    """Rules for printing: the size of the sheet, `foot` and the page number below it. Any text is safe."""
    size = {"a4": "A4", "letter": "letter"}[paper]
    margins = {"a4": "15mm 14mm 17mm", "letter": "0.6in 0.55in 0.7in"}[paper]
    small = "font: 8px system-ui, sans-serif; color: #566070;"
    return Markup(
        f"@page {{ size: {size}; margin: {margins};\n"
        f'  @bottom-left {{ content: "{css_text(shorten(foot, LONGEST_FOOT))}"; {small} }}\n'
        f'  @bottom-right {{ content: counter(page) " / " counter(pages); {small} }} }}\n'
    )


def css_text(text: str) -> str:
    """Text inside the quotes of a CSS string: whatever is not a plain letter, digit or space is written as a number."""
    return "".join(c if c.isascii() and (c.isalnum() or c == " ") else f"\\{ord(c):06x}" for c in text)
