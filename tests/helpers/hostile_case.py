"""A sound run folder, and what it means to spoil it in one way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from helpers.big_run import big_run
from mmaudit.store import Run
from mmaudit.types import CLEAN, Condition

Where = Literal["listing", "answers", "samples", "kept", "fine"]
N, ROWS = 40, 16


@dataclass(frozen=True)
class Hostile:
    """One way in which a run may be hostile.

    Attributes:
        name: of the folder below the root.
        spoil: changes a sound run folder in place.
        said: pattern of what must be said; "" where there is nothing to say.
        where: by whom. listing: the entry is damaged and says so; where it is run.json or a link, opening raises
            `DamagedRun` (`StaleRun`), too. samples: listed as sound and opened, but `Answers(run)` raises `DamagedRun`.
            answers: the same once its tables are asked for. kept: an exhibit that is refused, or drawn anew. fine:
            nothing is wrong but the texts.
    """

    name: str
    spoil: Callable[[Path], None]
    said: str
    where: Where


def conditions() -> tuple[Condition, ...]:
    """The plan of the sound run: clean, a control, missing, two severity curves."""
    return (
        CLEAN,
        Condition("identity", "control", 1, ("photo", "voice", "caption")),
        Condition("missing", "missing", 1, ("photo",), options=(("baseline", "zero"),)),
        Condition("missing", "missing", 1, ("photo", "voice"), options=(("baseline", "zero"),)),
        *(Condition("image.gaussian_blur", "corruption", 1, ("photo",), p * 0.5, p, unit="σ px") for p in (1, 3, 5)),
        *(Condition("text.keyboard", "corruption", 1, ("caption",), p * 0.1, p, unit="share") for p in (2, 4)),
    )


def sound(folder: Path, *, scored: bool = False) -> Run:
    """A run with nothing wrong; without scores its findings are none and its report.json is an empty object."""
    run = big_run(folder, N, conditions(), rows=ROWS, scored=scored, resamples=20)
    if not scored:
        (folder / "findings.json").write_text("[]\n", encoding="utf-8")
        (folder / "report.json").write_text("{}\n", encoding="utf-8")
    return run


def overwrite(path: Path, data: bytes | str) -> None:
    """Put a file in the place of whatever is there."""
    path.unlink(missing_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Spoil run.json by changing its values."""

    def spoil(folder: Path) -> None:
        header = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        change(header)
        overwrite(folder / "run.json", json.dumps(header))

    return spoil
