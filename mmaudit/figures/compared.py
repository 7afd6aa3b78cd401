"""Charts of a comparison of runs: what is worse, better or undecided, condition by condition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mmaudit.compared.result import CHANGE, VALUE, Compared, Comparison, Quantity
from mmaudit.compared.wording import delta_text, ranked, side_name, value_text, verdict_text
from mmaudit.figures.base import Cell, Column, Figure, Panel, Table, count_cell, number_cell, text_cell, words
from mmaudit.figures.compared_scatter import scatter
from mmaudit.figures.dots import FULL, PHONE, Dot, Line, Row, Scale, dot_rows
from mmaudit.figures.marks import BLUE, DASHED, INK, MUTED, RED, SOLID, Spec
from mmaudit.formats import change_unit, factor, measure, number, p_value, readable, shorten

__all__ = ["FIGURES", "condition_name", "differences", "group_differences", "rows_table", "scatter"]

# More rows than this in one drawing are hard to read; the table has all.
LIMIT = 60
STYLES: Mapping[str, tuple[str, str]] = {
    "worse": (RED, "triangle-down"),
    "undecided": (MUTED, "circle"),
    "better": (BLUE, "triangle-up"),
}


def condition_name(comparison: Comparison, key: str) -> str:
    """A condition in words a reader scans."""
    return next((words(c) for c in comparison.conditions if c.key == key), key)


def differences(
    comparison: Comparison, other: int = 0, quantity: Quantity = VALUE, metric: str = ""
) -> tuple[Figure, ...]:
    """One figure: the difference of every condition with its interval, sorted, marked by verdict; none without any.

    Args:
        comparison: the whole.
        other: which of the other runs.
        quantity: of the metric, or of its change against the run's own clean data.
        metric: the primary one where empty.
    """
    m = next((x for x in comparison.measures if x.name == metric), comparison.primary)
    rows = ranked(comparison.select(metric=m.name, other=other, quantity=quantity))
    if not any(math.isfinite(r.delta) for r in rows):
        return ()
    names = {c.key: words(c) for c in comparison.conditions}
    drawn = _drawn(rows)
    first, its = side_name(comparison.first.name), side_name(comparison.others[other].name)
    changed = quantity == CHANGE
    what = f"change of {readable(m.name)} against clean data" if changed else readable(m.name)
    caption = (
        f"{its} minus {first}: difference of {what}, with its 95 % interval, "
        f"{'paired sample by sample' if comparison.pairings[other].paired else 'not paired'}. "
        "A triangle is a verdict; a circle is undecided: the interval reaches the margin, or the difference does not "
        "hold once the number of comparisons is allowed for."
    )
    if changed:
        apart = "Whether the loss under a perturbation grew or shrank, apart from how good the models are when clean."
        caption = f"{apart} {caption}"
    if len(drawn) < sum(math.isfinite(r.delta) for r in rows):
        caption += f" Drawn are the {len(drawn)} largest differences of {len(rows)} conditions; the table has all."
    labels = {r.condition: names.get(r.condition, r.label) for r in drawn}
    panels = _panels(drawn, labels, what, first, its, m.unit, m.better)
    title = "Difference in robustness" if changed else "Difference, condition by condition"
    place = f"{'change' if changed else 'difference'}-{other}" + (f"-{m.name}" if m != comparison.primary else "")
    return (Figure(place, title, caption, panels, rows_table(comparison, rows)),)


def group_differences(comparison: Comparison, other: int = 0) -> tuple[Figure, ...]:
    """One figure: the difference within every group on clean data; the table has every condition. None without any."""
    rows = [r for r in comparison.rows if r.group and r.other == other]
    clean = ranked([r for r in rows if r.condition == comparison.clean])
    drawn = _drawn(clean)
    if not drawn:
        return ()
    m = comparison.primary
    first, its = side_name(comparison.first.name), side_name(comparison.others[other].name)
    caption = (
        f"{its} minus {first} on clean data: difference of {readable(m.name)} within each group, with its 95 % "
        "interval. Groups of fewer than 30 samples are not judged."
    )
    labels = {r.group: shorten(r.group, 42) for r in drawn}
    panels = _panels(drawn, labels, readable(m.name), first, its, m.unit, m.better)
    return (
        Figure(f"groups-{other}", "Difference, group by group", caption, panels, rows_table(comparison, ranked(rows))),
    )


def _drawn(rows: Sequence[Compared]) -> list[Compared]:
    known = [r for r in rows if math.isfinite(r.delta)]
    largest = sorted(known, key=lambda r: (r.verdict == "undecided", -abs(r.delta)))[:LIMIT]
    return [r for r in known if r in largest] if len(known) > LIMIT else known


def _panels(
    drawn: Sequence[Compared], labels: Mapping[str, str], what: str, first: str, its: str, unit: str, better: str
) -> tuple[Panel, ...]:
    worse, gained = (sum(r.verdict == v for r in drawn) for v in ("worse", "better"))
    alt = (
        f"{its} minus {first}, {what}, {len(drawn)} rows: {worse} worse, {gained} better. From "
        f"{delta_text(drawn[0])} to {delta_text(drawn[-1])}. All numbers are in the table."
    )
    wide, narrow = (_forest(drawn, labels, what, unit, better, width) for width in (FULL, PHONE))
    return (Panel("", alt, wide, "full", "wide"), Panel("", alt, narrow, "full", "narrow"))


def _forest(
    rows: Sequence[Compared], labels: Mapping[str, str], what: str, unit: str, better: str, width: float
) -> Spec:
    lines = []
    for r in rows:
        label = labels[r.group or r.condition]
        scale = factor(unit)
        tip = f"{label}: {delta_text(r)}, {r.verdict}"
        dot = Dot(r.verdict, scale * r.delta, scale * r.delta_low, scale * r.delta_high, tip=tip)
        text = delta_text(r).replace(f"\u00a0{change_unit(unit)}", "", 1)
        lines.append(Row(shorten(label, 42), (dot,), text))
    sides = {"higher": "(← worse · better →)", "lower": "(← better · worse →)"}.get(better, "")
    name = change_unit(unit)
    title = [f"difference of {what}{', ' + name if name else ''}", sides]
    margin = factor(unit) * rows[0].margin
    across = [Line(0.0, "", SOLID, INK)]
    if margin:
        across += [Line(-margin, "", DASHED, MUTED), Line(margin, "margin", DASHED, MUTED)]
    return dot_rows(lines, STYLES, Scale(title, tuple(across)), width=width)


def rows_table(comparison: Comparison, rows: Sequence[Compared]) -> Table:
    """Rows of one metric and quantity as a table; with a column of groups where there are some."""
    if not rows:
        return Table((), ())
    m = next(x for x in comparison.measures if x.name == rows[0].metric)
    grouped = any(r.group for r in rows)
    its = comparison.others[rows[0].other].name
    names = {c.key: words(c) for c in comparison.conditions}
    title = measure(m.name, m.unit, m.better)
    changed = rows[0].quantity == CHANGE
    columns = (
        Column("condition", numeric=False),
        *((Column("group", numeric=False),) if grouped else ()),
        Column("n", note="samples; two numbers where the runs are not paired"),
        Column(side_name(comparison.first.name), note=f"change of {title} against clean" if changed else title),
        Column(side_name(its), note=f"change of {title} against clean" if changed else title),
        Column("difference", note="second minus first"),
        Column("adjusted p", note="Benjamini-Hochberg over every row on all samples, or over every group"),
        Column("detectable", note="minimum detectable difference: 80 % power at α = 0.05"),
        Column("verdict", numeric=False),
    )
    return Table(columns, tuple(_cells(r, names, grouped) for r in rows))


def _cells(r: Compared, names: Mapping[str, str], grouped: bool) -> tuple[Cell, ...]:
    samples = count_cell(r.n_first)
    if r.n_first != r.n_other:
        samples = Cell(f"{samples.text} / {count_cell(r.n_other).text}")
    return (
        text_cell(names.get(r.condition, shorten(r.label, 60))),
        *((text_cell(shorten(r.group, 60)),) if grouped else ()),
        samples,
        _cell(value_text(r, "first"), r.value_first, r),
        _cell(value_text(r, "other"), r.value_other, r),
        _cell(delta_text(r), r.delta, r),
        _cell(p_value(r.p_adjusted), r.p_adjusted, r),
        _cell(number(r.mde, r.unit, change=True), r.mde, r),
        text_cell(verdict_text(r)),
    )


def _cell(text: str, value: float, r: Compared) -> Cell:
    if math.isfinite(value):
        return Cell(text, value)
    return number_cell(math.nan, reason=r.reason or "every resample gives the same difference")


FIGURES = {"differences": differences, "scatter": scatter, "groups": group_differences}
