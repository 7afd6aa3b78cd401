"""Figures of a run's report, made once for each setting of the filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from mmaudit.app.parts import state
from mmaudit.app.parts.view import Filter, filtered
from mmaudit.figures import FIGURES, Figure
from mmaudit.report import Report

BY_CONDITION = ("reliability", "risk_coverage", "recalibration")


Entries = tuple[Mapping[str, Any], ...]


def figures(
    o: state.Opened, name: str, chosen: Filter, keys: tuple[str, ...] = (), more: Entries = ()
) -> tuple[Figure, ...]:
    """The figures of this name in `mmaudit.figures.FIGURES`, of what the filters leave; kept in memory.

    Args:
        o: the run.
        name: in `FIGURES`; one that this mmaudit does not have gives none.
        chosen: what to leave.
        keys: of the conditions to keep to, beside the clean one; all that the filters leave without it.
        more: entries of `document[name]` for conditions among `keys` of which the report holds none.
    """
    return _figures(str(o.entry.folder), changed(o), name, chosen, keys, o.report, more)


@st.cache_resource(max_entries=48, show_spinner=False)
def _figures(
    folder: str, when: int, name: str, chosen: Filter, keys: tuple[str, ...], _report: Report, _more: Entries
) -> tuple[Figure, ...]:
    make: Callable[[Report], tuple[Figure, ...]] | None = FIGURES.get(name)
    if make is None:
        return ()
    report = filtered(_report, chosen)
    if _more:
        report = Report({**report.document, name: [*report.document.get(name, ()), *_more]})
    return make(narrowed(report, keys) if keys else report)


def narrowed(report: Report, keys: tuple[str, ...]) -> Report:
    """A report of these conditions and the clean one."""
    keep = {*keys, report.clean}
    document = dict(report.document)
    for name in BY_CONDITION:
        document[name] = [entry for entry in document.get(name, ()) if entry["condition"] in keep]
    document["conditions"] = [c for c in document["conditions"] if c["key"] in keep]
    table = document["scores"]
    at = table["columns"].index("condition")
    document["scores"] = {**table, "rows": [row for row in table["rows"] if row[at] in keep]}
    return Report(document)


def everyone(chosen: Filter) -> Filter:
    """The same filter, of all samples: what was not measured by group."""
    return replace(chosen, group="")


def changed(o: state.Opened) -> int:
    """When the run's report was last written, in ns; 0 where that is not known."""
    try:
        return (o.entry.folder / "report.json").stat().st_mtime_ns
    except OSError:
        return 0
