"""The whole report to take away."""

from __future__ import annotations

import json
from functools import partial

import streamlit as st

from mmaudit.app.parts import state, tables
from mmaudit.report import Report


def report(o: state.Opened) -> None:
    """Buttons that save the report as a page and as JSON; each is made when pressed.

    The page is drawn anew from the report's values: a report.html that lies in the folder could hold anything.
    """
    name = tables.file_name(o.entry.name if o.entry.name != "." else o.report.document["title"])
    with st.container(horizontal=True, gap="small"):
        for label, kind, mime, make in (
            ("HTML", "html", "text/html", html),
            ("JSON", "json", "application/json", as_json),
        ):
            st.download_button(
                f"Report as {label}",
                data=partial(make, o.report),
                file_name=f"{name}.{kind}",
                mime=mime,
                icon=":material/download:",
                key=f"report-{kind}",
                on_click="ignore",
                type="tertiary",
            )


def html(report: Report) -> bytes:
    """The report page: one self-contained file."""
    from mmaudit.render import page

    return page(report).encode("utf-8")


def as_json(report: Report) -> bytes:
    """The report's values, as report.json has them."""
    return (json.dumps(report.document, ensure_ascii=True, allow_nan=False, indent=1) + "\n").encode()
