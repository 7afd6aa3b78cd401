"""The seam: who answers shards, and what crosses from process to process."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.execution_cases import OnMark, marked, model
from helpers.run_cases import Rowwise, contents, dataset
from mmaudit import Run, audit
from mmaudit.auditing import prepare
from mmaudit.errors import BadInput, MissingExtra, StaleRun, StorageFailed, UnknownName
from mmaudit.execution import AnswerShard, InProcess, Job, Loky, Ray, Worker, chosen
from mmaudit.execution.answering_run import AnsweringRun, settle
from mmaudit.execution.failures import Failure
from mmaudit.execution.parcel import LARGE, pack, unpack
from mmaudit.execution.plugins import Plugins
from mmaudit.execution.remote import Reply, Station
from mmaudit.folder import writing
from mmaudit.predict import predict

PLAIN = {"probes": ["missing"], "baselines": ["zero"], "analyses": []}


# ---- exceptions


class Foreign(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (BadInput("out of memory"), BadInput, "out of memory"),
        (UnknownName("probe", "blurr", ["blur"]), UnknownName, "did you mean 'blur'?"),
        (MissingExtra("ray", "ray"), MissingExtra, "pip install"),
        (StorageFailed("disk full"), StorageFailed, "disk full"),
        (MemoryError("too much"), MemoryError, "too much"),
        (KeyError("name"), KeyError, "name"),
        (Foreign(1, 2), RuntimeError, "Foreign: 1 and 2"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), RuntimeError, "UnicodeDecodeError: 'utf-8' codec"),
    ],
)
def test_exceptions_cross_processes_as_they_are(error: Exception, kind: type[Exception], text: str) -> None:
    try:
        raise error
    except Exception as caught:
        failure = Failure.of(caught)
    made = pickle.loads(pickle.dumps(failure)).error()
    assert type(made) is kind
    assert text in str(made)
    assert "test_execution.py" in failure.trace


# ---- parcels


def test_a_parcel_gives_back_what_was_packed_and_shares_large_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    large, small, ragged = rng.random(LARGE // 4), rng.random(3), np.array(["a", "bc", None], object)
    fortran = np.asfortranarray(rng.random((600, 500)))
    offset = 3

    def closure(x: int) -> int:
        return x + offset

    packed = {"large": large, "again": large, "small": small, "ragged": ragged, "f": fortran, "closure": closure}
    pack(packed, tmp_path / "parcel", "it")
    size = (tmp_path / "parcel").stat().st_size
    assert size < large.nbytes + fortran.nbytes + 40_000  # each once
    one, other = unpack(tmp_path / "parcel"), unpack(tmp_path / "parcel")
    for made in (one, other):
        for name in ("large", "small", "ragged", "f"):
            np.testing.assert_array_equal(made[name], packed[name])  # type: ignore[arg-type]
        assert made["large"] is made["again"]
        assert made["f"].flags.f_contiguous
        assert made["closure"](4) == 7
        assert made["large"].flags.writeable
    one["large"][0] = -1.0  # a copy of that page for this one alone
    assert other["large"][0] == large[0]
    assert unpack(tmp_path / "parcel")["large"][0] == large[0]


def test_a_mapped_array_is_named_and_not_copied(tmp_path: Path) -> None:
    whole = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (5000, 200))
    whole[:] = np.arange(5000 * 200, dtype=np.float32).reshape(5000, 200)
    whole.flush()
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    part = mapped[1234:4321]
    pack([mapped, part, mapped[:, ::2][:50]], tmp_path / "parcel", "it")
    assert (tmp_path / "parcel").stat().st_size < 100_000
    made = unpack(tmp_path / "parcel")
    np.testing.assert_array_equal(made[0], whole)
    np.testing.assert_array_equal(made[1], whole[1234:4321])
    np.testing.assert_array_equal(made[2], whole[:, ::2][:50])
    assert isinstance(made[1], np.memmap)


def test_what_cannot_be_sent_is_said_with_the_way_out(tmp_path: Path) -> None:
    with open(tmp_path / "open", "w") as file, pytest.raises(BadInput, match=r"model 'm' cannot be sent .*make_model"):  # noqa: PTH123
        pack({"handle": file}, tmp_path / "parcel", "model 'm'")


# ---- tracebacks


def test_of_tracebacks_that_of_the_lowest_shard_is_kept_whoever_was_first(tmp_path: Path) -> None:
    prepared = prepare(Rowwise("regression"), dataset("regression", 300), suite=PLAIN)
    header = prepared.header(256, None, "") | {"shard_rows": 100}
    run = prepared.open_run(tmp_path / "run", batch_rows=256, title=None, command="")
    run.update(**header)
    worker = Worker(run, prepared.data, prepared.model, prepared.source, prepared.stage, 256)
    first, second = run.conditions[0], run.conditions[1]
    answering = worker.run
    for shard in (2, 0, 1):
        answers = worker._answerer.shard(prepared.data, run.shards()[shard], run.conditions, 256, lambda _: None)
        answering.start(shard)
        answering.write_error(first, f"first, shard {shard}")
        if shard:
            answering.write_error(second, f"second, shard {shard}")
        assert answering.error(first) == f"first, shard {shard}"
        answering.write_shard(shard, 0, answers)
    assert run.error(first) == ""
    kept = contents(tmp_path / "run")
    settle(run)
    settle(run)
    assert (run.error(first), run.error(second)) == ("first, shard 0", "second, shard 1")
    assert sorted(p.name for p in (tmp_path / "run" / "errors").iterdir()) == sorted(
        [f"{first.key}.txt", f"{second.key}.txt"]
    )
    # What an earlier audit kept stays.
    for name, content in kept.items():
        if name.startswith("errors"):
            (tmp_path / "run" / name).write_bytes(content.replace(b"shard", b"other"))
    settle(run)
    assert run.error(first) == "first, shard 0"


def test_tracebacks_of_what_is_done_once_come_first(tmp_path: Path) -> None:
    prepared = prepare(Rowwise("regression"), dataset("regression", 300), suite=PLAIN)
    run = AnsweringRun.of(prepared.open_run(tmp_path / "run", batch_rows=None, title=None, command=""))
    run.start(None)
    run.write_error(run.conditions[0], "of the bank")
    assert Run.open(tmp_path / "run").error(run.conditions[0]) == "of the bank"


# ---- a worker from what was sent


def job_of(prepared: Any, run: Run, **more: Any) -> Job:
    return Job(**{**vars(prepared.job(run)), **more})


def test_a_worker_made_of_a_job_writes_the_same_bytes(tmp_path: Path) -> None:
    data = marked(1600)
    out = {}
    for name in ("here", "sent"):
        prepared = prepare(model(OnMark("raise")), data, suite=PLAIN)
        with writing(tmp_path / name):
            run = prepared.open_run(tmp_path / name, batch_rows=100, title=None, command="")
            run.update(created="then")
            if name == "here":
                predict(run, data, prepared.model, prepared.source, stage=prepared.stage, batch_rows=100)
            else:
                pack((prepared.job(run), Plugins.needed(run.conditions)), tmp_path / "parcel", "it")
                station = Station(tmp_path / "parcel")
                for shard in reversed(range(len(run.shards()))):
                    reply = station.perform(AnswerShard(shard, (0,)))
                    assert isinstance(reply, Reply), reply
                    assert reply.memory > 2**20
                assert reply.timing.fused_rows >= 1600 * len(run.conditions)
                settle(run)
        out[name] = contents(tmp_path / name)
    assert any(name.startswith("errors") for name in out["here"])
    assert out["here"] == out["sent"]


def test_a_model_that_a_worker_makes_must_be_the_one_that_was_checked(tmp_path: Path) -> None:
    prepared = prepare(Rowwise("regression"), dataset("regression", 50), suite=PLAIN)
    run = prepared.open_run(tmp_path / "run", batch_rows=None, title=None, command="")
    Worker.of(job_of(prepared, run, model=None, make_model=lambda: Rowwise("regression")))
    with pytest.raises(
        StaleRun, match=r"made in a worker has fingerprint rowwise regression .* the one that was checked"
    ):
        Worker.of(job_of(prepared, run, model=None, make_model=lambda: Rowwise("regression", native=True)))


# ---- choosing


def test_executors_by_name() -> None:
    assert chosen() == InProcess()
    assert chosen(jobs=3) == Loky(3)
    assert chosen("loky") == Loky(1)
    assert chosen("ray", 2, gpus=0.5, time_limit=9.0) == Ray(2, gpus=0.5, time_limit=9.0)
    own = Loky(2, threads=1)
    assert chosen(own) is own


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: chosen("locky"), UnknownName, "did you mean 'loky'?"),
        (lambda: chosen(jobs=0), BadInput, "jobs=0 is not usable"),
        (lambda: chosen(jobs=1.5), BadInput, "jobs=1.5 is not usable"),  # type: ignore[arg-type]
        (lambda: chosen("inprocess", 2), BadInput, "jobs=2 has no place with executor 'inprocess'"),
        (lambda: chosen("loky", 2, gpus=1.0), BadInput, "worker_gpus=1.0 has no place with executor 'loky'"),
        (lambda: chosen(Loky(2), 3), BadInput, "leave it out"),
        (lambda: Loky(-2), BadInput, "jobs=-2 is not usable"),
        (lambda: Loky(2, time_limit=0), BadInput, "time_limit=0 is not usable"),
        (lambda: Ray(0), BadInput, "workers=0 is not usable"),
        (lambda: Ray(1, gpus=1.5), BadInput, "gpus=1.5 is not usable"),
    ],
)
def test_executors_that_cannot_be(make: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text.replace("?", r"\?")):
        make()


def test_an_audit_refuses_an_unknown_executor_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="executor 'dask'"):
        audit(object(), object(), out=tmp_path / "run", executor="dask")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
