"""The other side: what runs in a worker's process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmaudit.execution.failures import Failure
from mmaudit.execution.job import Job
from mmaudit.execution.seam import Work
from mmaudit.timing import Timing

LOOK_FOR_PARENT = 1.0  # s


@dataclass(frozen=True)
class Reply:
    """What a worker says when a work is done.

    Attributes:
        value: what the work returned.
        timing: of all that this worker did so far.
        memory: bytes that its process holds; 0 where the system does not say.
    """

    value: Any
    timing: Timing
    memory: int


class Station:
    """A worker to be, from what was sent: made when the first work comes."""

    def __init__(self, parcel: Path | None = None) -> None:
        self._parcel = parcel
        self._given: tuple[Job, Any] | None = None
        self._worker: Any = None

    def give(self, job: Job, plugins: Any) -> None:
        """Hand over what otherwise lies in a parcel."""
        self._given = job, plugins

    def perform(self, work: Work) -> Reply | Failure:
        """Do a work; an exception comes back as a value."""
        try:
            if self._worker is None:
                self._worker = self._made()
            value = work(self._worker)
            return Reply(value, self._worker.timing, resident())
        except Exception as error:
            return Failure.of(error)

    def _made(self) -> Any:
        from mmaudit.execution.worker import Worker

        job, plugins = self._given or self._unpacked()
        self._given = None
        plugins.register()
        return Worker.of(job)

    def _unpacked(self) -> tuple[Job, Any]:
        from mmaudit.execution.parcel import unpack

        assert self._parcel is not None
        job, plugins = unpack(self._parcel)
        return job, plugins


def resident() -> int:
    """Bytes of memory that this process holds now; its highest where the system tells no more; 0 where it is silent."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
        # What is mapped from files can be given up at any time, and counts for every worker that maps it.
        return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


# ---- processes of this machine

_station = Station()


def begin(parcel: str, parent: int) -> None:
    """Run first in a worker's process.

    Args:
        parcel: file with the job, alone in a folder that was made for it.
        parent: the driver's process id; when it is gone the worker goes, too, and takes the parcel along.
    """
    global _station
    _station = Station(Path(parcel))
    # Ctrl-C in a terminal reaches every process of the group; the driver decides what becomes of workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # loky ends a process that has grown by 300 MB since its first work, which a large model does with its first shard;
    # the driver has a limit of its own.
    from joblib.externals.loky import process_executor

    process_executor._USE_PSUTIL = False
    threading.Thread(target=_leave_with, args=(parent, Path(parcel)), name="mmaudit-parent", daemon=True).start()


def perform(work: Work) -> Reply | Failure:
    """Do a work in this process."""
    return _station.perform(work)


def _leave_with(parent: int, parcel: Path) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_FOR_PARENT)
    # A driver that was killed could not. Another worker may have been first.
    with contextlib.suppress(OSError):
        parcel.unlink(missing_ok=True)
        parcel.parent.rmdir()
    # A file that it was writing has another name than its own until it is whole.
    os._exit(1)
