"""What the report says of the device: how much of the time it computed, its memory, and what was halved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.run_cases import Rowwise, dataset
from mmaudit import ArrayData, RetrievalModel, Run, Task, audit
from mmaudit.auditing import prepare
from mmaudit.predict import predict
from mmaudit.render.reproduce import reproduce
from mmaudit.report import Report
from mmaudit.types import Array

SMALL: dict[str, Any] = {"suite": {"probes": ["missing"], "baselines": ["zero"]}, "resamples": 20}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return audit(Rowwise("regression"), dataset("regression", 60), out=tmp_path_factory.mktemp("run") / "r", **SMALL)


def facts(report: Report, **timing: Any) -> dict[str, str]:
    document = report.document | {"timing": timing or report.document["timing"]}
    return {f.name: f.words for f in reproduce(Report.from_json(document)).facts}


def test_an_audit_says_for_how_long_the_model_ran(report: Report) -> None:
    timing = report.document["timing"]
    said = facts(report)
    assert 0 < timing["model"] <= timing["total"]
    assert said["utilisation"].startswith("the model ran for ")
    assert not {"batches halved for lack of memory", "highest memory on the device", "time: device"} & set(said)


def test_a_device_that_can_tell_is_named(report: Report) -> None:
    measured = {"device_seconds": 30.0, "device_bytes": 3 * 2**30, "halved": 2, "least_rows": 64, "waiting": 1.25}
    said = facts(report, total=40.0, model=39.0, **measured)
    assert " ".join(said["utilisation"].split()) == "cpu computed for 75.0 % of the time"
    assert said["time: device"] == "30.0 s"
    assert said["highest memory on the device"].startswith("3")
    assert said["highest memory on the device"].endswith("072 MiB")
    assert (said["batches halved for lack of memory"], said["rows of a batch after the last halving"]) == ("2", "64")
    assert said["time: waiting for inputs"] in ("1.2 s", "1.3 s")


@pytest.mark.parametrize("total", [0, -1.0, None, "long", True, [3]])
def test_a_total_that_is_no_time_gives_no_share(report: Report, total: Any) -> None:
    assert "utilisation" not in facts(report, total=total, model=1.0)


def test_an_encoder_of_a_retrieval_is_halved_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    left = rng.normal(size=(40, 6)).astype(np.float32)
    data = ArrayData({"left": left, "right": left + 0.1}, np.arange(40), Task.retrieval("left", "right"))

    def encoder(most: int) -> Any:
        def encode(values: Array) -> Array:
            if len(values) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return values

        return encode

    answers = []
    for most in (1000, 9):
        roomy = RetrievalModel({"left": encoder(1000), "right": encoder(1000)}, score="dot", fingerprint="same")
        tight = RetrievalModel({"left": encoder(most), "right": encoder(most)}, score="dot", fingerprint="same")
        prepared = prepare(roomy, data, suite={"probes": ["missing"], "baselines": ["zero"]})
        run = prepared.open_run(tmp_path / str(most), batch_rows=40, title=None, command="")
        predict(run, data, tight, prepared.source, batch_rows=40)
        answers.append({c.label: run.read(c).outputs.tobytes() for c in Run.open(run.folder).conditions})
        assert not any(run.error(c) for c in run.conditions)
    assert answers[0] == answers[1]
