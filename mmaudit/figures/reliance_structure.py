"""What single modalities explain by themselves, and what only several do together: ANOVA, EMAP, interactions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmaudit.estimates import Estimate
from mmaudit.figures.bars import Bar, Segment, stacked_bars
from mmaudit.figures.base import Cell, Column, Figure, Panel, Table, count_cell, number_cell, text_cell
from mmaudit.figures.dots import FULL, HALF, MOST_TICKS, PHONE, Dot, Line, Row, Scale, dot_rows, tick_step
from mmaudit.figures.estimates import (
    cell,
    dot,
    first,
    is_difference,
    named,
    null_cell,
    p_cell,
    select,
    text,
    tip,
    together,
    value_metric,
)
from mmaudit.figures.marks import BLUE, GREEN, INK, MUTED, PURPLE, RED, SOLID, domain, significant
from mmaudit.formats import change_unit, factor, measure, number, readable, shorten, shown_unit
from mmaudit.report import Report

ORDERS = {"1": ("single modalities", BLUE), "2": ("pairs", PURPLE), "3+": ("three or more", RED)}
MOST_DRAWN = 48
INTERACTIONS = {"shapley_interaction": (PURPLE, "circle"), "shape_cooperation": (GREEN, "triangle-up")}


def structure(report: Report, estimates: Sequence[Estimate]) -> list[Figure]:
    """Whether the model adds its modalities up: variance of the outputs by order, and what is left when it must add."""
    orders = sorted(select(estimates, "anova_order_share"), key=lambda e: e.option("order") or "")
    shares = [e for e in estimates if e.estimator == "anova_share" and not e.group and len(e.modalities) > 1]
    additive = [e for e in estimates if e.estimator in ("emap", "emap_gap") and not e.group]
    if not (orders or additive or shares):
        return []
    panels = [p for p in (_orders(orders), _additive(report, estimates)) if p is not None]
    columns = (
        Column("estimator", numeric=False),
        Column("of", numeric=False),
        Column("value"),
        Column("if there were nothing"),
        Column("n"),
    )
    body = tuple(
        (
            text_cell(named(e)),
            text_cell(together(e.modalities) or "the whole model"),
            cell(e),
            null_cell(e),
            count_cell(e.n),
        )
        for e in [*orders, *shares, *additive]
    )
    whole = _whole(estimates)
    if whole is not None:
        as_it_is = Cell(number(whole, additive[0].unit), whole, "the sum of EMAP and its gap; the gap has the interval")
        nothing = number_cell(math.nan, reason="not a quantity that could be nothing")
        row = (
            text_cell("the model as it is"),
            text_cell("the whole model"),
            as_it_is,
            nothing,
            count_cell(additive[0].n),
        )
        body = (*body, row)
    caption = (
        "Whether the model adds its modalities up or combines them. Left: how much of the variance of its outputs "
        "comes from single modalities, and how much only from several together, over inputs whose modalities come "
        "from different samples (functional ANOVA). Right: the model as it is beside its best additive version "
        "(EMAP), which sees every modality but may not combine them. No difference means that nothing it gets right "
        "needs combining; it does not mean that there is nothing in the data to be combined."
    )
    return [Figure("reliance-structure", "Adding up or combining", caption, tuple(panels), Table(columns, body))]


def _orders(orders: Sequence[Estimate]) -> Panel | None:
    known = [e for e in orders if math.isfinite(e.value)]
    if not known:
        return None
    segments = []
    for e in known:
        name, _ = ORDERS.get(e.option("order") or "", (f"order {e.option('order')}", MUTED))
        segments.append(Segment(name, 100 * e.value, f"{100 * e.value:.0f} %", tip(e, name)))
    styles = {name: (colour, "square") for name, colour in ORDERS.values()}
    styles |= {s.part: (MUTED, "square") for s in segments if s.part not in styles}
    picture = stacked_bars(
        [Bar("", tuple(segments))], styles, Scale("share of the variance of the outputs (%)"), width=HALF
    )
    said = "; ".join(f"{s.part} {s.mark}" for s in segments)
    alt = f"Variance of the model’s outputs by how many modalities it needs: {said}. All numbers are in the table."
    return Panel("Variance of the outputs", alt, picture, "half")


def _additive(report: Report, estimates: Sequence[Estimate]) -> Panel | None:
    emap, gap = first(estimates, "emap"), first(estimates, "emap_gap")
    if emap is None or not math.isfinite(emap.value):
        return None
    rows = [_row("additive version (EMAP)", emap)]
    alt = f"EMAP {text(emap)}"
    whole = _whole(estimates)
    if whole is not None and gap is not None:
        shown = whole * factor(emap.unit)
        rows.insert(0, Row("the model as it is", (Dot("value", shown, tip=f"the gap: {text(gap)}"),)))
        alt += f", the model as it is differs by {text(gap)}"
    m = value_metric(report)
    title = measure(m.name, m.unit, m.better)
    # The axis begins at a gridline, so that the tick of chance does not hang left of all of them.
    low, high = domain([v for r in rows for d in r.dots for v in (d.value, d.low, d.high, d.null)], m.unit)
    least = min(v for r in rows for d in r.dots for v in (d.value, d.low, d.null) if math.isfinite(v))
    step = tick_step((low, high), MOST_TICKS)
    scale = Scale(title, ends=(significant(step * math.floor(least / step)), high))
    picture = dot_rows(rows, {"value": (BLUE, "circle")}, scale, width=HALF)
    return Panel("With and without combining", f"{alt}. All numbers are in the table.", picture, "half")


def _whole(estimates: Sequence[Estimate]) -> float | None:
    """The model's own value on the samples that EMAP rests on."""
    emap, gap = first(estimates, "emap"), first(estimates, "emap_gap")
    value = math.nan if emap is None or gap is None else emap.value + gap.value
    return value if math.isfinite(value) else None


