"""The dashboard's entry: `mmaudit dashboard RUNS_DIR`, or `streamlit run app/main.py -- RUNS_DIR`."""

from __future__ import annotations

import streamlit as st

from mmaudit.app.parts import look, pages, sidebar, state, texts
from mmaudit.errors import MMAuditError

page = st.navigation(pages.navigation(), position="hidden")
look.configure(page.title)
here = next(p for p in pages.PAGES if p.title == page.title)
try:
    entries = state.listing()
    sidebar.draw(entries, here.filtered)
    if sidebar.opening() and here is pages.PAGES[0]:
        pages.go("overview")
    page.run()
except MMAuditError as error:
    # What a run holds can be anything: one clear line instead of a traceback, and the other pages go on.
    texts.damaged(str(error))
