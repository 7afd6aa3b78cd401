"""The comparison page: one self-contained HTML file with the look of the report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from mmaudit.compared.result import CHANGE, VALUE, Compared, Comparison, Pairing, Side, Verdict
from mmaudit.compared.wording import (
    delta_text,
    level,
    method_sentences,
    ranked,
    sentences,
    side_name,
    value_text,
    verdict_text,
)
from mmaudit.figures.base import Figure, Panel, words
from mmaudit.figures.compared import differences, group_differences, rows_table
from mmaudit.figures.compared_scatter import scatter
from mmaudit.formats import measure, readable, shorten
from mmaudit.render.live import scripts
from mmaudit.render.paper import Paper, paper_css
from mmaudit.render.summary import Tile
from mmaudit.render.svg import draw
from mmaudit.render.tables import TableView, view
from mmaudit.render.templates import render, style
from mmaudit.render.theme import PLAIN, Theme


@dataclass(frozen=True)
class PanelView:
    """A panel with its drawing."""

    panel: Panel
    svg: Markup


@dataclass(frozen=True)
class FigureView:
    """A figure ready for the template."""

    figure: Figure
    panels: tuple[PanelView, ...]
    table: TableView


@dataclass(frozen=True)
class OtherView:
    """One of the other runs, ready for the template.

    Attributes:
        index, side, pairing, name: which.
        level: how much the other run should alarm.
        sentences: what to know first.
        counts: per metric its title and verdicts.
        tiles: clean data, and the mean of each family.
        figures, robustness, groups: by section.
        metrics: title and table of every further metric and quantity.
        absent: label and reason of what could not be compared.
    """

    index: int
    side: Side
    pairing: Pairing
    name: str
    level: str
    sentences: tuple[str, ...]
    counts: tuple[tuple[str, Mapping[Verdict, int]], ...]
    tiles: tuple[Tile, ...]
    figures: tuple[FigureView, ...]
    robustness: tuple[FigureView, ...]
    groups: tuple[FigureView, ...]
    metrics: tuple[tuple[str, TableView], ...]
    absent: tuple[tuple[str, str], ...]


def page(comparison: Comparison, *, theme: Theme = PLAIN, paper: Paper = "a4") -> str:
    """Return the whole page. The same comparison gives the same text; nothing is fetched.

    Its one script sorts and filters tables; without it nothing is missing.
    """
    title = shorten(f"{comparison.first.name} and {', '.join(s.name for s in comparison.others)}", 120)
    others = [_other(comparison, i) for i in range(len(comparison.others))]
    return render(
        "compare.html.j2",
        css=style("page.css") + Markup(theme.css) + paper_css(paper, theme.header_text or title),
        theme=theme,
        live=scripts({}),
        comparison=comparison,
        first=side_name(comparison.first.name),
        title=title,
        others=others,
        method=method_sentences(comparison),
        runs=[comparison.first, *comparison.others],
        primary=comparison.primary,
        command=shlex.join(["mmaudit", "compare", *(side.folder for side in (comparison.first, *comparison.others))]),
    )


def _other(comparison: Comparison, i: int) -> OtherView:
    names = {c.key: words(c) for c in comparison.conditions}
    m = comparison.primary
    rows = comparison.select(metric=m.name, other=i, quantity=VALUE)
    said = sentences(comparison, i, lambda key: names.get(key, key), lambda name: f"“{name}”")
    return OtherView(
        index=i,
        side=comparison.others[i],
        pairing=comparison.pairings[i],
        name=side_name(comparison.others[i].name),
        level=level(comparison, i),
        sentences=tuple(said),
        counts=tuple((measure(x.name, x.unit, x.better), comparison.counts(i, x.name)) for x in comparison.measures),
        tiles=tuple(_tiles(comparison, i)),
        figures=tuple(_figure(f) for f in (*differences(comparison, i), *scatter(comparison, i))),
        robustness=tuple(_figure(f) for f in differences(comparison, i, CHANGE)),
        groups=tuple(_figure(f) for f in group_differences(comparison, i)),
        metrics=tuple(_further(comparison, i)),
        absent=tuple((names.get(r.condition, r.label), r.reason) for r in rows if not math.isfinite(r.delta)),
    )


def _tiles(comparison: Comparison, i: int) -> list[Tile]:
    """The difference on clean data, and the mean over each family."""
    m, found = comparison.primary, []
    clean = comparison.row(comparison.clean, m.name, i)
    if clean is not None:
        found.append(_tile(f"Clean {readable(m.name)}", clean, f"difference-{i}"))
    means = [row for row in comparison.means if row.other == i and row.quantity == VALUE]
    return found + [_tile(f"{row.label.replace('_', ' ')}, mean", row, f"difference-{i}") for row in means]


def _tile(title: str, row: Compared, href: str) -> Tile:
    if not math.isfinite(row.delta):
        return Tile(shorten(title, 40), "—", "", row.reason, href)
    value, _, rest = delta_text(row).partition(" [")
    before, after = (value_text(row, side).partition(" [")[0] for side in ("first", "other"))
    detail = f"{verdict_text(row)}: {before} → {after}"
    return Tile(shorten(title, 40), value, f"[{rest}" if rest else "", detail, href)


def _further(comparison: Comparison, i: int) -> list[tuple[str, TableView]]:
    found = []
    for m in comparison.measures[1:]:
        for quantity in (VALUE, CHANGE):
            rows = ranked(comparison.select(metric=m.name, other=i, quantity=quantity))
            if rows:
                what = f"change of {readable(m.name)} against clean" if quantity == CHANGE else ""
                found.append((what or measure(m.name, m.unit, m.better), view(rows_table(comparison, rows))))
    return found


def _figure(f: Figure) -> FigureView:
    panels = [PanelView(p, Markup(draw(p.spec, p.alt, f"{f.id}-{i}"))) for i, p in enumerate(f.panels)]
    return FigureView(f, tuple(panels), view(f.table))
