"""Tables of what scenarios do and of what positions mean on a common scale of severities."""

from __future__ import annotations

from typing import Any

from mmaudit.figures.base import Cell, Column, Table, number_cell, text_cell
from mmaudit.formats import number, readable, shorten
from mmaudit.report import Report


def scenario_steps(report: Report) -> Table:
    """One row per step of each scenario: what it corrupts, and by how much at scenario severities 1 to 5."""
    columns = (
        Column("scenario", numeric=False),
        Column("corrupts", numeric=False),
        Column("by", numeric=False),
        Column("at severities 1 to 5", numeric=False),
        Column("unit", numeric=False),
        Column("of the samples"),
    )
    body = (
        (
            text_cell(_plain(scenario["probe"])),
            text_cell(", ".join(shorten(m, 24) for m in step["modalities"])),
            text_cell(_plain(step["probe"])),
            text_cell(", ".join(f"{x:.3g}" for x in step["severities"])),
            text_cell(shorten(step["unit"], 40)),
            Cell(number(step["share"], "share", decimals=0), step["share"]),
        )
        for scenario in report.document.get("scenarios", ())
        for step in scenario["steps"]
    )
    return Table(columns, tuple(body))


def scenario_texts(report: Report) -> list[tuple[str, str]]:
    """Name and meaning of each scenario."""
    found = []
    for s in report.document.get("scenarios", ()):
        least = number(1 - s["spread"], "share", decimals=0)
        spread = f"A sample meets {least} to {number(1.0, 'share', decimals=0)} of the severity." if s["spread"] else ""
        why = f"Why together: {s['why']}." if s["why"] else ""
        found.append((_plain(s["probe"]), " ".join(x for x in (f"{s['summary']}.", why, spread) if x)))
    return found


def severity_scales(report: Report) -> list[tuple[str, Table]]:
    """Per common scale its meaning, and a table of the severity behind every position with the distance measured."""
    found = []
    for scale in report.document.get("severity_scales", ()):
        rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for level in scale["levels"]:
            rows.setdefault((level["probe"], level["modality"]), []).append(level)
        columns = (
            Column("corruption", numeric=False),
            Column("modality", numeric=False),
            *(Column(f"{i}: {t:g}") for i, t in enumerate(scale["targets"], 1)),
        )
        body = tuple(
            (text_cell(_plain(probe)), text_cell(shorten(modality, 24)), *(_level_cell(level) for level in levels))
            for (probe, modality), levels in rows.items()
        )
        meaning = (
            f"Scale “{scale['name']}”: positions 1 to 5 are the severities at which the mean distance of "
            f"{scale['samples']} samples is {', '.join(f'{t:g}' for t in scale['targets'])}, in units of: "
            f"{scale['unit']}. Shown is the severity, in the corruption's own unit; in brackets the distance there."
        )
        found.append((meaning, Table(columns, body)))
    return found


def _level_cell(level: dict[str, Any]) -> Cell:
    if level["severity"] is None:
        return number_cell(float("nan"), reason=level["reason"])
    return Cell(f"{level['severity']:g} [{level['distance']:.2f}]", level["severity"])


def _plain(probe: str) -> str:
    return shorten(readable(probe.partition(".")[2] or probe), 40)
