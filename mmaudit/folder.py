"""Folders that are written safely: one writer at a time, files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmaudit.errors import BadInput, StorageFailed
from mmaudit.place import is_local, is_remote, place, temporary

TRIES, BETWEEN_TRIES = 5, 0.02  # s
# What a file system answers that has no locks, or none on a folder (NFS).
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EINVAL}
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
    if not is_local(folder):
        return  # whether a store lets itself be written is known when the run is made there, before the model runs
    parent = folder
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise BadInput(f"out={str(folder)!r} cannot be made: {parent} is a file; choose another folder.")
    if not os.access(parent, os.W_OK):
        raise BadInput(f"out={str(folder)!r} cannot be written: no permission in {parent}; choose another folder.")


def require_free(folder: Path) -> None:
    """Raise `BadInput` if another process is writing to the folder."""
    if is_local(folder) and folder.is_dir():
        with _locked(folder):
            pass


@contextlib.contextmanager
def writing(folder: str | Path) -> Iterator[None]:
    """Hold a run folder against a second writer, making it if need be, and sweep what a killed writer left.

    A folder in a store is not held: there a file appears whole and says the same whoever writes it, so that two drivers
    waste work and lose nothing.

    Raises:
        BadInput: another process is writing to the folder, or it cannot be made.
    """
    path = place(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"run folder {path} cannot be made: {error}; choose another with out=…") from error
    if not is_local(path):
        yield
        return
    with _locked(path) as held:
        # Where the file system has no locks, another writer may live: what it left is left.
        if held:
            for pattern in ("*.partial", ".*.tmp"):
                for leftover in path.rglob(pattern):
                    with storing(leftover):
                        leftover.unlink(missing_ok=True)
        yield


@contextlib.contextmanager
def contributing(folder: str | Path) -> Iterator[None]:
    """Add shards to a run folder beside other processes that do the same; there is no driver meanwhile.

    Any number of workers may be inside at a time, on one machine or on several that share the folder. Nothing is swept:
    what lies there half-written may be another worker's. Two that write the same file end with one of both, whole, and
    both are the same bytes.

    Raises:
        BadInput: there is no such folder, or a driver (`writing`) holds it.
    """
    path = place(folder)
    if not path.is_dir():
        raise BadInput(f"{path} is not a run folder: there is none; plan the run first.")
    if not is_local(path):
        yield
        return
    with _locked(path, shared=True):
        yield


def make_folder(path: Path) -> None:
    """Make a folder of a run, if need be; raises `StorageFailed` where that cannot be done."""
    with storing(path):
        path.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a local file to write; after the block it is at `path`, whole. If anything fails, `path` is as it was.

    Raises:
        StorageFailed: the disk is full, the folder cannot be written, or the store refuses.
    """
    if is_remote(path):
        with storing(path), temporary(path.name) as made:
            yield made
            path.upload(made)
        return
    partial = _partial(path)
    with storing(path):
        try:
            yield partial
            partial.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old one or the whole new one.

    Raises:
        StorageFailed: as `whole`.
    """
    if is_remote(path):
        path.upload(content)
        return
    with whole(path) as partial, partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _partial(path: Path) -> Path:
    """A name that no other process has, on this machine or on another that shares the folder."""
    return path.with_name(f"{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.partial")


@contextlib.contextmanager
def storing(path: object) -> Iterator[None]:
    """Within, an `OSError` becomes a `StorageFailed` that says which file could not be written, and what to do."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            f"{path} cannot be written: {error.strerror or error}. What was written before is whole; remove the cause "
            "and run the same again, which goes on from there."
        ) from error


@contextlib.contextmanager
def _locked(folder: Path, *, shared: bool = False) -> Iterator[bool]:
    """Hold an advisory lock on the folder itself: no lock file to leave behind, released if the process dies.

    Gives whether it is held: some network file systems have none.
    """
    if sys.platform == "win32":
        yield False
        return
    import fcntl

    with storing(folder):
        handle = os.open(folder, os.O_RDONLY)
    try:
        yield _tried(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, folder)
    finally:
        os.close(handle)


def _tried(handle: int, kind: int, folder: Path) -> bool:
    import fcntl

    # Who only looks whether a run is being written holds the lock for an instant; a writer holds it for long.
    for left in reversed(range(TRIES)):
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError as error:
            if not left:
                raise BadInput(f"another audit is writing to {folder}; wait for it, or give another out=…") from error
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise
        time.sleep(BETWEEN_TRIES)
    return False


def own_arrays(file: Path) -> dict[str, npt.NDArray[Any]] | None:
    """Return the arrays of an .npz that mmaudit keeps for itself, and can make again; None where it is anything else.

    `numpy.savez` packs nothing, so that a file's size bounds what is read of it.
    """
    try:
        if not file.is_file():
            return None
        content = file.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                return None
        # NumPy takes long for long headers that are none; those of plain arrays have 118 letters.
        with np.load(io.BytesIO(content), allow_pickle=False, max_header_size=1_000) as arrays:
            return {name: np.asarray(arrays[name]) for name in arrays.files}
    except Exception:  # an array's header is read as Python text: whatever the tokenizer raises
        return None
