"""Audits without the model: what comes back of a table of answers, and what is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mmaudit
from helpers.precomputed_cases import SUITE, N, answered, clean_table, data_of, model
from mmaudit.errors import BadInput, StaleRun
from mmaudit.precomputed import audit_predictions, write_inputs
from mmaudit.store import Run
from mmaudit.types import Task


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(data_of(), folder, suite=SUITE)
    return folder


def test_the_audit_is_that_of_the_model_itself(written: Path, tmp_path: Path) -> None:
    """Bit for bit: the same predictions, proofs and digests of inputs, and the same scores."""
    suite = {**SUITE, "analyses": ["off_data"]}
    few: dict[str, Any] = {"resamples": 20, "keep_samples": 0}
    function = mmaudit.FunctionModel(model, ["image", "text"], outputs="logits")
    direct = mmaudit.audit(function, data_of(), out=tmp_path / "direct", suite=suite, **few)
    table = answered(written).sample(frac=1, random_state=0)  # in any order
    found = audit_predictions(
        table, data_of(), outputs="logits", out=tmp_path / "table", inputs=written, analyses=["off_data"], **few
    )
    here, there = Run.open(tmp_path / "direct"), Run.open(tmp_path / "table")
    assert [c.label for c in here.conditions] == [c.label for c in there.conditions]
    assert len(here.conditions) > 8
    for shard in range(len(here.shards())):
        assert here.file(shard, 0).read_bytes() == there.file(shard, 0).read_bytes()
    pd.testing.assert_frame_equal(direct.scores, found.scores)
    assert (tmp_path / "table" / "report.html").stat().st_size > 10_000


def test_what_is_not_in_the_table_is_not_reported(written: Path, tmp_path: Path) -> None:
    labels = ["clean", "missing[text, baseline=zero]"]
    options: dict[str, Any] = {"outputs": "logits", "out": tmp_path / "run", "inputs": written}
    options |= {"resamples": 10, "keep_samples": 0, "analyses": ["emap"]}
    report = audit_predictions(answered(written, labels), data_of(), **options)
    assert [c["label"] for c in report.document["conditions"]] == labels
    assert set(report.scores.label) >= set(labels)
    assert not report.scores.label.str.contains("mismatch").any()
    assert "table of answers" in Run.open(tmp_path / "run").header["not_analysed"]["emap"]
    reasons = [d["reason"] for d in report.document["declined"] if d["probe"] == "mismatch"]
    assert reasons
    assert all(reason.startswith("the table has no answers under mismatch[") for reason in reasons)
    # A larger table of the same model adds its conditions; what was there is left alone.
    first = Run.open(tmp_path / "run").file(0, 0)
    before = first.stat().st_mtime_ns
    every = json.loads((written / "conditions.json").read_text())["conditions"]
    more = [c["label"] for c in every if c["probe"] in ("clean", "missing", "mismatch")]
    report = audit_predictions(answered(written, more), data_of(), **options)
    assert sorted(c["label"] for c in report.document["conditions"]) == sorted(more)
    assert first.stat().st_mtime_ns == before
    changed = answered(written, more)
    changed["output"] = changed["output"].where(changed.condition == "clean", changed["output"].map(lambda x: x + 1))
    with pytest.raises(StaleRun, match="holds other answers under missing"):
        audit_predictions(changed, data_of(), **options)
    changed = answered(written, ["clean"])
    changed["output"] = changed["output"].map(lambda x: x + 1)
    with pytest.raises(StaleRun, match="another model"):
        audit_predictions(changed, data_of(), **options)


def test_null_is_no_answer(tmp_path: Path) -> None:
    table = clean_table()
    table.at[3, "output"] = None
    table.at[5, "output"] = np.array([1.0, np.nan, 0.0])
    report = audit_predictions(
        table, data_of(), outputs="logits", out=tmp_path / "run", resamples=10, keep_samples=0, analyses=()
    )
    stored = Run.open(tmp_path / "run")
    assert np.flatnonzero(~stored.read(stored.conditions[0]).answered).tolist() == [3, 5]
    assert any("2 samples have no answer" in c["message"] for c in report.document["checks"])


def test_probabilities_and_regression(tmp_path: Path) -> None:
    logits = np.stack(clean_table()["output"]).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = clean_table(output=list(p))
    report = audit_predictions(
        table, data_of(), outputs="probabilities", out=tmp_path / "p", resamples=10, keep_samples=0
    )
    stored = Run.open(tmp_path / "p")
    np.testing.assert_allclose(stored.read(stored.conditions[0]).outputs, np.log(p), rtol=1e-5)
    assert {c["clause"]: c["ok"] for c in report.document["checks"]}["probabilities"] is True
    for wrong in (p * 2, p / 2, logits):
        with pytest.raises(BadInput, match="outputs='probabilities' declared"):
            audit_predictions(clean_table(output=list(wrong)), data_of(), outputs="probabilities", out=tmp_path / "q")
    x = np.arange(20.0)
    data = mmaudit.ArrayData({"x": x[:, None]}, x * 2, Task.regression(1), kinds={"x": "tabular"})
    table = pd.DataFrame({"id": range(20), "output": x * 2 + 1})
    report = audit_predictions(
        table, data, outputs="values", out=tmp_path / "r", resamples=10, keep_samples=0, analyses=()
    )
    errors = report.scores[(report.scores.metric == "mae") & (report.scores.group == "")]
    assert set(errors.value) == {1.0}


def test_from_the_shell(tmp_path: Path) -> None:
    """Write inputs, answer them, audit the table: by commands alone."""
    from typer.testing import CliRunner

    from mmaudit.cli import app

    batch = data_of().rows(np.arange(N))
    np.savez(
        tmp_path / "d.npz", image=batch.inputs["image"], text=batch.inputs["text"].astype(str), target=batch.target
    )
    described = ["--data", str(tmp_path / "d.npz"), "--target", "target", "--task", "classification:3"]
    described += ["--modality", "image=image", "--modality", "text=text"]
    (tmp_path / "suite.toml").write_text('[suite]\nprobes = ["missing"]\nbaselines = ["zero"]\nanalyses = []\n')
    described += ["--config", str(tmp_path / "suite.toml")]
    shell = CliRunner()
    done = shell.invoke(app, ["write-inputs", *described, "--out", str(tmp_path / "inputs"), "--json"])
    assert done.exit_code == 0, done.output
    labels = json.loads(done.stdout)["conditions"]
    answered(tmp_path / "inputs").to_parquet(tmp_path / "answers.parquet")
    command = ["audit-predictions", str(tmp_path / "answers.parquet"), *described, "--outputs", "logits", "--json"]
    command += ["--inputs", str(tmp_path / "inputs"), "--out", str(tmp_path / "run"), "--resamples", "10"]
    done = shell.invoke(app, [*command, "--keep-samples", "0"])
    assert done.exit_code == 0, done.output
    assert [c.label for c in Run.open(tmp_path / "run").conditions] == labels
    assert (tmp_path / "run" / "report.html").exists()
