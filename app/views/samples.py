"""Samples: browse, filter and sort by damage; inputs and answers before and after, and how little flips one."""

from __future__ import annotations

import streamlit as st

from mmaudit.app.parts import charts, choose, sample_list, sample_table, sample_view, state, tables, texts
from mmaudit.app.parts.sample_list import DAMAGE, FLIPPED, FRAGILE, ORDERS, Wanted
from mmaudit.errors import MMAuditError
from mmaudit.formats import count, shorten
from mmaudit.report import Measured

ALL = ""


def main() -> None:
    """Draw the page."""
    texts.head("Samples", "What the model answered, sample by sample, and what a condition did to it.")
    o = state.opened()
    if state.answers(o) is None or o.run is None:  # the first line has stopped the page already
        return
    chosen = state.filters(o)
    conditions = choose.offered(o.report, chosen)
    if not conditions:
        texts.nothing("This run has the clean condition alone; there is nothing to compare an answer with.")
        return
    measured = choose.condition(o, conditions, choose.worst(o.report, conditions))
    found = _list(o, measured, chosen.group)
    if found is not None:
        st.divider()
        sample_view.show(o, *found, measured)


def _list(o: state.Opened, measured: Measured, group: str) -> tuple[int, str] | None:
    """The list with its filters; returns position and id of the sample that is looked at."""
    table = sample_table.table(o, measured.condition)
    wanted = _wanted(o, table, group)
    fragility = sample_table.fragility(o) if wanted.order == FRAGILE else None
    if wanted.order == FRAGILE and fragility is None:
        texts.partial("Fragility is undefined for this run: no probe with severities turns right answers wrong.")
    found = sample_list.chosen(table, wanted, fragility)
    linked = sample_table.linked(table, state.param("sample"))
    if found.empty:
        texts.nothing("No sample is like that under this condition. Take a filter back.")
        return None if linked is None else sample_table.named(table, linked)
    signature = choose.key(o, charts.key_of(measured.key, repr(wanted)))
    page = _page(found, linked, signature)
    rows, at, pages = sample_list.page_of(found, page)
    place = sample_table.pick(rows, o, measured.condition, f"{signature}-{at}", fragility)
    left_out = len(table) - int(sample_list.measured(table).sum())
    _foot(len(found), len(table), left_out, at, pages, signature, group)
    tables.downloads(found, "samples", f"samples-{signature}")
    if place is None:
        return sample_table.named(table, linked) if linked is not None else sample_table.named(rows, rows.index[0])
    picked = sample_table.named(rows, rows.index[place])
    state.set_param("sample", sample_table.link_of(*picked))
    return picked


def _wanted(o: state.Opened, table: sample_table.Frame, group: str) -> Wanted:
    judged = not state.answers(o).flip_reason
    shown = [s for s in sample_list.SHOWN if judged or s in (sample_list.ANY, sample_list.CHANGED)]
    held = sample_table.held(o)
    orders = [k for k in ORDERS if judged or k != FRAGILE]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="sample-shown"):
        show = choose.one(o, "Show", "show", shown, FLIPPED if judged else sample_list.ANY, bar=True)
        note = "Only samples whose inputs the run keeps."
        only = bool(held) and choose.switch(o, f"With inputs ({count(len(held))})", "inputs", note)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="sample-filters"):
        order = choose.one(o, "Order", "order", orders, DAMAGE, ORDERS.__getitem__)
        target = _target(o, table)
        text = choose.typed(o, "Sample id", "id", "part of it")
    return Wanted(show, group, target, text, held if only else None, order)


def _target(o: state.Opened, table: sample_table.Frame) -> str:
    if o.run is None or o.run.task.kind != "classification":
        return ALL
    names = sorted(set(table["target"]))
    return choose.one(o, "Right answer", "truth", [ALL, *names], ALL, lambda v: shorten(v, 60) or "any")


def _page(found: sample_table.Frame, linked: int | None, signature: str) -> int:
    """The page that was asked for; at first the one that holds the linked sample."""
    start = st.session_state.setdefault(f"start-{signature}", sample_list.page_with(found, linked))
    return int(st.session_state.get(f"page-{signature}", start))


def _foot(found: int, total: int, left_out: int, at: int, pages: int, signature: str, group: str) -> None:
    """How many there are, and the other pages."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        of = f" of group {texts.plain(group.replace('=', ': ', 1), 60)}" if group else ""
        budget = f"; a budget left {count(left_out)} unmeasured" if left_out else ""
        st.caption(f"{count(found)} of {count(total)} samples{of}{budget}", width="content")
        if pages > 1:
            start = min(st.session_state[f"start-{signature}"], pages)
            st.pagination(pages, default=start, key=f"page-{signature}", max_visible_pages=5, width=300)


try:
    main()
except MMAuditError as error:
    texts.damaged(str(error))
