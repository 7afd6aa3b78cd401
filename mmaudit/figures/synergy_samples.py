"""Samples by what their modalities say of the target: how many of each kind, and how the model does on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmaudit.estimates import Estimate
from mmaudit.figures.base import Column, Figure, Panel, Table, count_cell, text_cell
from mmaudit.figures.dots import HALF, Line, Row, Scale, dot_rows
from mmaudit.figures.estimates import cell, dot, null_cell, together
from mmaudit.figures.marks import BLUE, DASHED, MUTED, RED
from mmaudit.figures.subsets import modality_names
from mmaudit.formats import number, readable, shorten
from mmaudit.report import Report

RULES = {"strict": "every predictor of one modality wrong, in every seed", "majority": "wrong in most seeds"}


def tag_words(tag: str) -> str:
    """A tag in words: `unique, image` for `unique_image`."""
    return shorten(readable(tag), 30)


def tags(report: Report, estimates: Sequence[Estimate]) -> list[Figure]:
    """Shares of the tags beside the model's accuracy on the samples that carry them."""
    shares = [e for e in estimates if e.estimator == "tag_share" and not e.group]
    subset = [e for e in estimates if e.estimator == "synergy_subset" and not e.group]
    right = [e for e in estimates if e.estimator == "accuracy_on" and not e.group]
    if not (shares or subset or right):
        return []
    names = modality_names(report)
    what = "right labels" if _labels(report) else "accuracy"
    panels = [
        p
        for p in (
            _panel("How many samples", "share of samples (%)", [*shares, *subset], names, (BLUE, "circle"), ()),
            _panel("The model on them", f"{what} (%, ↑ better)", right, names, (RED, "square"), _overall(report)),
        )
        if p is not None
    ]
    columns = (
        Column("samples", numeric=False),
        Column("quantity", numeric=False),
        Column("value"),
        Column("if there were nothing"),
        Column("n"),
    )
    quantity = {
        "tag_share": "share of samples",
        "synergy_subset": "share of samples",
        "accuracy_on": f"{what} of the model",
    }
    body = tuple(
        (text_cell(_name(e, names)), text_cell(quantity[e.estimator]), cell(e), null_cell(e), count_cell(e.n))
        for e in [*shares, *subset, *right]
    )
    caption = (
        "Every sample by what cross-fitted predictors need to get it right: either modality alone (redundant), only "
        "one of them (unique), only both together (synergy). The synergy subset holds the samples on which every "
        "predictor of a single modality is wrong (SynIB). A tag is a statement about these predictors, not about the "
        "sample alone: a lucky guess looks like information. The dashed line is the model on all "
        "samples."
    )
    return [Figure("synergy-tags", "Sample by sample", caption, tuple(panels), Table(columns, body))]


def _name(e: Estimate, names: Sequence[str]) -> str:
    rule = e.option("rule") or (e.option("tag") or "").partition("synergy_subset_")[2]
    if rule:
        return f"synergy subset, {shorten(rule, 20)}"
    about = "" if e.modalities == tuple(names) else together(e.modalities)
    tag = tag_words(e.option("tag") or "all")
    return f"{tag}, {about}" if about else tag


def _panel(
    title: str,
    axis: str,
    estimates: Sequence[Estimate],
    names: Sequence[str],
    style: tuple[str, str],
    lines: tuple[Line, ...],
) -> Panel | None:
    rows = [
        Row(
            _name(e, names),
            (dot(e, title, _name(e, names)),),
            number(e.value, "share"),
        )
        for e in estimates
        if math.isfinite(e.value)
    ]
    if not rows:
        return None
    said = "; ".join(f"{r.label} {r.numbers}" for r in rows[:8])
    picture = dot_rows(rows, {title: style}, Scale(axis, lines, (0.0, 100.0)), width=HALF)
    return Panel(title, f"{title}: {said}. All numbers are in the table.", picture, "half")


def _overall(report: Report) -> tuple[Line, ...]:
    """The same quantity of all samples; of several labels the share of right ones, as on the samples of a tag."""
    names = ("mean_confidence", "overconfidence") if _labels(report) else ("accuracy",)
    values = [math.nan if s is None else s.value for s in (report.score(report.clean, name) for name in names)]
    value = values[0] - sum(values[1:])
    return (Line(100 * value, "", DASHED, MUTED),) if math.isfinite(value) else ()


def _labels(report: Report) -> bool:
    return bool(report.document["task"]["kind"] == "multilabel")
