"""Modalities taken away: the lattice of subsets, their calibration, what should not be, stand-ins, missing rates."""

from __future__ import annotations

from mmaudit.app.parts import sections, state, subset_table, tables, texts
from mmaudit.app.parts.view import Filter

VIEWS = {"lattice": "Subsets", "standins": "Stand-ins compared", "rates": "Missing in some samples"}


def show(o: state.Opened) -> None:
    """Draw the page; `?view=` names the part."""
    texts.head("Subsets", "What the model can do with some of its modalities, and what each adds to the others.")
    view = state.linked_bar("Part", "view", VIEWS, "lattice")
    # A subset is the absence of modalities: choosing modalities or families would only tear holes into the lattice.
    asked = state.filters(o)
    chosen = Filter(metric=asked.metric, group=asked.group)
    sections.filtered_note(o, chosen, "subsets", view=view)
    if view == "standins":
        sections.figures(o, "baselines", chosen)
    elif view == "rates":
        sections.figures(o, "missing_rates", asked)
    elif sections.figures(o, "lattice", chosen):
        _subsets(o, chosen)


def _subsets(o: state.Opened, chosen: Filter) -> None:
    report = state.view_of(o, chosen)
    texts.section(
        "What should not be",
        "One modality more should not make answers worse; one less should not make the model surer. Listed is what "
        "goes beyond its 95 % interval, looked at one by one.",
    )
    found = subset_table.violations(report)
    if found:
        tables.show(subset_table.violation_table(report, found), "violations", "violations")
    else:
        texts.nothing("No subset does either beyond its interval.")
    texts.section("Score and calibration of every subset")
    tables.show(subset_table.table(report), "subsets", "subsets")
