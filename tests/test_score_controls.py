"""A run's own controls, judged by its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.score_cases import by_hand
from mmaudit import Run
from mmaudit.outputs import ConditionOutputs
from mmaudit.samples_file import Samples
from mmaudit.score import evidence, score
from mmaudit.types import CLEAN, Array, Condition


def with_controls(folder: Path, identity: Array, destroy: Array) -> dict[str, dict[str, Any]]:
    """What the controls of a run say whose clean answers are all right."""
    names = ("a", "b")
    conditions = [CLEAN, Condition("destroy", "control", 1, names), Condition("identity", "control", 1, names)]
    header = by_hand([c.to_json() for c in conditions])
    y = np.arange(20) % 2
    run = Run.create(folder, header, Samples(np.arange(20), y, {}, None, {m: np.ones(20, bool) for m in names}))
    right = np.where(y[:, None] == np.arange(2), 1.0, -1.0).astype(np.float32)
    changed = {m: np.ones(20, bool) for m in names}
    moved = {m: np.ones(20, np.float32) for m in names}
    answers = (right, destroy * right, right + identity)
    run.write_shard(0, 0, [ConditionOutputs(a.astype(np.float32), changed, moved) for a in answers])
    score(run, resamples=50)
    return {c.control: c.to_json() for c in evidence(run).controls}


def column(*first: float, rest: float) -> Array:
    return np.array([*first, *[rest] * (20 - len(first))], np.float32)[:, None]


def test_controls_pass_where_they_should(tmp_path: Path) -> None:
    coin = np.where(np.arange(20) // 2 % 2 == 0, 1.0, -1.0)[:, None]
    found = with_controls(tmp_path / "run", column(rest=1e-6), coin)
    assert [c["ok"] for c in found.values()] == [True, True]
    assert "chance is reached" in found["destroy"]["message"]


@pytest.mark.parametrize("first", [0.5, np.nan])
def test_one_other_answer_to_a_copy_fails_the_identity_control(tmp_path: Path, first: float) -> None:
    coin = np.where(np.arange(20) // 2 % 2 == 0, 1.0, -1.0)[:, None]
    found = with_controls(tmp_path / "run", column(first, rest=0.0), coin)
    assert [found[c]["ok"] for c in ("identity", "destroy")] == [False, True]


def test_answers_without_inputs_fail_the_destroy_control(tmp_path: Path) -> None:
    found = with_controls(tmp_path / "run", column(rest=0.0), column(rest=1.0))
    assert [found[c]["ok"] for c in ("identity", "destroy")] == [True, False]


def test_a_control_that_could_not_be_measured_is_not_passed(tmp_path: Path) -> None:
    found = with_controls(tmp_path / "run", column(rest=0.0), column(rest=np.nan))
    assert not found["destroy"]["ok"]
    assert "could not be measured" in found["destroy"]["message"]