def _row(label: str, e: Estimate) -> Row:
    return Row(label, (dot(e, "value", label),))


def _above_chance(report: Report) -> bool:
    clean = report.score(report.clean, report.primary.name)
    if clean is None or not math.isfinite(clean.floor):
        return True
    return clean.value < clean.floor if clean.better == "lower" else clean.value > clean.floor


def cooperation(report: Report, estimates: Sequence[Estimate]) -> list[Figure]:
    """What modalities are worth together beyond what each is worth alone, for pairs and threes."""
    found = [e for e in estimates if e.estimator in INTERACTIONS and not e.group]
    if not found:
        return []
    unit = next((e.unit for e in found if math.isfinite(e.value)), "")
    known = [e for e in found if math.isfinite(e.value) and e.unit == unit]
    known, left_out = _most(known)
    panels: tuple[Panel, ...] = ()
    if known:
        said = "; ".join(f"{named(e)} of {together(e.modalities)}: {text(e)}" for e in known[:6])
        alt = f"What modalities are worth together. {said}. All numbers are in the table."
        panels = tuple(
            Panel("", alt, _together(report, known, unit, stacked), "full", "narrow" if stacked else "wide")
            for stacked in (False, True)
        )
    columns = (
        Column("together", numeric=False),
        Column("estimator", numeric=False),
        Column("what stands in", numeric=False),
        Column("value", note="right of 0: together they are worth more than alone"),
        Column("if there were nothing"),
        Column("p", note="of nothing to find; not adjusted for the number of tests"),
        Column("n"),
    )
    body = tuple(
        (
            text_cell(together(e.modalities)),
            text_cell(named(e)),
            text_cell(shorten(e.option("baseline") or "nothing", 30)),
            cell(e),
            null_cell(e),
            p_cell(e),
            count_cell(e.n),
        )
        for e in found
    )
    caption = (
        "What modalities are worth to the model together, beyond what they are worth alone. Right of 0 they help each "
        "other: the model combines them, or one alone is of no use to it. Left of 0 one can stand in for the other. "
        "Three together: what is left when all pairs are accounted for. This is about the audited model under that "
        f"stand-in, not about the data.{left_out}"
    )
    if not _above_chance(report):
        caption += (
            " SHAPE takes the model to be at chance where it is given nothing. On clean data this model is not above "
            "chance, so its SHAPE values tell where chance lies, not what modalities do together."
        )
    return [Figure("reliance-cooperation", "Worth more together", caption, panels, Table(columns, body))]


def _most(known: list[Estimate]) -> tuple[list[Estimate], str]:
    """What is drawn, and a sentence where that is not all: one stand-in, the largest values."""
    if len(known) <= MOST_DRAWN:
        return known, ""
    baseline = known[0].option("baseline")
    kept = [e for e in known if e.option("baseline") == baseline]
    kept = sorted(kept, key=lambda e: -abs(e.value))[:MOST_DRAWN]
    return [
        e for e in known if e in kept
    ], f" Drawn are the largest {len(kept)} values of {len(known)}; the table has all."


def _together(report: Report, known: Sequence[Estimate], unit: str, stacked: bool) -> dict[str, object]:
    rows = []
    for baseline in dict.fromkeys(e.option("baseline") or "" for e in known):
        rows.append(Row(f"Stand-in: {shorten(baseline, 30)}" if baseline else "Nothing stands in", kind="heading"))
        own = [e for e in known if (e.option("baseline") or "") == baseline]
        for modalities in sorted(dict.fromkeys(e.modalities for e in own), key=len):
            dots = tuple(
                dot(e, readable(e.estimator), f"{named(e)} of {together(e.modalities)}")
                for e in own
                if e.modalities == modalities
            )
            rows.append(Row(shorten(together(modalities), 40), dots))
    styles = {readable(name): style for name, style in INTERACTIONS.items()}
    m = value_metric(report)
    size = change_unit(unit) if is_difference(known[0]) else shown_unit(unit)
    title = f"{shorten(readable(m.name), 30)} ({size}: ← one stands in for the other · more together →)"
    short: str | list[str] = [f"{shorten(readable(m.name), 30)} ({size})", "← stand in · more together →"]
    scale = Scale(short if stacked else title, (Line(0.0, "", SOLID, INK),))
    return dot_rows(rows, styles, scale, width=PHONE if stacked else FULL)
