"""Figures on a page: title, how to read it, panels side by side, the numbers as a table, and files to take away."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from mmaudit.app.parts import drawing, state, tables, texts
from mmaudit.figures import Figure, Panel
from mmaudit.formats import unbroken

# Panels are laid out by the style sheet (look.py), by the beginning of their container's key.
MOST = 6  # small panels drawn at once
HALF_OF_PAGE = 470  # px
_ALT = "alt" in inspect.signature(st.vega_lite_chart).parameters


def show(figure: Figure, key: str, heading: bool = True) -> None:
    """Draw a figure.

    Args:
        figure: of `mmaudit.figures`.
        key: unique on the page; part of the keys of the widgets below the figure.
        heading: whether the figure's own title stands above it.
    """
    with st.container(key=f"figure-{key}"):
        if heading:
            st.subheader(texts.plain(figure.title, 200), anchor=False)
        if figure.caption:
            st.caption(texts.plain(unbroken(figure.caption), 2000))
        if not figure.panels:
            texts.nothing("Every value of this chart is undefined; the table says why.")
        first, folded = split(figure.panels)
        _panels(first, key)
        if folded:
            _folded(folded, f"{key}-more")
        _below(figure, key)


def split(panels: Sequence[Panel]) -> tuple[list[Panel], list[Panel]]:
    """Panels to draw at once, and those behind a click: what the figure folds itself, and small ones beyond the first.

    Every chart costs the browser some hundredths of a second.
    """
    small = [p for p in panels if p.size == "small" and not p.folded]
    first = [p for p in panels if not p.folded and (p.size != "small" or p in small[:MOST])]
    return first, [p for p in panels if p not in first]


def dark() -> bool:
    """Whether the reader's ground is dark."""
    return bool(st.context.theme.type == "dark")


def _panels(panels: list[Panel], key: str) -> None:
    if not panels:
        return
    with st.container(horizontal=True, gap="medium", key=f"panels-{key}"):
        for i, panel in enumerate(panels):
            _panel(panel, f"{key}-{i}")


def _panel(panel: Panel, key: str) -> None:
    """One drawing in a container whose key says its width, and for which screens it is meant."""
    # A drawing wider than half the page would be cut off, or scrolled, in half of it.
    wide = panel.size == "half" and float(panel.spec["width"]) > HALF_OF_PAGE
    name = f"panel-{'full' if wide else panel.size}-{panel.show or 'both'}-{key}"
    with st.container(key=name, width="stretch", gap="xxsmall"):
        if panel.title:
            st.markdown(f"**{texts.plain(panel.title, 120)}**")
        spec = drawing.live(panel.spec)
        spec = drawing.on_dark(spec) if dark() else spec
        fits = drawing.stretches(panel.spec)
        more: dict[str, Any] = {"alt": panel.alt} if _ALT else {}
        st.vega_lite_chart(spec, theme=None, width="stretch" if fits else "content", key=f"chart-{name}", **more)


@st.fragment
def _folded(panels: list[Panel], key: str) -> None:
    """Panels behind a click; they are sent only once they are asked for."""
    more = st.expander(f"{len(panels)} more", key=f"fold-{key}", on_change="rerun")
    if more.open:
        with more:
            _panels(panels, key)


@st.fragment
def _below(figure: Figure, key: str) -> None:
    """The table of the same numbers, and files; made only once they are asked for."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"below-{key}"):
        numbers = state.linked_member("Table", "table", key) if figure.table.rows else False
        if figure.panels or figure.table.rows:
            _files(figure, key)
    if numbers:
        tables.show(figure.table, figure.id, f"{key}-numbers", download=False)


def _files(figure: Figure, key: str) -> None:
    with st.popover(
        "Download", icon=":material/download:", type="tertiary", key=f"files-{key}", on_change="rerun"
    ) as p:
        if not p.open:
            return
        if figure.table.rows:
            tables.downloads(figure.table, figure.id, key)
        if not figure.panels:
            return
        panels = list(figure.panels)
        i = 0
        if len(panels) > 1:
            names = [_name(panel, n) for n, panel in enumerate(panels)]
            i = st.selectbox("Chart", range(len(panels)), format_func=lambda n: names[n], key=f"which-{key}")
        panel, file = panels[i], f"{figure.id}-{i + 1}" if len(panels) > 1 else figure.id
        with st.container(horizontal=True, gap="small"):
            for kind, mime, make in (("svg", "image/svg+xml", drawing.svg), ("png", "image/png", drawing.png)):
                st.download_button(
                    f"Chart as {kind.upper()}",
                    data=partial(make, panel.spec),
                    file_name=f"{tables.file_name(file)}.{kind}",
                    mime=mime,
                    key=f"{kind}-{key}",
                    on_click="ignore",
                )


def _name(panel: Panel, i: int) -> str:
    """A panel's title as plain text, told apart from others of the same title."""
    said = texts.plain(panel.title, 60) if panel.title else f"chart {i + 1}"
    return f"{said} ({panel.show})" if panel.show else said


def key_of(*parts: str) -> str:
    """A short key for a widget about something whose name comes from a run."""
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=6).hexdigest()
