"""Time and peak memory of ranking queries among a million candidates: python benchmarks/retrieval.py [--candidates N]

A bank of N candidates of 64 numbers is written to a file as an encoder would give it, 16,384 rows at a time, and read
back in blocks. Each case runs in a process of its own; memory is the highest resident memory while it ranks, beyond
what the process had once everything was imported and compiled, as the operating system counts it. `whole` is the same
ranking from the whole matrix of scores, where that fits: how much streaming saves, and that it costs no time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, ROWS = 64, 16_384


class Bank:
    """Everyone is a candidate of every query, the own one right."""

    def __init__(self, n: int) -> None:
        self.identity = np.arange(n)

    def groups(self, positions: Any) -> Any:
        from mmaudit.retrieval.bank import Group

        yield Group(np.arange(len(positions)), self.identity)


def made(start: int, rows: int) -> Any:
    return np.random.default_rng(start).standard_normal((rows, WIDTH), np.float32)


def case(candidates: int, queries: int, how: str, folder: Path) -> dict[str, float]:
    """One measurement, in this process."""
    from mmaudit import RetrievalModel
    from mmaudit.retrieval import Ranker
    from mmaudit.retrieval.files import FeatureWriter

    model = RetrievalModel({"query": np.asarray, "target": np.asarray}, "dot")

    def rank(path: Path, n: int, q: int) -> tuple[float, Any]:
        writer = FeatureWriter(path, n, "the encoder")
        for start in range(0, n, ROWS):
            rows = min(ROWS, n - start)
            writer.add(made(start, rows), np.ones(rows, np.bool_))
        bank = writer.close()
        noise = np.random.default_rng(-1 % 2**32).standard_normal((q, WIDTH), np.float32)
        query, there = {"query": made(0, min(ROWS, n))[:q] + 2 * noise}, {"query": np.ones(q, np.bool_)}
        tick = time.perf_counter()
        if how == "whole":
            scores = query["query"].astype(np.float64) @ bank.read(np.arange(n)).astype(np.float64).T
            own = scores[np.arange(q), np.arange(q)]
            found = np.stack([(scores > own[:, None]).sum(axis=1)], axis=1)
        else:
            found = Ranker(model.scores, Bank(n)).answers(query, there, np.arange(q), bank)  # type: ignore[arg-type]
        return time.perf_counter() - tick, found

    rank(folder / "warm.npy", 2000, 8)
    before = peak()
    seconds, found = rank(folder / "bank.npy", candidates, queries)
    return {"seconds": seconds, "mib": (peak() - before) / 2**20, "median rank": float(np.median(found[:, 0]) + 1)}


def peak() -> int:
    """Highest resident memory of this process so far, in bytes."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--candidates", type=int, default=10**6)
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--case", choices=("streamed", "whole"))
    given = parser.parse_args()
    if given.case:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(case(given.candidates, given.queries, given.case, Path(folder))))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}")
    for candidates in (given.candidates // 10, given.candidates):
        for how in ("streamed", "whole"):
            command = [sys.executable, __file__, "--candidates", str(candidates), "--queries", str(given.queries)]
            said = subprocess.run([*command, "--case", how], check=True, capture_output=True, text=True).stdout
            found = json.loads(said)
            print(
                f"{given.queries} queries, {candidates:>9,} candidates, {how:8}: {found['seconds']:7.2f} s, "
                f"{found['mib']:7.0f} MiB, median rank {found['median rank']:.1f}"
            )


if __name__ == "__main__":
    main()
