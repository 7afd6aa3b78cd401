"""Run folders as a stranger might send them: texts that want to be executed, a run.json that lies, files that are cut
short, foreign, bombs or links. Each says what must be said about it, and where.

    for case in HOSTILE:
        folder = write(case, root)      # root/<case.name>, a run that is spoiled in this one way
    write_all(root)                     # all of them, and one sound run
"""

from __future__ import annotations

import shutil
from pathlib import Path

from helpers.hostile_case import Hostile, sound
from helpers.hostile_exhibits import KEPT
from helpers.hostile_files import FILES, LINKS
from helpers.hostile_json import LIES
from helpers.hostile_texts import HTML, hostile_texts

SOUND = "sound"

# What must not be taken for the name of a run.
TRAVERSALS = (
    "..",
    "../outside",
    "sound/../../outside",
    "sound/..",
    "/etc/passwd",
    "//etc/passwd",
    "C:\\Windows",
    "..\\outside",
    "sound\\..\\..\\outside",
    "%2e%2e/outside",
    "sound\x00",
    "sound/",
    "./sound",
    "sound//",
    "",
    " sound",
    "a" * 10_000,
    "sound/predictions",
    "sound/references/method/seed-0",
    HTML,
    "\ud800",
)


def _texts(folder: Path) -> None:
    hostile_texts(folder, scored=(folder / "scores.parquet").exists())


HOSTILE: tuple[Hostile, ...] = (Hostile("texts", _texts, "", "fine"), *LIES, *FILES, *LINKS, *KEPT)


def write(case: Hostile, root: Path, *, scored: bool = False) -> Path:
    """Make root/<case.name>; the sound run that it is copied from stays in root/sound."""
    root.mkdir(parents=True, exist_ok=True)
    if not (root / SOUND).is_dir():
        sound(root / SOUND, scored=scored)
    folder = root / case.name
    shutil.copytree(root / SOUND, folder, symlinks=True)
    case.spoil(folder)
    return folder


def write_all(root: Path, *, scored: bool = True) -> dict[str, Path]:
    """Make every case below a root, by name; with scores, so that pages have a report to show."""
    return {case.name: write(case, root, scored=scored) for case in HOSTILE} | {SOUND: root / SOUND}
