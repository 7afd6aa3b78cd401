"""A long campaign of mutated inputs, each known by target, seed and number; counts and findings go to a JSON record.

    python tests/fuzz/campaign.py --inputs 1000000 --out fuzz.json     # all targets, by their weights
    python tests/fuzz/campaign.py --target data.npz --seed 1 --only 4711     # one input again, with its traceback

Targets run one after another, each in a process of its own with bounded memory: a reader that takes the process down
costs that input and is a finding; the campaign goes on behind it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.guard import bounded, watched
from fuzz.mutators import mutated
from fuzz.target import Ready, Target, tried
from fuzz.targets import BY_NAME, TARGETS
from fuzz.targets_run import SOUND

SECONDS = 5.0
"""Processor time of one input; a hundred times what the slowest sound one takes."""
MEMORY = 2**30
"""Bytes by which the process may grow beyond what it holds when the seeds have been read."""
STUCK = 300.0
"""Seconds without a sign of life after which a process is ended: it waits for something that does not come."""
REPORT = 2.0


def input_of(ready: Ready, target: Target, seed: int, number: int) -> bytes:
    """The input of this number: a seed that is changed by a generator known by the three."""
    rng = Random(f"{seed}/{target.name}/{number}")
    data = mutated(target.form, rng.choice(ready.seeds), rng)
    return mutated(target.form, data, rng) if rng.random() < 0.2 else data


def site(error: BaseException) -> str:
    """Where an error was raised, in mmaudit: what tells findings apart."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/mmaudit/" in f.filename]
    last = frames[-1] if frames else None
    where = f"{last.filename.partition('/mmaudit/')[2]}:{last.name}" if last else "?"
    return f"{type(error).__name__} in {where}"


def judged(target: Target, ready: Ready, data: bytes, scratch: Path) -> tuple[str, str]:
    """What became of an input: `read`, `refused`, or `fault`, the last with what and where."""
    try:
        with watched(scratch, seconds=SECONDS, names_files=target.names_files):
            return tried(ready, data), ""
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        said = str(error).replace(str(scratch), "…")
        return "fault", f"{site(error)}: {said[:200]}"


def _work(name: str, seed: int, numbers: range, until: float, scratch: str, told: Any) -> None:
    """In a process of its own: run inputs, telling counts now and then."""
    warnings.simplefilter("ignore")  # what a library says of an odd file is no error
    target, place = BY_NAME[name], Path(scratch)
    ready = target.prepare(place)
    for data in ready.seeds:
        if tried(ready, data) != "read":
            raise AssertionError(f"{target.name}: a seed is refused")
    counts: Counter[str] = Counter()
    slowest, last = 0.0, time.monotonic()
    faults: list[tuple[int, str]] = []
    with bounded(MEMORY):
        for number in numbers:
            told.value = number
            before = time.process_time()
            data = input_of(ready, target, seed, number)
            outcome, what = judged(target, ready, data, place)
            counts[outcome] += 1
            slowest = max(slowest, time.process_time() - before)
            if outcome == "fault":
                faults.append((number, what))
            if time.monotonic() - last > REPORT:
                last = time.monotonic()
                _tell(place, number, counts, slowest, faults)
                if last > until:
                    break
    _tell(place, number, counts, slowest, faults)


def _tell(place: Path, number: int, counts: Counter[str], slowest: float, faults: list[tuple[int, str]]) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    state = {"at": number, "counts": counts, "slowest": slowest, "peak": peak, "faults": faults}
    partial = place / ".state.partial"
    partial.write_text(json.dumps(state), encoding="utf-8")
    partial.replace(place / ".state.json")


