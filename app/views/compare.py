"""Compare: another run beside this one, on the same samples: what is worse, better or undecided, by condition."""

from __future__ import annotations

import math

import streamlit as st

from mmaudit.app.parts import charts, choose, compared, estimated, state, tables, texts
from mmaudit.app.parts.sidebar import label
from mmaudit.app.parts.view import Filter
from mmaudit.browse.library import Entry
from mmaudit.compared.result import CHANGE, VALUE, VERDICTS, Compared, Comparison
from mmaudit.errors import MMAuditError
from mmaudit.figures.compared import differences, group_differences, scatter
from mmaudit.formats import change, count, estimate, measure, shorten

QUANTITIES: dict[str, str] = {VALUE: "The metric itself", CHANGE: "Its fall against clean (robustness)"}
VIEWS = (compared.ALL, *VERDICTS)


def main() -> None:
    """Draw the page."""
    texts.head("Compare", "Another run beside this one, paired sample by sample where both hold the same samples.")
    o = state.opened()
    if o.run is None:
        texts.damaged("The run's own files cannot be read, only its report; a comparison needs the stored answers.")
        return
    others = [e for e in state.listing() if e.name != o.entry.name and e.state == "complete"]
    if not others:
        texts.nothing("There is no other complete run in this folder. Audit a second model or version into it.")
        return
    # Runs of the same task first: the others cannot be compared, and choosing one says why.
    others.sort(key=lambda e: e.task != o.entry.task)
    names = {e.name: _option(e, o.entry.task) for e in others}
    # No default: a link without `with` compares with nothing by accident.
    other = choose.one(o, "Compare with", "with", ["", *names], "", lambda n: names.get(n, "Choose a run"))
    if not other:
        texts.nothing(
            "Choose a run to compare with. This run is the one it is compared to: “worse” is said of the other."
        )
        return
    filters = state.filters(o)
    with_groups = choose.switch(o, "Also by group", "by-group", "Takes longer.")
    try:
        found = compared.comparison(o, next(e for e in others if e.name == other), filters.metric, with_groups)
    except MMAuditError as error:
        texts.damaged(str(error))
        return
    _head(found, filters.metric)
    _rows(o, found, filters)
    _rest(found)


def _option(entry: Entry, task: str) -> str:
    said = f"{label(entry)}   {shorten(entry.model, 60)}"
    return said if entry.task == task else f"{said} (another task)"


def _head(c: Comparison, metric: str) -> None:
    """What is compared with what, how, and the verdicts in numbers."""
    pairing = c.pairings[0]
    how = (
        f"{count(pairing.n_first)} samples, each compared with itself"
        if pairing.paired
        else (f"not paired: {count(pairing.n_first)} and {count(pairing.n_other)} samples")
    )
    st.markdown(f"**{texts.plain(c.others[0].name, 80)}** beside **{texts.plain(c.first.name, 80)}**: {how}")
    for remark in (pairing.reason, *pairing.remarks):
        if remark:
            texts.partial(estimated.sentence(remark))
    name = metric or c.primary.name
    clean = c.row(c.clean, name)
    tiles = []
    if clean is not None and math.isfinite(clean.delta):
        m = measure(clean.metric, clean.unit, clean.better)
        tiles.append((f"Clean {m}", change(clean.delta, clean.delta_low, clean.delta_high, clean.unit), _both(clean)))
    for quantity, title in ((VALUE, "Conditions"), (CHANGE, "Robustness")):
        verdicts = c.counts(0, name, quantity)
        said = " &nbsp; ".join(compared.badge(v, n) for v, n in verdicts.items())
        tiles.append((title, said, "of the other run; by interval, after adjustment"))
    with st.container(horizontal=True, gap="small", key="compare-tiles"):
        for i, (title, value, more) in enumerate(tiles):
            with st.container(border=True, key=f"tile-compare-{i}", gap="xxsmall", height="stretch"):
                st.caption(texts.plain(title))
                st.markdown(value if i or clean is None else f"**{texts.plain(value)}**")
                st.caption(texts.plain(more))


def _both(row: Compared) -> str:
    first = estimate(row.value_first, row.low_first, row.high_first, row.unit)
    return f"{first} → {estimate(row.value_other, row.low_other, row.high_other, row.unit)}"


def _rows(o: state.Opened, c: Comparison, filters: Filter) -> None:
    texts.section("Condition by condition")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        quantity = choose.one(o, "What is compared", "what", list(QUANTITIES), VALUE, QUANTITIES.__getitem__, bar=True)
        verdict = choose.one(o, "Verdict", "verdict", VIEWS, compared.ALL, bar=True)
    some = compared.narrowed(c, filters, verdict)
    name = filters.metric or c.primary.name
    found = differences(some, 0, CHANGE if quantity == CHANGE else VALUE, name)
    for figure in found:
        charts.show(figure, f"compared-{quantity}", heading=False)
    if not found:
        texts.nothing("No condition that the filters leave has this verdict, or none can be compared.")
    if verdict == compared.ALL and name == c.primary.name:
        for i, figure in enumerate(scatter(some)):
            charts.show(figure, f"compared-scatter-{i}")
    for i, figure in enumerate(group_differences(c)):
        charts.show(figure, f"compared-groups-{i}")


def _rest(c: Comparison) -> None:
    """What one run alone has, and the comparison to take away."""
    alone = compared.alone(c)
    if alone.rows:
        texts.section("Only in one of the two", "They cannot be compared, and count as undecided.")
        tables.show(alone, "only-in-one", "only-in-one")
    texts.section("Downloads", "The whole comparison; the page and the summary are complete on their own.")
    with st.container(horizontal=True, gap="small"):
        for title, name, mime, make in compared.files(c):
            st.download_button(title, data=make, file_name=name, mime=mime, key=f"take-{name}", on_click="ignore")


try:
    main()
except MMAuditError as error:
    texts.damaged(str(error))
