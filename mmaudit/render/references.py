"""What the section on reference methods says in words and tables, and the evidence of findings about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mmaudit.figures.base import Cell, Column, Table, number_cell, text_cell, words
from mmaudit.figures.references_panel import (
    above_cell,
    delta_cell,
    delta_text,
    metric_name,
    name_of,
    order,
    panel_of,
    value_cell,
    value_text,
)
from mmaudit.formats import count, measure, number, p_value, plain, shorten
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import AUDITED, CLEAN, ECE, EFFECTIVE, EVERYTHING, RETAINED, RIGHT, SYNERGY, VALUE, Method
from mmaudit.render.tables import TableView, view
from mmaudit.report import Report

UNTIMED = "its training was not timed"
NO_TIME = "the audited model has no fusion of its own that could be timed"


@dataclass(frozen=True)
class MethodFact:
    """How one method was trained: its title, and facts in words."""

    title: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class References:
    """Everything the section shows beside its figures.

    Attributes:
        summary: one row per model.
        costs: what each method takes, and whose it is.
        conditions: every condition under every method: differences from the audited model.
        facts: how each method was trained.
        failed: title and reason of what could not be trained.
        remarks: sentences a reader must know.
        stale: why results exist but are not shown; empty otherwise.
    """

    summary: TableView
    costs: TableView
    conditions: TableView
    facts: tuple[MethodFact, ...]
    failed: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    stale: str = ""


EMPTY = view(Table((), ()))


def references(report: Report) -> References | None:
    """The section on reference methods; None where the report has none."""
    panel = panel_of(report)
    if panel is None:
        stale = str(report.document.get("references", {}).get("reason", ""))
        return References(EMPTY, EMPTY, EMPTY, (), (), (), stale) if stale else None
    failed = [(m.title, why) for m in panel.methods for why in _failures(m)]
    return References(
        summary=view(summary(panel)),
        costs=view(costs(panel)),
        conditions=view(conditions(report, panel)),
        facts=tuple(MethodFact(m.title, tuple(_facts(m))) for m in panel.methods if not m.refused),
        failed=tuple((shorten(title, 60), shorten(why, 400)) for title, why in failed),
        remarks=tuple(_remarks(panel)),
    )


def _failures(m: Method) -> list[str]:
    """Why trainings came to nothing, seeds with the same reason together."""
    if m.refused:
        return [m.refused]
    reasons: dict[str, list[int]] = {}
    for seed, why in m.failed:
        reasons.setdefault(why, []).append(seed)
    every = "every seed" if not m.seeds and len(reasons) == 1 else ""
    return [
        f"{every or ('seeds ' if len(seeds) > 1 else 'seed ') + ', '.join(map(str, seeds))}: {why}"
        for why, seeds in reasons.items()
    ]


def summary(panel: Panel) -> Table:
    """One row per model: what it reaches, keeps and costs. The synergy subset has a column where it is known."""
    subset = any(math.isfinite(panel.row(n, RIGHT, SYNERGY).value) for n in order(panel))
    columns = (
        Column("model", numeric=False),
        Column(f"clean {measure(panel.metric, panel.unit, panel.better)}"),
        Column("worst with", numeric=False, note="the group in which it has least left"),
        Column("there"),
        Column("kept", note="share of the above-chance clean value kept, mean over everything missing or damaged"),
        Column("ECE", note="on clean data"),
        Column("above the line", note="effective robustness: above the line that the other models make"),
        *((Column("right on synergy subset", note="samples that no modality alone can answer"),) if subset else ()),
    )
    return Table(columns, tuple(_row(panel, name, subset) for name in order(panel)))


def costs(panel: Panel) -> Table:
    """One row per method: what it takes to train and to run, and whose it is."""
    columns = (
        Column("method", numeric=False),
        Column("parameters"),
        Column("fusion time", note="of fusion and head, relative to your model's"),
        Column("training, s", note="that of all seeds together, divided by their number"),
        Column("seeds"),
        Column("source", numeric=False),
    )
    return Table(columns, tuple((text_cell(name_of(panel, n)), *_cost(panel.method(n))) for n in order(panel) if n))


def _row(panel: Panel, name: str, subset: bool) -> tuple[Cell, ...]:
    worst = panel.worst(name)
    return (
        text_cell(name_of(panel, name)),
        value_cell(panel.row(name, VALUE, CLEAN)),
        text_cell(worst.words if worst else ""),
        value_cell(panel.row(name, VALUE, worst.key if worst else EVERYTHING)),
        value_cell(panel.row(name, RETAINED, EVERYTHING)),
        value_cell(panel.row(name, ECE, CLEAN)),
        above_cell(panel.row(name, EFFECTIVE, EVERYTHING)),
        *((value_cell(panel.row(name, RIGHT, SYNERGY)),) if subset else ()),
    )


def _cost(m: Method) -> tuple[Cell, ...]:
    time = number_cell(math.nan, reason=NO_TIME)
    if math.isfinite(m.relative_time):
        time = Cell(f"{plain(m.relative_time, 2)}\u00a0×", m.relative_time)
    seeds = f"{len(m.seeds)}" if not m.failed else f"{len(m.seeds)} of {len(m.seeds) + len(m.failed)}"
    size = Cell(count(m.parameters), float(m.parameters))
    training = (
        Cell(plain(m.seconds, 2), m.seconds) if math.isfinite(m.seconds) else number_cell(math.nan, reason=UNTIMED)
    )
    return size, time, training, Cell(seeds, float(len(m.seeds))), text_cell(shorten(m.source, 160))


def conditions(report: Report, panel: Panel) -> Table:
    """Every condition: the audited model's value, and the difference of each method."""
    names = order(panel)
    columns = (
        Column("condition", numeric=False),
        Column("your model"),
        *(Column(name_of(panel, n), note="minus your model") for n in names if n),
    )
    body = []
    for m in report.conditions:
        place = CLEAN if m.condition.family == "clean" else m.key
        mine = panel.row(AUDITED, VALUE, place)
        if m.condition.family != "control":
            cells = (delta_cell(panel.row(n, VALUE, place)) for n in names if n)
            body.append((text_cell(words(m.condition)), value_cell(mine), *cells))
    return Table(columns, tuple(body))


