"""Faults of drivers, workers and models: the run resumes to the same bytes, or says exactly what is missing.

What befalls one worker alone is in tests/test_execution_loky.py and tests/test_execution_ray.py, faults of storage in
tests/test_faults_storage.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from helpers.execution_cases import MARK, PLAIN, OnMark, marked, model, prepare_folder
from helpers.run_cases import contents, dataset
from mmaudit import audit
from mmaudit.errors import BadInput
from mmaudit.folder import writing
from mmaudit.store import Run
from mmaudit.types import Array, Batch

SCRIPT = Path(__file__).parents[1] / "helpers" / "audit_by_two.py"
EXAMPLES = Path(__file__).parents[2] / "examples"
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "OMP_NUM_THREADS": "1"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


def drive(folder: Path, fault: str, once: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), "run", fault, str(once)]
    env = ENVIRONMENT | {"TMPDIR": str(once.parent)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)


def test_a_driver_killed_by_the_way_takes_its_workers_along_and_the_next_one_goes_on(tmp_path: Path) -> None:
    once = tmp_path / "happened"
    once.touch()
    whole = drive(tmp_path / "whole", "interrupt", once)
    assert whole.returncode == 0, whole.stderr
    once.unlink()
    # A worker that meets the marked row kills its driver by SIGKILL, and goes on as if nothing were.
    before = set(psutil.pids())
    killed = drive(tmp_path / "killed", "interrupt", once)
    assert killed.returncode == -signal.SIGKILL
    assert killed.stdout == "ready\n"

    def left() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            line = " ".join(process.info["cmdline"] or ())
            if process.info["pid"] not in before and "loky" in line and process.is_running():
                found.append(process)
        return found

    deadline = time.monotonic() + 60
    while left() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left()
    assert not list(tmp_path.glob("mmaudit-*"))  # the job that they were sent
    run = Run.open(tmp_path / "killed" / "run")
    assert not all(run.is_done(shard, 0) for shard in range(3))
    again = drive(tmp_path / "killed", "interrupt", once)
    assert again.returncode == 0, again.stderr
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_second_driver_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    data = dataset("regression", 200)
    audit(model(), data, out=tmp_path / "run", suite=PLAIN, resamples=20)
    before = contents(tmp_path / "run", ())
    with writing(tmp_path / "run"), pytest.raises(BadInput, match="another audit is writing to"):
        audit(model(), data, out=tmp_path / "run", suite=PLAIN, resamples=20, jobs=2)
    assert contents(tmp_path / "run", ()) == before


def test_rows_without_an_answer_are_the_same_in_shares_and_are_said(tmp_path: Path) -> None:
    """NaN: told as unanswered; no traceback, as the model raised nothing."""
    report = audit(model(OnMark("nan")), marked(1600), out=tmp_path / "run", suite=PLAIN, resamples=20)
    clean = report.conditions[0]
    assert (clean.raised, clean.n, clean.error) == (1, 1599, "")


class Wavering:
    """Another answer each time, for the marked row, which the doctor does not look at."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, batch: Batch, rows: Array) -> Array:
        self.calls += 1
        odd = batch.inputs["table"][:, 0] == np.float32(MARK)
        return np.asarray(rows + np.float32(self.calls) * odd[:, None], np.float32)


def test_a_model_that_wavers_on_a_row_fails_the_control(tmp_path: Path) -> None:
    report = audit(model(Wavering()), marked(1600), out=tmp_path / "run", suite=PLAIN, resamples=20)
    assert any("control" in f.rule for f in report.findings)


# ---- schedulers

# A scheduler that runs each job at once, and each task of an array, and writes down what it was asked for.
SBATCH = """#!/bin/bash
printf '%s\\n' "$*" >> "$ASKED"
array=""
for argument in "$@"; do
    case "$argument" in --array=*) array=${argument#--array=} ;; esac
done
script=${!#}
if [ -n "$array" ]; then
    for task in $(seq "${array%-*}" "${array#*-}"); do
        export SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=1
        bash "$script" >> "$ASKED.log" 2>&1 || exit 1
    done
else
    SLURM_CPUS_PER_TASK=1 bash "$script" >> "$ASKED.log" 2>&1 || exit 1
fi
wc -l < "$ASKED"
"""


