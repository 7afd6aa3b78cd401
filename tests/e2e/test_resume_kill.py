"""An audit killed at random moments and started again ends with the bytes of one that nobody disturbed."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from helpers.audit_once import main
from helpers.run_cases import contents

CONTEXT = multiprocessing.get_context("forkserver")

# What an audit imports, imported once: every audit is then a fork of a process that has it all and has done nothing.
IMPORTED = ["mmaudit.auditing", "captum.attr", "netcal.binning", "netcal.scaling", "torch", "vl_convert"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


@pytest.fixture(scope="module", autouse=True)
def forks() -> Iterator[None]:
    """A server that forks audits, with the environment that they are to have."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("SOURCE_DATE_EPOCH", "1700000000")
        changed.setenv("OMP_NUM_THREADS", "1")
        CONTEXT.set_forkserver_preload(IMPORTED)
        forkserver.ensure_running()
        yield
        forkserver._forkserver._stop()  # else it stays until pytest ends


@dataclass
class Started:
    """An audit in a process of its own."""

    process: multiprocessing.process.BaseProcess
    said: Connection

    def join(self, seconds: float) -> int | None:
        """The exit code, or None where it still runs after these seconds."""
        self.process.join(seconds)
        return self.process.exitcode


def start(out: Path, kind: str, step: int = 0, under: str = "") -> Started:
    """Start an audit; when this returns, its imports are done."""
    out.parent.mkdir(exist_ok=True)
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=main, args=(out, kind, step, under, there))
    process.start()
    there.close()
    assert here.recv() == "ready"
    return Started(process, here)


def finish(out: Path, kind: str) -> tuple[int, float]:
    """Audit undisturbed; return the number of steps and the seconds after the imports."""
    audit = start(out, kind)
    begun = time.perf_counter()
    assert audit.join(120) == 0
    return int(audit.said.recv()), time.perf_counter() - begun


def kill_at_step(out: Path, kind: str, step: int, under: str = "") -> bool:
    """Let the audit kill itself before its step; return whether it got that far."""
    code = start(out, kind, step, under).join(120)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def kill_after(out: Path, kind: str, seconds: float) -> bool:
    """Kill the audit from outside; return whether it was still running."""
    audit = start(out, kind)
    if audit.join(seconds) is None:
        audit.process.kill()
        return audit.join(120) == -signal.SIGKILL
    assert audit.process.exitcode == 0
    return False


def stage(out: Path, whole: dict[str, bytes]) -> str:
    """How far a killed audit had come."""
    there = contents(out) if out.exists() else {}
    if "run.json" not in there:
        return "starting"
    predictions = [name for name in whole if name.startswith("predictions")]
    if not all(name in there for name in predictions):
        return "predicting"
    return "writing" if "scores.parquet" in there else "scoring"


def require_nothing_half_written(out: Path, whole: dict[str, bytes]) -> None:
    """A file under its final name is whole; what was being written goes by another name."""
    for name, content in contents(out).items():
        if not (name.endswith(".partial") or Path(name).name.startswith(".")):
            assert content == whole[name], name


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kills", "by_the_clock"), [("regression", 20, 0.2), ("classification", 3, 1.0)])
def test_an_audit_killed_at_random_moments_ends_with_the_same_bytes(
    tmp_path: Path, kind: str, kills: int, by_the_clock: float
) -> None:
    rng = np.random.default_rng(kills)
    steps, seconds = finish(tmp_path / "whole" / "run", kind)
    whole = contents(tmp_path / "whole" / "run")
    assert {"run.json", "samples.parquet", "scores.parquet", "findings.json", "report.json", "report.html"} < set(whole)
    assert kind != "regression" or any(name.startswith("errors") for name in whole)
    killed: Counter[str] = Counter()
    folders = [tmp_path / "0" / "run"]
    while killed.total() < kills:
        # By its own steps where it must not depend on the machine's speed which stages are met, by the clock too.
        now = stage(folders[-1], whole)
        if rng.random() < by_the_clock:
            hit = kill_after(folders[-1], kind, seconds * rng.random())
        elif now in ("starting", "predicting") and rng.random() < 0.7:
            hit = kill_at_step(folders[-1], kind, int(rng.integers(1, 3)), "predictions/")
        else:
            hit = kill_at_step(folders[-1], kind, 1 + int(rng.exponential(steps / 10)))
        if hit:
            killed[stage(folders[-1], whole)] += 1
            require_nothing_half_written(folders[-1], whole)
            if now == "writing" and rng.random() < 0.4:
                finish(folders[-1], kind)
                folders.append(tmp_path / str(len(folders)) / "run")
        else:
            folders.append(tmp_path / str(len(folders)) / "run")
    if folders[-1].exists():
        finish(folders[-1], kind)
    print(f"{killed.total()} kills of {kind}: {dict(killed)}, {len(folders)} runs")
    assert kind != "regression" or {"predicting", "writing"} <= set(killed)
    for folder in folders:
        if folder.exists():
            assert contents(folder) == whole
