"""What is looked at: the folder of runs, the opened run, the filters that all pages share, and the state in the URL.

Everything that can be linked to lives in the query string. `run` and the filters belong to the sidebar, which `main.py`
draws on every page; what belongs to one page only is read by `param` and written by `set_param`.
Reports, runs and what is read from them are shared by all sessions and read-only; they are kept by path and time of
the last change, so a run that was written again is read again.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from mmaudit.app.parts import texts
from mmaudit.app.parts.view import Filter, filtered
from mmaudit.browse.library import Entry, locate, open_run, runs
from mmaudit.errors import BadInput, MMAuditError
from mmaudit.formats import printable
from mmaudit.report import Report
from mmaudit.store import Run

if TYPE_CHECKING:
    from mmaudit.browse.answers import Answers
    from mmaudit.browse.kept import Kept

__all__ = ["Filter", "Opened", "answers", "filters", "kept", "listing", "opened", "param", "root", "set_param", "shown"]

LISTED_FOR = 4.0  # seconds a listing of runs is reused


@dataclass(frozen=True)
class Opened:
    """A run that a page shows; `run` is None where only its report.json can be read."""

    entry: Entry
    report: Report
    run: Run | None


def root() -> Path:
    """The folder of runs: what stands after `--` on the command line, else `runs` here.

    Raises:
        BadInput: it is not a folder.
    """
    given = [a for a in sys.argv[1:] if not a.startswith("-")]
    folder = Path(given[0] if given else "runs")
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder; start with: mmaudit dashboard RUNS_DIR")
    return folder


def listing() -> list[Entry]:
    """All runs below `root`, newest first; read anew after a few seconds."""
    return _listing(str(root().resolve()))


@st.cache_resource(ttl=LISTED_FOR, max_entries=4, show_spinner=False)
def _listing(folder: str) -> list[Entry]:
    return runs(folder)


def listing_changed() -> None:
    """Read the listing again at the next call."""
    _listing.clear()


def chosen(key: str = "run") -> str:
    """The name of the run that `?key=…` names; empty where none is chosen."""
    return param(key, "")


def opened(key: str = "run") -> Opened:
    """The run of `?key=…`, with its report.

    Where none is chosen, or it cannot be shown, the page says so and stops here.
    """
    name = chosen(key)
    if not name:
        texts.head("Choose a run")
        texts.nothing("No run is chosen. Choose one in the sidebar, or on the page Runs.")
        st.stop()
    entry = next((e for e in listing() if e.name == name), None)
    if entry is None:
        texts.head("No such run")
        texts.damaged(f"There is no run “{name}” in the folder that this dashboard shows. Choose one in the sidebar.")
        st.stop()
    try:
        locate(root(), name)
        report = report_of(entry)
    except MMAuditError as error:
        from mmaudit.app.parts import progress

        progress.without_report(entry, str(error))
        st.stop()
    try:
        run = _run(str(root()), name, _changed(entry.folder / "run.json"))
    except MMAuditError:
        run = None
    return Opened(entry, report, run)


def typed(o: Opened) -> str:
    """The run's folder as a shell is given it, in the folder where the dashboard was started."""
    folder = printable(str(root() / o.entry.name))
    return shlex.quote(f"./{folder}" if folder.startswith("-") else folder)


def report_of(entry: Entry) -> Report:
    """The report of a run, kept in memory until the file changes.

    Raises:
        BadInput: there is none.
        DamagedRun, StaleRun: it cannot be read.
    """
    return _report(str(entry.folder), _changed(entry.folder / "report.json"))


@st.cache_resource(max_entries=6, show_spinner="Reading the report …")
def _report(folder: str, changed: int) -> Report:
    return Report.read(folder)


@st.cache_resource(max_entries=12, show_spinner=False)
def _run(top: str, name: str, changed: int) -> Run:
    return open_run(top, name)


def answers(o: Opened) -> Answers:
    """What the model answered, sample by sample; shared, read-only.

    Where the run's predictions cannot be read the page says so and stops here.
    """
    if o.run is None:
        texts.damaged("The run's own files cannot be read, only its report; there is nothing to show per sample.")
        st.stop()
    try:
        return _answers(str(root()), o.entry.name, _changed(o.entry.folder / "run.json"))
    except MMAuditError as error:
        texts.damaged(str(error))
        st.stop()


