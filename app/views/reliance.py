"""Reliance and synergy: does the model fuse, or does it coast on one modality; and what does the data offer?"""

from __future__ import annotations

import streamlit as st

from mmaudit.app.parts import charts, choose, estimated, figured, sidebar, state, tables, texts
from mmaudit.app.parts.view import Filter
from mmaudit.errors import MMAuditError
from mmaudit.formats import unbroken
from mmaudit.render import synergy as told

VIEWS = {
    "reliance": "Reliance",
    "synergy": "Synergy",
    "estimates": "All estimates",
}
SAYS = {
    "reliance": (
        "How much of what the model gets right comes from each modality. There is no single right answer: each "
        "estimator takes a modality away, exchanges it, or looks into the model, and so asks a different question."
    ),
    "synergy": (
        "What modalities say of the target only together: what the data offers beside what the model uses, in bits. "
        "More in the data than in the model means that the model leaves something unused."
    ),
}
WHY = {
    "reliance": ("disagreements", "Where they differ"),
    "synergy": ("explanations", "What the numbers do not say by themselves"),
}
NONE = {
    "reliance": (
        "This run holds no estimates of reliance. They come from conditions that withhold or exchange modalities: "
        "audit with the probes missing and mismatch (both are in the standard suite), with two modalities or more."
    ),
    "synergy": (
        "This run holds no estimates of synergy. They need the data while the audit runs: audit again without "
        "switching the analysis off."
    ),
}


def main() -> None:
    """Draw the page."""
    texts.head("Reliance & synergy", "Does the model fuse its modalities, or does it coast on one?")
    o = state.opened()
    view = choose.one(o, "View", "view", list(VIEWS), "reliance", VIEWS.__getitem__, bar=True)
    filters = state.filters(o)
    if view == "estimates":
        _estimates(o, filters)
        return
    st.caption(SAYS[view])
    if sidebar.said(filters, o.report):
        texts.partial(f"This shows all that was estimated; the filters apply to “{VIEWS['estimates']}”.")
    found = figured.figures(o, view, Filter())
    if not found:
        texts.nothing(NONE[view])
    for i, figure in enumerate(found):
        charts.show(figure, f"{view}-{i}")
        if i == 0:
            _why(o, view)
    _facts(o, view)


def _why(o: state.Opened, view: str) -> None:
    """Where estimators differ, or what the numbers do not say by themselves; below the first figure."""
    name, title = WHY[view]
    sentences = told.explanations(o.report, name)
    if not sentences:
        return
    with st.container(border=True, key=f"why-{view}"):
        st.markdown(f"**{title}**")
        for sentence in sentences:
            st.markdown(f"- {texts.plain(unbroken(estimated.sentence(sentence)), 1200)}")


def _facts(o: state.Opened, view: str) -> None:
    facts = told.reliance_facts(o.report) if view == "reliance" else told.synergy_facts(o.report)
    if not facts:
        return
    with st.expander("How this was measured"):
        for fact in facts:
            st.markdown(f"**{texts.plain(fact.name, 120)}**: {texts.plain(fact.words)}")


def _estimates(o: state.Opened, filters: Filter) -> None:
    texts.section("All estimates", "Every number about reliance and synergy, beside what it would be of nothing.")
    table = estimated.table(o.report, filters)
    if not table.rows:
        texts.nothing("No estimate is about what the filters leave." if o.report.estimates else NONE["reliance"])
        return
    tables.show(table, "estimates", "estimates", height=640)


try:
    main()
except MMAuditError as error:
    texts.damaged(str(error))
