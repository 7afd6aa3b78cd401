"""Reading a run from a store that takes 30 ms to answer, against the same run in a local folder.

The store is fsspec's own in memory, made slow: what is measured is how many requests stand in line, not a network. A
condition of every shard is read, as scoring does.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
import threading
import time
from typing import Any

import fsspec
import numpy as np
from fsspec.implementations.memory import MemoryFileSystem

from mmaudit import Run, store
from mmaudit.header import modality_to_json
from mmaudit.outputs import ConditionOutputs
from mmaudit.place import place
from mmaudit.samples_file import Samples
from mmaudit.types import CLEAN, Condition, Modality

LATENCY = 0.03  # s
SHARDS, ROWS, CLASSES, CONDITIONS, REPEATS = 32, 1000, 5, 8, 1
MODALITIES = (Modality("a", "embedding", (4,), "float32"), Modality("b", "embedding", (4,), "float32"))
PLAN = [CLEAN] + [Condition(f"probe {i}", "missing", 1, ("a",)) for i in range(CONDITIONS - 1)]


class Slow(MemoryFileSystem):  # type: ignore[misc]
    """Answers after `LATENCY`, any number of requests at a time, and counts them."""

    protocol = "slow"
    store: dict[str, Any] = {}  # noqa: RUF012 one for all objects, as its parent has it
    asked, counting = 0, threading.Lock()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + str(path).removeprefix("slow://").strip("/")

    def info(self, path: str, **options: Any) -> Any:
        """What is known of a file."""
        self._wait()
        return super().info(path, **options)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> Any:
        """Content; read from the parent's file, which would ask `info` again."""
        self._wait()
        return self.store[self._strip_protocol(path)].getvalue()[start:end]

    @classmethod
    def _wait(cls) -> None:
        with cls.counting:
            cls.asked += 1
        time.sleep(LATENCY)


def write(out: str) -> Run:
    """A run with random answers."""
    n = SHARDS * ROWS
    header = {
        "fingerprints": {},
        "model": {},
        "data": {"n": n},
        "task": {"kind": "classification", "names": list("abcde"), "unit": ""},
        "modalities": [modality_to_json(m) for m in MODALITIES],
        "suite": {},
        "increments": [[c.to_json() for c in PLAN]],
        "declined": [],
        "shard_rows": ROWS,
    }
    names = [m.name for m in MODALITIES]
    present = {name: np.ones(n, np.bool_) for name in names}
    run = Run.create(out, header, Samples(np.arange(n), np.arange(n) % CLASSES, {}, None, present))
    rng = np.random.default_rng(0)
    for shard in range(SHARDS):
        outputs = rng.normal(size=(CONDITIONS, ROWS, CLASSES)).astype(np.float32)
        moved, changed = outputs[0, :, 0], outputs[0, :, 0] > 0
        run.write_shard(
            shard,
            0,
            [ConditionOutputs(x, dict.fromkeys(names, changed), dict.fromkeys(names, moved), 1) for x in outputs],
        )
    return run


def seconds(run: Run) -> float:
    """Per condition, median over the plan, best of a few repetitions."""
    best = float("inf")
    for _ in range(REPEATS):
        taken = []
        for condition in PLAN:
            started = time.perf_counter()
            run.read(condition)
            taken.append(time.perf_counter() - started)
        best = min(best, statistics.median(taken))
    return best


def main() -> None:
    """Print the table."""
    fsspec.register_implementation("slow", Slow)
    print(f"{platform.machine()}, Python {platform.python_version()}; {SHARDS} shards × {ROWS} rows, {LATENCY} s each")
    with tempfile.TemporaryDirectory() as folder:
        local = seconds(write(f"{folder}/run"))
    write(str(place("slow://bench/run")))
    print(f"local folder                 {local * 1e3:8.1f} ms a condition")
    for threads in (1, 16):
        store.STORE_THREADS = threads
        run = Run.open("slow://bench/run")
        Slow.asked = 0
        taken = seconds(run)
        requests = Slow.asked / (REPEATS * CONDITIONS * SHARDS)
        print(
            f"store, {threads:2} shards at a time   {taken * 1e3:8.1f} ms a condition, {taken / local:6.1f} × local, "
            f"{requests:.2f} requests a shard"
        )


if __name__ == "__main__":
    main()
