"""Shares of a run: planned once, answered by processes that know nothing of each other, merged once."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.execution_cases import PLAIN, OnMark, marked, model, prepare_folder
from helpers.run_cases import Rowwise, contents, dataset
from mmaudit import RetrievalModel, Task, audit
from mmaudit.cli import main
from mmaudit.data import ArrayData
from mmaudit.data.statistics import all_statistics
from mmaudit.errors import BadInput, StaleRun
from mmaudit.execution.shares import Share, ranges, read_statistics, until_terminated, write_statistics
from mmaudit.folder import contributing, writing
from mmaudit.sharing import merge, plan, work
from mmaudit.store import Run

N = 3300  # four shards
LATER: dict[str, Any] = {"resamples": 20}


@pytest.fixture(autouse=True)
def _same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def test_shares_cover_every_shard_once() -> None:
    for count in (1, 2, 3, 7, 20):
        shares = [Share(i, count).of(11) for i in range(1, count + 1)]
        assert sorted(s for share in shares for s in share) == list(range(11))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert str(Share.parse(" 3/8 ")) == "3/8"


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", "1/4/2", "", "１/４"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="i from 1 to n"):
        Share.parse(text)


def test_shards_are_named_in_ranges() -> None:
    assert ranges([]) == ""
    assert ranges([0, 3, 4, 5, 7, 8, 11]) == "0, 3 to 5, 7 to 8, 11"


def test_statistics_come_back_bit_for_bit_or_not_at_all(tmp_path: Path) -> None:
    data = dataset("regression", 50, modalities=("table", "note", "signal"))
    plan(Rowwise("regression"), data, out=tmp_path, suite=PLAIN)
    run = Run.open(tmp_path)
    known = all_statistics(data)
    write_statistics(run, known)
    found = read_statistics(run)
    assert found is not None
    assert list(found) == list(known)
    assert found["note"] is None
    for name in ("table", "signal"):
        np.testing.assert_array_equal(found[name].mean, known[name].mean)  # type: ignore[union-attr]
        np.testing.assert_array_equal(found[name].std, known[name].std)  # type: ignore[union-attr]
    file = tmp_path / "work" / "statistics.npz"
    whole = file.read_bytes()
    with np.load(file) as held:
        arrays = dict(held)
    for spoilt in (
        {"names": arrays["names"][:2]},
        {"names": arrays["names"][::-1]},
        {"mean0": arrays["mean0"][:1]},
        {"std0": arrays["std0"].astype("f4")},
        {"mean0": np.array("x")},
    ):
        np.savez(file, **{**arrays, **spoilt})
        assert read_statistics(run) is None
    np.savez(file, **{name: values for name, values in arrays.items() if name != "std0"})
    assert read_statistics(run) is None
    np.savez_compressed(file, **arrays)  # mmaudit packs nothing, so that a file's size bounds what is read
    assert read_statistics(run) is None
    for content in (whole[:100], b"", b"PK\x03\x04"):
        file.write_bytes(content)
        assert read_statistics(run) is None
    file.unlink()
    assert read_statistics(run) is None


def test_a_run_in_shares_is_that_of_one_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, train = marked(N), dataset("regression", 200, seed=9)
    fault = OnMark("raise")
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    audit(model(fault), data, out="run", suite=PLAIN, train=train, command="c", title="t", **LATER)
    monkeypatch.chdir(tmp_path / "many")
    planned = plan(model(fault), data, out="run", suite=PLAIN, train=train, command="c", title="t")
    assert (planned.shards, planned.missing) == (4, 4)
    with pytest.raises(BadInput, match=r"4 of 4 shards of run are missing: 0 to 3\. Run `mmaudit work`"):
        merge(model(fault), data, out="run", suite=PLAIN, train=train)
    seen: list[tuple[int, int]] = []
    for share in ("3/3", "1/3"):
        done = work(
            model(fault), data, out="run", suite=PLAIN, train=train, share=share, progress=lambda *a: seen.append(a)
        )
        assert (done.answered, done.before, done.left) == (len(done.share.of(4)), 0, ())
        assert seen[-1][0] == seen[-1][1]
    with pytest.raises(BadInput, match="1 of 4 shards of run is missing: 1"):
        merge(model(fault), data, out="run", suite=PLAIN, train=train)
    before = work(model(fault), data, out="run", suite=PLAIN, train=train, share="1/3")
    assert (before.answered, before.before) == (0, 2)
    assert work(model(fault), data, out="run", suite=PLAIN, train=train, share="2/3").answered == 1
    merge(model(fault), data, out="run", suite=PLAIN, train=train, **LATER)
    expected, got = contents(tmp_path / "one"), contents(tmp_path / "many")
    assert got == expected
    assert not (tmp_path / "many" / "run" / "work").exists()


def test_workers_work_beside_each_other_but_not_beside_an_audit(tmp_path: Path) -> None:
    data = dataset("regression", 200)
    with pytest.raises(BadInput, match="is not a run folder"):
        work(model(), data, out=tmp_path / "run", suite=PLAIN)
    plan(model(), data, out=tmp_path / "run", suite=PLAIN)
    with contributing(tmp_path / "run"):
        assert work(model(), data, out=tmp_path / "run", suite=PLAIN).answered == 1
        with pytest.raises(BadInput, match="another audit is writing"):
            merge(model(), data, out=tmp_path / "run", suite=PLAIN)
    with writing(tmp_path / "run"), pytest.raises(BadInput, match="another audit is writing"):
        work(model(), data, out=tmp_path / "run", suite=PLAIN)


def test_a_worker_with_another_model_data_or_suite_is_refused(tmp_path: Path) -> None:
    data = dataset("regression", 200)
    plan(model(), data, out=tmp_path / "run", suite=PLAIN)
    calls: list[Callable[[], Any]] = [
        lambda: work(Rowwise("regression", native=True), data, out=tmp_path / "run", suite=PLAIN),
        lambda: work(model(), dataset("regression", 200, seed=1), out=tmp_path / "run", suite=PLAIN),
        lambda: work(model(), data, out=tmp_path / "run", suite={"probes": ["missing", "keyboard"]}),
    ]
    for call, what in zip(calls, ("another model", "other data", "planned without"), strict=True):
        with pytest.raises(StaleRun, match=what):
            call()


def test_sigterm_is_only_noted_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with until_terminated() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_finishes_the_shard_at_hand(tmp_path: Path) -> None:
    data = marked(N)
    plan(model(), data, out=tmp_path / "run", suite=PLAIN)

    def asked(done: int, total: int) -> None:
        if done < 1024:  # within the first shard
            os.kill(os.getpid(), signal.SIGTERM)

    done = work(model(), data, out=tmp_path / "run", suite=PLAIN, progress=asked)
    assert (done.answered, done.left) == (4, ())
    run = Run.open(tmp_path / "run")
    for shard in (0, 2):
        run.file(shard, 0).unlink()

    def asked_at_once(done: int, total: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    done = work(model(), data, out=tmp_path / "run", suite=PLAIN, progress=asked_at_once)
    assert (done.answered, done.left) == (1, (2,))
    assert [run.is_done(s, 0) for s in range(4)] == [True, True, False, True]


def two_modalities(n: int) -> ArrayData:
    rng = np.random.default_rng(0)
    inputs = {name: rng.normal(size=(n, 4)).astype(np.float32) for name in ("a", "b")}
    return ArrayData(inputs, np.arange(n), Task.retrieval(("a",), "b"), kinds={"a": "embedding", "b": "embedding"})


def encoder(column: Any) -> Any:
    return np.asarray(column, np.float32)


def test_a_retrieval_in_shares_makes_its_candidates_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = two_modalities(1500)
    given = RetrievalModel({"a": encoder, "b": encoder}, score="dot")
    suite = PLAIN
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    audit(given, data, out="run", suite=suite, command="c", **LATER)
    monkeypatch.chdir(tmp_path / "many")
    plan(given, data, out="run", suite=suite, command="c")
    made = {p.name: p.stat().st_mtime_ns for p in Path("run/work").iterdir()}
    assert any(name.endswith(".answers.npy") for name in made)
    for share in ("2/2", "1/2"):
        work(given, data, out="run", suite=suite, share=share)
    assert {p.name: p.stat().st_mtime_ns for p in Path("run/work").iterdir()} == made
    merge(given, data, out="run", suite=suite, **LATER)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


# ---- from the shell


@dataclass
class Said:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """The command line, in this process: tests/e2e/test_faults_workers.py has it in processes of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def called(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["mmaudit", *arguments, "--config", "audit.toml"])
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return Said(code, *capsys.readouterr())

    return called


