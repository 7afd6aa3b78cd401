"""Run a reproduction and write down what came of it."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

import mmaudit.reproduce.experiments  # noqa: F401  (registers the reproductions)
from mmaudit.folder import write_atomically
from mmaudit.reproduce.base import Reproduction, Row, Settings, reproductions


@dataclass(frozen=True)
class Found:
    """What a reproduction found.

    Attributes:
        rows: its numbers.
        markdown: the table with everything a reader needs, as it is written to a file.
    """

    rows: Sequence[Row]
    markdown: str


def run_and_write(
    name: str,
    *,
    seeds: int,
    quick: bool = False,
    data: Path | None = None,
    out: Path | None = None,
    device: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Found:
    """Run a reproduction; write OUT/NAME.md where a folder is given.

    Raises:
        UnknownName: there is no such reproduction.
        BadInput: it needs a data file that is not given or cannot be read.
    """
    chosen = reproductions.get(name)
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    step = (lambda done, total: progress(name, done, total)) if progress else None
    began = time.perf_counter()
    rows = chosen.run(Settings(seeds, "quick" if quick else "full", where, data, step))
    found = Found(rows, markdown(chosen, rows, seeds, quick, where, time.perf_counter() - began))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / f"{name}.md", found.markdown.encode())
    return found


def markdown(chosen: Reproduction, rows: Sequence[Row], seeds: int, quick: bool, device: str, seconds: float) -> str:
    """The reproduction as a page: how it was done, its numbers beside the source's, and what follows."""
    gpu = f", {torch.cuda.get_device_name()}" if device.startswith("cuda") else ""
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads{gpu}, torch {version('torch')}"
    size = "the quick size, which shows only that it runs" if quick else "full size"
    lines = [
        f"# {chosen.title}",
        "",
        f"Source: {chosen.source}.",
        f"What it says: {chosen.claims}",
        "",
        *(f"- {_spaced(sentence)}" for sentence in chosen.conclude(rows)),
        "",
        f"`mmaudit reproduce {chosen.name} --seeds {seeds}{' --quick' if quick else ''}`: {size}, {seconds:.0f} s on "
        f"{device} ({machine}, Python {platform.python_version()}). Intervals are 95 % over seeds (Student's t).",
        "",
        "| setting | method | measured | 95 % interval | seeds | reported | by | agrees | note |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row) for row in rows]
    return "\n".join(line.rstrip() for line in [*lines, "", "## How", "", chosen.doc, ""])


def _line(row: Row) -> str:
    low, high = row.low, row.high
    if row.unit == "share":
        low, high = max(low, 0.0), min(high, 1.0)  # Student's t does not know what a share is
    low_high = f"{_number(low, row.unit)} to {_number(high, row.unit)}" if row.low == row.low else "one seed"
    unit = "" if row.unit == "share" else f" {row.unit}"
    measured = _number(row.measured, row.unit) + unit
    reported = _number(row.reported, row.unit) + unit if row.reported == row.reported else ""
    agrees = {True: "yes", False: "no", None: ""}[row.agrees]
    cells = (row.setting, row.method, measured, low_high, str(row.seeds), reported, row.origin)
    return "| " + " | ".join([*cells, agrees, row.note]) + " |"


def _spaced(sentence: str) -> str:
    """`12%` as `12 %`."""
    return re.sub(r"(?<=\d)%", " %", sentence)


def _number(value: float, unit: str) -> str:
    if value != value:
        return "undefined"
    return (f"{value:.3f}" if unit == "share" else f"{value:.3g}").replace("-", "−")
