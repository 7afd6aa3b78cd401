"""Calibration of conditions: in numbers, and curves of those that scoring kept none of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from mmaudit.app.parts import figured, state
from mmaudit.errors import MMAuditError
from mmaudit.figures import Column, Table, words
from mmaudit.figures.base import text_cell, value_cell
from mmaudit.formats import measure
from mmaudit.report import Measured, Report

METRICS = ("ece", "adaptive_ece", "overconfidence", "mean_confidence", "nll", "brier", "aurc")


def table(report: Report, conditions: Sequence[Measured]) -> Table:
    """The metrics of calibration that the report has, of all samples, in the order of the conditions."""
    found = [report.metrics[name] for name in METRICS if name in report.metrics]
    columns = (
        Column("condition", numeric=False),
        Column("family", numeric=False),
        *(Column(measure(m.name, m.unit, m.better), note=m.summary) for m in found),
    )
    body = tuple(
        (
            text_cell(words(m.condition)),
            text_cell(m.condition.family),
            *(value_cell(report.score(m.key, metric.name)) for metric in found),
        )
        for m in conditions
    )
    return Table(columns, body)


def curves(o: state.Opened, name: str, keys: Sequence[str]) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Entries of `document[name]` for conditions of which the report holds none, from the answers; and what failed."""
    held = {entry["condition"] for entry in o.report.document.get(name, ())}
    found, failed = list[Mapping[str, Any]](), list[str]()
    drawn = o.report.document.get("bootstrap") or {}
    for key in keys:
        if key in held or o.run is None:
            continue
        try:
            made = _curves(str(o.entry.folder), figured.changed(o), key, *_draw(drawn), o)
            found.append(made[name])
        except MMAuditError as error:
            failed.append(str(error))
    return found, failed


def _draw(drawn: Mapping[str, Any]) -> tuple[int, int]:
    return int(drawn.get("replicates", 1000)), int(drawn.get("seed", 0))


@st.cache_resource(max_entries=128, show_spinner="Working out the curves …")
def _curves(
    folder: str, when: int, key: str, replicates: int, seed: int, _o: state.Opened
) -> Mapping[str, Mapping[str, Any]]:
    from mmaudit.browse.curves import curves as made

    assert _o.run is not None
    return made(_o.run, _o.run.condition(key), replicates=replicates, seed=seed)
