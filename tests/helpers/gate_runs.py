"""Run folders for the gate's tests: real audits of small models, without the pages that nobody looks at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from helpers.run_cases import Rowwise, dataset
from mmaudit.assemble import report_json
from mmaudit.data import Dataset
from mmaudit.predict import predict
from mmaudit.preparing import prepare
from mmaudit.report import Report
from mmaudit.score import evidence, score
from mmaudit.types import Array, Batch


def audited(
    out: Path, model: Any = None, data: Dataset | None = None, suite: Sequence[str] = ("missing",), resamples: int = 200
) -> Path:
    """A finished run in `out`."""
    prepared = prepare(model or Rowwise(), samples() if data is None else data, suite=suite)
    run = prepared.open_run(out, batch_rows=None, title="a run", command="", keep_samples=0)
    predict(run, prepared.data, prepared.model, prepared.source, stage=prepared.stage)
    score(run, only=["accuracy", "ece", "flip_rate"], resamples=resamples)
    Report.from_json(report_json(run, evidence(run), [])).to_json(out / "report.json")
    return out


def samples(n: int = 240, seed: int = 0) -> Dataset:
    """Samples of two ages, the second much rarer."""
    age = np.array(["old", "young"])[(np.arange(n) % 6 == 0).astype(int)]
    return dataset(n=n, seed=seed, groups={"age": age})


def worse(share: int) -> Rowwise:
    """The usual model, but wrong on every `share`-th sample, whatever the condition."""

    def fault(batch: Batch, rows: Array) -> Array:
        wrong = batch.positions % share == 0
        return np.where(wrong[:, None], np.roll(rows, 1, axis=1), rows)

    return Rowwise(fault=fault, name=f"worse {share}")
