"""A run that has no report to show: being written, stopped half-way, or damaged."""

from __future__ import annotations

import streamlit as st

from mmaudit.app.parts import state, texts
from mmaudit.browse.library import Entry
from mmaudit.formats import count

EVERY = 3.0  # seconds between two looks at a run that is not finished
UNFINISHED = ("running", "partial")


def without_report(entry: Entry, problem: str) -> None:
    """Say why a run's report cannot be shown; while the run is being written, how far it is, until it is done."""
    texts.head(texts.plain(entry.title or entry.name, 160), texts.plain(entry.name, 160))
    if entry.state in UNFINISHED:
        _watch(entry.name)
    else:
        texts.damaged(entry.reason or problem)
        again = "Audit again to the same folder; what can be read is kept. "
        # A newer mmaudit's run is not damaged: a newer mmaudit reads it.
        st.caption(f"{'' if 'pip install' in (entry.reason or problem) else again}No other run is affected.")


@st.fragment(run_every=EVERY)
def _watch(name: str) -> None:
    """Look at the run again and again; once it is finished, or damaged, draw the whole page.

    One that stopped half-way is looked at, too: it may be gone on with, and the listing is a few seconds old.
    """
    entry = next((e for e in state.listing() if e.name == name), None)
    if entry is None or entry.state not in UNFINISHED:
        st.rerun()
    if entry.state == "running":
        st.info(
            "This run is being written. The page follows it and shows the report when it is there.",
            icon=":material/sync:",
        )
        bar(entry)
    else:
        texts.partial(entry.reason or "This run is not finished.")
        bar(entry)
        st.caption("Run the same command again with the same folder: what is there is kept, what is missing is made.")


def bar(entry: Entry) -> None:
    """How many of the planned files of answers are there."""
    if entry.total:
        share = min(entry.done / entry.total, 1.0)
        st.progress(share, text=f"{count(entry.done)} of {count(entry.total)} files of answers ({share:.0%})")
