"""Parts of a page that are figures of one kind: drawn, or an honest word about why there are none."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from mmaudit.app.parts import charts, figured, pages, sidebar, state, texts
from mmaudit.app.parts.view import Filter

# What is said where the whole report has no such figure.
ABSENT = {
    "heatmap": "No condition with a severity was measured, so there is no grid.",
    "overview": "No condition besides the clean one was measured.",
    "severity": "No corruption with a severity was measured.",
    "scenarios": "No scenario was measured: several modalities corrupted by one cause. Add “scenario” to the suite.",
    "surface": "No severity × severity surface was measured. Add the probe “surface” to the suite.",
    "tolerance": "No sequence was shifted in time: the data has no audio or series with a sampling rate, or the suite "
    "has no “temporal_shift”.",
    "misalignment": "No mismatch by degrees was measured. Add “mismatch_share” or “stale_order” to the suite.",
    "arbitration": "No conflict was measured: it needs a classification, and the probe “conflict”.",
    "lattice": "No subset of modalities was measured.",
    "baselines": "Only one way to stand in for a missing modality was measured, or none.",
    "missing_rates": "No missing rates were measured.",
}
MANY = 3  # figures drawn before the rest goes behind a click


def figures(o: state.Opened, name: str, chosen: Filter, quiet: bool = False) -> bool:
    """Draw the figures of a name in `mmaudit.figures.FIGURES` for what the filters leave.

    Args:
        o: the run.
        name: of the figures.
        chosen: the filters.
        quiet: whether nothing is said where there are none.

    Returns:
        Whether anything was drawn.
    """
    found = figured.figures(o, name, chosen)
    if not found and not quiet:
        absent(o, name, chosen)
    for i, figure in enumerate(found[:MANY]):
        charts.show(figure, f"{name}-{i}")
    if found[MANY:]:
        more = st.expander(f"{len(found) - MANY} more charts", key=f"more-{name}", on_change="rerun")
        if more.open:
            with more:
                for i, figure in enumerate(found[MANY:], MANY):
                    charts.show(figure, f"{name}-{i}")
    return bool(found)


def absent(o: state.Opened, name: str, chosen: Filter) -> None:
    """Say why there is no such figure: nothing of the kind was measured, or the filters leave nothing."""
    everything = replace(chosen, modalities=(), families=(), group="")
    if chosen != everything and figured.figures(o, name, everything):
        by_group = chosen.group and figured.figures(o, name, replace(chosen, group=""))
        texts.nothing(
            "This was not measured group by group. Choose all samples in the sidebar to see it."
            if by_group
            else "The filters leave nothing of this. Widen them in the sidebar."
        )
    else:
        texts.nothing(ABSENT.get(name, "Nothing of this kind was measured."))


def filtered_note(o: state.Opened, chosen: Filter, page: str, **params: str) -> None:
    """A line that says what the filters leave, with a link that takes them away; nothing where they leave all."""
    words = sidebar.said(chosen, o.report)
    if words:
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key="filtered"):
            st.markdown(f":material/filter_alt: :gray[Filtered: {words}]", width="content")
            cleared = dict.fromkeys((n for n in pages.SHARED if n != "run"), "")
            pages.link(page, "Show everything", "", disabled=False, **{**cleared, **params})