def test_the_slurm_example_plans_answers_in_two_shares_and_merges(tmp_path: Path) -> None:
    prepare_folder(tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "sbatch").write_text(SBATCH)
    (tools / "sbatch").chmod(0o755)
    (tools / "mmaudit").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mmaudit.cli "$@"\n')
    (tools / "mmaudit").chmod(0o755)
    asked = tmp_path / "asked"
    environment = {**ENVIRONMENT, "PATH": f"{tools}:{os.environ['PATH']}", "ASKED": str(asked)}
    command = ["bash", str(EXAMPLES / "slurm_audit.sh"), "audit.toml", "2"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    log = (tmp_path / "asked.log").read_text()
    assert done.returncode == 0, done.stderr + log
    assert done.stdout == "plan 1, work 2, merge 3\n"
    jobs = asked.read_text().splitlines()
    assert ["--array=1-2" in job for job in jobs] == [False, True, False]
    assert "--dependency=afterok:1 " in jobs[1]
    assert "--dependency=afterok:2 " in jobs[2]
    assert "share 1/2 of run: 2 shards answered" in log
    assert "share 2/2 of run: 1 shard answered" in log
    assert (tmp_path / "run" / "report.html").exists()


def test_the_slurm_example_is_put_into_the_queue_again_where_its_time_ends(tmp_path: Path) -> None:
    """SIGTERM reaches the script alone; what it starts finishes and says 143."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "mmaudit").write_text(
        "#!/bin/bash\ntrap 'term=1' TERM\ntouch started\n"
        'until [ -n "${term:-}" ]; do sleep 0.05; done\nsleep 0.2\nexit 143\n'
    )
    (tools / "scontrol").write_text('#!/bin/sh\necho "$@" > requeued\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = {
        **ENVIRONMENT,
        **{"PATH": f"{tools}:{os.environ['PATH']}", "STEP": "work", "CONFIG": "audit.toml", "SHARES": "2"},
        **{"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_JOB_ID": "7"},
    }
    script = subprocess.Popen(["bash", str(EXAMPLES / "slurm_audit.sh")], cwd=tmp_path, env=environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    script.terminate()
    assert script.wait(timeout=60) == 0
    assert (tmp_path / "requeued").read_text() == "requeue 7_1\n"


def test_the_scripts_and_manifests_hold_before_their_own_tools() -> None:
    import yaml

    script = str(EXAMPLES / "slurm_audit.sh")
    assert subprocess.run(["bash", "-n", script], capture_output=True).returncode == 0
    kinds = {}
    for job in yaml.safe_load_all((EXAMPLES / "kubernetes_audit.yaml").read_text()):
        _validated(job)
        kinds[job["metadata"]["labels"]["step"]] = job
    assert list(kinds) == ["plan", "work", "merge"]
    work = kinds["work"]["spec"]
    container = work["template"]["spec"]["containers"][0]
    shares = {entry["name"]: entry["value"] for entry in container["env"]}["SHARES"]
    assert work["completionMode"] == "Indexed"
    assert str(work["completions"]) == str(work["parallelism"]) == shares
    # Its command, run by a shell with what Kubernetes sets, asks for the share.
    shell = container["args"][0].replace("exec mmaudit", "echo")
    environment = {"JOB_COMPLETION_INDEX": "7", "SHARES": shares}
    said = subprocess.run(["sh", "-c", shell], env=environment, capture_output=True, text=True).stdout
    assert said == "work --config audit.toml --shard 8/8\n"


def _validated(job: dict[str, Any]) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    # The oldest that the file names, the last that wants a condition's status written, the newest.
    for version in ("1.29", "1.34", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(job, version, strict=True)


def test_ray_takes_its_cluster_file() -> None:
    """What `ray up` does with the file before it asks for a machine: fills in defaults, then checks the whole."""
    pytest.importorskip("ray")
    import yaml
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(yaml.safe_load((EXAMPLES / "ray_cluster.yaml").read_text()))
    validate_config(config)
    assert config["head_node_type"] in config["available_node_types"]
