"""Who carries the answers: every estimator of reliance side by side, what modalities do together, group by group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mmaudit.estimates import Estimate
from mmaudit.figures.base import Cell, Column, Figure, Panel, Table, count_cell, number_cell, text_cell
from mmaudit.figures.dots import FULL, PHONE, Dot, Line, Row, Scale, dot_rows
from mmaudit.figures.estimates import (
    NAME_LIMIT,
    cell,
    first,
    modality_styles,
    named,
    null_cell,
    of_family,
    select,
    tip,
    together,
    value_metric,
)
from mmaudit.figures.marks import DOTTED, INK, MUTED, SOLID
from mmaudit.figures.reliance_further import agreement, certainty, groups
from mmaudit.figures.reliance_structure import cooperation, structure
from mmaudit.figures.subsets import modality_names
from mmaudit.formats import number, plain, readable, shorten
from mmaudit.report import Report

# One line of the chart each; what is left out has the same shares as one of these (a drop and its share of the whole).
TAKEN_AWAY = ("shapley_value", "leave_one_out", "only_one", "shape_contribution")
OTHERWISE = ("perceptual_score", "anova_share", "attribution_share")
CHECKS = ("shapley_efficiency_error", "attribution_error", "conditional_utilisation")


@dataclass(frozen=True)
class Split:
    """How one estimator divides the model among the modalities; in the data set's order.

    Attributes:
        name: the estimator in words, variant included.
        baseline: what stood in for missing modalities; empty where the estimator needs nothing to stand in.
        estimates: one per modality that has one.
        total: sum of the absolute values (above their nulls); NaN where one is undefined, then `reason` says why.
    """

    name: str
    baseline: str
    estimates: tuple[Estimate, ...]
    total: float
    reason: str

    def share(self, value: float, e: Estimate) -> float:
        """A value of this estimator as a share of the total, in percent."""
        return 100 * (value - _start(e)) / self.total if self.total else math.nan

    @property
    def foremost(self) -> str:
        """The modality with the largest value; empty where none can be said."""
        if not math.isfinite(self.total):
            return ""
        return max(self.estimates, key=lambda e: e.value - _start(e)).modalities[0]


def reliance(report: Report) -> tuple[Figure, ...]:
    """Estimators side by side, their agreement, structure, cooperation, confidence without a modality, and groups."""
    estimates = of_family(report, "reliance")
    names = modality_names(report)
    found = splits(estimates, names)
    figures = [
        *_side_by_side(report, estimates, found, names),
        *agreement(estimates),
        *structure(report, estimates),
        *cooperation(report, estimates),
        *certainty(report.estimates, names),
        *groups(report, estimates, names),
    ]
    return tuple(figures)


def splits(estimates: Sequence[Estimate], names: Sequence[str]) -> list[Split]:
    """Every estimator and variant that has a value per modality, those that take a modality away first, by baseline."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[Estimate]] = {}
    for e in estimates:
        wanted = e.estimator in (*TAKEN_AWAY, *OTHERWISE) and e.option("normalised") is None
        if wanted and len(e.modalities) == 1 and not e.group:
            found.setdefault((e.estimator, e.options), []).append(e)
    order = {m: i for i, m in enumerate(names)}
    out = []
    for members in found.values():
        members.sort(key=lambda e: order.get(e.modalities[0], len(order)))
        unknown = next((e for e in members if not math.isfinite(e.value)), None)
        total = sum(abs(e.value - _start(e)) for e in members)
        reason = ""
        if unknown is not None:
            reason = f"undefined for {together(unknown.modalities)}: {unknown.reason or 'no reason was recorded'}"
        elif not total > 0:
            reason = "all its values are 0, so there is no total to take a share of"
        baseline = members[0].option("baseline") or ""
        out.append(Split(named(members[0]), baseline, tuple(members), math.nan if reason else total, reason))
    kinds = {name: i for i, name in enumerate((*TAKEN_AWAY, *OTHERWISE))}
    baselines = list(dict.fromkeys(s.baseline for s in out if s.baseline))
    return sorted(
        out,
        key=lambda s: (
            not s.baseline,
            baselines.index(s.baseline) if s.baseline else 0,
            kinds[s.estimates[0].estimator],
        ),
    )


def _start(e: Estimate) -> float:
    """What the value would be without any information: its null, 0 where that is not known."""
    return e.null if math.isfinite(e.null) else 0.0


def _side_by_side(
    report: Report, estimates: Sequence[Estimate], found: Sequence[Split], names: Sequence[str]
) -> list[Figure]:
    if not found and not any(e.estimator in CHECKS for e in estimates):
        return []
    drawn = [s for s in found if math.isfinite(s.total)]
    panels: tuple[Panel, ...] = ()
    if drawn:
        said = "; ".join(
            f"{s.name}{', ' + shorten(s.baseline, 20) if s.baseline else ''}: "
            + ", ".join(f"{together(e.modalities)} {plain(s.share(e.value, e), 0)} %" for e in s.estimates)
            for s in drawn[:6]
        )
        alt = f"Share of each modality by {len(drawn)} estimators. {said}. All numbers are in the table."
        panels = tuple(
            Panel("", alt, _picture(estimates, drawn, names, stacked), "full", "narrow" if stacked else "wide")
            for stacked in (False, True)
        )
    caption = (
        f"Each line is one way of asking how much the model relies on each modality, most of them by what it does to "
        f"{readable(value_metric(report).name)}; each dot is a modality’s share of "
        "what the line finds in all of them (sum of absolute values), so that lines can be compared. Left of 0 the "
        "modality harms. Whiskers are 95 % intervals of the value, divided by the same total; the dotted line is an "
        "equal share. Where dots of one colour stand below each other, the estimators agree. Off the data: how many "
        "times as far the stand-ins lie from the nearest real value as real values from each other; 1 is like the data."
    )
    return [
        Figure("reliance-shares", "Every estimator side by side", caption, panels, _table(report, estimates, found))
    ]


