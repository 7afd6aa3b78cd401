"""The sidebar: which run is looked at, the pages, and the filters that all pages share.

The URL is the truth: before a widget is drawn it is set to what the URL says, and a change is written there. So every
link carries run and filters, and a copied address shows the same view. The run has no default: an address without
`run` opens the list of runs, never the newest run by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from mmaudit.app.parts import pages, state, texts, view
from mmaudit.app.parts.view import Filter
from mmaudit.browse.library import Entry
from mmaudit.errors import MMAuditError
from mmaudit.formats import measure, readable, shorten
from mmaudit.report import Report

OPEN = "sidebar.open"


def draw(entries: list[Entry], filtered: bool) -> None:
    """Draw the chooser of runs, the list of pages and, where the page heeds them, the filters of the chosen run."""
    with st.sidebar:
        st.markdown("#### mmaudit")
        _choose(entries)
        chosen = bool(state.chosen())
        _pages(chosen)
        report = _report(entries) if chosen and filtered else None
        if report is not None:
            _filters(report)


def opening() -> bool:
    """Whether a run was chosen in the sidebar just now; asked once."""
    return bool(st.session_state.pop(OPEN, False))


def _pages(chosen: bool) -> None:
    with st.container(gap="xxsmall", key="pages"):
        for p in pages.PAGES if chosen else pages.PAGES[:1]:
            pages.link(p.name)
    if not chosen:
        st.caption("Choose a run to see its pages.")


def _report(entries: list[Entry]) -> Report | None:
    entry = next((e for e in entries if e.name == state.chosen()), None)
    try:
        return state.report_of(entry) if entry is not None else None
    except MMAuditError:
        return None


def _choose(entries: list[Entry]) -> None:
    by_name = {e.name: e for e in entries}
    names: list[str] = list(by_name)
    if (name := state.chosen()) and name not in by_name:
        # A link to a run that is gone: keep the name, so that the page can say so.
        names.append(name)
    _one("run", "Run", names, lambda n: label(by_name[n]) if n in by_name else f"{shorten(n, 60)} (not found)",
         placeholder="Choose a run")  # fmt: skip


def label(entry: Entry) -> str:
    """A run in a line: its name, and what is wrong with it."""
    said = shorten(entry.title if entry.name == "." else entry.name, 60)
    return said if entry.state == "complete" else f"{said} ({entry.state})"


def _filters(report: Report) -> None:
    names, kinds, groups, metrics = (f(report) for f in (view.modalities, view.families, view.groups, view.metrics))
    st.divider()
    if len(metrics) > 1:
        _one("metric", "Metric", metrics, lambda m: measure(m, report.metrics[m].unit, report.metrics[m].better),
             default=report.primary.name, help="What charts, tables and their order rest on.")  # fmt: skip
    if len(names) > 1:
        _several("modality", "Modalities", names, lambda m: shorten(m, 40),
                 "Show conditions that change at least one of these.")  # fmt: skip
    if len(kinds) > 1:
        _several("family", "Families of probes", kinds, readable, "Show conditions of these families.")
    if groups:
        _one("group", "Group", ("", *groups), lambda g: shorten(g.replace("=", ": ", 1), 60) if g else "All samples",
             default="", help="Show these samples alone.")  # fmt: skip


def _one(
    name: str, title: str, options: Sequence[str], said: Callable[[str], str], default: str | None = None, **more: Any
) -> None:
    value = st.query_params.get(name, default)
    st.session_state[name] = value if value in options else default
    st.selectbox(title, options, key=name, format_func=said, on_change=_write, args=(name, default), **more)


def _several(name: str, title: str, options: Sequence[str], said: Callable[[str], str], note: str) -> None:
    st.session_state[name] = [v for v in st.query_params.get_all(name) if v in options]
    st.multiselect(
        title, options, key=name, format_func=said, on_change=_write, args=(name, []), placeholder="All", help=note
    )


def _write(name: str, default: object) -> None:
    """Put what a widget was set to into the URL; runs before the page is drawn again."""
    value = st.session_state[name]
    if not value or value == default:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value
    if name == "run" and value:
        st.session_state[OPEN] = True


def current(report: Report) -> Filter:
    """What the filters are set to; values that this run does not have are left out."""
    names, kinds = view.modalities(report), view.families(report)
    metric, group = st.query_params.get("metric", ""), st.query_params.get("group", "")
    return Filter(
        modalities=tuple(m for m in names if m in st.query_params.get_all("modality")),
        families=tuple(f for f in kinds if f in st.query_params.get_all("family")),
        metric=metric if metric in view.metrics(report) else report.primary.name,
        group=group if group in view.groups(report) else "",
    )


def said(chosen: Filter, report: Report) -> str:
    """The filters in words, as Markdown; empty where everything is shown."""
    parts = []
    if chosen.modalities:
        parts.append("conditions that change " + " or ".join(texts.plain(m, 40) for m in chosen.modalities))
    if chosen.families:
        parts.append("families " + ", ".join(texts.plain(readable(f), 40) for f in chosen.families))
    if chosen.metric != report.primary.name:
        parts.append("by " + texts.plain(readable(chosen.metric)))
    if chosen.group:
        parts.append("samples with " + texts.plain(chosen.group.replace("=", ": ", 1), 60))
    return "; ".join(parts)
