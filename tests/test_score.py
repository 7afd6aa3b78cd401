"""Scores of an audited run against computations made apart from it: scikit-learn, SciPy, sums written out by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics as sk

from helpers.score_cases import UNLUCKY, audited, no_answer, values
from mmaudit import Report, Run
from mmaudit.types import CLEAN, Array


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Report]:
    return audited(tmp_path_factory.mktemp("runs") / "classification", "classification")


@pytest.fixture(scope="module")
def regressed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Report]:
    return audited(tmp_path_factory.mktemp("runs") / "regression", "regression")


def oracle_ece(confidence: Array, hit: Array) -> float:
    bins = np.minimum((confidence * 15).astype(int), 14)
    return float(sum(abs((hit[bins == b] - confidence[bins == b]).sum()) for b in range(15)) / len(hit))


# ---- values


def test_classification_scores_are_those_of_scikit_learn(classified: tuple[Run, Report]) -> None:
    run, report = classified
    y = run.samples.target
    clean = run.read(CLEAN).outputs.argmax(axis=1)
    for condition in run.conditions:
        logits = run.read(condition).outputs.astype(np.float64)
        p = scipy.special.softmax(logits, axis=1)
        predicted, confidence = logits.argmax(axis=1), p.max(axis=1)
        expected = {
            "accuracy": sk.accuracy_score(y, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
            "macro_f1": sk.f1_score(y, predicted, average="macro", zero_division=np.nan),
            "auroc": sk.roc_auc_score(y, p, multi_class="ovr", average="macro"),
            "average_precision": sk.average_precision_score(np.eye(3)[y], p, average="macro"),
            "nll": sk.log_loss(y, p),
            "brier": ((p - np.eye(3)[y]) ** 2).sum(axis=1).mean(),
            "ece": oracle_ece(confidence, predicted == y),
            "mean_confidence": confidence.mean(),
        }
        if condition != CLEAN:
            expected["flip_rate"] = (predicted != clean).mean()
        for name, value in expected.items():
            if name == "auroc" and len(set(p[:, 0].tolist())) == 1:
                value = 0.5
            found = values(report, name)[condition.label]
            assert found == pytest.approx(value, rel=1e-6, abs=1e-9), (name, condition.label)


def test_regression_scores_are_those_of_scikit_learn(regressed: tuple[Run, Report]) -> None:
    run, report = regressed
    y = run.samples.target
    for condition in run.conditions:
        f = run.read(condition).outputs.astype(np.float64)
        assert values(report, "rmse")[condition.label] == pytest.approx(sk.root_mean_squared_error(y, f), rel=1e-9)
        assert values(report, "mae")[condition.label] == pytest.approx(sk.mean_absolute_error(y, f), rel=1e-9)
        assert values(report, "r2")[condition.label] == pytest.approx(sk.r2_score(y, f), rel=1e-9)
    rows = [s for s in report.rows if s.metric == "rmse" and not s.group and s.against in ("", report.clean)]
    assert {s.unit for s in rows} == {"mm"}
    assert all(s.floor == pytest.approx(y.std()) for s in rows)


def test_multilabel_scores_are_those_of_scikit_learn(tmp_path: Path) -> None:
    run, report = audited(tmp_path / "run", "multilabel")
    y = run.samples.target
    for condition in run.conditions:
        logits = run.read(condition).outputs.astype(np.float64)
        p, on = scipy.special.expit(logits), logits > 0
        expected = {
            "accuracy": sk.accuracy_score(y, on),
            "macro_f1": sk.f1_score(y, on, average="macro", zero_division=np.nan),
            "average_precision": sk.average_precision_score(y, p, average="macro"),
            "brier": ((p - y) ** 2).mean(),
            "ece": oracle_ece(p.ravel(), y.ravel() == 1),
        }
        for name, value in expected.items():
            found = values(report, name)[condition.label]
            assert found == pytest.approx(value, rel=1e-6, abs=1e-9), (name, condition.label)


# ---- many tests


def test_p_values_are_adjusted_over_the_whole_grid(classified: tuple[Run, Report]) -> None:
    _, report = classified
    estimates = {e.key for e in report.estimates}
    known = [s for s in report.rows if not s.group and s.p == s.p]
    tested = [s for s in known if s.condition != CLEAN.key]
    grid, estimated = ([s for s in tested if (s.condition in estimates) == which] for which in (False, True))
    assert len(grid) > 100
    assert len(estimated) > 5
    # Groups of scores are a family of their own, and those of estimates another.
    grouped = [s for s in report.rows if s.group and s.p == s.p]
    of_scores, of_estimates = ([s for s in grouped if (s.condition in estimates) == which] for which in (False, True))
    assert len(of_scores) > 5
    for family in (grid, estimated, of_scores, of_estimates):
        if not family:
            continue
        adjusted = scipy.stats.false_discovery_control([s.p for s in family], method="bh")
        np.testing.assert_allclose([s.p_adjusted for s in family], adjusted, rtol=1e-12)
    assert all(s.p_adjusted != s.p_adjusted for s in report.rows if s.p != s.p)


def test_a_step_up_to_clean_is_no_test_of_its_own(classified: tuple[Run, Report]) -> None:
    _, report = classified
    steps = [s for s in report.rows if s.condition == CLEAN.key and s.against]
    assert len(steps) > 2
    for step in steps:
        same = next(s for s in report.rows if (s.condition, s.metric) == (step.against, step.metric) and not s.group)
        assert (step.p, step.p_adjusted) == (pytest.approx(same.p), same.p_adjusted)
        assert step.delta == pytest.approx(-same.delta)


def test_repairs_are_tried_under_every_condition(classified: tuple[Run, Report]) -> None:
    run, report = classified
    tried = {(e["condition"], e["fitted_on"]) for e in report.document["recalibration"]}
    asked = [c for c in run.conditions if c.family != "control" and not c.repeat]
    assert len(asked) > len({e["condition"] for e in report.document["reliability"]})
    on_clean = {(c.key, "complete data") for c in asked if c.key != CLEAN.key}
    assert tried == {(c.key, "this condition") for c in asked} | on_clean
    # With samples that the model could not answer the clean ones differ, and so does what is fitted on them.
    scores = report.scores[lambda s: (s.metric == "ece") & (s.group == "")].set_index("condition")
    for e in report.document["recalibration"]:
        assert e["ece_before"] == pytest.approx(scores.value[e["condition"]])
        assert e["n"] == scores.n[e["condition"]]


def test_every_difference_has_an_effect_that_could_have_been_seen(classified: tuple[Run, Report]) -> None:
    _, report = classified
    rows = [s for s in report.rows if s.against and s.metric == "accuracy" and s.delta != 0]
    assert len(rows) > 20
    assert all(s.mde > 0 for s in rows)


# ---- groups


def test_groups_are_scored_apart_and_small_ones_are_not(classified: tuple[Run, Report]) -> None:
    run, report = classified
    y, sites = run.samples.target, run.samples.groups["site"]
    assert (sites == "C").sum() < 30
    for label in ("clean", "missing[table, baseline=zero]", "mismatch[note, pool=random]"):
        logits = run.read(run.condition(label)).outputs
        for site in ("A", "B"):
            rows = [s for s in report.rows if s.label == label and s.group == f"site={site}" and s.metric == "accuracy"]
            assert len(rows) == 1
            here = sites == site
            assert rows[0].n == here.sum()
            assert rows[0].value == pytest.approx((logits[here].argmax(axis=1) == y[here]).mean())
            if label != "clean":
                clean = (run.read(CLEAN).outputs[here].argmax(axis=1) == y[here]).mean()
                assert rows[0].delta == pytest.approx(rows[0].value - clean)
        few = [s for s in report.rows if s.label == label and s.group == "site=C" and s.metric == "accuracy"]
        assert [s.reason for s in few] == ["fewer than 30 samples"]
        assert np.isnan(few[0].value)


# ---- samples without an answer


def test_an_audit_scores_only_what_was_answered(tmp_path: Path) -> None:
    run, report = audited(tmp_path / "run", "regression", fault=no_answer)
    y = run.samples.target[:, 0]
    seen = run.read(CLEAN).answered
    assert (~seen).sum() == len(UNLUCKY) > 10
    for condition, measured in zip(run.conditions, report.conditions, strict=True):
        answers = run.read(condition)
        both = answers.answered & seen
        assert measured.raised == (~answers.answered).sum()
        assert measured.n == both.sum()
        error = answers.outputs[both, 0].astype(np.float64) - y[both]
        assert values(report, "rmse")[condition.label] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-9)
    table = report.scores.query("label == 'missing[baseline=zero]' and metric == 'instance_worst_case'")
    members = [c for c in run.conditions if c.probe == "missing" and c.option("baseline") == "zero"]
    if all((run.read(c).answered | ~seen).all() for c in members):
        errors = [np.abs(run.read(c).outputs[seen, 0].astype(np.float64) - y[seen]) for c in members]
        assert table["value"].item() == pytest.approx(np.max(errors, axis=0).mean(), rel=1e-6)
        assert table["better"].item() == "lower"
    else:
        assert table["value"].isna().all()


# ---- scoring again


PLUGIN = '''
import mmaudit

@mmaudit.metric("half_hits", better="higher", unit="share", tasks=("regression",), range=(0, 1))
def half_hits(p, w):
    """Share of predictions within 0.5 of the truth."""
    return w.mean(abs(p.outputs - p.target).max(axis=1) < 0.5)
'''

WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("torch is not to be imported here", name=name)

sys.meta_path.insert(0, NoTorch())
from mmaudit.cli import main
main()
"""


def test_the_command_scores_an_old_run_by_a_plug_in_without_torch_or_model(
    regressed: tuple[Run, Report], tmp_path: Path
) -> None:
    run, _ = regressed
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    (tmp_path / "half_hits.py").write_text(PLUGIN)
    info = tmp_path / "half_hits-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: half-hits\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mmaudit.plugins]\nhalf = half_hits\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    def command(*arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, "score", str(folder), *arguments, "--json"],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    everything = pd.DataFrame(command("--resamples", "30"))
    rows = everything[everything["metric"] == "half_hits"].set_index("label")
    assert len(rows) == len(run.conditions)
    y = run.samples.target
    for condition in run.conditions:
        hit = (np.abs(run.read(condition).outputs - y) < 0.5).mean()
        assert rows.loc[condition.label, "value"] == pytest.approx(hit)
    shown = command("--metric", "half_hits", "--condition", "missing[note, baseline=zero]")
    assert [s["label"] for s in shown] == ["missing[note, baseline=zero]"]
    report = Report.read(folder)
    assert report.metrics["half_hits"].summary == "Share of predictions within 0.5 of the truth."
