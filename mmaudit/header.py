"""run.json, read with limits as a stranger's is, and checked before anything is sized, opened or named by it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from mmaudit.errors import BadInput, DamagedRun, StaleRun
from mmaudit.formats import shorten
from mmaudit.types import CLEAN, Condition, Modality, Task, TaskKind

SCHEMA = "mmaudit.run/1"

# Far beyond any audit, and small enough that a run which claims that much cannot exhaust the machine.
MAX_JSON = 64 * 2**20
MAX_SAMPLES = 10_000_000_000
MAX_SHARDS = 100_000
MAX_FILES = 200_000
MAX_CONDITIONS = 100_000
MAX_WIDTH = 1_000_000
MAX_MODALITIES = 1_000
MAX_POSITION = 100  # five by custom
MAX_SHARD_CELLS = 2**28  # numbers in a row group: 1 GiB


def modality_to_json(modality: Modality) -> dict[str, Any]:
    """Return plain values; `modality_from_json` reads them back."""
    return modality.to_json()


def modality_from_json(value: Mapping[str, Any]) -> Modality:
    """Rebuild a modality written by `modality_to_json`."""
    return Modality.from_json(value)


def read_json(file: Path) -> Any:
    """Parse a JSON file; no NaN, no endless nesting, not larger than 64 MiB.

    Raises:
        DamagedRun: it is no regular file, too large, or not JSON.
    """
    try:
        if not file.is_file():
            raise DamagedRun(f"{file} is not a file.")
        size = file.stat().st_size
        if size > MAX_JSON:
            raise DamagedRun(f"{file} has {size:,} bytes; more than {MAX_JSON:,} are not read.")
        return json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else shorten(str(error), 200)
        raise DamagedRun(f"{file} is not readable as JSON ({why}).") from None


def read_header(file: Path) -> dict[str, Any]:
    """Read and check a run.json.

    Raises:
        DamagedRun: it cannot be read, or says what cannot be; names the first places.
        StaleRun: it was written by a newer mmaudit.
    """
    header = read_json(file)
    if not isinstance(header, dict):
        raise DamagedRun(f"{file} holds {_said(header)}, expected a JSON object; audit again to a new folder.")
    if header.get("schema") != SCHEMA:
        given = header.get("schema")
        if isinstance(given, str) and given.startswith(SCHEMA.rpartition("/")[0]):
            raise StaleRun(f"{file} has schema {_said(given)}, this mmaudit reads {SCHEMA!r}; update mmaudit.")
        raise DamagedRun(f"{file} is not a run's: its schema is {_said(given)}, expected {SCHEMA!r}.")
    require_sound(header, str(file))
    return header


def require_sound(header: Mapping[str, Any], what: str) -> None:
    """Raise `DamagedRun` unless a header has the form that `Run` takes for granted, in numbers that can be."""
    wrong = [text for text, _ in zip(_wrong(header), range(3), strict=False)]
    if wrong:
        raise DamagedRun(f"{what} says what cannot be: {'; '.join(wrong)}. Audit again to a new folder.")


def _wrong(header: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a header, one sentence each; later parts are looked at only where the earlier are sound."""
    for part in (_tables, _texts, _task, _modalities, _sizes, _conditions, _portions):
        found = list(part(header))
        yield from found
        if found:
            return


def _tables(header: Mapping[str, Any]) -> Iterator[str]:
    tables = ("fingerprints", "model", "data", "task", "suite")
    for name, kind in (*((t, dict) for t in tables), ("modalities", list), ("increments", list), ("declined", list)):
        if name not in header:
            yield f"{name} is missing"
        elif not isinstance(header[name], kind):
            yield f"{name} is {_said(header[name])}, expected {'a table' if kind is dict else 'a list'}"


def _texts(header: Mapping[str, Any]) -> Iterator[str]:
    for name in ("title", "created", "command", "mmaudit"):
        if not isinstance(header.get(name, ""), str):
            yield f"{name} is {_said(header[name])}, expected text"
    for table, name in (("model", "name"), ("model", "fingerprint"), ("data", "fingerprint"), ("suite", "name")):
        if not isinstance(header[table].get(name, ""), str):
            yield f"{table}.{name} is {_said(header[table][name])}, expected text"
    if not all(isinstance(v, str) for v in header["fingerprints"].values()):
        yield "fingerprints holds what is no text"