def test_the_three_commands_from_a_shell(tmp_path: Path, shell: Callable[..., Said]) -> None:
    prepare_folder(tmp_path)
    early = shell("work", "--shard", "0/2")
    assert (early.returncode, early.stdout) == (2, "")
    assert "share '0/2' is not of the form i/n" in early.stderr
    planned = shell("plan")
    assert planned.returncode == 0, planned.stderr
    assert "run: 3 of 3 shards to answer under" in planned.stdout
    worked = shell("work", "--shard", "1/2", "--json")
    assert worked.returncode == 0, worked.stderr
    told = json.loads(worked.stdout)
    assert (told["share"], told["answered"], told["left"]) == ("1/2", 2, [])
    early = shell("merge")
    assert early.returncode == 2
    assert "1 of 3 shards of run is missing: 1." in early.stderr
    assert shell("work", "--shard", "2/2").returncode == 0
    merged = shell("merge", "--json")
    assert merged.returncode == 0, merged.stderr
    assert json.loads(merged.stdout)["out"] == "run"
    assert (tmp_path / "run" / "report.html").exists()


def test_every_way_from_a_shell_writes_the_same_bytes(
    tmp_path: Path, shell: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch  # noqa: F401 - a run states the libraries that are loaded when it begins

    monkeypatch.delitem(sys.modules, "shared_model", raising=False)  # that of another test, from another folder
    prepare_folder(tmp_path)
    ways = {
        "one": [["audit"]],
        "jobs": [["audit", "--jobs", "2", "--time-limit=300", "--json"]],
        "shares": [["plan"], ["work", "--shard", "2/2"], ["work", "--shard", "1/2"], ["merge", "--json"]],
    }
    found = {}
    for name, commands in ways.items():
        for command in commands:
            done = shell(*command)
            assert done.returncode == 0, done.stderr
        (tmp_path / "run").rename(tmp_path / name)
        found[name] = contents(tmp_path / name)
    assert json.loads((tmp_path / "shares" / "run.json").read_text())["command"] == "mmaudit audit --config audit.toml"
    assert found["jobs"] == found["one"]
    assert found["shares"] == found["one"]
