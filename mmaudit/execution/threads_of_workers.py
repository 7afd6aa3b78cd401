"""Threads of workers: together as many as there are cores, so that they do not wait for each other."""

from __future__ import annotations

import os

# What OpenMP, MKL, OpenBLAS, BLIS, Accelerate, numexpr, numba and mmaudit itself read, most of them when imported.
VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "MMAUDIT_THREADS",
)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """Variables for a worker; those that the user has set stay as they are."""
    return {name: os.environ.get(name, str(threads)) for name in VARIABLES}
