"""How to make a report again, and how to tell that it is the same: commands, versions, fingerprints."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmaudit.formats import count, number, plain, readable, shorten
from mmaudit.render.scope import Fact, when
from mmaudit.report import Report

LONGEST = 400
# What is shown as a line to be pasted into a shell must not be able to do anything else.
_NAME, _VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}"), re.compile(r"[0-9][A-Za-z0-9._!-]{0,40}")
# Commands whose first argument is a run folder.
_READS = (["mmaudit", "score"], ["mmaudit", "synergy"], ["mmaudit", "panel"])
NO_PACKAGES = ("python", "platform")
# What a device that cannot tell leaves at 0, and what did not happen.
_NOT_MEASURED: tuple[Any, ...] = (0, {})
_NO_TIMES = ("_rows", "halved")
_SHOWN = {
    "blended_rows": "encodings put together by row",
    "device_bytes": "highest memory on the device",
    "device_seconds": "time: device",
    "halved": "batches halved for lack of memory",
    "least_rows": "rows of a batch after the last halving",
    "total": "time: answering, in all",
    "waiting": "time: waiting for inputs",
}


@dataclass(frozen=True)
class Reproduce:
    """What the section shows.

    Attributes:
        command: that made the run, as it was recorded; empty where none was.
        python: version it ran under; empty where it was not recorded.
        install: that installs the recorded versions; empty where none were recorded.
        digest: SHA-256 of `report.json` as `Report.to_json` writes it, 64 hex digits.
        folder: of the run, as a shell is given it; empty where no command of the report names it.
        facts: versions, model, data, suite, time: everything recorded about the run.
    """

    command: str
    python: str
    install: str
    digest: str
    folder: str
    facts: tuple[Fact, ...]


def reproduce(report: Report) -> Reproduce:
    """Return what is needed to make the report again."""
    return Reproduce(
        command=str(report.document["command"]),
        python=shorten(str(report.document.get("environment", {}).get("python", "")), 40),
        install=_install(report),
        digest=digest(report),
        folder=_folder(report),
        facts=tuple(_facts(report)),
    )


def _folder(report: Report) -> str:
    """The folder that findings' commands name, quoted for a shell, or the one that the recorded command wrote to."""
    for command in (*(f.reproduce for f in report.findings), str(report.document["command"])):
        try:
            words = shlex.split(command)
        except ValueError:
            continue
        after = words[words.index("--out") + 1 :] if "--out" in words else []
        named = words[2:] if words[:2] in _READS else after if words[:1] == ["mmaudit"] else []
        if named and not named[0].startswith("-") and named[0].isprintable() and len(named[0]) <= LONGEST:
            return shlex.quote(named[0])
    return ""


def digest(report: Report) -> str:
    """SHA-256 of the bytes that `Report.to_json` writes."""
    text = json.dumps(report.document, ensure_ascii=True, allow_nan=False, indent=1)
    return hashlib.sha256(f"{text}\n".encode()).hexdigest()


def _install(report: Report) -> str:
    """A pip command with the recorded versions, without what belongs to one build only (`+cpu`)."""
    recorded: Mapping[str, Any] = report.document.get("environment", {})
    pins = {"mmaudit": report.document["mmaudit"], **{k: v for k, v in recorded.items() if k not in NO_PACKAGES}}
    named = {name: str(version).partition("+")[0] for name, version in pins.items()}
    usable = [f"{n}=={v}" for n, v in named.items() if _NAME.fullmatch(n) and _VERSION.fullmatch(v)]
    return f"pip install {' '.join(usable)}" if usable else ""