def _picture(
    estimates: Sequence[Estimate], found: Sequence[Split], names: Sequence[str], stacked: bool
) -> dict[str, object]:
    rows: list[Row] = []
    values = [0.0, 100.0]
    last = None
    for s in found:
        if s.baseline != last:
            last = s.baseline
            head = f"Stand-in: {shorten(s.baseline, 30)}" if s.baseline else "Nothing stands in"
            rows.append(Row(head, kind="heading"))
            if far := _off_data(estimates, s.baseline):
                rows.append(Row(far, kind="remark"))
        dots = []
        for e in s.estimates:
            low, high = s.share(e.low, e), s.share(e.high, e)
            dots.append(Dot(shorten(e.modalities[0], NAME_LIMIT), s.share(e.value, e), low, high, tip=_tip(s, e)))
            values += [v for v in (low, high, s.share(e.value, e)) if math.isfinite(v)]
        rows.append(Row(shorten(s.name, 60), tuple(dots)))
    lines = (Line(0.0, "", SOLID, INK), Line(100 / max(len(names), 1), "", DOTTED, MUTED))
    ends = (max(min(values), -150.0), min(max(values), 200.0))
    room = 0.03 * (ends[1] - ends[0])
    title = "share of the line’s total (%)"
    scale = Scale(title, lines, (ends[0] - room, ends[1] + room))
    return dot_rows(rows, modality_styles(names), scale, width=PHONE if stacked else FULL)


def _tip(s: Split, e: Estimate) -> str:
    return f"{tip(e, f'{s.name}, {together(e.modalities)}')}; {plain(s.share(e.value, e), 1)} % of the line’s total"


def _off_data(estimates: Sequence[Estimate], baseline: str) -> str:
    """How far what stands in lies off the data, in words."""
    found = [e for e in select(estimates, "off_data_distance", baseline=baseline) if math.isfinite(e.value)]
    if not baseline or not found:
        return ""
    if len(found) > 3:
        most = max(found, key=lambda e: e.value)
        return f"off the data, at most: {shorten(most.modalities[0], 12)} {number(most.value, most.unit, decimals=1)}"
    listed = ", ".join(f"{shorten(together(e.modalities), 12)} {number(e.value, e.unit, decimals=1)}" for e in found)
    return f"off the data: {listed}"


def _table(report: Report, estimates: Sequence[Estimate], found: Sequence[Split]) -> Table:
    columns = (
        Column("estimator", numeric=False),
        Column("what stands in", numeric=False),
        Column("modality", numeric=False),
        Column("share of its total (%)", note="value above its null, divided by the sum of the absolute values"),
        Column("value", note=f"in {readable(value_metric(report).name)}, where a modality is taken away or exchanged"),
        Column("if there were nothing", note="the value of a modality that says nothing"),
        Column("stand-in off the data", note="how far what stands in lies from recorded values"),
        Column("n"),
    )
    share = {id(e): s for s in found for e in s.estimates}
    shown = [e for s in found for e in s.estimates]
    drawn = {id(e) for e in shown}
    rest = [
        e
        for e in estimates
        if not e.group and id(e) not in drawn and e.estimator in (*CHECKS, *TAKEN_AWAY, *OTHERWISE) and _single(e)
    ]
    body = []
    for e in [*shown, *rest]:
        baseline = e.option("baseline") or ""
        s = share.get(id(e))
        body.append(
            (
                text_cell(named(e)),
                text_cell(shorten(baseline, 30) if baseline else "nothing"),
                text_cell(together(e.modalities) or "the whole model"),
                _share_cell(s, e),
                cell(e),
                null_cell(e),
                _distance_cell(estimates, e, baseline),
                count_cell(e.n),
            )
        )
    return Table(columns, tuple(body))


def _single(e: Estimate) -> bool:
    """Whether an estimate is about one modality, or about the whole model."""
    return len(e.modalities) < 2


def _share_cell(s: Split | None, e: Estimate) -> Cell:
    if s is None:
        return number_cell(math.nan, reason="not a line of the chart: a check, or the same shares as a line")
    if not math.isfinite(s.total):
        return number_cell(math.nan, reason=s.reason)
    return number_cell(s.share(e.value, e) / 100, "share")


def _distance_cell(estimates: Sequence[Estimate], e: Estimate, baseline: str) -> Cell:
    if not baseline or len(e.modalities) != 1:
        return number_cell(math.nan, reason="nothing stands in for a single modality here")
    return cell(first(estimates, "off_data_distance", e.modalities, baseline=baseline), "the distance was not measured")
