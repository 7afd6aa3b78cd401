"""Workers as actors of a Ray cluster: each holds the model, on a GPU or a part of one, on whatever node has room."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from mmaudit.errors import BadInput, MissingExtra
from mmaudit.execution.failures import Failure
from mmaudit.execution.job import Job
from mmaudit.execution.parcel import unsendable
from mmaudit.execution.plugins import Plugins
from mmaudit.execution.remote import Reply, Station
from mmaudit.execution.seam import Crew, Work
from mmaudit.execution.supervise import Supervised
from mmaudit.execution.threads_of_workers import VARIABLES, cores
from mmaudit.store import Run


@dataclass(frozen=True)
class Ray:
    """Workers on a Ray cluster: the one this process is connected to or that `RAY_ADDRESS` names, else a local one.

    The run folder must be reached by the same name from every node: a shared file system, or a URL of an object store.
    Data and model are put into Ray's object store once. A worker that is lost, with its node or alone, is replaced as
    soon as there is room, which an autoscaling cluster makes; its shard is answered by another.

    Args:
        workers: how many actors; each has one shard at a time, so these are the shards in flight.
        gpus: of each worker: 0, a part such as 0.5, or a whole number.
        cpus: of each worker; its threads.
        make_model: a function of a module that every node has, which returns the model, in place of sending it.
        time_limit: seconds that a shard may take; as for `Loky`.

    Raises:
        BadInput: for an argument that is not usable.
        MissingExtra: ray is not installed (when the audit begins).
    """

    workers: int = 2
    gpus: float = 0.0
    cpus: float = 1.0
    make_model: Callable[[], object] | None = None
    time_limit: float | None = None

    own_process = False

    def __post_init__(self) -> None:
        if not isinstance(self.workers, int) or self.workers < 1:
            raise BadInput(f"workers={self.workers!r} is not usable; give a whole number of at least 1.")
        for name, value in (("gpus", self.gpus), ("cpus", self.cpus)):
            if value < 0 or (value > 1 and value != int(value)):
                raise BadInput(f"{name}={value!r} is not usable; Ray gives parts of one, or whole ones.")
        if self.time_limit is not None and not self.time_limit > 0:
            raise BadInput(f"time_limit={self.time_limit!r} is not usable; give seconds above 0, or leave it out.")

    @contextmanager
    def crew(self, job: Job) -> Iterator[Crew]:
        """Give actors; see `Executor.crew`."""
        ray = _ray()
        with _connected(ray, self.workers):
            given = ray.put(self._sent(job))
            threads = max(1, int(self.cpus))
            actor = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_restarts=0, max_task_retries=0)(_Actor)
            crew = Supervised(
                lambda place: _Lane(ray, actor.remote([given], threads, _paths(), str(Path.cwd()))),
                self.workers,
                time_limit=self.time_limit,
                blame=f"model {job.model.name!r}",
            )
            try:
                yield crew
            finally:
                crew.close(kill=True)

    def _sent(self, job: Job) -> dict[str, Any]:
        """What every actor gets: the model as bytes, for arrays of Ray's store cannot be written to."""
        import cloudpickle

        nothing = cast(Any, None)
        made = replace(job, model=nothing, data=nothing, make_model=self.make_model)
        plugins = Plugins.needed(Run.open(job.folder).conditions)
        model = None if self.make_model is not None else job.model
        try:
            return {"about": cloudpickle.dumps((made, model, plugins)), "data": job.data}
        except Exception as error:
            raise BadInput(unsendable(f"model {job.model.name!r}", error)) from error


class _Actor:
    """What runs on a node."""

    def __init__(self, given: list[Any], threads: int, paths: list[str], cwd: str) -> None:
        # Modules that the driver finds, such as the user's own, are found here where the same folders exist.
        sys.path.extend(path for path in paths if path not in sys.path and Path(path).exists())
        if Path(cwd).exists():
            os.chdir(cwd)  # relative names of files mean what they mean to the driver
        # Before torch and numba are loaded, which read them once.
        for name in VARIABLES:
            os.environ.setdefault(name, str(threads))
        self._given = given
        self._threads = threads
        self._station: Station | None = None

    def perform(self, work: Work) -> Reply | Failure:
        """Do a work."""
        try:
            if self._station is None:
                self._station = self._made()
        except Exception as error:
            return Failure.of(error)
        return self._station.perform(work)

    def _made(self) -> Station:
        import pickle

        import ray
        from threadpoolctl import threadpool_limits

        threadpool_limits(self._threads)  # of libraries that Ray itself has loaded
        sent = ray.get(self._given[0])
        job, model, plugins = pickle.loads(sent["about"])
        station = Station()
        station.give(replace(job, model=model, data=sent["data"]), plugins)
        return station


class _Lane:
    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor

    def submit(self, work: Work) -> Future[Reply | Failure]:
        future: Future[Reply | Failure] = self._actor.perform.remote(work).future()
        return future

    def kill(self) -> None:
        with contextlib.suppress(Exception):  # it may be gone with its node
            self._ray.kill(self._actor, no_restart=True)

    close = kill


def _paths() -> list[str]:
    return [str(Path(path).absolute()) for path in sys.path]


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    return ray


@contextmanager
def _connected(ray: Any, workers: int) -> Iterator[None]:
    """Be connected to a cluster; to one of this process's own where there is none, which ends with it."""
    if ray.is_initialized():
        yield
        return
    own = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": max(workers, cores()), "include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="error", **own)
    except Exception as error:
        raise BadInput(f"Ray cannot be reached or started: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
