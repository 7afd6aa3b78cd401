"""The target of addresses: whatever stands where a folder is asked for, from the shell, a file or a run's own pages."""

from __future__ import annotations

import os
from pathlib import Path

from fuzz.target import Ready, Target

SEEDS = (
    b"runs/mine",
    b"C:\\runs\\mine",
    b"file:///data/run",
    b"memory://place/run",
    b"Memory:/place/run/../other",
    b"s3://bucket/runs/mine",
    b"s3:/bucket/runs/mine@2",
    b"https://me@host.example:8080/run?version=1&of=a:b#end",
    "memory://mine/wärm/ü %20".encode(),
)


def _prepare(_scratch: Path) -> Ready:
    """No store is asked but the one in memory: making a path of the others reaches nobody."""
    for seed in SEEDS:  # packages of stores are imported now, and their threads begin
        _placed(seed)
    return Ready(_placed, SEEDS)


def _placed(data: bytes) -> None:
    """A path of this machine, or of the one store that the text names first; without a password in it."""
    from mmaudit.place import address, is_local, place

    text = os.fsdecode(data)
    found = place(text)
    if is_local(found):
        assert place(found) == found
        return
    store, said = found.protocol, str(found)  # type: ignore[attr-defined]
    assert store == text.partition(":")[0].lower()
    assert "::" not in said
    assert not _password(said)
    assert address(found) == said
    assert str(place(said)) == said
    if store == "memory":
        _used(found)


def _password(url: str) -> str:
    """What fsspec takes for one; empty where it cannot take the URL apart."""
    from fsspec.utils import infer_storage_options

    try:
        return infer_storage_options(url).get("password") or ""
    except ValueError:
        return ""


def _used(folder: Path) -> None:
    """What is written under a path of a store is read there, listed there, and gone once it is removed."""
    from mmaudit.folder import write_atomically
    from mmaudit.place import remove_folder

    file = folder / "run.json"
    write_atomically(file, b"{}")
    assert file.read_bytes() == b"{}"
    assert "run.json" in {path.name for path in folder.iterdir()}
    remove_folder(folder)
    assert not file.exists()


TARGETS = (Target("place/url", "bytes", _prepare, 2, needs="upath"),)
