"""The pages: what they are called, where their scripts are, and how to get from one to another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import streamlit as st

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

HERE = (
    Path(__file__).resolve().parent.parent / "views"
)  # not "pages": beside main.py Streamlit would take that folder for pages of its own


@dataclass(frozen=True)
class PageOf:
    """One page: its script is `app/views/<name>.py`, its address `/<name>`.

    Attributes:
        name: of script and address.
        title: in the list of pages.
        icon: of Google's Material Symbols.
        filtered: whether the sidebar's filters change what it shows.
    """

    name: str
    title: str
    icon: str
    filtered: bool = True

    @property
    def script(self) -> Path:
        """The file that draws it."""
        return HERE / f"{self.name}.py"


PAGES = (
    PageOf("runs", "Runs", ":material/list:", filtered=False),
    PageOf("overview", "Overview", ":material/flag:", filtered=False),
    PageOf("robustness", "Robustness", ":material/trending_down:"),
    PageOf("subsets", "Subsets", ":material/hub:"),
    PageOf("reliance", "Reliance & synergy", ":material/join_inner:"),
    PageOf("calibration", "Calibration", ":material/target:"),
    PageOf("samples", "Samples", ":material/image_search:"),
    PageOf("groups", "Groups", ":material/groups:"),
    PageOf("references", "References", ":material/compare_arrows:", filtered=False),
    PageOf("method", "Method", ":material/science:", filtered=False),
    PageOf("compare", "Compare", ":material/balance:"),
)
SHARED = ("run", "modality", "family", "metric", "group")
"""Names in the query string that the sidebar owns; they follow the reader from page to page."""


def page(name: str) -> PageOf:
    """The page of this name."""
    return next(p for p in PAGES if p.name == name)


def navigation() -> list[StreamlitPage]:
    """All pages, for `st.navigation`; the first is the front page."""
    return [
        # Without icon: Streamlit would fetch the icon of the browser's tab from the network.
        st.Page(p.script, title=p.title, url_path=p.name, default=p is PAGES[0])
        for p in PAGES
    ]


def here() -> dict[str, list[str]]:
    """The run and the filters as they are in the URL."""
    return {name: st.query_params.get_all(name) for name in SHARED if name in st.query_params}


def link(name: str, label: str = "", icon: str | None = None, *, disabled: bool = False, **params: str) -> None:
    """A link to a page, with the run and the filters as they are here; it can be copied and opened in another tab.

    Args:
        name: of the page.
        label: what it says, Markdown; the page's title by default.
        icon: the page's own by default; "" for none.
        disabled: whether it leads nowhere yet.
        params: that page's own state, and other values of `SHARED` than those here; "" removes one.
    """
    p = page(name)
    shown = p.icon if icon is None else icon or None
    st.page_link(p.script, label=label or p.title, icon=shown, disabled=disabled, query_params=query(**params) or None)


def go(name: str, **params: str) -> NoReturn:
    """Open a page at once; `params` as for `link`."""
    st.switch_page(page(name).script, query_params=query(**params))


def query(**params: str) -> dict[str, list[str]]:
    """The query string of a link: the run and the filters as they are here, and `params`."""
    given = {k: [v] for k, v in params.items()}
    return {k: v for k, v in {**here(), **given}.items() if v != [""]}
