"""What each reference method does better or worse than the audited model, with intervals, family by family."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmaudit.figures.base import Column, Figure, Table, count_cell, text_cell
from mmaudit.figures.base import Panel as Drawing
from mmaudit.figures.dots import FULL, PHONE, Dot, Line, Row, Scale, dot_rows
from mmaudit.figures.marks import INK, SOLID, Spec
from mmaudit.figures.references_panel import (
    delta_cell,
    delta_text,
    dot,
    family_style,
    metric_name,
    name_of,
    order,
    p_cell,
    said,
    value_cell,
)
from mmaudit.formats import change_unit
from mmaudit.panel.panel import Panel
from mmaudit.panel.values import CLEAN, RETAINED, VALUE, Group

# More rows than this in one drawing are hard to read; the rest is folded.
MOST_ROWS = 60
CLEAN_GROUP = Group(CLEAN, "clean data", "clean", (), ())


def differences(panel: Panel) -> Figure | None:
    """Paired differences from the audited model: clean, then every group, a row per method; None without any."""
    methods = [name for name in order(panel) if name]
    if not methods:
        return None
    groups = [CLEAN_GROUP, *panel.groups]
    first, rest = _split(groups, len(methods))
    name = metric_name(panel)
    caption = (
        f"Change of {name} if the model were replaced, with its 95 % interval, paired sample by sample: right of 0 the "
        f"reference is {'better' if panel.better == 'higher' else 'worse'} than your model. The interval covers the "
        "sampling of the audited data and, where a method was trained with several seeds, the draw of the seed. A "
        "missing modality is compared under the neutral stand-in with which your model does best."
    )
    drawings: list[Drawing] = []
    for part, folded in ((first, False), (rest, True)):
        if not part:
            continue
        alt = f"{name} of {len(methods)} methods minus your model's, in {len(part)} groups. Numbers are in the table."
        if folded:
            title = ", ".join(g.words for g in part[:3]) + (" and more" if len(part) > 3 else "")
            drawings.append(Drawing(title, alt, _spec(panel, part, methods, FULL), "full", folded=True))
            continue
        drawings.append(Drawing("", alt, _spec(panel, part, methods, FULL), "full", "wide"))
        drawings.append(Drawing("", alt, _spec(panel, part, methods, PHONE), "full", "narrow"))
    return Figure(
        "reference-differences", "Against your model", caption, tuple(drawings), _table(panel, groups, methods)
    )


def _split(groups: Sequence[Group], methods: int) -> tuple[list[Group], list[Group]]:
    """What is drawn at once, and what is folded: what does not count, then what several modalities share."""
    important = [g for g in groups if g.counts and len(g.modalities) < 2]
    first = important[: max(2, MOST_ROWS // methods)]
    return first, [g for g in groups if g not in first]


def _spec(panel: Panel, groups: Sequence[Group], methods: Sequence[str], width: float) -> Spec:
    rows: list[Row] = []
    families = dict.fromkeys(g.family for g in groups)
    for group in groups:
        rows.append(Row(said(group), kind="heading"))
        for method in methods:
            row = panel.row(method, VALUE, group.key)
            dots: tuple[Dot, ...] = ()
            if math.isfinite(row.delta):
                tip = f"{name_of(panel, method)}, {group.words}: {delta_text(row)}"
                dots = (dot(group.family, row.delta, row.delta_low, row.delta_high, panel.unit, tip),)
            rows.append(Row(name_of(panel, method), dots, delta_text(row) if dots else "undefined"))
    unit = change_unit(panel.unit)
    sides = "(← worse · better →)" if panel.better == "higher" else "(← better · worse →)"
    title = [f"change of {metric_name(panel)}{', ' + unit if unit else ''}", sides]
    zero = Line(0.0, "", SOLID, INK)
    return dot_rows(rows, {f: family_style(f) for f in families}, Scale(title, (zero,)), width=width, legend=False)


def _table(panel: Panel, groups: Sequence[Group], methods: Sequence[str]) -> Table:
    columns = (
        Column("under", numeric=False),
        Column("model", numeric=False),
        Column("n"),
        Column(metric_name(panel)),
        Column("against your model"),
        Column("adjusted p", note="Benjamini-Hochberg over all methods and groups"),
        Column("share kept above chance", note="(value − chance) / (clean − chance), of the same model"),
    )
    body = []
    for group in groups:
        for method in ("", *methods):
            row = panel.row(method, VALUE, group.key)
            kept = panel.row(method, RETAINED, group.key)
            cells = (value_cell(row), delta_cell(row), p_cell(row))
            shown = text_cell("") if group is CLEAN_GROUP else value_cell(kept)
            body.append((text_cell(said(group)), text_cell(name_of(panel, method)), count_cell(row.n), *cells, shown))
    return Table(columns, tuple(body))
