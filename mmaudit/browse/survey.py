"""Looking through folders without opening their files: which runs there are, and what each holds."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmaudit.errors import BadInput, DamagedRun
from mmaudit.formats import printable

DEPTH = 4
MAX_FOLDERS = 50_000
MAX_FILES = 200_000
_MARKS = ("run.json", "report.json")


def run_folders(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of every run below a folder, the folder itself if it is one.

    A folder is a run if it holds something called run.json or report.json; what lies below it is not looked at.
    Hidden folders, and links to folders, are not followed.

    Raises:
        BadInput: there are more than 50,000 folders.
    """
    waiting = [(root, 0)]
    seen = 0
    names: set[str] = set()
    while waiting:
        folder, depth = waiting.pop()
        seen += 1
        if seen > MAX_FOLDERS:
            raise BadInput(f"{root} holds more than {MAX_FOLDERS:,} folders; give the folder that the runs are in.")
        below: list[Path] = []
        marked = False
        for entry in _entries(folder):
            marked = marked or entry.name in _MARKS
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                below.append(Path(entry.path))
        if marked:
            name = _name(folder, root)
            while name in names:  # two paths that differ in what cannot be shown
                name += "'"
            names.add(name)
            yield name, folder
        elif depth < DEPTH:
            waiting += [(path, depth + 1) for path in sorted(below, reverse=True)]


def _name(folder: Path, root: Path) -> str:
    """The run's name: its path below the root, in characters that fit into a URL and a page."""
    return printable(os.fsencode(folder.relative_to(root).as_posix()).decode("utf-8", "backslashreplace"))


@dataclass
class Survey:
    """What a run folder holds.

    Attributes:
        bytes: of its files; links are not counted.
        modified: newest time of change, s.
        files: bytes of each regular file by path relative to the folder, "/" as separator.
        others: paths of what is neither file nor folder nor link: pipes, devices.
        folders: paths of the folders in it.
        leaving: paths of links that lead out of the root, or nowhere.
    """

    bytes: int = 0
    modified: float = 0.0
    files: dict[str, int] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    leaving: list[str] = field(default_factory=list)

    def require_file(self, name: str) -> None:
        """Raise `DamagedRun` unless there is a regular file of this name."""
        if name in self.files:
            return
        there = name in self.others or name in self.folders
        raise DamagedRun(f"{name} is not a file." if there else f"{name} is missing.")


def survey(folder: Path, root: Path) -> Survey:
    """Look through a run folder, everything below it included.

    Raises:
        DamagedRun: it holds more than 200,000 files.
    """
    home = root.resolve()
    found = Survey(modified=_changed(folder))
    waiting = [(folder, "")]
    while waiting:
        place, prefix = waiting.pop()
        for entry in _entries(place):
            name = prefix + entry.name
            if entry.is_symlink():
                _follow(entry, name, home, found)
                continue
            try:
                about = entry.stat(follow_symlinks=False)
            except OSError:  # gone in between
                continue
            found.modified = max(found.modified, about.st_mtime)
            if stat.S_ISDIR(about.st_mode):
                found.folders.append(name)
                waiting.append((Path(entry.path), name + "/"))
            elif stat.S_ISREG(about.st_mode):
                found.files[name] = about.st_size
                found.bytes += about.st_size
            else:
                found.others.append(name)
        if len(found.files) + len(waiting) > MAX_FILES:
            raise DamagedRun(f"it holds more than {MAX_FILES:,} files.")
    return found


def _follow(entry: os.DirEntry[str], name: str, home: Path, found: Survey) -> None:
    """A link within the root counts as what it points to; folders behind links are not looked through."""
    try:
        target = Path(entry.path).resolve(strict=True)
        about = target.stat()
    except (OSError, RuntimeError):  # nowhere, or in a circle
        found.leaving.append(name)
        return
    if not target.is_relative_to(home):
        found.leaving.append(name)
    elif stat.S_ISREG(about.st_mode):
        found.files[name] = about.st_size
        found.modified = max(found.modified, about.st_mtime)
    else:
        # Behind a linked folder there could be more links: only real folders are part of a run.
        found.others.append(name)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder; nothing where it cannot be read or is gone."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
