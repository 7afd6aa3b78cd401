"""Time and peak memory of reading runs for the dashboard: python benchmarks/browse.py [--large]

Runs of random answers (10 classes, 3 modalities, the conditions of a real plan; see tests/helpers/big_run.py) are
written to a temporary folder. Every run is read in a process of its own, whose files are in the system's cache because
they were just written; a first call is the first one in that process, further ones are the median of seven. Memory is
the highest resident memory of the process, and what of it came after everything was imported. Times are the wall's,
and the processor's, by which a busy machine can be told from a slow program. `--large` adds a run of 10⁷ answers to
10⁶ samples. Exits with 1 where a target is missed in processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

SIZES = ((3_334, 300), (20_000, 50))
LARGE = (1_000_000, 10)
# Seconds of the processor, for the two sizes of 10⁶ answers; the dashboard is to turn a page in 1 s.
TARGETS = {"table, first": 0.3, "table": 0.3, "sample": 0.5, "passport": 0.5, "fragility": 3.0, "ten runs": 0.3}


def make(folder: Path, samples: int, conditions: int) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from helpers.big_run import big_run

    run = big_run(folder, samples, conditions, scored=False)
    # As long as those of an audit: a listing reads findings and looks at the end of a report.
    finding = {"level": "major", "claim": "x" * 300, "evidence": [{"value": 0.5}] * 20}
    (folder / "findings.json").write_text(json.dumps([finding] * 20), encoding="utf-8")
    (folder / "report.json").write_text(json.dumps({"x": [0.5] * 10**6}), encoding="utf-8")
    print(json.dumps({"MB": sum(p.stat().st_size for p in (folder / "predictions").iterdir()) / 1e6, "n": run.n}))


def read(root: Path) -> None:
    """Everything that the dashboard asks of a run, in this process."""
    from mmaudit.browse.answers import Answers
    from mmaudit.browse.fragility import fragility, passport
    from mmaudit.browse.library import open_run, runs

    imported = peak()
    found: dict[str, Any] = {}
    found["ten runs"] = timed(lambda: runs(root))
    run = open_run(root, "run")
    found["open"] = timed(lambda: open_run(root, "run"))
    answers = Answers(run)
    found["Answers(run)"] = timed(lambda: Answers(run))
    conditions = run.conditions
    found["table, first"] = timed(lambda: answers.table(conditions[-1]))
    found["table"] = median(lambda i: answers.table(conditions[i]))
    found["sample, first"] = timed(lambda: answers.sample(run.n // 2))
    found["sample"] = median(lambda i: answers.sample(i * run.n // 8))
    found["distribution"] = median(lambda i: answers.distribution(i, conditions[i]))
    right = np.flatnonzero(np.asarray(answers.clean.right))
    found["passport"] = median(lambda i: passport(answers, int(right[i])))
    found["memory before fragility"] = (peak() - imported) / 2**20
    found["fragility"] = timed(lambda: fragility(answers))
    found["memory"], found["memory of imports"] = (peak() - imported) / 2**20, imported / 2**20
    print(json.dumps(found))


def timed(what: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the wall and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    what()
    return time.perf_counter() - wall, time.process_time() - processor


def median(what: Callable[[int], object]) -> tuple[float, float]:
    walls, processors = zip(*(timed(partial(what, i)) for i in range(1, 8)), strict=True)
    return statistics.median(walls), statistics.median(processors)


def peak() -> int:
    """Highest resident memory of this process so far, in bytes."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def part(*arguments: str) -> dict[str, Any]:
    """Run this file again, in a process of its own."""
    said = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--make", nargs=3)
    parser.add_argument("--read")
    given = parser.parse_args()
    if given.make:
        make(Path(given.make[0]), int(given.make[1]), int(given.make[2]))
        return
    if given.read:
        read(Path(given.read))
        return
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}, pandas {pd.__version__}, pyarrow {pa.__version__}"
    )
    missed = []
    for samples, conditions in (*SIZES, *([LARGE] if given.large else [])):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "runs" / "run"
            made = part("--make", str(run), str(samples), str(conditions))
            for i in range(1, 10 if samples * conditions <= 10**6 + 10**4 else 1):
                shutil.copytree(run, run.with_name(f"run-{i}"))
            found = part("--read", str(run.parent))
        print(f"\n{samples:,} samples × {conditions} conditions, {made['MB']:.0f} MB of predictions")
        for name, value in found.items():
            if name.startswith("memory"):
                print(f"  {name:24} {value:8.0f} MiB")
                continue
            wall, processor = value
            limit = TARGETS.get(name) if (samples, conditions) != LARGE else None
            print(
                f"  {name:24} {wall:8.3f} s, {processor:6.3f} s of processor" + (f", target {limit}" if limit else "")
            )
            if limit and processor > limit:
                missed.append(f"{name} at {samples:,} × {conditions}: {processor:.2f} s")
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
