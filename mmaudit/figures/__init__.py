"""Charts as plain Vega-Lite specifications, each with its words and a table of the same numbers.

A function takes a Report and returns its figures, empty where the report has nothing of the kind. Report and dashboard
draw the same ones: `for panel in figure.panels: st.vega_lite_chart(panel.spec)`.
"""

from mmaudit.figures.arbitration import arbitration
from mmaudit.figures.base import Cell, Column, Figure, Panel, Table, words
from mmaudit.figures.baselines import baselines
from mmaudit.figures.confidence import confidence
from mmaudit.figures.groups import group_effects
from mmaudit.figures.heatmap import heatmap
from mmaudit.figures.lattice import subset_lattice
from mmaudit.figures.misalignment import misalignment
from mmaudit.figures.outputs import by_output
from mmaudit.figures.overview import overview
from mmaudit.figures.recalibration import recalibration
from mmaudit.figures.references import references
from mmaudit.figures.reliability import reliability
from mmaudit.figures.reliance import reliance
from mmaudit.figures.risk_coverage import risk_coverage
from mmaudit.figures.severity import missing_rates, scenario_curves, severity_curves
from mmaudit.figures.surface import surface
from mmaudit.figures.synergy import synergy
from mmaudit.figures.tolerance import tolerance

FIGURES = {
    "overview": overview,
    "heatmap": heatmap,
    "severity": severity_curves,
    "missing_rates": missing_rates,
    "lattice": subset_lattice,
    "baselines": baselines,
    "reliance": reliance,
    "misalignment": misalignment,
    "tolerance": tolerance,
    "arbitration": arbitration,
    "scenarios": scenario_curves,
    "surface": surface,
    "synergy": synergy,
    "references": references,
    "reliability": reliability,
    "risk_coverage": risk_coverage,
    "confidence": confidence,
    "recalibration": recalibration,
    "by_output": by_output,
    "groups": group_effects,
}

__all__ = [
    "FIGURES",
    "Cell",
    "Column",
    "Figure",
    "Panel",
    "Table",
    "arbitration",
    "baselines",
    "by_output",
    "confidence",
    "group_effects",
    "heatmap",
    "misalignment",
    "missing_rates",
    "overview",
    "recalibration",
    "references",
    "reliability",
    "reliance",
    "risk_coverage",
    "scenario_curves",
    "severity_curves",
    "subset_lattice",
    "surface",
    "synergy",
    "tolerance",
    "words",
]
