"""Do the estimators of reliance agree, how sure is the model without a modality, and who depends on what."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmaudit.estimates import Estimate
from mmaudit.figures.base import Column, Figure, Panel, Table, count_cell, text_cell
from mmaudit.figures.dots import HALF, Line, Row, Scale, dot_rows
from mmaudit.figures.estimates import (
    NAME_LIMIT,
    cell,
    dot,
    modality_styles,
    named,
    null_cell,
    p_cell,
    select,
    tip,
    together,
    value_metric,
)
from mmaudit.figures.marks import INK, SOLID
from mmaudit.formats import change_unit, number, readable, shorten
from mmaudit.report import Report

# What is shown by group; one of them behind a click, as it says much the same as the first.
GROUPED = ("shapley_value", "perceptual_score", "emap_gap", "leave_one_out")
FOLDED = "leave_one_out"
COMBINED = "combining them"
MOST_GROUPS = 30


def agreement(estimates: Sequence[Estimate]) -> list[Figure]:
    """How alike the estimators that are counted rank the modalities."""
    found = select(estimates, "reliance_agreement")
    if not found:
        return []
    rows = [Row("rank agreement", (dot(e, "agreement", "rank agreement"),)) for e in found if math.isfinite(e.value)]
    panels: tuple[Panel, ...] = ()
    if rows:
        e = found[0]
        scale = Scale("rank agreement (mean Kendall’s τ, → more alike)", (Line(0.0, "", SOLID, INK),), (-1.05, 1.05))
        picture = dot_rows(rows, {"agreement": (INK, "diamond")}, scale, width=HALF)
        alt = f"Rank agreement of the estimators: {tip(e, 'value')}. All numbers are in the table."
        panels = (Panel("", alt, picture, "half"),)
    columns = (
        Column("over", numeric=False),
        Column("rank agreement (τ, 1: all alike)"),
        Column("random orders"),
        Column("p", note="of agreeing or disagreeing as much by chance"),
        Column("n"),
    )
    body = tuple((text_cell("those counted"), cell(e), null_cell(e), p_cell(e), count_cell(e.n)) for e in found)
    caption = (
        "How alike estimators rank the modalities (mean Kendall’s τ over pairs of estimators): 1 where all give "
        "the same order, below 0 where they contradict each other. The tick is what random orders would give. Where "
        "they disagree, none of them alone says whom the model relies on. Counted are Shapley values, leave-one-out, "
        "only-one, perceptual scores, ANOVA and attribution shares, each unless it tells no modality from another; "
        "SHAPE contributions would count Shapley values twice; absolute parts of attributions ask something else: how "
        "much inputs move the output, whether or not that cancels. Where a modality was not recorded in "
        "every sample, ANOVA and attribution shares, which rest on the fully recorded ones, do not count."
    )
    return [Figure("reliance-agreement", "Do the estimators agree?", caption, panels, Table(columns, body))]


def certainty(estimates: Sequence[Estimate], names: Sequence[str]) -> list[Figure]:
    """How much confidence stays when a modality is gone, on all samples and on those that need it."""
    found = select(estimates, "shortcut_score")
    if not found:
        return []
    known = [e for e in found if math.isfinite(e.value)]
    rows = []
    for options in dict.fromkeys(e.options for e in known):
        own = [e for e in known if e.options == options and len(e.modalities) == 1]
        dots = (dot(e, shorten(e.modalities[0], NAME_LIMIT), f"without {together(e.modalities)}") for e in own)
        rows.append(Row(_where(options), tuple(dots)))
    panels: tuple[Panel, ...] = ()
    if any(r.dots for r in rows):
        unit = "%" if known[0].unit == "share" else known[0].unit
        said = "; ".join(f"without {together(e.modalities)} {number(e.value, e.unit)}" for e in known[:6])
        picture = dot_rows(
            rows,
            modality_styles(names),
            Scale(["confidence above guessing", f"that stays ({unit}, ↓ better)"]),
            width=HALF,
        )
        panels = (Panel("", f"Confidence that stays: {said}. All numbers are in the table.", picture, "half"),)
    columns = (
        Column("without", numeric=False),
        Column("what stands in", numeric=False),
        Column("confidence that stays"),
        Column("if there were nothing"),
        Column("n"),
    )
    body = tuple(
        (
            text_cell(together(e.modalities)),
            text_cell(_where(e.options)),
            cell(e),
            null_cell(e),
            count_cell(e.n),
        )
        for e in found
    )
    caption = (
        "How sure the model stays when a modality is gone, above what guessing gives (SynIB’s shortcut score), one "
        "colour per missing modality. High means that it answers as if nothing were missing: it takes a shortcut past "
        "that modality, or does not notice its absence."
    )
    title = "How sure it stays when a modality is gone"
    return [Figure("reliance-certainty", title, caption, panels, Table(columns, body))]


def _where(options: Sequence[tuple[str, str]]) -> str:
    """What stands in, and on which samples."""
    said = [shorten(v, 20) for k, v in options if k == "baseline"] or ["nothing"]
    said += [readable(v) for k, v in options if k == "on" and v != "all"]
    return ", ".join(said)


def groups(report: Report, estimates: Sequence[Estimate], names: Sequence[str]) -> list[Figure]:
    """Who depends on what: one panel per group column and estimator."""
    columns_of: dict[str, dict[str, None]] = {}
    for e in estimates:
        if _by_group(e):
            columns_of.setdefault(e.group.partition("=")[0], {})[e.group] = None
    panels, body = [], []
    for column, groups in columns_of.items():
        for estimator in GROUPED:
            one = [e for e in estimates if e.estimator == estimator and e.group in groups and _by_group(e)]
            baseline = one[0].option("baseline") if one else None
            one = [e for e in one if e.option("baseline") == baseline]
            if not one:
                continue
            panel = _group_panel(report, column, list(groups), one, names)
            panels += [panel] if panel is not None and len({e.group for e in one if e.value == e.value}) else []
            body += [
                (
                    text_cell(shorten(column, 30)),
                    text_cell(shorten(e.group.partition("=")[2], 40)),
                    text_cell(named(e) + (f", {shorten(baseline, 20)}" if baseline else "")),
                    text_cell(together(e.modalities) or COMBINED),
                    cell(e),
                    count_cell(e.n),
                )
                for e in one
            ]
    if not body:
        return []
    columns = (
        Column("group", numeric=False),
        Column("value of it", numeric=False),
        Column("estimator", numeric=False),
        Column("modality", numeric=False),
        Column(_gain_title(report)),
        Column("n"),
    )
    caption = (
        "The same estimators within each group: who depends on what. Compare rows of one panel; whiskers are 95 % "
        "intervals, wide where a group is small. Right of 0 the modality helps that group; of the EMAP gap, combining "
        "modalities does."
    )
    return [Figure("reliance-groups", "Group by group", caption, tuple(panels), Table(columns, tuple(body)))]


def _group_panel(
    report: Report, column: str, groups: Sequence[str], one: Sequence[Estimate], names: Sequence[str]
) -> Panel | None:
    rows = []
    for group in groups[:MOST_GROUPS]:
        dots = tuple(
            dot(e, _series(e), f"{shorten(group, 40)}, {together(e.modalities) or COMBINED}")
            for e in one
            if e.group == group and math.isfinite(e.value)
        )
        rows.append(Row(shorten(group.partition("=")[2], 16), dots))
    if not any(r.dots for r in rows):
        return None
    e = one[0]
    scale = Scale(_gain_title(report), (Line(0.0, "", SOLID, INK),))
    styles = {COMBINED: (INK, "diamond")} if one[0].estimator == "emap_gap" else modality_styles(names)
    picture = dot_rows(rows, styles, scale, width=HALF)
    baseline = f", {shorten(e.option('baseline') or '', 20)}" if e.option("baseline") else ""
    of = " of each modality" if e.modalities else ""
    alt = f"{named(e)}{of} for {len(rows)} values of {shorten(column, 30)}. All numbers are in the table."
    return Panel(f"{shorten(column, 24)}: {named(e)}{baseline}", alt, picture, "half", folded=e.estimator == FOLDED)


def _by_group(e: Estimate) -> bool:
    """Whether an estimate is shown by group: of one modality, or of combining all of them."""
    of_one = len(e.modalities) == 1 or e.estimator == "emap_gap"
    return bool(e.group) and e.estimator in GROUPED and of_one and e.option("normalised") is None


def _series(e: Estimate) -> str:
    return shorten(e.modalities[0], NAME_LIMIT) if e.modalities else COMBINED


def _gain_title(report: Report) -> str:
    """What a difference of the value means."""
    m = value_metric(report)
    unit = change_unit(m.unit)
    return f"gain in {shorten(readable(m.name), 30)} ({unit + ', ' if unit else ''}→ helps)"
