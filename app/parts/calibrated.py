"""Calibration in numbers: one row per condition, one column per metric."""

from __future__ import annotations

from collections.abc import Sequence

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
