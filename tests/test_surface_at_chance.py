"""A model at chance has nothing to lose: its severity surface says so, where it once divided by nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmaudit import FunctionModel, Task, audit
from mmaudit.data import ArrayData
from mmaudit.types import Array


def first(a: Array, b: Array) -> Array:
    """Always class 0."""
    return np.tile([1.0, 0.0], (len(a), 1))


def test_a_surface_of_a_model_at_chance_has_a_reason(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(2, 60, 3))
    data = ArrayData({"a": values[0], "b": values[1]}, np.arange(60) % 2, Task.classification(2))
    model = FunctionModel(first, ["a", "b"], outputs="logits")
    report = audit(model, data, out=tmp_path / "run", suite=["surface"], resamples=50)
    rows = report.scores[report.scores.reason.str.contains("nothing to lose", na=False)]
    assert len(rows)
    assert rows.value.isna().all()
