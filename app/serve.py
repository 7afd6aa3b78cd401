"""Starts Streamlit's server with a head start: `python serve.py run main.py …` for `python -m streamlit run main.py …`.

What the pages need is loaded while the server starts and the browser opens; the first visitor does not wait for it.
"""

from __future__ import annotations

import contextlib
import importlib
import threading

# In the order in which a visitor meets them: the list of runs, a report's pages, samples, comparisons.
NEEDED = (
    "pandas",
    "pyarrow.parquet",
    "mmaudit.app.parts.run_list",
    "mmaudit.app.parts.sidebar",
    "mmaudit.figures",
    "mmaudit.app.parts.charts",
    "mmaudit.app.parts.headline",
    "mmaudit.app.parts.findings",
    "mmaudit.app.parts.sample_view",
    "mmaudit.browse.fragility",
    "mmaudit.browse.kept",
    "mmaudit.compared.compare",
)


def load() -> None:
    """Import what the pages need; what fails here fails again, and is reported, where it is used."""
    for name in NEEDED:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


if __name__ == "__main__":
    threading.Thread(target=load, name="mmaudit-load", daemon=True).start()
    from streamlit.web.cli import main

    main(prog_name="streamlit")