def _facts(m: Method) -> list[str]:
    """How a method was trained."""
    said: list[str] = []
    read: dict[str, list[str]] = {}
    for modality, what in m.features:
        read.setdefault(what, []).append(shorten(modality, 24))
    said += [f"{' and '.join(which)}: {shorten(what, 120)}" for what, which in read.items()]
    if m.n_train:
        said.append(f"trained on {count(m.n_train)} samples, checkpoint chosen on {count(m.n_validation)} others")
    if math.isfinite(m.seconds):
        said.append(f"{number(m.seconds, 's')} of training per seed, all of them together")
    if math.isfinite(m.microseconds):
        said.append(f"{number(m.microseconds, 'µs')} of fusion per sample")
    hyper = ", ".join(f"{shorten(k, 24)} {v:g}" for k, v in m.hyper)
    several = f"the best of {m.trials} trials" if m.trials > 1 else "the only trial that did not fail"
    chosen = several if m.trials else "the defaults"
    said += [f"hyper-parameters {chosen}: {shorten(hyper, 300)}"] if hyper else []
    said += [shorten(m.note, 600)] if m.note else []
    return said


def _remarks(panel: Panel) -> list[str]:
    """What a reader must know before comparing."""
    said = []
    scored = panel.scored
    if any(m.told_missing for m in scored):
        said.append(
            "References are told which modality of a sample is missing; your model reads whatever stands in for it, "
            "unless it handles absence itself. Part of a reference's lead with something missing may be no more than "
            "that."
        )
    frozen = [m for m in scored if m.features and all("frozen" in what for _, what in m.features)]
    if frozen and len(frozen) == len(scored):
        said.append(
            "They were trained on the features of your model's own frozen encoders: what differs is fusion, head and "
            "objective, not what is seen."
        )
    elif scored:
        said.append(
            "They were not trained on your model's own features, so they differ from it in their encoders, too. A "
            "reference that is worse on clean data may only see less."
        )
    said.append(
        "All were trained on the training data given, with the same budget; checkpoints and hyper-parameters were "
        "chosen on held-out validation samples without any of the corruptions measured here."
    )
    if any(len(m.seeds) == 1 for m in scored):
        said.append("Methods with one seed: how another training would have come out is not in their intervals.")
    said.append(
        "How another training of your own model would have come out is in no interval: it is one model as it is."
    )
    return said


def evidence_rows(report: Report) -> Mapping[str, tuple[str, str, str, str, str]]:
    """What, metric, value, change and p of the panel's rows that a finding may rest on, by their key."""
    panel = panel_of(report)
    found: dict[str, tuple[str, str, str, str, str]] = {}
    for row in panel.rows if panel else ():
        if panel is None or row.quantity != VALUE or math.isnan(row.value):
            continue
        compared = math.isfinite(row.delta)
        found[row.key] = (
            f"{name_of(panel, row.method)}, {panel.words(row.place)}",
            metric_name(panel),
            value_text(row),
            f"{delta_text(row)} against your model" if compared else "",
            p_value(row.p_adjusted) if compared and math.isfinite(row.p_adjusted) else "",
        )
    return found
