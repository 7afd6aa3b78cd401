"""What a report says before its numbers are relied on: whom they are about, the same in every place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.run_cases import Rowwise, dataset
from mmaudit import FunctionModel, audit
from mmaudit.cards.card import model_card
from mmaudit.console import show_report
from mmaudit.data import ArrayData
from mmaudit.render.summary import verdict_sentences
from mmaudit.report import Report
from mmaudit.types import Array, Task

SUITE: dict[str, Any] = {"probes": ["missing", "keyboard"], "baselines": ["zero"], "positions": [5], "analyses": []}
NAMES = ("red", "green", "blue")


def report_of(tmp_path: Path, base: ArrayData, target: Array, task: Task) -> Report:
    data = ArrayData(dict(base.rows(np.arange(len(base))).inputs), target, task)
    return audit(Rowwise(task.kind), data, out=tmp_path / "run", suite=SUITE, resamples=50)


def said(report: Report, start: str) -> str:
    return next(line for line in report.document["limits"] if start in line)


def test_conditions_too_faint_to_judge_are_counted_once_and_alike_everywhere(tmp_path: Path) -> None:
    report = audit(Rowwise(), dataset(n=60), out=tmp_path / "run", suite={**SUITE, "subsets": "all"}, resamples=50)
    faint = report.faint_conditions()
    measured = {m.condition.label: m.condition.family for m in report.conditions}
    assert faint
    assert not {measured[label] for label in faint} & {"clean", "control"}
    counted = re.search(r"^Under (\d+) condition", said(report, "minimum detectable effect"))
    assert counted
    assert int(counted[1]) == len(faint)
    assert f"under {len(faint)} of the conditions a loss of a tenth" in verdict_sentences(report)[1][2]
    assert f"{len(faint)} condition" in model_card(report)


def test_labels_that_none_or_all_have_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = dataset("multilabel")
    target = base.rows(np.arange(len(base))).target.copy()
    target[:, 1], target[:, 2] = 0, 1
    report = report_of(tmp_path, base, target, Task.multilabel(NAMES))
    expected = (
        "1 of 3 labels (green) occurs in no sample, 1 of 3 labels (blue) occurs in every sample: average precision and "
        "AUROC are not defined for them and are those of the other one."
    )
    assert report.unseen == expected
    assert expected in report.document["limits"]
    assert expected in repr(report)
    show_report(report, tmp_path / "run" / "report.html")
    assert "(green) occurs in no sample" in capsys.readouterr().out.replace("\n", " ")


def test_classes_that_no_sample_has_are_named(tmp_path: Path) -> None:
    base = dataset()
    target = base.rows(np.arange(len(base))).target % 2
    report = report_of(tmp_path, base, target, Task.classification(NAMES))
    assert report.unseen in report.document["limits"]
    assert report.unseen.startswith("1 of 3 classes (blue) has no audited sample: nothing is said")


def test_nothing_is_said_where_all_occur(tmp_path: Path) -> None:
    report = audit(Rowwise(), dataset(), out=tmp_path / "run", suite=SUITE, resamples=20)
    assert report.unseen == ""
    assert not [line for line in report.document["limits"] if "Not every sample" in line]


def test_a_modality_that_some_samples_lack_dilutes_what_its_loss_is(tmp_path: Path) -> None:
    base = dataset()
    there = np.arange(len(base)) % 4 > 0
    data = ArrayData(
        dict(base.rows(np.arange(len(base))).inputs),
        base.target,
        base.task,
        present={"table": there},
        groups={"table": np.where(there, "recorded", "not recorded")},
    )
    suite = {**SUITE, "probes": ["missing"], "baselines": ["zero"], "analyses": ["emap"]}
    report = audit(Rowwise(), data, out=tmp_path / "run", suite=suite, resamples=50)
    limit = said(report, "Not every sample has every modality")
    assert "table in 75.0 % of the samples" in limit.replace("\xa0", " ")
    assert "averages over all samples" in limit
    assert re.search(r"Only the 225 samples with every modality enter EMAP\b", limit)
    key = next(m.key for m in report.conditions if m.condition.label == "missing[table, baseline=zero]")
    scores = [report.score(key, report.primary.name, f"table={group}") for group in ("recorded", "not recorded")]
    having, lacking, everybody = (s.delta if s else 0.0 for s in (*scores, report.score(key, report.primary.name)))
    assert having < lacking == 0
    assert everybody == pytest.approx(0.75 * having)


def test_few_clusters_are_counted(tmp_path: Path) -> None:
    base = dataset(n=60)
    inputs = dict(base.rows(np.arange(60)).inputs)
    for many, expected in ((4, True), (60, False)):
        data = ArrayData(inputs, base.target, base.task, cluster=np.arange(60) % many)
        report = audit(Rowwise(), data, out=tmp_path / str(many), suite=SUITE, resamples=20)
        assert any("There are 4 clusters" in line for line in report.document["limits"]) == expected


def test_errors_averaged_over_targets_of_unlike_size_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n, task = 80, Task.regression(["mood", "income"])
    x, y = rng.normal(size=(2, n, 1)).astype(np.float32)
    model = FunctionModel(
        lambda x, y: np.concatenate([x, 1000 * y], axis=1), ["x", "y"], outputs="values", fingerprint="two"
    )
    for size, expected in ((1000.0, True), (2.0, False)):
        target = np.concatenate([x, size * y], axis=1) + rng.normal(size=(n, 2)) * [0.1, 0.1 * size]
        data = ArrayData({"x": x, "y": y}, target, task)
        report = audit(model, data, out=tmp_path / str(size), suite={**SUITE, "probes": ["missing"]}, resamples=20)
        told = [line for line in report.document["limits"] if "vary unlike each other" in line]
        assert bool(told) == expected
        assert all("about income nearly alone" in line for line in told)
