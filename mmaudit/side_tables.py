"""What scoring keeps beside the scores: how conditions were applied, calibration curves, conflicts by class, labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmaudit.by_output import BY_OUTPUT, ByOutput, asked_for, finished
from mmaudit.metrics import Metric, Predictions, Resamples
from mmaudit.metrics.arbitration import matrix
from mmaudit.metrics.base import DECISIONS
from mmaudit.metrics.recalibration import Repairs, recalibrate
from mmaudit.metrics.reliability import reliability
from mmaudit.metrics.risk_coverage import risk_coverage
from mmaudit.outputs import ConditionOutputs
from mmaudit.types import BoolArray, Condition, Score, Task

# Files of the run, one table each; rows are in the order of the plan.
TABLES = ("reliability", "risk_coverage", "recalibration", "arbitration", BY_OUTPUT)


class SideTables:
    """Rows of `TABLES`, gathered condition by condition, from several threads."""

    def __init__(self, conditions: Sequence[Condition], task: Task, metrics: Sequence[Metric]) -> None:
        self._order = {c.key: i for i, c in enumerate(conditions)}
        self._outputs = ByOutput(task, metrics)
        self._fitted: Repairs = {}
        self._harm: dict[str, float] = {}
        self._rows: list[tuple[str, dict[str, Any]]] = []

    def add(self, condition: Condition, predictions: Predictions, w: Resamples, *, shared: bool) -> None:
        """Keep what repairs would do to a condition, its curves where they are shown, its conflicts where it has some.

        Args:
            condition, predictions, w: what was measured.
            shared: whether other conditions have the same clean samples.
        """
        about = {"condition": condition.key, "label": condition.label}
        if predictions.n and not condition.repeat and predictions.task.kind in DECISIONS:
            if _curves_shown(condition):
                self._keep("reliability", about, reliability(predictions).to_json())
                self._keep("risk_coverage", about, risk_coverage(predictions, w).to_json())
            if condition.family != "control":
                for repair in recalibrate(predictions, w, fitted=self._fitted if shared else None):
                    self._keep("recalibration", about, repair.to_json())
        if predictions.rival is not None and not condition.repeat:
            self._keep("arbitration", about, matrix(predictions))

    def add_outputs(
        self,
        condition: Condition,
        predictions: Predictions,
        clean: Predictions | None,
        w: Resamples,
        primary: Score,
        *,
        shared: bool,
    ) -> None:
        """Keep the scores of every label or target: of clean data, and of a condition that surely harms.

        Args:
            condition, predictions, w: what was measured.
            clean: the same samples on clean data; None where this is clean data.
            primary: the score that says whether it harms.
            shared: whether other conditions have the same clean samples.
        """
        if condition.family == "control" or not asked_for(predictions.task, primary if clean else None):
            return
        self._harm[condition.key] = abs(primary.delta) if clean else float("inf")
        for row in self._outputs.rows(condition, predictions, clean, w, keep=shared):
            self._keep(BY_OUTPUT, {}, row)

    def _keep(self, table: str, about: Mapping[str, str], row: Mapping[str, Any]) -> None:
        self._rows.append((table, {**about, **row}))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Rows of a table: a condition's bins, curve, repairs or classes."""
        mine = [row for name, row in self._rows if name == table]
        mine.sort(key=lambda row: self._order[row["condition"]])
        return finished(mine, self._harm) if table == BY_OUTPUT else mine


def how_applied(
    condition: Condition,
    answers: ConditionOutputs,
    usable: BoolArray,
    askable: BoolArray,
    error: str,
    kinds: Mapping[str, str],
) -> dict[str, Any]:
    """How a condition was applied: samples, share changed, distance moved, what it left, how often the model raised.

    The distance is that of the numeric modalities among those changed; of texts, in shares of their characters, only
    where all are texts. `left`, JSON, names the modalities that it should change and that no measured sample shows
    changed.
    """
    names = condition.modalities
    measured = np.ones(len(usable), np.bool_) if answers.measured is None else answers.measured
    changed = np.any([answers.changed[m] for m in names], axis=0) if names else np.zeros(len(usable), np.bool_)
    numeric = [m for m in names if kinds[m] != "text"]
    distances = np.concatenate([answers.moved[m] for m in numeric or names]) if names else np.zeros(0)
    known = distances[np.isfinite(distances)]
    return {
        "condition": condition.key,
        "n": int(usable.sum()),
        "changed": float(changed[measured].mean()),
        "moved": float(known.mean()) if len(known) else None,
        "left": json.dumps([m for m in names if not answers.changed[m][measured].any()]),
        "received": "" if answers.received is None else f"{answers.received:016x}",
        "raised": int((~answers.answered & askable & measured).sum()),
        "error": error.strip().splitlines()[-1] if error else "",
    }


def _curves_shown(condition: Condition) -> bool:
    if condition.family == "mismatch":
        return condition.option("pool") == "random"
    return condition.family == "clean" or condition.probe == "missing" or condition.position == 5
