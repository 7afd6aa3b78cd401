"""What reference methods left in a run: RUN/references/<method>/reference.json and one run folder per seed.

Only JSON and Parquet are read; nothing is executed or unpickled, and no model is needed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit.errors import BadInput, DamagedRun, StaleRun
from mmaudit.panel.values import Method
from mmaudit.store import Run
from mmaudit.types import Array

FOLDER = "references"
SCHEMA = 1
NOT_FINISHED = "its answers are not there or not complete; run 'mmaudit reference' on the run again to go on"


@dataclass(frozen=True, eq=False)
class Trained:
    """A reference method and the runs of its seeds.

    Attributes:
        method: what is known of it; `method.seeds` are those of `runs`.
        runs: one per seed that has all its answers, in the order of the seeds.
    """

    method: Method
    runs: tuple[Run, ...]


def trained(run: Run) -> list[Trained]:
    """Return the reference methods of a run, by name; an empty list where there are none.

    A seed that failed, is not there or is not finished is listed in `Method.failed` with its reason.

    Raises:
        DamagedRun: a file cannot be read, or belongs to other samples.
        StaleRun: a newer mmaudit wrote it, or the run's conditions are others by now.
    """
    folder = run.folder / FOLDER
    files = sorted(folder.glob("*/reference.json")) if folder.is_dir() else []
    found = sorted((_trained(run, file) for file in files), key=lambda t: t.method.name)
    names = [t.method.name for t in found]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise DamagedRun(f"{folder} holds two references called {twice!r}; delete one of their folders.")
    return found


def _trained(run: Run, file: Path) -> Trained:
    about = _about(file)
    if about.get("refused"):
        refused = Method(about["method"], about["title"], about["source"], refused=str(about["refused"]))
        return Trained(refused, ())
    runs: list[Run] = []
    seeds: list[int] = []
    failed: list[tuple[int, str]] = []
    for seed, outcome in zip(about["seeds"], about["outcomes"], strict=True):
        place = file.parent / f"seed-{seed}"
        if outcome:
            failed.append((seed, outcome))
        elif not (place / "run.json").is_file():
            failed.append((seed, NOT_FINISHED))
        else:
            member = Run.open(place)
            if not _finished(member):
                failed.append((seed, NOT_FINISHED))
                continue
            _require_same(run, member)
            runs.append(member)
            seeds.append(seed)
    return Trained(_method(about, tuple(seeds), tuple(failed)), tuple(runs))


def _about(file: Path) -> dict[str, Any]:
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        schema = about["schema"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedRun(f"{file} cannot be read ({error}); delete {file.parent} and train it again.") from error
    if isinstance(schema, int) and schema > SCHEMA:
        raise StaleRun(f"{file} has schema {schema}, this mmaudit reads {SCHEMA}; update mmaudit.")
    wrong = "; ".join(_wrong(about))
    if wrong:
        raise DamagedRun(f"{file} is not a reference's: {wrong}. Delete {file.parent} and train it again.")
    found: dict[str, Any] = about
    return found


_NEEDED = (
    *("parameters", "seconds_training", "microseconds_fusion", "microseconds_audited_fusion"),
    *("n_train", "n_validation", "told_missing", "tuning"),
)


def _wrong(about: Mapping[str, Any]) -> list[str]:
    """What is wrong with the values of a reference.json."""
    wrong = []
    if about["schema"] != SCHEMA:
        wrong.append(f"schema is {about['schema']!r}, expected {SCHEMA}")
    named = ("method", "title", "source")
    wrong += [f"{name} is not text" for name in named if not isinstance(about.get(name), str) or not about[name]]
    seeds, outcomes = about.get("seeds"), about.get("outcomes")
    if not isinstance(seeds, list) or not all(_whole(s) for s in seeds) or len(set(seeds)) != len(seeds):
        wrong.append("seeds is not a list of different whole numbers")
    elif not isinstance(outcomes, list) or len(outcomes) != len(seeds) or not all(isinstance(o, str) for o in outcomes):
        wrong.append("outcomes is not one text per seed")
    if about.get("refused"):
        return wrong
    wrong += [f"{name} is not a table" for name in ("hyper", "features") if not isinstance(about.get(name), dict)]
    if not wrong and not all(_number(x) for x in about["hyper"].values()):
        wrong.append("hyper holds what is no number")
    if not isinstance(about.get("tuning"), list):
        wrong.append("tuning is not a list")
    if lacking := [name for name in _NEEDED if name not in about]:
        wrong.append(f"{', '.join(lacking)} missing")
    numbers = (
        *("parameters", "seconds_training", "microseconds_fusion", "microseconds_audited_fusion"),
        *("n_train", "n_validation"),
    )
    wrong += [f"{name} is not a number" for name in numbers if not _number(about.get(name))]
    if not isinstance(about.get("told_missing"), bool):
        wrong.append("told_missing is neither true nor false")
    return wrong


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _number(value: Any) -> bool:
    """Whether it is a number, or null for one that is not known."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300)


