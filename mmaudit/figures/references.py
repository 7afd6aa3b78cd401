"""Reference methods: would another method do better on this data? Three figures, drawn from the report's panel."""

from __future__ import annotations

from mmaudit.figures.base import Figure
from mmaudit.figures.references_calibration import calibration
from mmaudit.figures.references_differences import differences
from mmaudit.figures.references_line import effective
from mmaudit.figures.references_panel import panel_of
from mmaudit.report import Report


def references(report: Report) -> tuple[Figure, ...]:
    """Differences from the audited model, effective robustness, calibration; empty without reference methods."""
    panel = panel_of(report)
    if panel is None or not panel.scored:
        return ()
    found = (differences(panel), effective(panel), calibration(panel))
    return tuple(f for f in found if f is not None)
