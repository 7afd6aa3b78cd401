"""Run folders opened for a comparison, and checked: a run that is damaged, unfinished or foreign is named at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.compared.result import Side
from mmaudit.errors import BadInput, DamagedRun, MMAuditError
from mmaudit.outputs import UNREADABLE
from mmaudit.store import Run
from mmaudit.types import Task

# What reading a table that was not written by mmaudit may raise besides its own errors.
FOREIGN = (*UNREADABLE, AttributeError, IndexError, OverflowError, RecursionError, TypeError)


def opened(given: Sequence[str | Path | Run]) -> list[Run]:
    """Open the runs and check that they can be compared at all.

    Raises:
        BadInput: fewer than two runs, the same twice, or tasks that differ.
        DamagedRun: a run is not finished, or does not hold what it says.
        StaleRun: a run was written by a newer mmaudit.
    """
    if len(given) < 2:
        raise BadInput(f"a comparison needs at least two runs, got {len(given)}; the first is the one to compare with.")
    runs = [run if isinstance(run, Run) else Run.open(run) for run in given]
    places = [run.folder.resolve() for run in runs]
    for i, folder in enumerate(places):
        if folder in places[:i]:
            raise BadInput(f"{runs[i].folder} is given twice; a run compared with itself says nothing. Give two runs.")
    for run in runs:
        _require_whole(run)
    for run in runs[1:]:
        if why := _other_task(runs[0].task, run.task):
            raise BadInput(
                f"{runs[0].folder} and {run.folder} cannot be compared: {why}. Give runs of the same task with the "
                "same classes in the same order."
            )
    return runs


def _require_whole(run: Run) -> None:
    """Raise `DamagedRun` unless header and samples fit each other and every prediction file is there."""
    again = "audit again to the same folder"
    n = run.n
    try:
        held = len(run.samples)
        twice = held - len(np.unique(run.samples.ids))
    except MMAuditError:
        raise
    except FOREIGN as error:
        raise DamagedRun(f"{run.folder / 'samples.parquet'} cannot be read ({_said(error)}); {again}.") from error
    if held != n:
        raise DamagedRun(f"{run.folder}: run.json says {n} samples, samples.parquet holds {held}; {again}.")
    if twice:
        raise DamagedRun(f"{run.folder / 'samples.parquet'} holds {twice} sample ids twice; {again}.")
    # The samples bound the number of shards, so that a header that lies cannot ask for more files than there are rows.
    planned = [run.file(*piece) for piece in run.pieces()]
    lacking = [path for path in planned if not path.exists()]
    if lacking:
        raise DamagedRun(
            f"{run.folder} is not finished: {len(lacking)} of {len(planned)} prediction files are missing (first: "
            f"{lacking[0].name}). Audit again to the same folder, which goes on where it stopped."
        )


def _said(error: BaseException) -> str:
    text = str(error)
    text = text if len(text) <= 200 else f"{text[:199]}…"
    return f"{type(error).__name__}: {text}"


def _other_task(first: Task, other: Task) -> str:
    """Why two tasks are not the same; empty where they are."""
    if first == other:
        return ""
    if first.kind != other.kind:
        return f"one is {first.kind}, the other {other.kind}"
    what = {"classification": "classes", "multilabel": "labels", "regression": "dimensions"}.get(
        first.kind, "query and target modalities"
    )
    if first.names != other.names:
        if len(first.names) != len(other.names):
            return f"one has {len(first.names)} {what}, the other {len(other.names)}"
        if set(first.names) == set(other.names):
            return f"their {what} are in another order"
        a, b = next((a, b) for a, b in zip(first.names, other.names, strict=True) if a != b)
        return f"their {what} differ (first: {a[:60]!r} and {b[:60]!r})"
    if first.unit != other.unit:
        return f"their targets are in {first.unit or 'no unit'!r} and {other.unit or 'no unit'!r}"
    return f"their banks hold {first.bank or 'all'} and {other.bank or 'all'} candidates"


def sides(runs: Sequence[Run]) -> list[Side]:
    """What is known of each run, with names that tell them apart: the folder's, or as much of its path as it takes."""
    places = [run.folder.resolve() for run in runs]
    for depth in range(1, max(len(p.parts) for p in places) + 1):
        names = ["/".join(p.parts[-depth:]) for p in places]
        if len(set(names)) == len(names):
            break
    return [side_of(run, name) for run, name in zip(runs, names, strict=True)]


def side_of(run: Run, name: str) -> Side:
    """Describe one run."""
    header: dict[str, Any] = run.header
    return Side(
        name=name,
        folder=str(run.folder),
        title=str(header.get("title") or ""),
        model=str(header["model"].get("name", "")),
        suite=str(header["suite"].get("name", "")),
        created=str(header.get("created") or ""),
        fingerprint=str(header["fingerprints"].get("model", "")),
        data=str(header["data"].get("fingerprint", "")),
        modalities=tuple(m.name for m in run.modalities),
        n=run.n,
        conditions=len(run.conditions),
    )
