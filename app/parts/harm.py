"""What perturbations cost: the grid of probes by severity, the curves, what happens together, mismatch, everything."""

from __future__ import annotations

import pandas as pd

from mmaudit.app.parts import sections, state, tables, texts
from mmaudit.app.parts.view import Filter
from mmaudit.render import scenarios

VIEWS = {
    "grid": "Heat-map",
    "severity": "Severity curves",
    "together": "Corrupted together",
    "mismatch": "Mismatch and conflict",
    "all": "All conditions",
}


def show(o: state.Opened) -> None:
    """Draw the page; `?view=` names the part, and only that part is drawn."""
    texts.head("Robustness", "What each perturbation costs, and from which severity on.")
    view = state.linked_bar("Part", "view", VIEWS, "grid")
    chosen = state.filters(o)
    sections.filtered_note(o, chosen, "robustness", view=view)
    if view == "together":
        _together(o, chosen)
    elif view == "mismatch":
        drawn = [sections.figures(o, name, chosen, quiet=True) for name in ("tolerance", "misalignment", "arbitration")]
        for name, there in zip(("tolerance", "misalignment", "arbitration"), drawn, strict=True):
            if not there:
                sections.absent(o, name, chosen)
    else:
        sections.figures(o, {"grid": "heatmap", "severity": "severity", "all": "overview"}[view], chosen)
    if view == "severity":
        for meaning, table in scenarios.severity_scales(o.report):
            texts.section("What the positions mean", texts.plain(meaning, 600))
            tables.show(table, "severity-scale", "severity-scale")


def _together(o: state.Opened, chosen: Filter) -> None:
    """Scenarios with what they do, and the surface of two severities."""
    if sections.figures(o, "scenarios", chosen):
        said = scenarios.scenario_texts(o.report)
        if said:
            texts.section("What the scenarios do")
            tables.show(pd.DataFrame(said, columns=["scenario", "what happens"]), "scenarios", "scenario-texts")
            tables.show(scenarios.scenario_steps(o.report), "scenario-steps", "scenario-steps")
    sections.figures(o, "surface", chosen)
