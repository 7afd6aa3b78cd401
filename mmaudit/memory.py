"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import platform
from functools import lru_cache
from typing import Any

import pyarrow as pa


def give_back() -> None:
    """Give freed memory back: what Arrow keeps for later, and with glibc the free pages inside of its heaps.

    Arrays of some megabytes come from those heaps, where others that live longer are put between them: what is freed
    stays resident, and the peak of many conditions in a row grows from each to the next. Takes milliseconds.
    """
    pa.default_memory_pool().release_unused()
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@lru_cache(maxsize=1)
def _glibc() -> Any:
    """The C library, where it can do this; None for any other."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