def _facts(report: Report) -> Iterator[Fact]:
    doc = report.document
    model, data = doc["model"], doc["data"]
    yield Fact("mmaudit", f"{shorten(doc['mmaudit'], 40)}, report form {doc['schema']}")
    if doc["created"]:
        yield Fact("run started", when(doc["created"]))
    absent = (
        "handles absent modalities itself" if model["native_absence"] else "does not handle absent modalities itself"
    )
    yield Fact("model", f"{shorten(model['name'], LONGEST)}, outputs {model['outputs']}, {absent}")
    yield Fact("model fingerprint", shorten(model["fingerprint"], LONGEST))
    yield Fact("run as", f"{shorten(model['stages'], LONGEST)}; device {shorten(model['device'], 60)}")
    yield Fact("data", f"{count(data['n'])} samples")
    yield Fact("data fingerprint", shorten(data["fingerprint"], LONGEST))
    for m in data["modalities"]:
        yield Fact(shorten(m["name"], 60), _modality(m))
    yield from (Fact(f"suite {readable(shorten(k, 40))}", _said(v)) for k, v in sorted(doc["suite"].items()))
    yield from times(report)
    if used := _used(doc["timing"], shorten(model["device"], 60)):
        yield Fact("utilisation", used)
    recorded: Mapping[str, Any] = doc.get("environment", {})
    yield from (Fact(shorten(k, 40), _said(v)) for k, v in sorted(recorded.items()))


def times(report: Report) -> Iterator[Fact]:
    """What the run took: seconds, rows and bytes. All of it is of answering; analyses and scores are not timed."""
    timing: Mapping[str, Any] = report.document["timing"]
    yield from (Fact(_heading(k), _timed(k, v)) for k, v in sorted(timing.items()) if v not in _NOT_MEASURED)


def _used(timing: Mapping[str, Any], device: str) -> str:
    """How much of the time the model's device was at work; empty where it was not recorded."""
    total, on_device, model = (_seconds(timing, name) for name in ("total", "device_seconds", "model"))
    if total <= 0 or max(on_device, model) <= 0:
        return ""
    # Of several workers both add up, so the share is theirs on average.
    share = number(min(1.0, (on_device or model) / total), "share")
    return f"{device} computed for {share} of the time" if on_device else f"the model ran for {share} of the time"


def _seconds(timing: Mapping[str, Any], name: str) -> float:
    value = timing.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    # A document may hold any number: one beyond all times counts as none.
    return float(value) if 0 < value < 1e15 else 0.0


def _modality(m: Mapping[str, Any]) -> str:
    shape = " × ".join("any" if size is None else str(size) for size in m["shape"])
    unit = shorten(m["unit"], 40) if m["unit"] else ""
    present = m["present"]
    share = "share not known" if present is None else "every sample" if present == 1 else number(present, "share")
    return ", ".join(x for x in (m["kind"], shape, shorten(m["dtype"], 40), unit, f"recorded: {share}") if x)


def _said(value: Any) -> str:
    """A recorded value in words, cut where it is long."""
    if isinstance(value, str):
        return shorten(value, LONGEST) or "none"
    if isinstance(value, list) and all(isinstance(v, str | int | float) for v in value):
        return shorten(", ".join(map(str, value)), LONGEST) or "none"
    if value is None or value in ([], {}):
        return "none"
    return shorten(json.dumps(value, ensure_ascii=False), LONGEST)


def _timed(name: str, value: Any) -> str:
    """Seconds, or rows, bytes or times where the name says so."""
    if isinstance(value, dict):
        return shorten(", ".join(f"{k} {_rows(v)}" for k, v in sorted(value.items())), LONGEST)
    if isinstance(value, int | float) and not isinstance(value, bool) and not name.endswith(_NO_TIMES):
        if name.endswith("_bytes"):
            return f"{plain(value / 2**20, 0)} MiB"
        return f"{plain(float(value), 1)} s"
    return _rows(value)


def _rows(value: Any) -> str:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return count(int(value)) if known else _said(value)


def _heading(name: str) -> str:
    """What stands before a time, a number of rows, or bytes."""
    shown = readable(shorten(name, 40))
    return _SHOWN.get(name, shown if name.endswith(_NO_TIMES) or name.endswith("_bytes") else f"time: {shown}")
