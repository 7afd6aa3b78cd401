"""Figures as the templates show them: every panel drawn, and what a reader can bring to life."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from markupsafe import Markup

from mmaudit.figures import Figure, Panel
from mmaudit.render.svg import clean, compiled
from mmaudit.render.tables import TableView, view


@dataclass(frozen=True)
class PanelView:
    """A panel with its drawing; `vega` is the specification it was drawn from, as JSON."""

    panel: Panel
    name: str
    svg: Markup
    vega: str


@dataclass(frozen=True)
class FigureView:
    """A figure ready for the template.

    Attributes:
        figure: the figure.
        open, folded: its panels, those at once in sight and those behind a click.
        table: its numbers.
        missing: drawings that were left out because the page would grow too large.
    """

    figure: Figure
    open: tuple[PanelView, ...]
    folded: tuple[PanelView, ...]
    table: TableView
    missing: int = 0

    @property
    def panels(self) -> tuple[PanelView, ...]:
        """All panels that are shown."""
        return (*self.open, *self.folded)

    def without(self, left_out: Iterable[str]) -> FigureView:
        """The figure without the parts of these names that are its own: its numbers, its folded drawings."""
        shown = self
        if numbers_of(self.figure) in left_out:
            shown = replace(shown, table=shown.table.without_rows)
        if folded_of(self.figure) in left_out:
            shown = replace(shown, folded=(), missing=len(self.folded))
        return shown


def drawn(f: Figure) -> FigureView:
    """Draw the panels of a figure."""
    panels = []
    for i, p in enumerate(f.panels):
        name, made = f"{f.id}-{i}", compiled(p.spec)
        # Where there is no room for the wide drawing nothing hovers; a touched live chart says it.
        svg = clean(made.svg, p.alt, name, tips=p.show != "narrow")
        panels.append(PanelView(p, name, Markup(svg), made.vega))
    return FigureView(
        f,
        tuple(p for p in panels if not p.panel.folded),
        tuple(p for p in panels if p.panel.folded),
        view(f.table),
    )


def charts(figures: Mapping[str, Iterable[FigureView]]) -> dict[str, str]:
    """The specifications of all panels that are shown, by name."""
    return {p.name: p.vega for views in figures.values() for f in views for p in f.panels}


def numbers_of(f: Figure) -> str:
    """What the budget calls the table of a figure."""
    return f"numbers of {f.id}"


def folded_of(f: Figure) -> str:
    """What the budget calls the drawings of a figure that are behind a click."""
    return f"folded drawings of {f.id}"
