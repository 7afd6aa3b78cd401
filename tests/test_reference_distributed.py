"""One reference trained by two processes: what one process would give, the same in both, and resumed after a kill."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from mmaudit.errors import BadInput

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="torch has no Gloo")


def torchrun(script: Path, *arguments: str) -> str:
    """Run a script in two processes of this machine and return what they print."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=settings, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("distributed")
    torchrun(ROOT / "tests" / "helpers" / "distributed_references.py", str(folder))
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_two_processes_end_where_one_does(found: list[dict[str, Any]]) -> None:
    for mine in found:
        assert mine["apart"] < 1e-4 < 0.05 < mine["moved"]
        assert mine["validation"] < 1e-5


def test_every_method_ends_the_same_in_both_processes(found: list[dict[str, Any]]) -> None:
    methods = [key for key in found[0] if key.startswith("method ")]
    assert len(methods) > 10
    for mine in found:
        assert {key: mine[key] for key in methods} == {key: [True, True, [""]] for key in methods}


def test_noise_on_gradients_is_the_same_in_all_processes_so_that_their_mean_is_as_loud(
    found: list[dict[str, Any]],
) -> None:
    assert found[0]["noise"]
    assert found[0]["noise"] == found[1]["noise"]


def test_a_killed_training_goes_on_where_it_was(found: list[dict[str, Any]]) -> None:
    assert found[0]["kept"]
    for mine in found:
        assert mine["epochs"][0] > 2, "epochs that were done are not done again"
        assert mine["resumed"] < 1e-6


def test_a_batch_smaller_than_the_group(found: list[dict[str, Any]]) -> None:
    assert "a batch of 1 rows cannot be split over 2 processes" in found[1]["too few rows"]


def test_outside_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmaudit.reference.distributed import start, train_distributed

    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(BadInput, match="start the script with: torchrun"):
        start()
    with pytest.raises(BadInput, match="no group of processes"):
        train_distributed(None, None, None, None, None)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_example_runs() -> None:
    said = torchrun(ROOT / "examples" / "reference_torchrun.py", "--rows", "600", "--epochs", "2", "--width", "32")
    apart = re.search(r"from one process: (\S+)", said)
    assert "batches split over 2 processes" in said
    assert apart is not None
    assert float(apart[1]) < 1e-3


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_ray_gives_what_this_process_gives() -> None:
    script = ROOT / "examples" / "reference_ray.py"
    arguments = ["--methods", "concatenation,product", "--rows", "300", "--epochs", "2", "--seeds", "2"]
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, env=settings, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    apart = re.search(r"from this process: (\S+)", done.stdout)
    assert apart is not None
    assert float(apart[1]) < 1e-5
