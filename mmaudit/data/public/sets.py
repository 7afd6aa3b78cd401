"""What every loader of a public set shares: where the set comes from, what it looks like, and how it is verified."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmaudit.errors import BadInput

_BLOCK = 1 << 22


@dataclass(frozen=True)
class PublicSet:
    """A data set that others publish; mmaudit reads it from a local folder and never downloads it.

    Attributes:
        name: how the shell and `read_public` call it.
        title: as its publishers call it.
        source: where to get it, and under which conditions.
        layout: the files that are read, relative to the folder, one per entry.
        splits: names of the splits; the first is the default.
        modalities: names of the inputs, in order.
        read: the loader; its arguments after the folder are `split` and `modalities`, and `trust` where it takes one.
        checksums: relative path to published SHA-256 digests, one of which a file must have; empty where none is
            published.
        checksum_source: who published them, or that nobody did.
    """

    name: str
    title: str
    source: str
    layout: tuple[str, ...]
    splits: tuple[str, ...]
    modalities: tuple[str, ...]
    read: Callable[..., Any]
    checksums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    checksum_source: str = "none published"

    def need(self, folder: Path, *files: str) -> None:
        """Raise `BadInput` unless all of `files` are in the folder; it says what belongs there and where to get it."""
        for file in files:
            if not (folder / file).exists():
                raise BadInput(
                    f"{self.title}: {folder} has no {file}. Expected layout: {', '.join(self.layout)}. "
                    f"Get it: {self.source}"
                )

    def split(self, given: str | None) -> str:
        """Return the split to read; the first one where none is named."""
        chosen = self.splits[0] if given is None else given
        if chosen not in self.splits:
            raise BadInput(f"{self.title} has no split {given!r}; it has {', '.join(self.splits)}.")
        return chosen

    def chosen(self, given: Any) -> tuple[str, ...]:
        """Return the modalities to read, all of them where none is named."""
        names = self.modalities if given is None else tuple(given)
        unknown = [name for name in names if name not in self.modalities]
        if unknown or not names:
            raise BadInput(
                f"{self.title} has no modality {(unknown or [''])[0]!r}; it has {', '.join(self.modalities)}."
            )
        return names


def file_sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file, read in blocks of 4 MiB."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return state.hexdigest()


def load_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        BadInput: it cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"file {path} is not readable JSON: {error}; copy it again.") from error
