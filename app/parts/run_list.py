"""The list of runs: one card each, worst news visible, the whole as a table to take away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from mmaudit.app.parts import pages, progress, state, tables, texts
from mmaudit.browse.library import Entry
from mmaudit.formats import count, plain, shorten
from mmaudit.types import LEVELS

ON_A_PAGE = 20
SEARCHED_FROM = 8  # runs; fewer are seen at a glance
ORDERS = {"newest": "Newest first", "worst": "Worst finding first", "name": "By name", "largest": "Most samples first"}
STATES = {
    "running": ("being written", "blue", ":material/sync:"),
    "partial": ("not finished", "orange", ":material/hourglass_bottom:"),
    "damaged": ("damaged", "red", ":material/broken_image:"),
}


def show(entries: Sequence[Entry]) -> None:
    """The page Runs; where one is being written, the list follows it."""
    texts.head("Runs", "Every audit found in this folder. Open one to see its verdict and what it rests on.")
    if not entries:
        texts.nothing("There is no run in this folder yet.")
        st.markdown("Make one with the demo, which takes about a minute:")
        st.code("mmaudit demo --out runs/demo", language="bash")
        return
    running = any(e.state == "running" for e in entries)
    st.fragment(_list, run_every=progress.EVERY if running else None)()
    with st.expander("All runs as a table", icon=":material/table:"):
        tables.show(frame(entries), "runs", "runs")


def _list() -> None:
    entries = state.listing()
    found = _asked(entries)
    if not found:
        texts.nothing("No run matches what you look for.")
    pages_of = -(-len(found) // ON_A_PAGE)
    at = min(max(int(n) if (n := state.param("page", "1")).isdecimal() else 1, 1), max(pages_of, 1))
    for entry in found[(at - 1) * ON_A_PAGE : at * ON_A_PAGE]:
        _card(entry)
    if pages_of > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Page {at} of {pages_of}, {count(len(found))} runs", width="content")
            pages.link("runs", "Previous", ":material/chevron_left:", disabled=at == 1, **_page(at - 1))
            pages.link("runs", "Next", ":material/chevron_right:", disabled=at == pages_of, **_page(at + 1))
    if not any(e.state == "running" for e in entries) and st.session_state.pop("runs.following", False):
        st.rerun()
    st.session_state["runs.following"] = any(e.state == "running" for e in entries)


def _page(at: int) -> dict[str, str]:
    return {"page": str(at), **{k: v for k in ("find", "order") if (v := state.param(k))}}


def _asked(entries: Sequence[Entry]) -> list[Entry]:
    """The runs that are looked for, in the order that is asked for; both in the URL."""
    if len(entries) < SEARCHED_FROM:
        return list(entries)
    with st.container(horizontal=True):
        word = state.linked_text("Find", "find", "name, model, task or modality")
        order = state.linked_choice("Order", "order", ORDERS, "newest")
    return ordered([e for e in entries if word.casefold() in _words(e).casefold()], order)


def ordered(entries: Sequence[Entry], order: str) -> list[Entry]:
    """Runs in one of `ORDERS`; they come newest first."""
    if order == "worst":
        rank = {level: i for i, level in enumerate((*LEVELS, "none"))}
        return sorted(entries, key=lambda e: (rank.get(e.level, 9), *(-e.counts.get(level, 0) for level in LEVELS)))
    if order == "name":
        return sorted(entries, key=lambda e: e.name.casefold())
    return sorted(entries, key=lambda e: -e.n) if order == "largest" else list(entries)


def _words(e: Entry) -> str:
    return " ".join((e.name, e.title, e.model, e.task, e.suite, *e.modalities))


def _card(e: Entry) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            pages.link("overview", f"**{texts.plain(e.title or e.name, 90)}**", "", run=e.name)
            if e.state != "complete":
                name, colour, icon = STATES[e.state]
                st.badge(name, color=colour, icon=icon)  # type: ignore[arg-type]
            _verdict(e)
        if said := about(e):
            st.markdown(texts.plain(said))
        if e.state in ("damaged", "partial") and e.reason:
            st.markdown(f":gray[{texts.plain(e.reason)}]")
        if e.state == "running":
            progress.bar(e)
        st.caption(texts.plain(small_print(e)))


def _verdict(e: Entry) -> None:
    if not e.level:
        return
    if e.level == "none":
        texts.level("none")
    for level in LEVELS:
        if e.counts.get(level):
            texts.level(level, e.counts[level])


def about(e: Entry) -> str:
    """What was audited, in a line: model, task, modalities, samples and conditions."""
    parts = [e.model if e.model != e.title else "", e.task, " + ".join(shorten(m, 30) for m in e.modalities)]
    parts.append(f"{count(e.n)} samples" if e.n else "")
    parts.append(f"{count(e.conditions)} conditions" if e.conditions else "")
    return " · ".join(shorten(p, 120) for p in parts if p)


def small_print(e: Entry) -> str:
    """Where the run lies, when it was made, by which suite, and how large it is."""
    parts = [e.name if e.name != "." else "this folder", when(e), f"suite {e.suite}" if e.suite else "", size(e.bytes)]
    return " · ".join(shorten(p, 80) for p in parts if p)


def when(e: Entry) -> str:
    """When the run was made, as `2026-11-21 15:55`; else when a file of it last changed."""
    if e.created:
        return e.created[:16].replace("T", " ")
    return f"{datetime.fromtimestamp(e.modified, UTC):%Y-%m-%d %H:%M}" if e.modified else ""


def size(n: int) -> str:
    """Bytes as kB or MB (10³, 10⁶)."""
    return f"{plain(n / 1e6, 1)} MB" if n >= 1e6 else f"{plain(n / 1e3, 0)} kB"


def frame(entries: Sequence[Entry]) -> pd.DataFrame:
    """All runs as a table."""
    return pd.DataFrame(
        {
            "run": [e.name for e in entries],
            "state": [e.state for e in entries],
            "verdict": [e.level or "no report" for e in entries],
            **{level: [e.counts.get(level, 0) if e.level else None for e in entries] for level in LEVELS},
            "title": [e.title for e in entries],
            "model": [e.model for e in entries],
            "task": [e.task for e in entries],
            "modalities": [", ".join(e.modalities) for e in entries],
            "samples": [e.n or None for e in entries],
            "conditions": [e.conditions or None for e in entries],
            "suite": [e.suite for e in entries],
            "made": [when(e) for e in entries],
            "MB": [round(e.bytes / 1e6, 2) for e in entries],
            "what is wrong": [e.reason for e in entries],
        }
    )
