"""The account of an audit: scope, limits, what was declined and untested, controls and checks, numbers, versions."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from mmaudit import states
from mmaudit.app.parts import files, state, tables, texts
from mmaudit.formats import readable
from mmaudit.render import scope as scopes
from mmaudit.render import tables as report_tables
from mmaudit.render.reproduce import times
from mmaudit.report import Report

VIEWS = {"run": "What was run", "limits": "Limits", "controls": "Controls and checks", "numbers": "The numbers",
         "versions": "Versions"}  # fmt: skip


def show(o: state.Opened) -> None:
    """Draw the page; `?view=` names the part."""
    texts.head("Method", "How the numbers came about, what they cover, and what they do not.")
    view = state.linked_bar("Part", "view", VIEWS, "run")
    report = o.report
    {"run": _run, "limits": _limits, "controls": _controls, "numbers": _numbers, "versions": _versions}[view](report)
    if view == "numbers":
        st.caption("Every formula, its chance level and its sources stand in the section “Method” of the report:")
        files.report(o)


def _run(report: Report) -> None:
    found = scopes.scope(report)
    texts.section("What was audited")
    _facts([(fact.name, fact.words) for fact in found.audited])
    texts.section("What was tested", "One row per family of conditions; every condition is compared with clean data.")
    frame = pd.DataFrame([(t.family, t.conditions, t.modalities, t.does, t.probes) for t in found.tested],
                         columns=["family", "conditions", "changes", "what it does", "probes"])  # fmt: skip
    tables.show(frame, "tested", "tested")
    texts.section(
        "Conditions as applied",
        "Proof that each did something: how many samples it changed, how far it moved them, what the model received.",
    )
    tables.show(report_tables.applied(report), "applied", "applied")
    texts.section("The command")
    if report.document["command"]:
        st.code(report.document["command"], language="bash", wrap_lines=True)
    else:
        texts.nothing("No command was recorded: the audit was called from Python.")


def _limits(report: Report) -> None:
    found = scopes.scope(report)
    texts.section("Limits", "What to know before relying on the numbers.")
    _lines(found.limits)
    texts.section("Not tested", "What this report shows that it lacks.")
    _lines([f"{gap.what}: {gap.why}" for gap in found.untested])
    texts.section("Outside of any such audit")
    _lines(found.outside)
    texts.section("Declined", "Probes of the suite that could not be run on some modalities, and why.")
    if not found.declined:
        texts.nothing("No probe of the suite declined a modality.")
        return
    frame = pd.DataFrame([(d.probe, d.modalities, d.reason) for d in found.declined],
                         columns=["probe", "modalities", "why it was not run"])  # fmt: skip
    tables.show(frame, "declined", "declined")


def _controls(report: Report) -> None:
    texts.section("Controls", "Probes whose result is known in advance.")
    if not report.document["controls"]:
        texts.nothing("This audit ran without controls, so nothing shows that its probes did what they say.")
    for c in report.document["controls"]:
        texts.outcome(states.control_state(c), c["control"], c["message"])
    texts.section("Model checks", "What an audit relies on, checked on a few samples before it began.")
    if not report.document["checks"]:
        texts.nothing("No checks were recorded.")
    for c in report.document["checks"]:
        texts.outcome(states.check_state(c), c["clause"], c["message"])


def _numbers(report: Report) -> None:
    texts.section("The numbers", "Every metric of this report, with its direction and unit.")
    frame = pd.DataFrame(
        [(readable(m.name), _direction(m.better), m.unit or "none", m.summary) for m in report.metrics.values()],
        columns=["number", "better", "unit", "meaning"],
    )
    tables.show(frame, "numbers", "numbers", height=520)
    if (summaries := report_tables.summaries(report)).rows:
        texts.section("Summaries of curves and families")
        tables.show(summaries, "summaries", "summaries")


def _versions(report: Report) -> None:
    doc = report.document
    texts.section("Versions")
    facts = [("mmaudit", f"{doc['mmaudit']}, report form {doc['schema']}"), *doc.get("environment", {}).items()]
    facts += [("run as", f"{doc['model']['stages']}; device {doc['model']['device']}")]
    _facts([(k, str(v)) for k, v in facts])
    texts.section("Suite")
    _facts([(readable(k), _said(v)) for k, v in doc["suite"].items()])
    texts.section("Time")
    if not doc["timing"]:
        texts.nothing("No times were recorded.")
    _facts([(fact.name, fact.words) for fact in times(report)])


def _direction(better: str) -> str:
    return {"higher": "↑ higher", "lower": "↓ lower"}.get(better, "neither")


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_said(v) for v in value) or "none"
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _facts(facts: list[tuple[str, str]]) -> None:
    """Names and what is known, below each other; on a phone too."""
    with st.container(gap="xsmall"):
        for name, words in facts:
            st.markdown(f":gray[{texts.plain(name, 80)}]  {texts.plain(words)}")


def _lines(lines: Any) -> None:
    if not lines:
        texts.nothing("Nothing is recorded here.")
    else:
        st.markdown("\n".join(f"- {texts.plain(line)}" for line in lines))
