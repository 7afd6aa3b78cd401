"""Work over rows on all cores, in threads: NumPy and numba kernels release the interpreter while they compute."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

from mmaudit.errors import BadInput

MOST = 32


def workers() -> int:
    """Return how many threads to use: `MMAUDIT_THREADS` where it is set, else the cores this process may use.

    Results never depend on it. Raises `BadInput` where the variable is not a whole number of at least 1.
    """
    asked = os.environ.get("MMAUDIT_THREADS")
    if asked is None:
        usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        return min(len(usable), MOST)
    if not asked.isdecimal() or int(asked) < 1:
        raise BadInput(f"environment variable MMAUDIT_THREADS={asked!r} is not usable; give a whole number from 1 on.")
    return int(asked)


def over_rows(work: Callable[[int, int], None], rows: int, *, parallel: bool = True) -> None:
    """Call `work(start, end)` for pieces that cover `range(rows)`; on several threads where `parallel` says it pays.

    The first exception of any piece is raised. `work` must not call `over_rows` itself.
    """
    threads = min(workers(), rows) if parallel else 1
    if threads < 2:
        work(0, rows)
        return
    # More pieces than threads, so that no thread waits long for the slowest.
    pieces = min(rows, 4 * threads)
    edges = [rows * i // pieces for i in range(pieces + 1)]
    for done in [_pool(threads).submit(work, a, b) for a, b in pairwise(edges)]:
        done.result()


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "mmaudit")
