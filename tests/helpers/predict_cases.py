"""Runs that are predicted and not scored, and their answers compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmaudit import Run
from mmaudit.auditing import Prepared
from mmaudit.outputs import ConditionOutputs
from mmaudit.predict import Timing, predict

THREE = ("table", "note", "signal")
MISSING = {"probes": ["missing"], "baselines": ["zero", "marginal"]}


def run_of(prepared: Prepared, folder: Path, *, rows: int = 256, shard: int = 1024, **more: Any) -> tuple[Run, Timing]:
    """Predict into a new run; nothing is scored."""
    header = prepared.header(rows, None, "") | {"shard_rows": shard}
    opened = prepared.open_run(folder, batch_rows=rows, title=None, command="")
    opened.update(**header)
    timing = predict(
        opened,
        prepared.data,
        prepared.model,
        prepared.source,
        stage=prepared.stage,
        batch_rows=rows,
        **more,
    )
    return Run.open(folder), timing


def all_answers(run: Run) -> dict[str, ConditionOutputs]:
    return {c.label: run.read(c) for c in run.conditions}


def require_equal(a: Mapping[str, ConditionOutputs], b: Mapping[str, ConditionOutputs]) -> None:
    assert a.keys() == b.keys()
    for label, one in a.items():
        other = b[label]
        np.testing.assert_array_equal(one.outputs, other.outputs, err_msg=label)
        for name in one.changed:
            np.testing.assert_array_equal(one.changed[name], other.changed[name], err_msg=label)
            np.testing.assert_array_equal(one.moved[name], other.moved[name], err_msg=label)
