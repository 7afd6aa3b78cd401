"""`assert_robust`: a real audit of one condition, decided as the gate does; and the pytest plug-in that brings it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import Rowwise, dataset
from mmaudit.auditing import prepare
from mmaudit.errors import BadInput, UnknownName
from mmaudit.testing import assert_robust
from mmaudit.types import Array, Batch

ROOT = Path(__file__).parents[1]
FAST: dict[str, Any] = {"resamples": 100}


@pytest.fixture(scope="module")
def data() -> Any:
    return dataset(n=200)


def drop(data: Any, **more: Any) -> Any:
    """The check behind an assertion that holds."""
    (check,) = assert_robust(Rowwise(), data, "keyboard", 5, 1.0, **FAST, **more).judged[0].checks
    return check


def test_a_robust_model_passes_and_the_verdict_has_the_numbers(data: Any) -> None:
    check = drop(data)
    assert check.about == "text.keyboard[note]@5"
    assert (check.metric, check.n, check.limit, check.outcome) == ("accuracy", 200, 1.0, "pass")
    assert 0 < check.low < check.value < check.high


def test_it_agrees_with_the_model_asked_by_hand(data: Any) -> None:
    prepared = prepare(Rowwise(), data, suite={"probes": ["keyboard"], "positions": [5], "analyses": []})
    condition = next(c for c in prepared.plan.conditions if c.probe == "text.keyboard")
    from mmaudit.probes import probes

    batch = data.rows(np.arange(200))
    perturbed = probes.get("text.keyboard").apply(batch, condition, prepared.source)
    right = [(Rowwise().predict(b).argmax(axis=1) == batch.target).mean() for b in (batch, perturbed)]
    assert drop(data).value == pytest.approx(right[0] - right[1])


def test_the_upper_end_of_the_interval_is_what_counts(data: Any) -> None:
    check = drop(data)
    assert assert_robust(Rowwise(), data, "keyboard", 5, check.high, **FAST).ok
    with pytest.raises(AssertionError, match="is not shown to be robust"):
        assert_robust(Rowwise(), data, "keyboard", 5, check.high - 1e-9, **FAST)
    with pytest.raises(AssertionError, match="is not shown to be robust"):
        assert_robust(Rowwise(), data, "keyboard", 5, check.low, **FAST)
    with pytest.raises(AssertionError, match="is not robust"):
        assert_robust(Rowwise(), data, "keyboard", 5, check.low - 1e-9, **FAST)


def test_undecided_is_let_through_on_request_and_a_failure_is_not(data: Any) -> None:
    check = drop(data)
    verdict = assert_robust(Rowwise(), data, "keyboard", 5, check.value, undecided="allow", **FAST)
    assert verdict.outcome == "undecided"
    with pytest.raises(AssertionError, match="is not robust"):
        assert_robust(Rowwise(), data, "keyboard", 5, 0.0, undecided="allow", **FAST)


def test_a_failure_says_all_that_one_needs(data: Any) -> None:
    with pytest.raises(AssertionError) as error:
        assert_robust(Rowwise(), data, "keyboard", 5, 0.01, **FAST)
    said = str(error.value).replace("\u00a0", " ")
    assert said.startswith("model 'rowwise' is not robust to keyboard:\n  fail: accuracy drops by ")
    for part in ("pp [", "under text.keyboard[note]@5; at most 1 pp is allowed.", "(clean 9", ", here ", "n = 200)"):
        assert part in said
    assert "suite=mmaudit.Suite(probes=('text.keyboard',), positions=(5,))" in said
    assert "undecided=" not in said


def test_the_same_call_gives_the_same_answer_and_leaves_nothing(data: Any, tmp_path: Path) -> None:
    before = tempfile.tempdir
    tempfile.tempdir = str(tmp_path)
    try:
        first, second = drop(data), drop(data)
    finally:
        tempfile.tempdir = before
    assert first == second
    assert not list(tmp_path.iterdir())
    assert drop(data, seed=1).high != first.high


def test_only_what_is_needed_is_asked(data: Any) -> None:
    model = Rowwise()
    assert_robust(model, data, "keyboard", 2, 1.0, **FAST)
    # Clean data, two controls and one severity: the notes are encoded at most four times over.
    assert model.rows["note"] <= 4 * 200 + 64


def test_every_condition_of_a_probe_must_hold(data: Any) -> None:
    with pytest.raises(AssertionError) as error:
        assert_robust(Rowwise(), data, "mismatch_share", 0.5, 0.05, **FAST)
    assert "mismatch_share[table]@0.5" in str(error.value)
    assert "mismatch_share[note]@0.5" in str(error.value)
    assert "shares=(0.5,)" in str(error.value)
    one = assert_robust(Rowwise(), data, "missing_rate", 0.5, 1.0, modalities=["note"], **FAST)
    assert {c.about.split(",")[0] for c in one.judged[0].checks} == {"missing_rate[note"}


def test_a_severity_means_nothing_to_a_probe_without(data: Any) -> None:
    checks = assert_robust(Rowwise(), data, "mismatch", max_drop=1.0, **FAST).judged[0].checks
    assert len(checks) == 6


def test_other_metrics_and_tasks(data: Any) -> None:
    check = drop(data, metric="ece")
    assert (check.metric, check.upper) == ("ece", True)
    numbers = dataset("regression", n=120)
    (check,) = assert_robust(Rowwise("regression"), numbers, "keyboard", 1, 10.0, **FAST).judged[0].checks
    assert (check.metric, check.unit) == ("rmse", "mm")


def test_a_model_that_fails_on_some_samples_is_not_robust(data: Any) -> None:
    def fault(batch: Batch, rows: Array) -> Array:
        if any("red" not in note and "green" not in note for note in batch.inputs["note"]):
            raise ValueError("no colour")
        return rows

    whole = dataset(n=60, noise=0.1)
    with pytest.raises(AssertionError, match="raised an error on"):
        assert_robust(Rowwise(fault=fault), whole, "keyboard", 5, 1.0, **FAST)


def test_a_failed_control_fails() -> None:
    target = np.arange(120) % 3

    def fault(batch: Batch, rows: Array) -> Array:
        return np.eye(3, dtype=np.float32)[target[batch.positions]]

    known = dataset(n=120)
    target = known.target
    with pytest.raises(AssertionError, match="control destroy"):
        assert_robust(Rowwise(fault=fault), known, "keyboard", 3, 1.0, **FAST)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"probe": "kebyoard"}, UnknownName, "did you mean 'text.keyboard'"),
        ({}, BadInput, "image.gaussian_blur has no condition here: the modalities are 'table'"),
        ({"probe": "keyboard", "modalities": ["table"]}, BadInput, "of exactly 'table'"),
        ({"probe": "keyboard", "modalities": "note"}, BadInput, "is not a list"),
        ({"probe": "keyboard", "severity": 9}, BadInput, "give 1 to 5"),
        ({"probe": "keyboard", "severity": 0.1}, BadInput, "give 1 to 5"),
        ({"probe": "missing_rate", "severity": 3}, BadInput, "outside"),
        ({"probe": "keyboard", "max_drop": -0.1}, BadInput, "max_drop=-0.1"),
        ({"probe": "keyboard", "max_drop": float("nan")}, BadInput, "max_drop=nan"),
        ({"probe": "keyboard", "max_drop": True}, BadInput, "max_drop=True"),
        ({"probe": "keyboard", "undecided": "pass"}, BadInput, "'fail' or 'allow'"),
        ({"probe": "keyboard", "metric": "acuracy"}, UnknownName, "did you mean 'accuracy'"),
        ({"probe": "keyboard", "metric": "rmse"}, BadInput, "is for regression"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    data: Any, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as raised:
        assert_robust(Rowwise(), data, **arguments)
    assert says in str(raised.value)


def test_a_limit_in_percent_is_a_slip(data: Any) -> None:
    with pytest.raises(AssertionError, match=r"for 5 % write 0\.05"):
        assert_robust(Rowwise(), data, "keyboard", 1, 5, **FAST)


INNER = """
import sys


def test_light():
    heavy = {"torch", "numba", "scipy", "pandas", "pyarrow", "numpy", "mmaudit.testing", "mmaudit.gate"}
    assert not heavy & set(sys.modules)


def test_the_fixture_is_the_function(assert_robust):
    import mmaudit.testing

    assert assert_robust is mmaudit.testing.assert_robust
"""


def test_the_plug_in_brings_the_fixture_and_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(INNER)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "mmaudit.pytest_plugin", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_plug_in_is_declared() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert points["pytest11"] == {"mmaudit.pytest_plugin": "mmaudit.pytest_plugin"}