def _task(header: Mapping[str, Any]) -> Iterator[str]:
    task = header["task"]
    names, kind = task.get("names"), task.get("kind")
    if kind not in get_args(TaskKind):
        yield f"task.kind is {_said(kind)}, expected one of {', '.join(get_args(TaskKind))}"
    if not _texts_list(names) or len(set(names)) != len(names):
        yield "task.names is not a list of different texts"
    elif not 1 <= len(names) <= MAX_WIDTH or (kind in ("classification", "retrieval") and len(names) < 2):
        yield f"task.names has {len(names)} entries"
    if not isinstance(task.get("unit"), str):
        yield f"task.unit is {_said(task.get('unit'))}, expected text"
    if not _whole(task.get("bank", 0), 0):
        yield f"task.bank is {_said(task['bank'])}, expected a whole number"


def _modalities(header: Mapping[str, Any]) -> Iterator[str]:
    given = header["modalities"]
    if not 1 <= len(given) <= MAX_MODALITIES:
        yield f"there are {len(given)} modalities, expected 1 to {MAX_MODALITIES}"
        return
    for i, value in enumerate(given):
        if problem := _refused(_modality, value):
            yield f"modalities[{i}]: {problem}"
            return
    names = [m["name"] for m in given]
    if len(set(names)) != len(names):
        yield "two modalities have one name"
    task = header["task"]
    if task["kind"] == "retrieval" and (lost := [n for n in task["names"] if n not in names]):
        yield f"task.names holds {_said(lost[0])}, which is no modality"


def _modality(value: Mapping[str, Any]) -> None:
    modality = modality_from_json(value)
    sizes = [size for size in modality.shape if size is not None]
    if not all(_whole(size, 0) for size in sizes):
        raise BadInput(f"shape is {_said(value['shape'])}")
    for name in ("dtype", "layout", "unit"):
        if not isinstance(value[name], str | None):
            raise BadInput(f"{name} is {_said(value[name])}, expected text")
    numbers = [*(modality.range or ()), *([] if modality.sample_rate is None else [modality.sample_rate])]
    if not all(_real(x) for x in numbers) or (modality.range is not None and len(modality.range) != 2):
        raise BadInput("range or sample_rate is no number")


