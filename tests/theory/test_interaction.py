"""Residuals from additivity, and what a shared severity does, against closed forms; with intervals."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mmaudit import ArrayData, FunctionModel, Report, Run, audit
from mmaudit.interaction import additivity, independence
from mmaudit.joint import parts
from mmaudit.plan import Suite
from mmaudit.probes import probes
from mmaudit.probes.scenario import FACTORS, load
from mmaudit.types import Array, Condition, Modality, Score, Task

LOST = (0.1, 0.2, 0.3, 0.5, 0.7)
DROPOUT = (("embedding.feature_dropout", "embedding.feature_dropout"),)
NOISE = (("embedding.gaussian_noise_additive", "embedding.gaussian_noise_additive"),)


def bits(task: str, n: int, seed: int = 0) -> ArrayData:
    """`left` and `right`, −1 or 1 each: copies of the class, or factors of it."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n) * 2 - 1
    left = y if task == "redundant" else rng.integers(0, 2, n) * 2 - 1
    right = y if task == "redundant" else y * left
    columns = {"left": left[:, None].astype(np.float32), "right": right[:, None].astype(np.float32)}
    kinds = [Modality(name, "embedding") for name in columns]
    return ArrayData(columns, (y + 1) // 2, Task.classification(2), modalities=kinds)


def voter(task: str) -> FunctionModel:
    """Answers with the sum's or the product's sign; a lost feature is 0, and with nothing left it says class 1."""

    def predict(left: Array, right: Array) -> Array:
        told = left[:, 0] + right[:, 0] if task == "redundant" else left[:, 0] * right[:, 0]
        says = np.where(told < 0, -1.0, 1.0)
        return np.stack([-4 * says, 4 * says], axis=1)

    return FunctionModel(predict, ["left", "right"], outputs="logits")


def cells(report: Report, name: str) -> dict[tuple[float, float], Score]:
    """Scores of a surface by both severities."""
    found = {}
    for m in report.conditions:
        if m.condition.probe == "surface":
            a, b = parts(m.condition)
            score = report.score(m.key, name)
            assert score is not None
            found[float(a.severity or 0), float(b.severity or 0)] = score
    return found


def mean_of(report: Report, name: str) -> Score:
    return next(s for s in report.rows if s.metric == f"mean_{name}")


def agree(found: dict[tuple[float, float], Score], truth: dict[tuple[float, float], float]) -> None:
    """Every cell within 4.5 standard errors of its truth, and most intervals cover it."""
    assert found.keys() == truth.keys()
    for place, score in found.items():
        error = (score.high - score.low) / 3.92
        assert abs(score.value - truth[place]) < 4.5 * error, (place, score.value, truth[place], error)
    covered = [s.low <= truth[p] <= s.high for p, s in found.items()]
    assert np.mean(covered) >= 0.75, "the cells share their samples, so their misses come together"


@pytest.mark.parametrize("task", ["redundant", "both_needed"])
def test_two_bits(tmp_path: Path, task: str) -> None:
    """Redundant copies fail only together, 1 − pq/2; factors fail when either does, ½ + ½(1−p)(1−q)."""
    suite = Suite(probes=("control",), surface=DROPOUT)
    report = audit(voter(task), bits(task, 4000), out=tmp_path / "run", suite=suite, resamples=400)
    grid = list(product(LOST, LOST))
    share = {(p, q): (-p * q / 2 if task == "redundant" else p * q / 2) for p, q in grid}
    kept = {(p, q): (-p * q if task == "redundant" else 0.0) for p, q in grid}
    agree(cells(report, "additivity_residual"), share)
    agree(cells(report, "independence_residual"), kept)
    total = mean_of(report, "additivity_residual")
    expected = float(np.mean(list(share.values())))
    assert total.low < expected < total.high
    assert (total.high < 0) == (task == "redundant"), "the sign says whether damage compounds"
    independent = mean_of(report, "independence_residual")
    if task == "redundant":
        assert independent.high < 0
    else:
        assert independent.low < 0 < independent.high


def test_squared_errors_of_a_linear_model_add_up(tmp_path: Path) -> None:
    """y = 2·left + right + ε under independent noise: the residual of the squared error is 0, that of RMSE is not."""
    rng = np.random.default_rng(1)
    n = 4000
    x = rng.normal(size=(2, n))
    y = 2 * x[0] + x[1] + rng.normal(0, 0.5, n)
    columns = {"left": x[0][:, None].astype(np.float32), "right": x[1][:, None].astype(np.float32)}
    data = ArrayData(
        columns, y, Task.regression(1, unit="mm"), modalities=[Modality(name, "embedding") for name in columns]
    )

    def predict(left: Array, right: Array) -> Array:
        return np.asarray(2.0 * left + right)

    model = FunctionModel(predict, ["left", "right"], outputs="values")
    suite = Suite(probes=("control",), surface=NOISE)
    report = audit(model, data, out=tmp_path / "run", suite=suite, resamples=400)
    found = cells(report, "additivity_residual")
    agree(found, dict.fromkeys(found, 0.0))
    assert {s.unit for s in found.values()} == {"(mm)²"}
    for (a, b), score in cells(report, "rmse").items():
        assert score.value**2 == pytest.approx(0.25 + 4 * a**2 + b**2, rel=0.1)
    strongest = [m for m in report.conditions if m.condition.probe == "surface"][-1]
    keys = (report.clean, *(p.key for p in parts(strongest.condition)), strongest.key)
    clean, left, right, both = (s.value for s in (report.score(key, "rmse") for key in keys) if s is not None)
    assert -(both - left - right + clean) > 0.2, "root mean squares do not add up, which is why they are squared"


def test_residuals_by_hand() -> None:
    clean, a, b, both = (np.array([v]) for v in (0.9, 0.7, 0.8, 0.5))
    assert additivity(clean, a, b, both, 1.0) == pytest.approx(-0.1)
    assert additivity(-clean, -a, -b, -both, -1.0) == pytest.approx(-0.1), "the sign follows the direction of goodness"
    half = np.array([0.5])
    assert independence(clean, a, b, both, half, 1.0) == pytest.approx(0.0 - 0.5 * 0.75)
    assert np.isnan(independence(half, a, b, both, half, 1.0)).all(), "nothing to lose"
    # Every replicate has a chance level of its own.
    levels = np.array([0.5, 0.3])
    each = independence(*(np.repeat(v, 2) for v in (clean, a, b, both)), levels, 1.0)
    assert each == pytest.approx([0.0 - 0.5 * 0.75, 2 / 6 - 4 / 6 * 5 / 6])


def test_what_a_shared_severity_does(tmp_path: Path) -> None:
    """Redundant bits under p·f: hit together they fail with E[p²], separately with E[p]²; the gap is −Var[p]/2."""
    file = tmp_path / "both_lost.toml"
    file.write_text(
        """name = "both_lost"
summary = "Two features lost at a time"
spread = 0.9
[[step]]
kind = "embedding"
probe = "feature_dropout"
severities = [0.1, 0.3, 0.5, 0.6, 0.7]
""",
        encoding="utf-8",
    )
    (scenario,) = load([file])
    try:
        suite = Suite(probes=("control",), scenarios=(str(file),))
        model, data = voter("redundant"), bits("redundant", 20_000, seed=2)
        report = audit(model, data, out=tmp_path / "run", suite=suite, resamples=400)
        factors = 1 - 0.9 * (np.arange(FACTORS) + 0.5) / FACTORS
        by = {(c.option("latent"), c.position): c for c in Run.open(tmp_path / "run").conditions}
        for position in range(1, 6):
            lost = np.array([scenario.steps[0].severity(position * f) for f in factors])
            together, apart = by["shared", position], by["independent", position]
            values = [report.score(c.key, "accuracy") for c in (together, apart)]
            effect = report.score(together.key, "accuracy", against=apart.key)
            assert effect is not None
            for score, chance in zip(values, (np.mean(lost**2), np.mean(lost) ** 2), strict=True):
                assert score is not None
                error = (score.high - score.low) / 3.92
                assert abs(score.value - (1 - chance / 2)) < 4.5 * error
            error = (effect.delta_high - effect.delta_low) / 3.92
            assert abs(effect.delta + np.var(lost) / 2) < 4.5 * error
        assert effect.delta_high < 0, "at the strongest severity the correlation costs something"
    finally:
        probes._items.pop(scenario.probe)


def test_a_joint_condition_names_its_parts() -> None:
    suite = Suite(probes=("control",), surface=DROPOUT, positions=(2,))
    from mmaudit.plan import make_plan

    data = bits("redundant", 40)
    plan = make_plan(suite, data.modalities, data.task)
    joint = next(c for c in plan.conditions if c.probe == "surface")
    a, b = parts(joint)
    assert {a.key, b.key} <= {c.key for c in plan.conditions}
    assert isinstance(a, Condition)
    assert (a.modalities, b.modalities) == (("left",), ("right",))
    assert a.severity == b.severity == 0.2
