"""The summary a notebook shows: headline, findings, worst conditions; no chart library, no script."""

from __future__ import annotations

import math

from mmaudit.figures.base import words
from mmaudit.figures.overview import ranked
from mmaudit.formats import change
from mmaudit.render.summary import MARKS, tiles, verdict
from mmaudit.render.templates import render, style
from mmaudit.report import Report

SHOWN = 8


def inline(report: Report) -> str:
    """Return a fragment of HTML with its own scoped style; readable on light and dark grounds."""
    entries = [(m, s) for m, s in ranked(report) if math.isfinite(s.delta) and m.condition.family != "control"]
    widest = max((abs(s.delta) for _, s in entries), default=0.0) or 1.0
    return render(
        "inline.html.j2",
        css=style("inline.css"),
        report=report,
        doc=report.document,
        failed=report.failed_controls(),
        idle=report.idle_conditions(),
        verdict=verdict(report)[1],
        tiles=tiles(report),
        findings=[(f, MARKS[f.level]) for f in report.findings],
        worst=[
            {
                "what": words(m.condition),
                "text": change(s.delta, s.delta_low, s.delta_high, s.unit),
                "width": f"{100 * abs(s.delta) / widest:.1f}",
            }
            for m, s in entries[:SHOWN]
        ],
        more=max(len(entries) - SHOWN, 0),
        primary=report.primary,
    )
