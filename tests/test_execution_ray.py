"""A Ray cluster of two nodes on this machine: the same bytes as without it, also when a worker or a node is lost."""

from __future__ import annotations

import os
import runpy
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray")

from helpers.execution_cases import PLAIN, OnMark, marked, model  # noqa: E402
from helpers.run_cases import contents  # noqa: E402
from mmaudit.auditing import prepare  # noqa: E402
from mmaudit.execution import Ray  # noqa: E402
from mmaudit.predict import predict  # noqa: E402
from mmaudit.store import Run  # noqa: E402
from mmaudit.types import Array, Batch  # noqa: E402

N = 3300  # four shards
CONDITIONS = 6
EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one processor each; the head is one of them."""
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    for left in reversed(range(3)):
        try:
            made = Cluster(initialize_head=True, head_node_args=small)
            made.add_node(**small)
            break
        except Exception:  # Ray gives its own processes 15 s to start, which a busy machine does not
            if not left:
                raise
    ray.init(made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()


def predicted(folder: Path, fault: Any = None, executor: Ray | None = None, progress: Any = None) -> tuple[Any, Any]:
    data = marked(N)
    prepared = prepare(model(fault), data, suite=PLAIN)
    run = prepared.open_run(folder / "run", batch_rows=128, title=None, command="")
    with nullcontext() if executor is None else executor.crew(prepared.job(run)) as workers:
        more = {"batch_rows": 128, "crew": workers, "progress": progress}
        predict(run, data, prepared.model, prepared.source, stage=prepared.stage, **more)
    assert len(run.conditions) == CONDITIONS
    return contents(folder / "run"), workers


@pytest.fixture(autouse=True)
def _same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def test_two_actors_write_the_same_bytes_though_one_is_killed(cluster: Any, tmp_path: Path) -> None:
    once = tmp_path / "happened"
    once.touch()
    expected, _ = predicted(tmp_path / "one", OnMark("kill", once))
    once.unlink()
    got, crew = predicted(tmp_path / "two", OnMark("kill", once), Ray(2))
    assert got == expected
    assert len(crew.replaced) == 1
    assert "Actor" in crew.replaced[0]


class NotesItsGpus:
    """Writes down what Ray lets its worker see of the GPUs."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes

    def __call__(self, batch: Batch, rows: Array) -> Array:
        if os.environ.get("RAY_RAYLET_PID"):
            (self.notes / str(os.getpid())).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
        return rows


def test_workers_share_a_gpu_by_parts(cluster: Any, tmp_path: Path) -> None:
    """Ray counts GPUs by what a node says it has: that there is none does not matter to who is placed where."""
    notes = tmp_path / "notes"
    notes.mkdir()
    fault = NotesItsGpus(notes)
    expected, _ = predicted(tmp_path / "one", fault)
    node = cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=80 * 2**20)
    try:
        got, crew = predicted(tmp_path / "two", fault, Ray(2, gpus=0.5))
    finally:
        cluster.remove_node(node)
    assert got == expected
    assert not crew.replaced
    assert [note.read_text() for note in notes.iterdir()] == ["0", "0"]


def test_the_example_runs_on_two_workers(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["audit_on_ray.py", "--workers", "2", "--samples", "2100", "--out", "run"])
    runpy.run_path(str(EXAMPLES / "audit_on_ray.py"), run_name="__main__")
    assert "2 workers" in capsys.readouterr().out
    run = Run.open("run")
    assert all(run.is_done(shard, 0) for shard in range(len(run.shards())))
    assert Path("run/report.html").exists()


class HangsElsewhere:
    """Answers on one node once another one was asked, which never answers."""

    def __init__(self, node: str, asked: Path) -> None:
        self.node = node
        self.asked = asked

    def __call__(self, batch: Batch, rows: Array) -> Array:
        if not os.environ.get("RAY_RAYLET_PID"):
            return rows
        if ray.get_runtime_context().get_node_id() != self.node:
            self.asked.touch()
            time.sleep(600)
        until = time.monotonic() + 120
        while not self.asked.exists() and time.monotonic() < until:
            time.sleep(0.05)
        return rows


def test_a_node_that_is_lost_with_its_shard_costs_nothing_but_time(cluster: Any, tmp_path: Path) -> None:
    fault = HangsElsewhere(cluster.head_node.node_id, tmp_path / "asked")
    expected, _ = predicted(tmp_path / "one", fault)
    lost: list[Any] = []

    def lose(done: int, total: int) -> None:
        # The head's worker alone comes so far: answer three of four shards, and the other node's worker has the fourth.
        if done == total - 1024 * CONDITIONS or done == total - (N - 3 * 1024) * CONDITIONS:
            lost.extend(cluster.worker_nodes)
            cluster.remove_node(lost[0], allow_graceful=False)

    got, crew = predicted(tmp_path / "two", fault, Ray(2), lose)
    assert len(lost) == 1
    assert len(crew.replaced) == 1
    assert got == expected
