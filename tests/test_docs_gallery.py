"""What the gallery of findings says in words stands in the tables that it links to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NUMBER = re.compile(r"\d+\.\d+")
LINK = re.compile(r"\[Numbers\]\((real_\w+\.md)#([\w-]+)\)")
PARAGRAPHS = [p for p in (DOCS / "gallery.md").read_text(encoding="utf-8").split("\n\n") if LINK.search(p)]


def section(page: str, anchor: str) -> str:
    """The part of a page under the heading of this anchor."""
    for part in re.split(r"^## ", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading = re.sub(r"[^\w\s-]", "", part.splitlines()[0].lower())
        if re.sub(r"[\s-]+", "-", heading) == anchor:
            return part
    raise AssertionError(f"{page} has no heading {anchor}")


def test_there_are_paragraphs_with_numbers() -> None:
    assert len(PARAGRAPHS) >= 6
    assert sum(bool(NUMBER.search(p)) for p in PARAGRAPHS) >= 5


@pytest.mark.parametrize("paragraph", PARAGRAPHS, ids=range(len(PARAGRAPHS)))
def test_every_number_of_the_gallery_stands_in_the_table_it_names(paragraph: str) -> None:
    known = {n for link in LINK.findall(paragraph) for n in NUMBER.findall(section(*link))}
    assert set(NUMBER.findall(paragraph)) <= known
