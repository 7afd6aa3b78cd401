"""Findings, worst first; each opens its evidence, the command that shows it again, and the pages that show more."""

from __future__ import annotations

import streamlit as st

from mmaudit.app.parts import evidence, pages, state, tables, texts
from mmaudit.report import Report
from mmaudit.types import LEVELS, Finding

FIRST = 12  # findings shown before a click; more serious ones are always shown


def show(o: state.Opened) -> None:
    """Draw the list. `?finding=` names one that is open from the start."""
    report = o.report
    texts.section(
        "Findings",
        "Worst first. Each rests on the bounds of 95 % intervals, never on point values alone."
        if report.findings
        else "",
    )
    if not report.findings:
        texts.nothing(
            "No rule fired: none of the built-in rules found its pattern beyond the 95 % interval. That does not mean "
            "that the model is robust; the other pages show what was measured and how small an effect could be seen."
        )
        return
    serious = sum(f.level in LEVELS[:2] for f in report.findings)
    linked = state.param("finding")
    at = next((i for i, f in enumerate(report.findings) if f.id == linked), -1)
    first = max(FIRST, serious, at + 1)
    for finding in report.findings[:first]:
        one(report, finding, opened=finding.id == linked)
    if report.findings[first:]:
        more = st.expander(f"{len(report.findings) - first} more, less serious", key="more-findings", on_change="rerun")
        if more.open:
            with more:
                for finding in report.findings[first:]:
                    one(report, finding, opened=False)


@st.fragment
def one(report: Report, finding: Finding, opened: bool) -> None:
    """A finding; its evidence is made once it is opened."""
    with st.container(border=True, gap="small", key=f"finding-{finding.level}-{finding.id}"):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            texts.level(finding.level)
            about = ", ".join(texts.plain(m, 40) for m in finding.modalities)
            st.caption(
                f"rule {texts.plain(finding.rule, 60)}" + (f" · about {about}" if about else ""), width="content"
            )
        st.markdown(texts.plain(finding.claim, 1500))
        key = f"evidence-{finding.id}"
        details = st.expander("Evidence", expanded=opened, key=key, on_change=_note, args=(key, finding.id))
        if details.open:
            with details:
                _details(report, finding)


def _note(key: str, name: str) -> None:
    """Keep the finding that was opened last in the URL."""
    if st.session_state[key]:
        state.set_param("finding", name)
    elif state.param("finding") == name:
        state.set_param("finding", None)


def _details(report: Report, finding: Finding) -> None:
    if finding.evidence:
        tables.show(evidence.table(report, finding), f"finding-{finding.id}", f"finding-{finding.id}")
    if finding.reproduce:
        st.caption("Show it again")
        st.code(finding.reproduce, language="bash", wrap_lines=True)
    with st.container(horizontal=True, gap="medium"):
        for name, params, label in evidence.seen_in(report, finding):
            pages.link(name, label, disabled=False, **params)
        key = evidence.condition_of(report, finding)
        if key:
            pages.link("samples", "Samples under this condition", condition=key)
        pages.link("overview", "Link to this finding", ":material/link:", finding=finding.id)