def _real(value: Any) -> float:
    return math.nan if value is None else float(value)


def _count(value: Any) -> int:
    return int(value) if value is not None and math.isfinite(value) else 0


def _method(about: Mapping[str, Any], seeds: tuple[int, ...], failed: tuple[tuple[int, str], ...]) -> Method:
    own, audited = _real(about["microseconds_fusion"]), _real(about["microseconds_audited_fusion"])
    return Method(
        name=about["method"],
        title=about["title"],
        source=about["source"],
        seeds=seeds,
        failed=failed,
        features=tuple((str(k), str(v)) for k, v in about["features"].items()),
        parameters=_count(about["parameters"]),
        seconds=_real(about["seconds_training"]),
        microseconds=own,
        relative_time=own / audited if audited > 0 else math.nan,
        n_train=_count(about["n_train"]),
        n_validation=_count(about["n_validation"]),
        told_missing=about["told_missing"],
        hyper=tuple((str(k), _real(v)) for k, v in about["hyper"].items()),
        trials=sum(isinstance(t, dict) and not t.get("outcome") for t in about["tuning"]),
        note=str(about.get("note") or ""),
        optimistic=bool((about.get("optimism") or {}).get("found", False)),
    )


def _finished(member: Run) -> bool:
    """Whether every shard of every portion has been written."""
    return all(member.file(*piece).exists() for piece in member.pieces())


def _require_same(run: Run, member: Run) -> None:
    """Raise unless the seed's run has the samples and the conditions of the audited model's."""
    name = f"{member.folder.parent.name}/{member.folder.name}"
    mine, its = run.samples, member.samples
    if member.task != run.task:
        raise DamagedRun(
            f"reference {name} answers the task {member.task.kind} with {member.task.width} outputs, the run has "
            f"{run.task.kind} with {run.task.width}; delete {member.folder.parent} and train again."
        )
    if not _equal(mine.ids, its.ids) or not _equal(mine.target, its.target):
        raise DamagedRun(
            f"reference {name} has answers to {len(its)} samples that are not the {len(mine)} samples of {run.folder} "
            f"in the same order; delete {member.folder.parent} and train again."
        )
    expected, found = {c.key: c.label for c in run.conditions}, {c.key: c.label for c in member.conditions}
    lacking = [label for key, label in expected.items() if key not in found]
    foreign = [label for key, label in found.items() if key not in expected]
    if lacking or foreign:
        what = f"lacks {len(lacking)} conditions of the run (first: {lacking[0]})" if lacking else ""
        what = what or f"has {len(foreign)} conditions that the run has not (first: {foreign[0]})"
        raise StaleRun(f"reference {name} {what}; run 'mmaudit reference {run.folder}' again, which adds what is new.")


def _equal(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b))


def audited_name(run: Run) -> str:
    """Return the audited model's name; raises `BadInput` where the run has none."""
    name = run.header["model"].get("name")
    if not isinstance(name, str):
        raise BadInput(f"{run.folder / 'run.json'} names no model; audit again.")
    return name
