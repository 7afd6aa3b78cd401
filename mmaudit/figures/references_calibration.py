"""Calibration of every model on clean data and with each modality missing."""

from __future__ import annotations

import math

from mmaudit.figures.base import Column, Figure, Table, text_cell
from mmaudit.figures.base import Panel as Drawing
from mmaudit.figures.dots import FULL, PHONE, Dot, Row, Scale, dot_rows
from mmaudit.figures.marks import Spec
from mmaudit.figures.references_panel import (
    delta_cell,
    dot,
    name_of,
    order,
    p_cell,
    said,
    styles,
    value_cell,
    value_text,
)
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import CLEAN, ECE

MOST_SUBSETS = 6


def calibration(panel: Panel) -> Figure | None:
    """One figure: ECE of every model, clean and per missing modality; None where nothing states probabilities."""
    subsets = _subsets(panel)
    names = order(panel)
    if not any(math.isfinite(panel.row(n, ECE, key).value) for n in names for key, _ in subsets):
        return None
    caption = (
        "Expected calibration error (15 bins): how far stated confidence and share of right answers lie apart. One "
        "that knows what is missing can be less sure then; a model that is fed a stand-in often is not. Noise alone "
        "makes it positive, for all models alike, because all answer the same samples."
    )
    drawn = subsets[:MOST_SUBSETS]
    alt = f"Calibration error of {len(names)} models in {len(drawn)} situations. All numbers are in the table."
    drawings = (
        Drawing("", alt, _spec(panel, drawn, names, FULL), "full", "wide"),
        Drawing("", alt, _spec(panel, drawn, names, PHONE), "full", "narrow"),
    )
    columns = (
        Column("under", numeric=False),
        Column("model", numeric=False),
        Column("ECE (%, ↓ better)"),
        Column("against your model"),
        Column("adjusted p", note="Benjamini-Hochberg over all methods and sets of missing modalities"),
    )
    body = [
        (text_cell(words), text_cell(name_of(panel, n)), value_cell(r), delta_cell(r), p_cell(r))
        for key, words in subsets
        for n in names
        for r in (panel.row(n, ECE, key),)
    ]
    title = "Do they know when something is missing?"
    return Figure("reference-calibration", title, caption, drawings, Table(columns, tuple(body)))


def _subsets(panel: Panel) -> list[tuple[str, str]]:
    """Places of the calibration rows with their words: clean data, and the one condition of each missing group."""
    missing = [g for g in panel.groups if g.key.startswith("missing[")]
    return [(CLEAN, "clean data"), *((g.conditions[0], said(g)) for g in missing)]


def _spec(panel: Panel, subsets: list[tuple[str, str]], names: list[str], width: float) -> Spec:
    look = styles(panel)
    rows: list[Row] = []
    for key, words in subsets:
        rows.append(Row(words, kind="heading"))
        for n in names:
            row, name = panel.row(n, ECE, key), name_of(panel, n)
            dots: tuple[Dot, ...] = ()
            if math.isfinite(row.value):
                dots = (dot(name, row.value, row.low, row.high, "share", f"{name}, {words}: {value_text(row)}"),)
            rows.append(Row(name, dots, value_text(row) if dots else "undefined"))
    return dot_rows(rows, look, Scale("ECE (%, ↓ better)"), width=width, legend=False)
