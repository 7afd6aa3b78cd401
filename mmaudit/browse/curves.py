"""Calibration curves of any condition, from the stored answers: scoring keeps those of a part of the conditions."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmaudit.browse.samples import read_samples
from mmaudit.browse.shards import Shards
from mmaudit.errors import BadInput, Undefined
from mmaudit.metrics import Predictions, Resamples
from mmaudit.metrics.base import DECISIONS
from mmaudit.metrics.reliability import reliability
from mmaudit.metrics.risk_coverage import risk_coverage
from mmaudit.outputs import Float32Array
from mmaudit.store import Run
from mmaudit.types import CLEAN, Condition


def curves(run: Run, condition: Condition, *, replicates: int = 1000, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Return a condition's entries of `reliability` and `risk_coverage`, as a report holds them.

    They are what `mmaudit score` with the same replicates and seed makes: samples answered both on clean data and under
    the condition, clusters resampled whole.

    Raises:
        BadInput: the task's answers have no probabilities, or the condition is not of the run.
        DamagedRun: a file of the run cannot be read; names it.
        Undefined: no sample was answered.
    """
    if run.task.kind not in DECISIONS:
        raise BadInput(f"the answers of a {run.task.kind} have no probabilities, so there is no curve of calibration.")
    target, shards = read_samples(run).target, Shards(run)
    outputs = _outputs(shards, condition)
    usable = np.isfinite(outputs).all(axis=1)
    if condition.key != CLEAN.key:
        usable &= np.isfinite(_outputs(shards, CLEAN)).all(axis=1)
    if not usable.any():
        raise Undefined(f"no sample was answered under {condition.label}")
    rows = np.flatnonzero(usable)
    predictions = Predictions(run.task, outputs[rows], target[rows])
    w = Resamples.draw(run.n, replicates, seed, run.samples.cluster).take(rows)
    about = {"condition": condition.key, "label": condition.label}
    return {
        "reliability": {**about, **_plain(reliability(predictions).to_json())},
        "risk_coverage": {**about, **_plain(risk_coverage(predictions, w).to_json())},
    }


def _outputs(shards: Shards, condition: Condition) -> Float32Array:
    parts = [p.outputs for i in range(shards.count) for _, p in shards.read(i, [condition])]
    return np.concatenate(parts)


def _plain(lists: dict[str, Any]) -> dict[str, Any]:
    """NaN as None, as in a report."""
    return {k: [None if isinstance(v, float) and v != v else v for v in values] for k, values in lists.items()}
