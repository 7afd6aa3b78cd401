"""What a training frees it finds again; afterwards it is given back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from mmaudit.reference.memory import KEPT, USUAL, freed_memory_kept

# Page faults of asking for 96 MiB that were there before, during and after. In a process of its own: what a heap gives
# back depends on all that lies in it.
SCRIPT = """
import resource
from mmaudit.reference.memory import freed_memory_kept

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def again():
    for _ in range(2):
        before = faults()
        blocks = [b"x" * (12 * 2**20) for _ in range(8)]
        asked = faults() - before
        del blocks
    return asked

with freed_memory_kept():
    during = again()
print(during, again())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told what to keep")
def test_freed_memory_is_kept_during_a_training_and_given_back_after_it() -> None:
    assert USUAL < 96 * 2**20 < KEPT
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    during, after = map(int, done.stdout.split())
    assert during < 100
    assert after > 5_000  # of 24,576 pages of 4 KiB


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("asked for the C library"))
    with freed_memory_kept():
        pass
