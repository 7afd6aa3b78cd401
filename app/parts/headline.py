"""The head of a run: what was audited, verdict, tiles, controls."""

from __future__ import annotations

import streamlit as st

from mmaudit import states
from mmaudit.app.parts import files, pages, state, texts
from mmaudit.formats import NBSP, count
from mmaudit.render import scope, summary
from mmaudit.report import Report

# Sections of the report page that tiles point at, as pages here.
LEADS_TO = {
    "everything": ("robustness", {"view": "all"}),
    "conditions": ("robustness", {"view": "all"}),
    "severity": ("robustness", {"view": "severity"}),
    "modalities": ("subsets", {}),
    "calibration": ("calibration", {}),
    "synergy": ("reliance", {}),
    "reliance": ("reliance", {}),
    "references": ("references", {}),
}


def show(o: state.Opened) -> None:
    """Draw it."""
    report = o.report
    texts.head(texts.plain(report.document["title"], 160))
    st.caption(texts.plain(_about(report), 400))
    _alarms(report)
    if o.entry.state == "running":
        texts.partial("An audit is adding to this run right now; what is shown is its last report.")
    elif o.entry.state in ("partial", "damaged") and o.entry.reason:
        texts.partial(o.entry.reason)
    if budget := report.budget():
        texts.partial(budget)
    level, sentences = summary.verdict_sentences(report)
    with st.container(border=True, gap="small", key=f"verdict-{level}"):
        texts.level(level)
        first, *rest = sentences
        st.markdown(f"**{texts.plain(first, 1000)}**  \n" + " ".join(texts.plain(s, 1000) for s in rest))
        files.report(o)
    _tiles(report)
    _controls(report)


def _about(report: Report) -> str:
    doc = report.document
    names = " + ".join(m["name"] for m in doc["data"]["modalities"])
    # A date stays on one line: hyphens and spaces that do not break.
    when = scope.when(doc["created"]).replace("-", "\u2011").replace(" ", NBSP)
    made = f" · {when}" if when else ""
    kind = f"{doc['task']['kind']} from {names}"
    conditions = f"{count(len(report.conditions))} conditions"
    return f"{doc['model']['name']} · {kind} · {count(doc['data']['n'])} samples · {conditions}{made}"


def _alarms(report: Report) -> None:
    for line in report.failed_controls():
        st.error(f"**A control failed.** {texts.plain(line)}", icon=":material/gpp_bad:")
    idle = report.idle_conditions()
    if idle:
        some = " ".join(texts.plain(line) for line in idle[:3])
        more = f" And {len(idle) - 3} more." if len(idle) > 3 else ""
        st.warning(
            f"**Not applied:** {some}{more} Such a condition has the numbers of clean data and says nothing.",
            icon=":material/block:",
        )


def _tiles(report: Report) -> None:
    with st.container(horizontal=True, gap="small", key="tiles"):
        for i, tile in enumerate(summary.tiles(report)):
            with st.container(border=True, gap="xxsmall", key=f"tile-{i}"):
                st.caption(texts.plain(tile.title, 60))
                st.markdown(f"**{texts.plain(tile.value, 40)}**")
                if tile.interval:
                    st.caption(f"95{NBSP}% {texts.plain(tile.interval, 60)}")
                if tile.detail:
                    st.markdown(f":small[{texts.plain(tile.detail, 80)}]")
                if tile.href in LEADS_TO:
                    name, params = LEADS_TO[tile.href]
                    pages.link(name, f":small[{pages.page(name).title}]", "", disabled=False, **params)


def _controls(report: Report) -> None:
    # A probe that changed no sample says nothing; it casts no doubt on the others, as a failed control does.
    controls = [c for c in report.document["controls"] if c["ok"] or c["control"] != "applied"]
    idle, checks = report.idle_conditions(), report.document["checks"]
    good = sum(c["ok"] for c in controls)
    if not controls:
        st.warning("This audit ran without controls, so nothing shows that its probes did what they say.")
    said = f"Controls: {good} of {len(controls)} passed" if controls else "No controls"
    said += f" · model checks: {states.counted(checks)}" if checks else ""
    said += f" · {len(idle)} condition{'s' * (len(idle) > 1)} changed nothing" if idle else ""
    with st.expander(
        said, icon=":material/verified:" if controls and good == len(controls) else ":material/gpp_maybe:"
    ):
        st.caption("Probes whose result is known in advance: where one comes out wrong, no number can be trusted.")
        for c in controls:
            texts.outcome(states.control_state(c), c["control"], c["message"])
        if idle:
            st.caption("Conditions that changed no sample say nothing about the model. All others stand.")
        for c in report.document["controls"]:
            if not c["ok"] and c["control"] == "applied":
                texts.outcome(states.control_state(c), c["label"], c["message"])
        pages.link("method", "Model checks and method")
