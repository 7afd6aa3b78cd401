"""Formulas and their sources, as `reports/formulas.toml` and `reports/sources.toml` say them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import Markup, escape

from mmaudit.report_schema import asset

_LOW_OR_HIGH = re.compile(r"([_^])(?:\{([^{}]*)\}|(\S))")


@dataclass(frozen=True)
class Formula:
    """How a number is worked out.

    Attributes:
        formula: in the symbols of `symbols()`, ready for the page.
        chance: what an answer that ignores the inputs reaches, likewise; empty where there is no such level.
        cited: sources as they are cited, with the place in the work where it is known.
        keys: the same as keys of `works()`.
        note: what differs from the source, or that the definition is the standard one.
    """

    formula: Markup
    chance: Markup
    cited: tuple[str, ...]
    keys: tuple[str, ...]
    note: Markup


@cache
def formulas() -> dict[str, Formula]:
    """Every number that mmaudit itself can put in a report, by the name it has in the scores' column `metric`."""
    return {name: _formula(entry) for name, entry in _read("formulas.toml").items() if name != "symbols"}


def symbols() -> tuple[tuple[Markup, Markup], ...]:
    """The symbols that formulas use, and what they stand for."""
    return tuple((marked(symbol), marked(meaning)) for symbol, meaning in _read("formulas.toml")["symbols"].items())


def works(keys: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """How each work is cited, and the work in full, by author."""
    known = _read("sources.toml")
    return tuple(sorted({(known[key]["short"], known[key]["full"]) for key in keys}))


def marked(text: str) -> Markup:
    """Text with `_x`, `_{xy}` set low and `^x`, `^{xy}` set high; everything else escaped."""
    out, end = Markup(), 0
    for found in _LOW_OR_HIGH.finditer(text):
        out += escape(text[end : found.start()])
        tag = "sub" if found[1] == "_" else "sup"
        inner = marked(found[2]) if found[2] is not None else escape(found[3])
        out += Markup(f"<{tag}>{{}}</{tag}>").format(inner)
        end = found.end()
    return out + escape(text[end:])


def _formula(entry: dict[str, Any]) -> Formula:
    known = _read("sources.toml")
    named = [source.partition(": ") for source in entry.get("source", ())]
    return Formula(
        marked(entry["formula"]),
        marked(entry.get("chance", "")),
        tuple(known[key]["short"] + (f", {place}" if place else "") for key, _, place in named),
        tuple(key for key, _, _ in named),
        marked(entry.get("note", "")),
    )


@cache
def _read(name: str) -> dict[str, Any]:
    """A file of `reports/`; ours, so its words are trusted as the templates are."""
    return tomllib.loads(asset(name).read_text(encoding="utf-8"))
