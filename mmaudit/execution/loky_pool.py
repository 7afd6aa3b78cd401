"""Workers in processes of this machine, by joblib's loky: fresh interpreters, no fork of a process that has threads."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from mmaudit.errors import BadInput
from mmaudit.execution import remote
from mmaudit.execution.failures import Failure
from mmaudit.execution.job import Job
from mmaudit.execution.plugins import Plugins
from mmaudit.execution.remote import Reply
from mmaudit.execution.seam import Crew, Work
from mmaudit.execution.supervise import Supervised
from mmaudit.execution.threads_of_workers import cores, environment
from mmaudit.store import Run

# Of this machine's memory, what all workers together may hold for good.
SHARE_OF_MEMORY = 0.8


@dataclass(frozen=True)
class Loky:
    """Workers in processes of this machine.

    The model is made in each by `make_model`, or sent as a copy; the data set's large arrays are shared. Each worker
    runs on its share of the cores: with `OMP_NUM_THREADS` and the like set, unless they are set already.

    Args:
        jobs: how many; -1 for one per core.
        make_model: a function of an importable module that returns the model, for one that cannot be sent or is better
            read from its files in place.
        time_limit: seconds that a shard may take before its worker is taken to hang, is ended, and the shard given to
            another. None: 20 times as long as the longest shard so far, ten minutes at least.
        memory_limit: GiB that a worker may hold between two shards; one that holds more, and more than when it began,
            is replaced. None: its part of 80 % of this machine's memory.
        threads: of each worker; None: its share of the cores, at least 1.
        gpus: worker i sees only `gpus[i % len(gpus)]`, by `CUDA_VISIBLE_DEVICES`; empty: each sees all.

    Raises:
        BadInput: for an argument that is not usable.
    """

    jobs: int = -1
    make_model: Callable[[], object] | None = None
    time_limit: float | None = None
    memory_limit: float | None = None
    threads: int | None = None
    gpus: Sequence[int | str] = ()

    own_process = False

    def __post_init__(self) -> None:
        if not isinstance(self.jobs, int) or self.jobs == 0 or self.jobs < -1:
            raise BadInput(f"jobs={self.jobs!r} is not usable; give a whole number of at least 1, or -1 for all cores.")
        for name in ("time_limit", "memory_limit", "threads"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadInput(f"{name}={value!r} is not usable; give a number above 0, or leave it out.")

    @contextmanager
    def crew(self, job: Job) -> Iterator[Crew]:
        """Give workers; see `Executor.crew`."""
        count = cores() if self.jobs == -1 else self.jobs
        threads = self.threads or max(1, cores() // count)
        folder = Path(tempfile.mkdtemp(prefix="mmaudit-workers-"))
        crew: Supervised | None = None
        try:
            parcel = folder / "job"
            self._pack(job, parcel)

            def hire(place: int) -> _Process:
                seen = {"CUDA_VISIBLE_DEVICES": str(self.gpus[place % len(self.gpus)])} if self.gpus else {}
                return _Process(parcel, {**environment(threads), **seen})

            limit = self.memory_limit * 2**30 if self.memory_limit else _memory() * SHARE_OF_MEMORY / count
            crew = Supervised(
                hire,
                count,
                time_limit=self.time_limit,
                memory_limit=limit or None,
                blame=f"model {job.model.name!r}",
            )
            yield crew
            crew.close()
        finally:
            if crew is not None:
                crew.close(kill=True)
            shutil.rmtree(folder, ignore_errors=True)

    def _pack(self, job: Job, file: Path) -> None:
        from mmaudit.execution.parcel import pack

        sent = job if self.make_model is None else replace(job, make_model=self.make_model, model=cast(Any, None))
        pack((sent, Plugins.needed(Run.open(job.folder).conditions)), file, f"model {job.model.name!r} or its data")


class _Process:
    """A lane: a pool of one process, which can be ended without the others."""

    def __init__(self, parcel: Path, env: dict[str, str]) -> None:
        from joblib.externals.loky import ProcessPoolExecutor

        self._pool = ProcessPoolExecutor(
            1, initializer=remote.begin, initargs=(str(parcel), os.getpid()), env=env, timeout=None
        )

    def submit(self, work: Work) -> Future[Reply | Failure]:
        future: Future[Reply | Failure] = self._pool.submit(remote.perform, work)
        return future

    def kill(self) -> None:
        with contextlib.suppress(Exception):  # it may be dead in any way
            self._pool.shutdown(wait=True, kill_workers=True)

    def close(self) -> None:
        self._pool.shutdown(wait=True)


def _memory() -> float:
    """Bytes of this machine's memory; 0 where the system does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return 0.0
