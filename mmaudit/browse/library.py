"""The runs below a folder, by name. Links out of the folder are refused.

for entry in runs("runs"):
    print(entry.name, entry.state, entry.level)
run = open_run("runs", entry.name)
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mmaudit.browse.entry import Entry, State, entry_of, require_inside
from mmaudit.browse.survey import run_folders, survey
from mmaudit.errors import BadInput, DamagedRun
from mmaudit.formats import shorten
from mmaudit.place import is_local, place
from mmaudit.store import Run

__all__ = ["Entry", "State", "locate", "open_run", "runs"]


def runs(root: str | Path) -> list[Entry]:
    """Return every run below a folder, newest first; the folder itself may be one. A damaged run is an entry, too.

    A folder that holds a run.json or a report.json is a run, and nothing below it is listed. Runs up to four folders
    down are found; hidden folders and symbolic links are not followed. Reads headers and findings, no answers.

    Raises:
        BadInput: there is no such folder, or it holds too many folders to look through.
    """
    home = _home(root)
    entries = [entry_of(name, folder, home) for name, folder in run_folders(home)]
    return sorted(entries, key=lambda e: (-_time(e), e.name))


def locate(root: str | Path, name: str) -> Path:
    """Return the folder of a listed run.

    Raises:
        BadInput: the name is not in the listing, which holds no absolute path, no ".." and nothing behind a link.
    """
    home = _home(root)
    folder = _straight(home, name) if isinstance(name, str) else None
    if folder is None:
        said = shorten(repr(name), 80)
        raise BadInput(f"there is no run {said} below {home}; give a name as 'mmaudit.browse.library.runs' lists it.")
    return folder


def open_run(root: str | Path, name: str) -> Run:
    """Open a listed run for browsing: as `Run.open`, with its header checked and no link in it leaving the root.

    Raises:
        BadInput: see `locate`.
        DamagedRun: run.json is missing or cannot be read, or says what cannot be; a file is a link out of the root.
        StaleRun: a newer mmaudit wrote it.
    """
    home, folder = _home(root), locate(root, name)
    try:
        found = survey(folder, home)
        require_inside(found)
        found.require_file("run.json")
    except DamagedRun as error:
        raise DamagedRun(f"{folder}: {error}") from None
    return Run.open(folder)


def _home(root: str | Path) -> Path:
    home = place(root)
    if not is_local(home):
        raise BadInput(f"{home} is a store; the dashboard reads folders of this machine. Copy the runs to one.")
    if not home.is_dir():
        what = "is not a folder" if home.exists() else "does not exist"
        raise BadInput(f"{home} {what}; give the folder that holds the runs.")
    return home.resolve()


def _straight(home: Path, name: str) -> Path | None:
    """The folder of a listed run, found by walking the listing: a name is compared, never made into a path."""
    for known, folder in run_folders(home):
        if known == name:
            return folder
    return None


def _time(entry: Entry) -> float:
    if not entry.created:
        return entry.modified
    moment = datetime.fromisoformat(entry.created)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return entry.modified