def campaign(target: Target, seed: int, inputs: int, seconds: float) -> dict[str, Any]:
    """Run a target's inputs 0, 1, … and return what became of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fuzz.warm"])
    until, started = time.monotonic() + seconds, time.monotonic()
    total: Counter[str] = Counter()
    findings: dict[str, dict[str, Any]] = {}
    slowest, peak, at = 0.0, 0, 0
    while at < inputs and time.monotonic() < until:
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_fast()) as scratch:
            told = context.Value("q", at)
            work = context.Process(target=_work, args=(target.name, seed, range(at, inputs), until, scratch, told))
            work.start()
            ended = _waited(work, told)
            state = _state(Path(scratch), at)
        total.update(state["counts"])
        slowest, peak = max(slowest, state["slowest"]), max(peak, state["peak"])
        for number, what in state["faults"]:
            _find(findings, number, what)
        if ended == 0:
            at = state["at"] + 1
            break
        if told.value == at and not state["counts"]:
            raise RuntimeError(f"{target.name}: its process ended with {ended} before the first input was done")
        # What was not told since the last state is lost from the counts, not from the findings.
        _find(findings, told.value, f"process ended with {ended}")
        total["fault"] += 1
        at = told.value + 1
    return {
        "inputs": sum(total.values()),
        **{name: total[name] for name in ("read", "refused", "fault")},
        "slowest_seconds": round(slowest, 3),
        "peak_bytes": peak,
        "wall_seconds": round(time.monotonic() - started, 1),
        "findings": sorted(findings.values(), key=lambda f: f["first"]),
    }


def _find(findings: dict[str, dict[str, Any]], number: int, what: str) -> None:
    found = findings.setdefault(what.partition(":")[0] + what.partition(":")[2].partition(":")[0], {})
    found["times"] = found.get("times", 0) + 1
    found.setdefault("first", number)
    found.setdefault("what", what)


def _state(place: Path, at: int) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((place / ".state.json").read_text(encoding="utf-8"))
        return found
    return {"at": at - 1, "counts": {}, "slowest": 0.0, "peak": 0, "faults": []}


def _waited(work: Any, told: Any) -> int:
    """Wait for a process, or end one that shows no sign of life; its exit code."""
    last, since = -1, time.monotonic()
    while work.is_alive():
        work.join(1.0)
        if told.value != last:
            last, since = told.value, time.monotonic()
        elif time.monotonic() - since > STUCK:
            work.kill()
    work.join()
    return int(work.exitcode)


def _fast() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def shares(inputs: int, chosen: tuple[Target, ...]) -> Iterator[tuple[Target, int]]:
    """How many inputs each target has, by weight; together not fewer than asked for."""
    whole = sum(t.weight for t in chosen)
    for target in chosen:
        yield target, -int(-inputs * target.weight // whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of wall clock, for all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=sorted(BY_NAME), help="may be repeated; all without it")
    parser.add_argument("--only", type=int, help="run this one input, unguarded by `except`")
    parser.add_argument("--file", type=Path, help="run the bytes of this file, likewise")
    parser.add_argument("--out", type=Path, help="where the record is written")
    parser.add_argument("--table", type=Path, help="print a record that was written, as Markdown, and stop")
    given = parser.parse_args()
    if given.table is not None:
        print(table(json.loads(given.table.read_text(encoding="utf-8"))))
        return
    chosen = tuple(BY_NAME[name] for name in given.target) if given.target else TARGETS
    if given.only is not None or given.file is not None:
        _again(chosen[0], given.seed, given.only or 0, given.file)
        return
    with tempfile.TemporaryDirectory(prefix="fuzz-sound-", dir=_fast()) as sound:
        os.environ[SOUND] = sound
        # The process that others are forked from finds its modules by this alone.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (sys.path[0], os.environ.get("PYTHONPATH"))))
        _all(given, chosen)


def _all(given: argparse.Namespace, chosen: tuple[Target, ...]) -> None:
    until = time.monotonic() + given.seconds
    record: dict[str, Any] = {
        "command": " ".join(sys.argv[1:]),
        "seed": given.seed,
        "versions": versions(),
        "targets": {},
    }
    for target, inputs in shares(given.inputs, chosen):
        if (left := until - time.monotonic()) <= 0:
            break
        if target.needs and find_spec(target.needs) is None:
            print(f"{target.name}: left out, {target.needs} is not installed", flush=True)
            continue
        result = campaign(target, given.seed, inputs, left)
        record["targets"][target.name] = result
        record["inputs"] = sum(r["inputs"] for r in record["targets"].values())
        line = {k: v for k, v in result.items() if k != "findings"}
        print(f"{target.name}: {line}", flush=True)
        for finding in result["findings"]:
            print(f"    {finding}", flush=True)
        if given.out is not None:
            given.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{record.get('inputs', 0):,} inputs", flush=True)


def _again(target: Target, seed: int, number: int, file: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_fast()) as scratch:
        ready = target.prepare(Path(scratch))
        data = input_of(ready, target, seed, number) if file is None else file.read_bytes()
        print(f"{len(data)} bytes: {data[:300]!r}")
        with watched(Path(scratch), seconds=SECONDS, names_files=target.names_files):
            print(tried(ready, data))


def table(record: dict[str, Any]) -> str:
    """A record as a table in Markdown."""
    lines = ["| Reader | Inputs | Read | Refused | Faults | Slowest, s | Peak, MiB |", "|---|--:|--:|--:|--:|--:|--:|"]
    rows = record["targets"]
    for name, r in rows.items():
        counts = " | ".join(f"{r[k]:,}" for k in ("inputs", "read", "refused", "fault"))
        lines.append(f"| {name} | {counts} | {r['slowest_seconds']:.2f} | {r['peak_bytes'] // 2**20:,} |")
    total = " | ".join(f"{sum(r[k] for r in rows.values()):,}" for k in ("inputs", "read", "refused", "fault"))
    slowest, peak = max(r["slowest_seconds"] for r in rows.values()), max(r["peak_bytes"] for r in rows.values())
    return "\n".join([*lines, f"| together | {total} | {slowest:.2f} | {peak // 2**20:,} |"])


def versions() -> dict[str, str]:
    """What the inputs were read with."""
    packages = ("mmaudit", "numpy", "pandas", "pillow", "pyarrow", "safetensors", "torch")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


if __name__ == "__main__":
    main()
