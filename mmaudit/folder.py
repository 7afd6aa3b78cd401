"""Folders that are written safely: one writer at a time, files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mmaudit.errors import BadInput

TRIES, BETWEEN_TRIES = 5, 0.02  # s
# What may lie in a folder in which an audit was killed before it wrote run.json.
_OWN = {"run.json", "samples.parquet", "predictions", "errors"}


def require_usable(folder: Path) -> None:
    """Raise `BadInput` unless a run can be written to `folder`: absent, empty, or already a run."""
    if folder.is_file():
        raise BadInput(f"out={str(folder)!r} is a file; give a folder.")
    if folder.is_dir():
        foreign = sorted(p.name for p in folder.iterdir() if p.name not in _OWN and not p.name.endswith(".partial"))
        if foreign and not (folder / "run.json").exists():
            raise BadInput(
                f"out={str(folder)!r} holds other files ({', '.join(foreign[:3])}) and no run; "
                "give a new or empty folder."
            )
    parent = folder
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise BadInput(f"out={str(folder)!r} cannot be made: {parent} is a file; choose another folder.")
    if not os.access(parent, os.W_OK):
        raise BadInput(f"out={str(folder)!r} cannot be written: no permission in {parent}; choose another folder.")


def require_free(folder: Path) -> None:
    """Raise `BadInput` if another process is writing to the folder."""
    if folder.is_dir():
        with _locked(folder):
            pass


@contextlib.contextmanager
def writing(folder: str | Path) -> Iterator[None]:
    """Hold a run folder against a second writer, making it if need be, and sweep what a killed writer left.

    Raises:
        BadInput: another process is writing to the folder, or it cannot be made.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"run folder {path} cannot be made: {error}; choose another with out=…") from error
    with _locked(path):
        for pattern in ("*.partial", ".*.tmp"):
            for leftover in path.rglob(pattern):
                leftover.unlink(missing_ok=True)
        yield


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it: readers see the old file or the whole new one."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold an advisory lock on the folder itself: no lock file to leave behind, released if the process dies."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        # Who only looks whether a run is being written holds the lock for an instant; a writer holds it for long.
        for left in reversed(range(TRIES)):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not left:
                    raise BadInput(
                        f"another audit is writing to {folder}; wait for it, or give another out=…"
                    ) from error
                time.sleep(BETWEEN_TRIES)
        yield
    finally:
        os.close(handle)
