"""What is fuzzed: a reader as a function of bytes, with the inputs that it was made for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmaudit.errors import MMAuditError

LONGEST_MESSAGE = 100_000
"""Letters that an error may have: a name or two of the file may be in it, not the file."""


@dataclass(frozen=True)
class Ready:
    """A target in a scratch folder.

    Attributes:
        read: gives bytes to the reader; returns, or raises what the reader raises.
        seeds: sound inputs, written by mmaudit itself or by the library whose format it is.
    """

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: of the file and, after a slash, of who reads it.
        form: how its inputs are changed, one of `fuzz.mutators.FORMS`.
        prepare: makes it ready in an empty folder.
        weight: inputs of a campaign in proportion to the other targets': above 1 where thousands are read in a
            second, below 1 where one takes long.
        names_files: whether inputs may name files to be read: only what a person writes for their own machine does.
        needs: optional package that its seeds are made with, or that reads them; empty for none.
    """

    name: str
    form: str
    prepare: Callable[[Path], Ready]
    weight: float = 1.0
    names_files: bool = False
    needs: str = ""


Outcome = Literal["read", "refused"]


class Unclear(Exception):
    """An error that mmaudit raised on purpose, and that no one can read."""


def tried(ready: Ready, data: bytes) -> Outcome:
    """Give an input to a reader: it reads it, or refuses it with one of mmaudit's own errors. All else is a fault.

    Raises:
        Unclear: the error's message is empty or endless.
        Exception: whatever the reader raises that is none of mmaudit's errors.
    """
    try:
        ready.read(data)
    except MMAuditError as error:
        said = str(error)
        if not said.strip() or len(said) > LONGEST_MESSAGE:
            raise Unclear(f"{type(error).__name__} of {len(said):,} letters: {said[:200]}") from error
        return "refused"
    return "read"


def replace(path: Path, data: bytes) -> Path:
    """Put a new file in the place of what is there; readers that remember a file by its inode see another one."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return path
