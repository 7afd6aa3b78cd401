"""Every estimate of reliance and synergy as a table."""

from __future__ import annotations

from dataclasses import replace

from mmaudit.app.parts.view import Filter
from mmaudit.figures import Column, Table
from mmaudit.figures.base import count_cell, text_cell
from mmaudit.figures.estimates import by_key, cell, null_cell, p_cell, together
from mmaudit.formats import readable, shorten
from mmaudit.report import Report


def table(report: Report, chosen: Filter) -> Table:
    """One row per estimate that is about a chosen modality (or about the whole), and about the chosen group."""
    columns = (
        Column("about", numeric=False),
        Column("estimator", numeric=False),
        Column("modalities", numeric=False),
        Column("variant", numeric=False),
        Column("group", numeric=False),
        Column("value"),
        Column("if there were nothing", note="— where that is 0 or not known"),
        Column("p", note="— where there is no test of this number"),
        Column("n"),
    )
    body = []
    for (_, group), (family, e) in by_key(report).items():
        if chosen.modalities and e.modalities and not set(e.modalities) & set(chosen.modalities):
            continue
        if chosen.group and group != chosen.group:
            continue
        body.append(
            (
                text_cell(family),
                text_cell(readable(e.estimator)),
                text_cell(together(e.modalities) or "all"),
                text_cell(", ".join(f"{readable(k)} {shorten(v, 24)}" for k, v in e.options)),
                text_cell(shorten(group.replace("=", ": ", 1), 40)),
                cell(e),
                replace(null_cell(e), reason=""),
                replace(p_cell(e), reason=""),
                count_cell(e.n),
            )
        )
    return Table(columns, tuple(body))


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else text
