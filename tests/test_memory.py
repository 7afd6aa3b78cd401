"""Freed memory goes back to the system, also from between what is still held."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest

from mmaudit.memory import give_back

STATUS = Path("/proc/self/status")


def resident() -> int:
    """Resident memory of this process in MiB."""
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc" or not STATUS.exists(), reason="glibc on Linux alone does this")
def test_what_is_freed_between_what_is_held_goes_back() -> None:
    held = [np.ones(100_000, np.uint8) for _ in range(2000)]  # too small to be mapped by itself
    before = resident()
    held = held[::2]
    give_back()
    assert before - resident() > 60
    assert len(held) == 1000


def test_it_may_be_called_at_any_time() -> None:
    give_back()
    give_back()
