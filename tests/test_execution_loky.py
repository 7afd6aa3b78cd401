"""Processes of this machine: the same bytes as without them, whatever becomes of a worker on the way."""

from __future__ import annotations

import multiprocessing
import os
import re
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from helpers.execution_cases import PLAIN, OnMark, marked, model
from helpers.run_cases import contents
from mmaudit import FunctionModel, audit
from mmaudit.auditing import prepare
from mmaudit.errors import BadInput, ContractBroken
from mmaudit.execution import Loky
from mmaudit.execution.threads_of_workers import VARIABLES, environment
from mmaudit.predict import predict
from mmaudit.store import Run
from mmaudit.types import Array, Batch

N = 2500  # three shards


@pytest.fixture(autouse=True)
def _same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run names its own folder in the commands that it prints, and the time: all must have one."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)


def predicted(folder: Path, fault: Any = None, executor: Any = None) -> tuple[dict[str, bytes], Any]:
    """The bytes of a run that is answered and not scored, and who answered it."""
    data = marked(N)
    prepared = prepare(model(fault), data, suite=PLAIN)
    run = prepared.open_run(folder / "run", batch_rows=128, title=None, command="")
    with nullcontext() if executor is None else executor.crew(prepared.job(run)) as workers:
        predict(run, data, prepared.model, prepared.source, stage=prepared.stage, batch_rows=128, crew=workers)
    return contents(folder / "run"), workers


def audited(folder: Path, fault: Any = None, **more: Any) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    audit(
        model(fault),
        marked(N),
        out="run",
        suite=PLAIN | {"analyses": ["emap", "off_data"]},
        resamples=20,
        batch_rows=128,
        **more,
    )
    return contents(folder / "run")


def no_workers_left() -> bool:
    """Whether this process has no children but those that Python and loky keep for counting resources."""
    for _ in range(50):
        if not [p for p in psutil.Process().children() if "resource_tracker" not in " ".join(p.cmdline())]:
            return True
        time.sleep(0.05)
    return False


def test_two_processes_write_the_same_bytes_and_leave_nothing(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    expected = audited(tmp_path / "one", OnMark("raise"))
    got = audited(tmp_path / "two", OnMark("raise"), jobs=2, progress=lambda done, total: seen.append((done, total)))
    assert any(name.startswith("errors") for name in expected)
    assert got == expected
    conditions = len(Run.open("run").conditions)
    assert [total for _, total in seen] == [N * conditions] * 3
    assert seen[-1][0] == N * conditions
    assert no_workers_left()
    # Nothing is missing: no process is started for it.
    began = time.perf_counter()
    assert audited(tmp_path / "two", OnMark("raise"), jobs=2) == expected
    print(f"again: {time.perf_counter() - began:.2f} s")
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("what", "why"), [("kill", "was ended by SIGKILL"), ("hang", "no answer within 30 s")])
def test_a_worker_that_dies_or_hangs_once_costs_nothing_but_time(tmp_path: Path, what: str, why: str) -> None:
    once = tmp_path / "happened"
    once.touch()
    expected, _ = predicted(tmp_path / "one", OnMark(what, once))
    once.unlink()
    got, crew = predicted(tmp_path / "two", OnMark(what, once), Loky(2, time_limit=30.0 if what == "hang" else None))
    assert got == expected
    assert len(crew.replaced) == 1
    assert why in crew.replaced[0]
    assert no_workers_left()


def test_a_row_that_kills_every_worker_is_named_and_the_rest_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmaudit.execution.supervise.TRIES", 2)
    with pytest.raises(
        ContractBroken, match=r"model 'rowwise': shard .*was ended by SIGKILL.*All other shards are"
    ) as e:
        predicted(tmp_path / "two", OnMark("kill"), Loky(1))
    run = Run.open(tmp_path / "two" / "run")
    named = {int(shard) for shard in re.findall(r"shard (\d+)", str(e.value))}
    # The marked row lies in shard 1; the controls move its values to one other sample.
    assert 1 in named
    assert len(named) <= 2
    assert {shard for shard in range(3) if not run.is_done(shard, 0)} == named
    assert no_workers_left()


def test_a_model_that_cannot_be_sent_is_refused_and_may_be_made_there(tmp_path: Path) -> None:
    handle = (tmp_path / "log").open("w")

    def answer(table: Array, note: Array) -> Array:
        handle.write("")
        return np.asarray(table[:, :1], np.float32)

    with handle:
        sealed = FunctionModel(answer, ["table", "note"], outputs="values", fingerprint="f")
        with pytest.raises(BadInput, match=r"model 'answer' or its data cannot be sent .*make_model=my_module"):
            audit(sealed, marked(300, 100), out=tmp_path / "run", suite=PLAIN, jobs=2)
    expected, _ = predicted(tmp_path / "one")
    assert predicted(tmp_path / "two", None, Loky(1, make_model=model))[0] == expected
    assert no_workers_left()


class Asks:
    """A work that tells about the process it is done in."""

    said = "asking"
    timed = False

    def __call__(self, worker: Any) -> Any:
        import numba
        import threadpoolctl
        import torch

        pools = {pool["user_api"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
        return (
            os.getpid(),
            torch.get_num_threads(),
            numba.get_num_threads(),
            pools,
            os.environ.get("CUDA_VISIBLE_DEVICES"),
        )


def test_threads_of_workers_are_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert set(environment(3).values()) == {"3"}
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert environment(3)["OMP_NUM_THREADS"] == "5"
    monkeypatch.delenv("OMP_NUM_THREADS")
    prepared = prepare(model(), marked(300, 100), suite=PLAIN)
    run = prepared.open_run(tmp_path / "run", batch_rows=None, title=None, command="")
    found = []
    with Loky(1, threads=1, gpus=["3"]).crew(prepared.job(run)) as crew:
        crew.do([Asks()], lambda _, value: found.append(value))
    pid, torch_threads, numba_threads, pools, gpus = found[0]
    assert pid != os.getpid()
    assert (torch_threads, numba_threads, gpus) == (1, 1, "3")
    assert set(pools.values()) == {1}


class SomethingOnce:
    """A model's function that keeps what it has seen: it leaks."""

    def __init__(self) -> None:
        self.kept: list[Array] = []

    def __call__(self, batch: Batch, rows: Array) -> Array:
        self.kept.append(np.ones(4_000_000))  # 32 MB per batch
        return rows


def test_a_model_that_leaks_is_given_a_new_process_before_the_memory_is_full(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    data = marked(N)
    prepared = prepare(model(SomethingOnce()), data, suite={"probes": ["control"]}, batch_rows=512)
    prepared.model.fault.kept.clear()  # type: ignore[attr-defined]
    run = prepared.open_run("run", batch_rows=512, title=None, command="")
    with Loky(1, memory_limit=0.1).crew(prepared.job(run)) as crew:
        predict(run, data, prepared.model, prepared.source, stage=prepared.stage, batch_rows=512, crew=crew)
        replaced = crew.replaced  # type: ignore[attr-defined]
    print(replaced)
    assert replaced
    assert all("GiB held after shard" in text for text in replaced)
    assert all(run.is_done(shard, 0) for shard in range(3))
    assert not (tmp_path / "run" / "errors").exists()
