"""Executors by name, as the command line and `audit` take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmaudit.errors import BadInput, UnknownName
from mmaudit.execution.inprocess import InProcess
from mmaudit.execution.loky_pool import Loky
from mmaudit.execution.ray_cluster import Ray
from mmaudit.execution.seam import Executor
from mmaudit.execution.threads_of_workers import cores

EXECUTORS = ("inprocess", "loky", "ray")


def chosen(
    executor: str | Executor | None = None,
    jobs: int = 1,
    *,
    make_model: Callable[[], object] | None = None,
    gpus: float = 0.0,
    time_limit: float | None = None,
) -> Executor:
    """Return the executor that is asked for.

    Args:
        executor: one of `EXECUTORS`, or an executor, which is returned as it is. None: this process for one job,
            processes of this machine for more.
        jobs: how many workers; -1: as many as there are cores.
        make_model, gpus, time_limit: as for `Loky` and `Ray`; `gpus` for Ray only.

    Raises:
        BadInput: an argument is not usable, or has no place with that executor.
        UnknownName: there is no executor of that name.
    """
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs == 0 or jobs < -1:
        raise BadInput(f"jobs={jobs!r} is not usable; give a whole number of at least 1, or -1 for all cores.")
    if executor is not None and not isinstance(executor, str):
        if jobs != 1:
            raise BadInput(f"jobs={jobs} has no place beside an executor, which knows how many; leave it out.")
        return executor
    name = executor or ("inprocess" if jobs == 1 else "loky")
    if name not in EXECUTORS:
        raise UnknownName("executor", name, EXECUTORS)
    if gpus and name != "ray":
        raise BadInput(f"worker_gpus={gpus} has no place with executor {name!r}; it is for 'ray'.")
    shared: dict[str, Any] = {"make_model": make_model, "time_limit": time_limit}
    if name == "loky":
        return Loky(jobs, **shared)
    if name == "ray":
        return Ray(cores() if jobs == -1 else jobs, gpus=gpus, **shared)
    if jobs != 1 or time_limit is not None:
        given = f"jobs={jobs}" if jobs != 1 else f"time_limit={time_limit}"
        raise BadInput(f"{given} has no place with executor 'inprocess'; choose 'loky' or 'ray', or leave it out.")
    return InProcess()
