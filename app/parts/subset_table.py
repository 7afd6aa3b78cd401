"""The subsets of modalities as tables: score, calibration and confidence of each, and what no subset should do."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mmaudit.figures.base import Column, Table, number_cell, primary_title, text_cell, value_cell
from mmaudit.figures.subsets import Nodes, apart, gain, modality_names, named, ordered, steps, subsets
from mmaudit.formats import change, estimate, measure, shorten
from mmaudit.report import Report

BESIDES = ("ece", "mean_confidence", "overconfidence", "confidence_rise")
"""Metrics shown beside the primary one, where they were measured."""


@dataclass(frozen=True)
class Violation:
    """Something that a subset does and should not.

    Attributes:
        kind: `score` (one modality more makes it worse), or `confidence` (less to go by, and yet surer).
        baseline: what stands in for what is missing.
        says: one sentence with its numbers and interval.
        size: for the order, larger is worse.
    """

    kind: str
    baseline: str
    says: str
    size: float


def table(report: Report) -> Table:
    """One row per missing baseline and present subset; the whole set, which is the clean condition, comes last."""
    names = modality_names(report)
    shown = [report.metrics[m] for m in BESIDES if m in report.metrics and m != report.primary.name]
    columns = (
        Column("present", numeric=False),
        Column("missing baseline", numeric=False, note="what stands in for what is missing"),
        Column(primary_title(report)),
        *(Column(measure(m.name, m.unit, m.better), note=m.summary) for m in shown),
    )
    body = []
    for baseline, nodes in subsets(report).items():
        for subset, score in ordered(nodes, names):
            others = [value_cell(report.score(score.condition, m.name)) for m in shown]
            how = "" if len(subset) == len(names) else shorten(baseline, 30)
            row = (text_cell(named(subset, names)), text_cell(how), value_cell(score), *others)
            if row not in body:  # the whole set is the same under every baseline
                body.append(row)
    return Table(columns, tuple(body))


def violations(report: Report) -> tuple[Violation, ...]:
    """What subsets do and should not, beyond the 95 % intervals, largest first of each kind.

    A modality more should not make the answers worse; a modality less should not make the model surer of its answer
    (confidence monotonicity, Ma et al., ICML 2023). Single looks: no correction for how many there are.
    """
    names = modality_names(report)
    found: list[Violation] = []
    for baseline, nodes in subsets(report).items():
        found += _worse(report, baseline, nodes, names)
        found += _surer(report, baseline, nodes, names)
    return tuple(sorted(found, key=lambda v: (v.kind != "score", -v.size)))


def _worse(report: Report, baseline: str, nodes: Nodes, names: tuple[str, ...]) -> list[Violation]:
    found = []
    m = report.primary
    for small, large in steps(nodes, names):
        delta, low, high = gain(report, nodes[small], nodes[large])
        good = -delta if m.better == "lower" else delta
        if good < 0 and apart(nodes[small], nodes[large], low, high):
            added, kept = named(large - small, names), named(small, names)
            by = change(delta, low, high, m.unit)
            found.append(Violation("score", baseline, f"Adding {added} to {kept}: {_name(report)} {by}.", -good))
    return found


def _surer(report: Report, baseline: str, nodes: Nodes, names: tuple[str, ...]) -> list[Violation]:
    """Subsets in which more than half of the samples are answered with more confidence than on the whole input."""
    found = []
    for subset, score in nodes.items():
        rise = report.score(score.condition, "confidence_rise")
        if rise is None or len(subset) == len(names) or not math.isfinite(rise.low) or rise.low <= 0.5:
            continue
        said = estimate(rise.value, rise.low, rise.high, rise.unit)
        missing = named(frozenset(names) - subset, names)
        found.append(
            Violation(
                "confidence", baseline, f"Without {missing} the model is surer in {said} of the samples.", rise.value
            )
        )
    return found


def violation_table(report: Report, found: tuple[Violation, ...]) -> Table:
    """The same as a table."""
    columns = (
        Column("what should not be", numeric=False),
        Column("missing baseline", numeric=False),
        Column("size", note="change of the score, or share of samples"),
    )
    kinds = {"score": report.primary.unit, "confidence": "share"}
    rows = (
        (
            text_cell(v.says),
            text_cell(shorten(v.baseline, 30)),
            number_cell(v.size, kinds[v.kind], change=v.kind == "score"),
        )
        for v in found
    )
    return Table(columns, tuple(rows))


def _name(report: Report) -> str:
    return primary_title(report).partition(" (")[0]