@st.cache_resource(max_entries=3, show_spinner="Reading the answers …")
def _answers(top: str, name: str, changed: int) -> Answers:
    from mmaudit.browse.answers import Answers

    return Answers(_run(top, name, changed))


def kept(o: Opened) -> Kept:
    """The inputs of some samples that the run keeps; empty where it keeps none."""
    return _kept(str(o.entry.folder), _changed(o.entry.folder / "exhibits.parquet"))


@st.cache_resource(max_entries=6, show_spinner=False)
def _kept(folder: str, changed: int) -> Kept:
    from mmaudit.browse.kept import Kept

    return Kept(Path(folder))


def _changed(file: Path) -> int:
    """When a file was last changed, in ns; 0 where it is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def filters(o: Opened) -> Filter:
    """What the sidebar is set to, for this run."""
    from mmaudit.app.parts import sidebar

    return sidebar.current(o.report)


def shown(o: Opened) -> Report:
    """The report of what the filters leave; kept in memory."""
    return view_of(o, filters(o))


def view_of(o: Opened, chosen: Filter) -> Report:
    """The report of what some other filter leaves; kept in memory."""
    return _shown(str(o.entry.folder), _changed(o.entry.folder / "report.json"), chosen)


@st.cache_resource(max_entries=12, show_spinner=False)
def _shown(folder: str, changed: int, chosen: Filter) -> Report:
    return filtered(_report(folder, changed), chosen)


def param(name: str, default: str = "") -> str:
    """A value of this page's state in the URL, or `default`; the last where it is there more than once."""
    return st.query_params.get(name, default)


def set_param(name: str, value: str | None) -> None:
    """Write a value of this page's state to the URL; None or an empty text removes it."""
    if not value:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def linked_choice(label: str, name: str, options: Mapping[str, str], default: str) -> str:
    """A list to choose one of; `?name=` holds it unless it is the default. Options: value in the URL, in words."""
    value = param(name, default)
    st.session_state[name] = value if value in options else default
    st.selectbox(
        label, list(options), format_func=lambda v: options[v], key=name, on_change=_write, args=(name, default)
    )
    return str(st.session_state[name])


def linked_text(label: str, name: str, hint: str = "") -> str:
    """A word to look for; `?name=` holds it."""
    st.session_state[name] = param(name)[:200]
    st.text_input(label, key=name, placeholder=hint, max_chars=200, on_change=_write, args=(name, ""))
    return str(st.session_state[name]).strip()


def linked_switch(label: str, name: str, note: str = "") -> bool:
    """Yes or no; `?name=yes` holds it."""
    st.session_state[name] = param(name) == "yes"
    st.toggle(label, key=name, help=note or None, on_change=_write_switch, args=(name,))
    return bool(st.session_state[name])


def linked_member(label: str, name: str, member: str) -> bool:
    """A switch of which several share a name; `?name=` holds the members that are on."""
    key = f"{name}-of-{member}"
    st.session_state[key] = member in st.query_params.get_all(name)
    st.toggle(label, key=key, on_change=_write_member, args=(name, member, key))
    return bool(st.session_state[key])


def _write_member(name: str, member: str, key: str) -> None:
    others = [m for m in st.query_params.get_all(name) if m != member]
    members = [*others, member] if st.session_state[key] else others
    if members:
        st.query_params[name] = members
    else:
        st.query_params.pop(name, None)


def _write(name: str, default: str) -> None:
    value = str(st.session_state[name])
    set_param(name, None if value == default else value)


def _write_switch(name: str) -> None:
    set_param(name, "yes" if st.session_state[name] else None)


def linked_bar(label: str, name: str, options: Mapping[str, str], default: str) -> str:
    """Buttons beside each other of which one is chosen; `?name=` holds it unless it is the default."""
    value = param(name, default)
    st.session_state[name] = value if value in options else default
    st.segmented_control(
        label, list(options), format_func=lambda v: options[v], key=name, required=True,
        label_visibility="collapsed", on_change=_write, args=(name, default),
    )  # fmt: skip
    return str(st.session_state[name] or default)
