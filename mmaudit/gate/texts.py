"""What outputs have in common: names of checks, commands that show more, the policy's path. All safe to print."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mmaudit.errors import BadInput
from mmaudit.folder import write_atomically
from mmaudit.formats import shorten
from mmaudit.gate.result import Check
from mmaudit.place import place

NAME = 200
SENTENCE = 1500


def title(check: Check) -> str:
    """What a check asks, without its answer: the same in every run. May be cut, so two may be the same."""
    if not check.metric:
        return shorten(check.about or check.kind, NAME)
    side = {"value": "max" if check.upper else "min"}.get(check.kind, check.kind)
    group = f", group {shorten(check.group, NAME)}" if check.group else ""
    return f"{shorten(check.metric, NAME)} {side}: {shorten(check.about, NAME)}{group}"


def titles(checks: Iterable[Check]) -> Iterator[tuple[str, Check]]:
    """Each check with a title that no other of them has: readers of JUnit files drop cases of the same name."""
    seen: set[str] = set()
    for check in checks:
        name = title(check)
        if name in seen:
            name = f"{name} ({check.id})"
        count = 2
        while name in seen:
            name, count = f"{title(check)} ({check.id}, {count})", count + 1
        seen.add(name)
        yield name, check


def sentence(check: Check) -> str:
    """What came out, on one line of printable characters."""
    return shorten(check.sentence, SENTENCE)


def command(check: Check, run: Mapping[str, object]) -> str:
    """A command that shows the numbers behind a check; empty where there is none."""
    folder = str(run.get("folder", ""))
    if not folder or not check.condition or check.kind in ("estimate", "regression", "growth"):
        return ""
    words = ["mmaudit", "score", folder, "--metric", check.metric, "--condition", check.about]
    words += ["--group", check.group] if check.group else []
    said = shlex.join(words)
    # A command that was cut, or of which characters were exchanged, would be another one.
    return said if said == shorten(said, SENTENCE) else ""


def shown_path(file: str) -> str:
    """The policy's path from the root of the repository, with `/`: where code hosts look for it."""
    path = Path(file)
    if path.is_absolute():
        for root in (os.environ.get("GITHUB_WORKSPACE"), str(Path.cwd())):
            if root and path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        return path.name
    return Path(os.path.normpath(path)).as_posix()


def write(path: Path, text: str) -> None:
    """Write a file whole; raises `BadInput` where that cannot be done."""
    path = place(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode("utf-8"))
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}; choose a place you can write to.") from None
