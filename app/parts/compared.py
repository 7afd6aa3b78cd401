"""A comparison of two runs for a page: made once, narrowed to what is wanted, with files to take away."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import streamlit as st

from mmaudit.app.parts import state
from mmaudit.app.parts.view import Filter
from mmaudit.browse.library import Entry, locate
from mmaudit.compared.compare import compare
from mmaudit.compared.result import VALUE, Comparison
from mmaudit.figures import Column, Table, words
from mmaudit.figures.base import text_cell
from mmaudit.formats import count, shorten
from mmaudit.store import Run

ALL = "all"
BADGES = {"worse": (":red-badge", "▼"), "better": (":green-badge", "▲"), "undecided": (":gray-badge", "●")}


def comparison(o: state.Opened, other: Entry, metric: str, groups: bool) -> Comparison:
    """The comparison of a run with another, kept in memory until one of them changes.

    Raises:
        BadInput: they cannot be compared; the message says why.
        DamagedRun, StaleRun: one of them cannot be read.
    """
    locate(state.root(), other.name)  # refuses what lies outside the folder of runs
    return _comparison(str(o.entry.folder), _header(o.entry), str(other.folder), _header(other), metric, groups)


@st.cache_resource(max_entries=6, show_spinner="Comparing sample by sample …")
def _comparison(first: str, when: int, other: str, then: int, metric: str, groups: bool) -> Comparison:
    runs = (Run.open(first), Run.open(other))
    return compare(*runs, metrics=[metric] if metric else (), groups=groups)


def _header(entry: Entry) -> int:
    try:
        return (entry.folder / "run.json").stat().st_mtime_ns
    except OSError:
        return 0


def badge(verdict: str, n: int) -> str:
    """A count of a verdict as Markdown: shape, word and colour."""
    colour, mark = BADGES[verdict]
    return f"{colour}[{mark} {count(n)} {verdict}]"


def narrowed(c: Comparison, chosen: Filter, verdict: str) -> Comparison:
    """The comparison of the conditions that the filters leave, and of those with a verdict (`ALL`: with any).

    Conditions that only one of the runs has are left out; `alone` lists them.
    """
    by_key = {condition.key: condition for condition in c.conditions}
    rows = [
        r
        for r in c.rows
        if chosen.keeps(by_key[r.condition]) and verdict in (ALL, r.verdict) and (r.n_first or r.n_other)
    ]
    return replace(c, rows=tuple(rows))


def alone(c: Comparison) -> Table:
    """Conditions that only one of the two runs has, and why they cannot be compared."""
    names = {condition.key: words(condition) for condition in c.conditions}
    body = tuple(
        (text_cell(names.get(r.condition, shorten(r.label, 60))), text_cell(shorten(r.reason, 300)))
        for r in c.select(metric=c.primary.name, other=0, quantity=VALUE)
        if not r.n_first and not r.n_other
    )
    return Table((Column("condition", numeric=False), Column("why", numeric=False)), body)


def files(c: Comparison) -> list[tuple[str, str, str, Callable[[], bytes]]]:
    """Title, name, kind and maker of every file that a comparison can be taken away as."""
    return [
        ("Comparison as JSON", "comparison.json", "application/json", lambda: _json(c)),
        ("Comparison as HTML", "comparison.html", "text/html", lambda: _html(c)),
        ("Comparison as Markdown", "comparison.md", "text/markdown", lambda: c.to_markdown().encode()),
    ]


def _json(c: Comparison) -> bytes:
    return (json.dumps(c.to_dict(), ensure_ascii=True, allow_nan=False, indent=1) + "\n").encode()


def _html(c: Comparison) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return c.to_html(Path(folder) / "comparison.html").read_bytes()
