"""WebDataset shards: which files of a tar archive belong to which sample, and where they lie."""

from __future__ import annotations

import glob
import os
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmaudit.errors import BadInput

# As WebDataset splits names: the key goes up to the first dot of the file's own name.
_NAME = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)")
_BRACES = re.compile(r"\{([0-9]{1,9})\.\.([0-9]{1,9})\}")
_MOST_SHARDS = 1_000_000

Place = tuple[int, int, int]
"""Shard, offset and size in bytes of one file."""


@dataclass
class Index:
    """The files of all shards: keys of the samples in order, and by ending where each sample's file lies."""

    paths: list[Path]
    keys: list[str] = field(default_factory=list)
    shard: list[int] = field(default_factory=list)
    places: dict[str, dict[int, Place]] = field(default_factory=dict)


def find_shards(pattern: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Return the shards that a path, `shard-{000..009}.tar`, `*.tar`, a folder of .tar files or a list names.

    Raises:
        BadInput: there is none, one does not exist, or one is compressed.
    """
    if not isinstance(pattern, str | os.PathLike):
        found = [path for one in pattern for path in find_shards(one)]
        if not found:
            raise BadInput("the list of shards is empty; give at least one .tar file.")
        return found
    text = os.fspath(pattern)
    if Path(text).is_dir():
        text = os.path.join(glob.escape(text), "*.tar")  # noqa: PTH118
    if (braces := _BRACES.search(text)) is not None:
        first, last = int(braces[1]), int(braces[2])
        if last < first or last - first >= _MOST_SHARDS:
            raise BadInput(f"shards {text!r}: the range {braces[0]} must go up, over at most {_MOST_SHARDS:,} files.")
        width = len(braces[1])
        paths = [text[: braces.start()] + str(i).zfill(width) + text[braces.end() :] for i in range(first, last + 1)]
        return [path for one in paths for path in find_shards(one)]
    names = sorted(glob.glob(text)) if glob.has_magic(text) else [text]  # noqa: PTH207
    if not names or not all(Path(name).is_file() for name in names):
        raise BadInput(
            f"shards {os.fspath(pattern)!r}: no such .tar file; give a path, *.tar or shard-{{000..009}}.tar."
        )
    packed = [name for name in names if not name.endswith(".tar")]
    if packed:
        raise BadInput(
            f"shard {packed[0]!r} does not end in .tar; a compressed archive cannot be read in any order, so unpack it "
            "to .tar first (its images and sounds are compressed already)."
        )
    return [Path(name) for name in names]


def index_shards(paths: Sequence[Path]) -> Index:
    """Read the headers of all members once; contents are skipped. Members that are no regular files are left out.

    Raises:
        BadInput: a shard is no tar archive, or was cut short.
    """
    index = Index(list(paths))
    for shard, path in enumerate(paths):
        rows: dict[str, int] = {}
        size = path.stat().st_size
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined]  # else every header is kept
                    if member.size < 0 or member.offset_data + member.size > size:
                        raise BadInput(f"shard {path.name} is damaged or cut short at {member.name!r:.200}.")
                    split = _NAME.fullmatch(member.name)
                    if not member.isreg() or member.sparse is not None or split is None:
                        continue
                    row = rows.setdefault(split[1], len(index.keys))
                    if row == len(index.keys):
                        index.keys.append(split[1])
                        index.shard.append(shard)
                    index.places.setdefault(split[2].lower(), {})[row] = (shard, member.offset_data, member.size)
        except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"shard {str(path)!r} is not a readable .tar file ({error}); copy it again.") from error
    if not index.keys:
        raise BadInput(f"the shards hold no files; the first is {str(paths[0])!r}.")
    return index


def read_place(paths: Sequence[Path], place: Place) -> bytes:
    """Return the content of one file."""
    shard, offset, size = place
    try:
        with paths[shard].open("rb") as file:
            file.seek(offset)
            content = file.read(size)
    except OSError as error:
        raise BadInput(f"shard {str(paths[shard])!r} cannot be read: {error.strerror}.") from error
    if len(content) != size:
        raise BadInput(f"shard {paths[shard].name} has become shorter since it was indexed; copy it again.")
    return content