def _sizes(header: Mapping[str, Any]) -> Iterator[str]:
    n, rows = header["data"].get("n", 0), header.get("shard_rows", 0)
    for name, value in (("data.n", n), ("shard_rows", rows)):
        if not _whole(value, 1) or value > MAX_SAMPLES:
            yield f"{name} is {_said(value)}, expected a whole number from 1 to {MAX_SAMPLES:,}"
            return
    shards = -(-n // rows)
    if shards > MAX_SHARDS or shards * max(len(header["increments"]), 1) > MAX_FILES:
        yield f"{n} samples in shards of {rows} are {shards} shards; more than {MAX_SHARDS:,} are not read"
    width = Task.from_json(header["task"]).width
    if min(n, rows) * width > MAX_SHARD_CELLS:
        yield f"shards of {min(n, rows)} samples with {width} outputs are too large to be read"


def _conditions(header: Mapping[str, Any]) -> Iterator[str]:
    increments = header["increments"]
    if not increments or not all(isinstance(part, list) and part for part in increments):
        yield "increments is not a list of lists of conditions"
        return
    given = [c for part in increments for c in part]
    if len(given) > MAX_CONDITIONS:
        yield f"there are {len(given)} conditions; more than {MAX_CONDITIONS:,} are not read"
        return
    known = {m["name"] for m in header["modalities"]}
    for i, value in enumerate(given):
        if problem := _refused(_condition, value, known):
            yield f"condition {i}: {problem}"
            return
    if len({c["key"] for c in given}) != len(given):
        yield "two conditions have one key"
    if Condition.from_json(given[0]) != CLEAN:
        yield f"the first condition is {_said(given[0]['label'])}, expected 'clean'"


def _portions(header: Mapping[str, Any]) -> Iterator[str]:
    """What a budget left unmeasured, in a run that has one: each condition on the first samples of one order."""
    if "portions" not in header:
        return
    given, n, plan = header["portions"], header["data"]["n"], sum(map(len, header["increments"]))
    if not isinstance(given, list):
        yield f"portions is {_said(given)}, expected a list"
        return
    reached, files = [0] * plan, 0
    for i, value in enumerate(given):
        if problem := _refused(_portion, value, reached, n):
            yield f"portions[{i}]: {problem}"
            return
        low, high = value["samples"] or (0, n)
        files += -(-(high - low) // header["shard_rows"])
    if files > MAX_FILES:
        yield f"its portions are {files} files; more than {MAX_FILES:,} are not read"
    budget = header.get("budget")
    if not isinstance(budget, dict | None):
        yield f"budget is {_said(budget)}, expected a table"
    elif budget and (problem := _refused(_budget, budget)):
        yield f"budget: {problem}"


def _portion(value: Mapping[str, Any], reached: list[int], n: int) -> None:
    """Check a portion against what those before it reached under each condition, and move that on."""
    places, samples = value["conditions"], value["samples"]
    whole = isinstance(places, list) and places and all(_whole(i, 0) and i < len(reached) for i in places)
    if not whole or len(set(places)) != len(places):
        raise BadInput(f"conditions are {_said(places)}, expected different places in the plan")
    pair = samples is None or (isinstance(samples, list) and len(samples) == 2 and all(_whole(x, 0) for x in samples))
    low, high = (samples or (0, n)) if pair else (0, 0)
    if not low < high <= n:
        raise BadInput(f"samples are {_said(samples)}, expected first and end of a range of {n}, or null")
    if any(reached[i] != low for i in places):
        raise BadInput(f"samples begin at {low}, which is not where the portions before it end")
    for i in places:
        reached[i] = high


def _budget(value: Mapping[str, Any]) -> None:
    forwards, seconds, rounds = value["forwards"], value["seconds"], value["rounds"]
    if forwards is not None and not _whole(forwards, 1):
        raise BadInput(f"forwards are {_said(forwards)}, expected a whole number")
    if seconds is not None and not (_real(seconds) and seconds > 0):
        raise BadInput(f"seconds are {_said(seconds)}, expected a number above 0")
    if not isinstance(rounds, list) or not all(_real(r) and r >= 0 for r in rounds):
        raise BadInput(f"rounds are {_said(rounds)}, expected seconds")


def _condition(value: Mapping[str, Any], known: set[str]) -> None:
    if not isinstance(value, dict):
        raise BadInput(f"it is {_said(value)}, expected a table")
    for name in ("key", "label", "probe", "family", "unit"):
        if not isinstance(value[name], str):
            raise BadInput(f"{name} is {_said(value[name])}, expected text")
    for name, lowest in (("version", 0), ("repeat", 0)):
        if not _whole(value[name], lowest):
            raise BadInput(f"{name} is {_said(value[name])}, expected a whole number")
    if not _texts_list(value["modalities"]) or not set(value["modalities"]) <= known:
        raise BadInput(f"modalities are {_said(value['modalities'])}, not all of them the data's")
    if value["severity"] is not None and not _real(value["severity"]):
        raise BadInput(f"severity is {_said(value['severity'])}, expected a number")
    if value["position"] is not None and not (_whole(value["position"], 1) and value["position"] <= MAX_POSITION):
        raise BadInput(f"position is {_said(value['position'])}, expected 1 to {MAX_POSITION}")
    if not isinstance(value["options"], dict) or not _texts_list(list(value["options"].values())):
        raise BadInput(f"options are {_said(value['options'])}, expected texts by name")
    # What a file calls a condition must be what its contents give: answers are found by that key.
    if value["key"] != Condition.from_json(value).key:
        raise BadInput(f"it is called {_said(value['key'])}, which is not the key of what it says")


def _refused(check: Callable[..., None], *values: Any) -> str:
    """Why a check refuses values; empty where it does not."""
    try:
        check(*values)
    except KeyError as error:
        return f"{error} is missing"
    except (BadInput, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        return shorten(str(error).rstrip("."), 200)
    return ""


def _texts_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(x, str) for x in value)


def _whole(value: Any, lowest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _said(value: Any) -> str:
    """A hostile value in an error message: short, and nothing that a terminal or page would act on."""
    if isinstance(value, Sequence) and len(value) > 1_000:
        return f"a {type(value).__name__} of {len(value)}"
    return shorten(repr(value), 60)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
