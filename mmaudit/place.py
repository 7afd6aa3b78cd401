"""Where a run lies: a folder here, or a URL of a store (`s3://bucket/run`, `memory://run`, any that fsspec knows).

Everything else holds a `Path` and calls what every path has: `/`, `exists`, `iterdir`, `read_text`, `unlink`. For a URL
that path is a `mmaudit.remote.RemotePath`, which has the same methods and is no `os.PathLike`. What needs a real file
goes through `folder.whole` (write), `readable` (pyarrow), `local_copy` (any other library) and `scratch` (memory maps).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from mmaudit.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    from mmaudit.remote import RemotePath

# Two letters at least, for a drive of Windows has one. pathlib makes one slash of two: both forms are the same URL.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
_CHAIN = re.compile(r"[A-Za-z0-9+.-]+::.*:/.*", re.DOTALL)
_PASSWORD = re.compile(r"[^/]*:[^/]*@")
_HERE = ("file", "local")


def place(where: str | Path) -> Path:
    """Return the path of a local folder or file, or of a URL.

    Args:
        where: a path; or `protocol://…`, also as pathlib writes it, with one slash, unless a file or folder of that
            very name lies here. `file://` is a local path. Credentials come from the environment or the configuration
            of fsspec and the store's own tools, never from the URL.

    Raises:
        BadInput: no such protocol is known, the URL holds a password or another URL, or it chains file systems by
            `::`.
        MissingExtra: it is a URL, and the packages for it are not installed.
    """
    if not isinstance(where, str | Path):
        return where  # made here before
    text = str(where)
    if "\0" in text:
        raise BadInput(f"the path {text!r} has a null character, which no path can have.")
    found = _URL.fullmatch(text)
    if found is None:
        if _CHAIN.fullmatch(text) and not os.path.lexists(where):
            raise _chained(text.partition("::")[0])
        return Path(where)
    protocol, rest = found[1].lower(), found[2]
    if protocol in _HERE:
        return Path("/" + rest)
    if os.path.lexists(where):
        return Path(where)
    if "://" in rest or _URL.fullmatch(rest):
        raise BadInput(f"the URL that begins with {protocol + '://'!r} holds another; give one, as s3://bucket/run.")
    if "::" in rest:  # fsspec would take what follows for another file system, one of this machine perhaps
        raise _chained(protocol)
    if _PASSWORD.match(rest):
        raise BadInput(
            f"the {protocol} URL holds a password, which would be written into reports; give it without, and the "
            "credentials through the environment or fsspec's configuration."
        )
    # As pathlib writes it: stores take an empty name for a folder that their listings then do not show.
    return _remote(f"{protocol}://" + "/".join(name for name in rest.split("/") if name not in ("", ".")))


def _chained(first: str) -> BadInput:
    """What to say of several file systems in one URL; not the URL, which may hold a password."""
    return BadInput(f"the URL that begins with {first!r} chains file systems by '::'; give one, as s3://bucket/run.")


def is_local(path: Path) -> bool:
    """Whether a path of `place` is a file or folder of this machine."""
    return isinstance(path, Path)


def is_remote(path: object) -> TypeGuard[RemotePath]:
    """Whether a path of `place` is one of a store."""
    return not isinstance(path, Path)


def _remote(url: str) -> Path:
    try:
        from mmaudit.remote import open_place
    except ModuleNotFoundError as error:
        raise MissingExtra("universal_pathlib", "remote") from error
    return open_place(url)


# ---- reading


def readable(path: Path, *, size: int | None = None) -> Any:
    """What pyarrow opens: the path itself where it is local; else a file that fetches the bytes that are asked for.

    Args:
        path: the file.
        size: its bytes, where they are known; else a store is asked.
    """
    return path.ranges(size) if is_remote(path) else path


def identity(path: Path, *, follow_symlinks: bool = True) -> tuple[Any, ...]:
    """What tells a file from another written in its place: inode, time and size; of an object tag, time and size.

    Raises:
        FileNotFoundError: there is none.
    """
    if is_remote(path):
        return path.identity()
    about = path.stat(follow_symlinks=follow_symlinks)
    return about.st_ino, about.st_mtime_ns, about.st_size


@contextlib.contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Give a file of this machine with the content of `path`: itself where it is local, else a copy for the block.

    Raises:
        FileNotFoundError: there is none.
        StorageFailed: the store is out of reach, or the disk here is full.
    """
    if not is_remote(path):
        yield path
        return
    with temporary(path.name) as copy:
        path.download(copy)
        yield copy


@contextlib.contextmanager
def temporary(name: str) -> Iterator[Path]:
    """Give a file of this name, not made yet, that is gone after the block."""
    folder = tempfile.mkdtemp(prefix="mmaudit-")
    try:
        yield Path(folder) / name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- folders


def scratch(folder: Path) -> Path:
    """A folder for memory maps and other files on the way: `folder`; for a store a new one of this machine.

    Remove it by `remove_folder`; the one of this machine goes with the process at the latest.
    """
    if is_local(folder):
        folder.mkdir(exist_ok=True)
        return folder
    made = Path(tempfile.mkdtemp(prefix="mmaudit-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def remove_folder(folder: Path) -> None:
    """Remove a folder and all in it; what is gone already is no error."""
    if is_remote(folder):
        folder.remove_all()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def address(path: Path) -> str:
    """What a browser opens: `file:///…`, or the URL."""
    return path.resolve().as_uri() if is_local(path) else str(path)
