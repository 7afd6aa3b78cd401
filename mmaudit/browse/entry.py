"""One run of the listing: what it is, how far it is, and what is wrong with it, from headers and names of files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from mmaudit.browse.survey import Survey, survey
from mmaudit.errors import DamagedRun, MMAuditError
from mmaudit.formats import count, printable, shorten
from mmaudit.header import read_header, read_json
from mmaudit.report import Report
from mmaudit.report_schema import check_version
from mmaudit.store import Run
from mmaudit.types import LEVELS, Task

State = Literal["complete", "running", "partial", "damaged"]

MAX_REPORT = 256 * 2**20
_SCHEMA = re.compile(rb'\s*\{\s*"schema": ?"([\w./]{1,60})"')
_AGAIN = "Audit again to the same folder, which makes it again."


@dataclass(frozen=True)
class Entry:
    """One run found below the root.

    Every text is free of control and bidirectional characters, and otherwise as the run has it: it may be long, and
    hold HTML or Markdown.

    Attributes:
        name: path relative to the root, "/" as separator, "." for the root itself; identifies the run in URLs.
        folder: where it is.
        state: complete: every answer and the report are there. running: another process writes to the folder. partial:
            something is missing, and nobody is writing. damaged: something cannot be read, or is not what it says.
        reason: why damaged or partial, one or two sentences; else "".
        title, model, task, suite: as the run calls them (task in words); "" where unknown.
        modalities: their names.
        n: samples; 0 where unknown.
        conditions: planned, the clean one included; 0 where unknown.
        done, total: prediction files present and planned.
        created: ISO date of the run; "" where unknown.
        modified: newest time of change of a file in it, s since 1970.
        level: worst finding: critical, major, minor, info, or none; "" where no findings were drawn yet.
        counts: findings by level; empty likewise.
        bytes: of the folder.
    """

    name: str
    folder: Path
    state: State
    reason: str = ""
    title: str = ""
    model: str = ""
    task: str = ""
    suite: str = ""
    modalities: tuple[str, ...] = ()
    n: int = 0
    conditions: int = 0
    done: int = 0
    total: int = 0
    created: str = ""
    modified: float = 0.0
    level: str = ""
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)
    bytes: int = 0


def entry_of(name: str, folder: Path, home: Path) -> Entry:
    """Describe a run folder below `home`; whatever is wrong with it is said in the entry, and never raised."""
    entry = Entry(name, folder, "partial")
    try:
        found = survey(folder, home)
        entry = replace(entry, bytes=found.bytes, modified=found.modified)
        require_inside(found)
        if "run.json" in found.files or "run.json" in found.others or "run.json" in found.folders:
            found.require_file("run.json")
            run = Run(folder, read_header(folder / "run.json"))
            return _judged(_described(entry, run), run, found)
        return _report_alone(entry, found)
    except MMAuditError as error:
        reason = printable(str(error)).replace(f"{printable(str(folder))}/", "")
        return replace(entry, state="damaged", reason=reason)


def require_inside(found: Survey) -> None:
    """Raise `DamagedRun` if a link leads out of the folder of runs."""
    if found.leaving:
        path = shorten(min(found.leaving), 120)
        raise DamagedRun(
            f"{path} is a link that leaves the folder of runs or leads nowhere; put the file itself there."
        )


def _described(entry: Entry, run: Run) -> Entry:
    header = run.header
    return replace(
        entry,
        title=printable(header.get("title", "")),
        model=printable(header["model"].get("name", "")),
        task=printable(run.task.said),
        suite=printable(header["suite"].get("name", "")),
        modalities=tuple(printable(m["name"]) for m in header["modalities"]),
        n=run.n,
        conditions=sum(len(part) for part in header["increments"]),
        total=len(_planned(run)),
        created=_date(header.get("created", "")),
    )


def _planned(run: Run) -> list[str]:
    """Paths of all prediction files of a whole run, in its folder."""
    return [f"predictions/{run.file(*piece).name}" for piece in run.pieces()]


def _judged(entry: Entry, run: Run, found: Survey) -> Entry:
    """State, progress and findings of a run with a sound header."""
    files = _planned(run)
    there = [file for file in files if file in found.files]
    entry = replace(entry, done=len(there))
    entry = replace(entry, **_findings(entry.folder, found))
    for file in files:
        if file in found.others or file in found.folders:
            found.require_file(file)
    found.require_file("samples.parquet")
    for file in ("samples.parquet", *there):
        _require_whole(entry.folder, file, found.files[file], b"PAR1", _AGAIN)
    if "report.json" in found.others or "report.json" in found.folders:
        found.require_file("report.json")
    if "report.json" in found.files:
        score = "'mmaudit score RUN' writes it again."
        _require_whole(entry.folder, "report.json", found.files["report.json"], b"}", score)
        _require_known(entry.folder / "report.json")
    if _held(entry.folder):
        return replace(entry, state="running")
    if lacking := len(files) - len(there):
        files_said = f"{count(lacking)} of {count(len(files))} prediction files are missing."
        return replace(entry, state="partial", reason=f"{files_said} Audit again to the same folder.")
    if "report.json" not in found.files or "findings.json" not in found.files:
        return replace(entry, state="partial", reason="Every answer is there, but no report; run: mmaudit score RUN")
    return replace(entry, state="complete")


def _findings(folder: Path, found: Survey) -> dict[str, Any]:
    """Worst level and how many of each."""
    name = "findings.json"
    if name in found.others or name in found.folders:
        found.require_file(name)
    if name not in found.files:
        return {}
    listed = read_json(folder / name)
    if not isinstance(listed, list) or not all(isinstance(f, dict) for f in listed):
        raise DamagedRun(f"{name} is not a list of findings; 'mmaudit score RUN' writes it again.")
    counts = dict.fromkeys(LEVELS, 0)
    for finding in listed:
        level = finding.get("level")
        if not isinstance(level, str) or level not in counts:
            raise DamagedRun(f"{name} holds the level {shorten(repr(level), 40)}; 'mmaudit score RUN' writes it again.")
        counts[level] += 1
    return {"counts": counts, "level": next((level for level in LEVELS if counts[level]), "none")}


def _require_whole(folder: Path, name: str, size: int, ending: bytes, remedy: str) -> None:
    """Raise unless a file ends as it must: files are renamed into place when whole, so only damage cuts one short."""
    try:
        with (folder / name).open("rb") as file:
            file.seek(max(size - 16, 0))
            whole = file.read(16).rstrip(b" \r\n").endswith(ending) and size >= 2
    except OSError as error:
        raise DamagedRun(f"{name} cannot be read ({error.strerror}).") from None
    if not whole:
        raise DamagedRun(f"{name} is cut short. {remedy}")


def _require_known(report: Path) -> None:
    """Raise `StaleRun` for a report of a newer mmaudit, which its first line tells; the rest is not read."""
    try:
        with report.open("rb") as file:
            head = file.read(200)
    except OSError as error:
        raise DamagedRun(f"{report.name} cannot be read ({error.strerror}).") from None
    if told := _SCHEMA.match(head):
        check_version({"schema": told[1].decode()})


def _report_alone(entry: Entry, found: Survey) -> Entry:
    """A folder with a report and no run: it can be read, but its samples cannot be browsed."""
    found.require_file("report.json")
    if found.files["report.json"] > MAX_REPORT:
        raise DamagedRun(f"report.json has more than {MAX_REPORT:,} bytes.")
    report = Report.read(entry.folder / "report.json")
    document = report.document
    counts = {level: sum(f.level == level for f in report.findings) for level in LEVELS}
    return replace(
        entry,
        state="partial",
        reason="Only report.json is here: it can be read, but samples cannot be browsed.",
        title=printable(document["title"]),
        model=printable(document["model"]["name"]),
        task=printable(Task.from_json(document["task"]).said),
        suite=printable(str(document["suite"].get("name", ""))),
        modalities=tuple(printable(m["name"]) for m in document["data"]["modalities"]),
        n=int(document["data"]["n"]),
        conditions=len(document["conditions"]),
        created=_date(document["created"]),
        counts=counts,
        level=next((level for level in LEVELS if counts[level]), "none"),
    )


def _held(folder: Path) -> bool:
    """Whether another process holds the lock that writers of a run take (see `mmaudit.folder`).

    A shared lock is asked for and given back at once: readers do not disturb each other.
    """
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(handle)
    return False


def _date(text: Any) -> str:
    """The date as it stands, where it is one."""
    try:
        datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return ""
    return str(text)
