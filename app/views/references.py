"""References: published methods retrained on the same data and audited by the same probes; would one do better?"""

from __future__ import annotations

import streamlit as st

from mmaudit.app.parts import charts, choose, figured, state, tables, texts
from mmaudit.app.parts.view import Filter
from mmaudit.errors import MMAuditError
from mmaudit.figures.references_panel import panel_of
from mmaudit.panel import Panel
from mmaudit.render import references as told

VIEWS = {"side by side": "Side by side", "conditions": "Every condition", "costs": "Costs and training"}


def main() -> None:
    """Draw the page."""
    texts.head("References", "Would another method do better? Published ones, trained and audited on the same data.")
    o = state.opened()
    panel = panel_of(o.report)
    said = told.references(o.report)
    if panel is None or said is None:
        _nothing(o, said.stale if said is not None else "")
        return
    for remark in said.remarks:
        st.caption(f"• {texts.plain(remark)}")
    for title, reason in said.failed:
        texts.partial(f"{title}: {reason}")
    view = choose.one(o, "View", "view", list(VIEWS), "side by side", VIEWS.__getitem__, bar=True)
    if view == "side by side":
        _side_by_side(o, panel)
    elif view == "conditions":
        texts.section("Every condition under every method", "Your model's value, and what each method is above it.")
        tables.show(told.conditions(o.report, panel), "reference-conditions", "reference-conditions", height=560)
    else:
        texts.section("What they cost")
        tables.show(told.costs(panel), "reference-costs", "reference-costs")
        texts.section("How each method was trained")
        for i, fact in enumerate(said.facts):
            with st.container(border=True, key=f"fact-{i}"):
                st.markdown(f"**{texts.plain(fact.title, 80)}**")
                st.caption("; ".join(texts.plain(w) for w in fact.words))


def _side_by_side(o: state.Opened, panel: Panel) -> None:
    """The summary, and the figures; empty of figures where no method was trained to the end."""
    texts.section("Beside your model", "Each number of a method is the mean over its seeds, with its 95 % interval.")
    tables.show(told.summary(panel), "references", "reference-summary")
    for i, figure in enumerate(figured.figures(o, "references", Filter())):
        charts.show(figure, f"references-{i}")


def _nothing(o: state.Opened, stale: str) -> None:
    """Why there are none, and the command that makes them."""
    run = state.typed(o)
    if stale:
        texts.partial(f"Reference methods were trained beside this run and are not shown: {stale}")
    else:
        texts.nothing(
            "No reference methods were trained for this run. They answer whether a published method, trained on your "
            "training data and audited by the same probes on the same samples, would hold up better than your model."
        )
    demo = str(o.report.document.get("command", "")).startswith("mmaudit demo")
    subject = "" if demo else " --model MODEL --data DATA --train TRAIN"
    st.caption("This trains them, with tuning and five seeds each; a run of the demo brings its own model and data.")
    st.code(f"mmaudit reference {run}{subject}", language="bash", wrap_lines=True)
    st.caption("Fewer seeds and methods are quicker:")
    st.code(
        f"mmaudit reference {run}{subject} --methods late_mean,modality_dropout --seeds 2 --tune 1",
        language="bash",
        wrap_lines=True,
    )


try:
    main()
except MMAuditError as error:
    texts.damaged(str(error))
