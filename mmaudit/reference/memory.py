"""Memory that the steps of a training free and ask for again: kept meanwhile, not fetched anew each time."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

LARGEST = 32 * 2**20  # bytes of a block that comes from the heap; glibc takes no more
KEPT = 8 * LARGEST  # bytes at the heap's end; a step holds some eight arrays of its rows' size at a time
USUAL = 2 * LARGEST  # what glibc would set by itself beside this LARGEST
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Have glibc keep up to `KEPT` bytes of what is freed; with another C library do nothing.

    A step's arrays are megabytes. Given back to the system after each step, they cost one page fault per 4 KiB in the
    next, which takes as long as the arithmetic: 20 seeds at 768 dimensions and 128 rows free 80 MB a step, and by
    itself glibc keeps 64 MiB at most, so a step took 23 or 45 ms by where in the heap its last block lay; now 22.
    Fewer seeds at a time, so that a step stays below the 64 MiB, avoid the faults as well, but launch more: 25 ms.

    Afterwards glibc gives back what is beyond `USUAL`, with the next large block that is freed.
    """
    library = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
    # Setting one limit ends glibc's own adjusting of both, so both are set.
    if library is None or not library.mallopt(_MMAP_THRESHOLD, LARGEST):
        yield
        return
    library.mallopt(_TRIM_THRESHOLD, KEPT)
    try:
        yield
    finally:
        library.mallopt(_TRIM_THRESHOLD, USUAL)
