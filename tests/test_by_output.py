"""Scores of each label and each target: scikit-learn's values, the shared resamples' intervals, reasons for gaps."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)

import mmaudit
from mmaudit import ArrayData, FunctionModel, Report, Run, Task
from mmaudit.app.parts.view import Filter, filtered
from mmaudit.by_output import MOST_ROWS, ByOutput, finished
from mmaudit.comparison import measure
from mmaudit.errors import DamagedRun
from mmaudit.figures import by_output
from mmaudit.kernels.inference import interval, stretch
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.types import CLEAN, Array, Condition

N, REPLICATES = 240, 60
LABELS = ("left", "right", "never", "always")
MULTI = Task.multilabel(LABELS)
TARGETS = Task.regression(("near", "far"), unit="mm")
SUITE = {"probes": ["missing", "mismatch"], "baselines": ["zero"], "pools": ["random"]}


def audited(folder: Path, task: Task, y: Array, cluster: Array | None = None) -> tuple[Run, Report]:
    """A model that reads every other output from `a`, the rest from `b`."""
    rng = np.random.default_rng(1)
    a, b = (y + 0.8 * rng.normal(size=y.shape) for _ in range(2))
    first = np.arange(task.width) % 2 == 0

    def answers(a: Array, b: Array) -> Array:
        return np.where(first, a, b) - (0.5 if task.kind == "multilabel" else 0.0)

    outputs = "logits" if task.kind == "multilabel" else "values"
    model = FunctionModel(answers, ["a", "b"], outputs=outputs, fingerprint="reads one each")
    data = ArrayData({"a": a, "b": b}, y, task, cluster=cluster)
    report = mmaudit.audit(model, data, out=folder, suite=SUITE, resamples=REPLICATES)
    return Run.open(folder), report


def labelled() -> Array:
    rng = np.random.default_rng(0)
    return np.stack([rng.random(N) < 0.5, rng.random(N) < 0.2, np.zeros(N), np.ones(N)], axis=1).astype(np.int8)


@pytest.fixture(scope="module")
def multi(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Report]:
    return audited(tmp_path_factory.mktemp("labels") / "run", MULTI, labelled(), np.arange(N) // 3)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Report]:
    y = np.random.default_rng(0).normal(size=(N, 2)) * [1.0, 40.0]
    return audited(tmp_path_factory.mktemp("targets") / "run", TARGETS, y)


def row_of(table: pd.DataFrame, condition: Condition, metric: str, output: str) -> Any:
    found = table[(table.condition == condition.key) & (table.metric == metric) & (table.output == output)]
    assert len(found) == 1
    return found.iloc[0]


def scored(run: Run, report: Report) -> list[Condition]:
    keys = set(report.by_output.condition)
    return [c for c in run.conditions if c.key in keys]


def test_labels_have_the_values_of_scikit_learn(multi: tuple[Run, Report]) -> None:
    run, report = multi
    table, y = report.by_output, run.samples.target
    assert len(scored(run, report)) > 2
    for condition in scored(run, report):
        z = run.read(condition).outputs
        for k, name in enumerate(LABELS[:2]):
            expected = {
                "auroc": roc_auc_score(y[:, k], z[:, k]),
                "average_precision": average_precision_score(y[:, k], z[:, k]),
                "macro_f1": f1_score(y[:, k], z[:, k] > 0),
            }
            for metric, value in expected.items():
                row = row_of(table, condition, metric, name)
                assert row.value == pytest.approx(value, rel=1e-9)
                assert (row.n, row.positives) == (N, y[:, k].sum())
        macro = report.score(condition.key, "auroc")
        rows = table[(table.condition == condition.key) & (table.metric == "auroc")]
        assert macro is not None
        assert rows.value.mean() == pytest.approx(macro.value)


def test_targets_have_the_values_of_scikit_learn_in_their_own_unit(targets: tuple[Run, Report]) -> None:
    run, report = targets
    table, y = report.by_output, run.samples.target
    for condition in scored(run, report):
        z = run.read(condition).outputs.astype(np.float64)
        for k, name in enumerate(TARGETS.names):
            expected = {
                "rmse": (mean_squared_error(y[:, k], z[:, k]) ** 0.5, "mm"),
                "mae": (mean_absolute_error(y[:, k], z[:, k]), "mm"),
                "r2": (r2_score(y[:, k], z[:, k]), "share"),
            }
            for metric, (value, unit) in expected.items():
                row = row_of(table, condition, metric, name)
                assert (row.value, row.unit) == (pytest.approx(value, rel=1e-9), unit)
                assert math.isnan(row.positives)
    row = row_of(table, CLEAN, "rmse", "far")
    assert row.floor == pytest.approx(y[:, 1].std())


def test_intervals_are_those_of_a_direct_bootstrap_of_whole_clusters(multi: tuple[Run, Report]) -> None:
    run, report = multi
    y, clean = run.samples.target, run.read(CLEAN).outputs
    w = Resamples.draw(N, REPLICATES, 0, run.samples.cluster)
    condition = next(c for c in scored(run, report) if c.probe == "mismatch" and c.modalities == ("a",))
    under = run.read(condition).outputs
    for metric, value in (("auroc", roc_auc_score), ("average_precision", average_precision_score)):
        drawn = np.array([[value(y[r, 0], z[r, 0]) for z in (clean, under)] for r in map(w.repeat, range(REPLICATES))])
        row = row_of(report.by_output, condition, metric, "left")
        estimate = value(y[:, 0], under[:, 0]) - value(y[:, 0], clean[:, 0])
        for low, high, at, replicates in (
            (row.low, row.high, row.value, drawn[:, 1]),
            (row.delta_low, row.delta_high, estimate, drawn[:, 1] - drawn[:, 0]),
        ):
            ends = np.quantile(replicates, [0.025, 0.25, 0.5, 0.75, 0.975])
            moved = 0.0 if ends[1] <= at <= ends[3] else ends[2] - at
            assert (low, high) == (pytest.approx(ends[0] - moved), pytest.approx(ends[4] - moved))
        assert row.delta == pytest.approx(estimate)
        error = (drawn[:, 1] - drawn[:, 0]).std(ddof=1)
        assert row.p == pytest.approx(2 * scipy.stats.t.sf(abs(estimate) / error, REPLICATES - 1))


def test_few_clusters_widen_a_label_as_they_do_everything() -> None:
    rng = np.random.default_rng(3)
    y = (rng.random((60, 2)) < 0.5).astype(np.int8)
    p = Predictions(Task.multilabel(2), y + rng.normal(size=y.shape) - 0.5, y)
    w = Resamples.draw(60, 200, 0, np.arange(60) % 6)
    made = ByOutput(p.task, [metrics.get("macro_f1")])
    row = next(iter(made.rows(CLEAN, p, None, w, keep=False)))
    values = measure(metrics.get("macro_f1"), Predictions(Task.multilabel(1), p.outputs[:, :1], y[:, :1]), w).values
    low, quarter, middle, three, high = np.quantile(values[1:], [0.025, 0.25, 0.5, 0.75, 0.975])
    bias = 0.0 if quarter <= values[0] <= three else middle - values[0]
    assert row["low"] == pytest.approx(max(values[0] - stretch(6) * max(values[0] - low + bias, 0), 0))
    assert row["high"] == pytest.approx(min(values[0] + stretch(6) * max(high - bias - values[0], 0), 1))


def test_a_rare_label_hangs_on_its_positives() -> None:
    """The plain interval of 5 positives holds the truth in three of four data sets."""
    task, auroc = Task.multilabel(2), metrics.get("auroc")
    truth = scipy.stats.norm.cdf(1.5 / np.sqrt(2))
    rng, held, plain = np.random.default_rng(0), [], []
    for seed in range(120):
        y = np.stack([rng.permutation(200) < 5, rng.random(200) < 0.5], axis=1).astype(np.int8)
        p = Predictions(task, 1.5 * y + rng.normal(size=y.shape), y)
        row = next(iter(ByOutput(task, [auroc]).rows(CLEAN, p, None, Resamples.draw(200, 100, seed), keep=False)))
        held.append(row["low"] <= truth <= row["high"])
        alone = Predictions(Task.multilabel(1), p.outputs[:, :1], y[:, :1])
        low, high = interval(auroc(alone, Resamples.draw(200, 100, seed)), row["value"], (0, 1))
        plain.append(low <= truth <= high)
    assert np.mean(held) >= 0.85 > np.mean(plain)


def test_labels_that_none_or_all_have_say_why_they_have_no_value(multi: tuple[Run, Report]) -> None:
    _, report = multi
    table = report.by_output
    never, always = table[table.output == "never"], table[table.output == "always"]
    assert never.value.isna().all()
    assert set(never.reason) == {"no sample has this label"}
    ranked = always[always.metric != "macro_f1"]
    assert ranked.value.isna().all()
    assert set(ranked.reason) == {"every sample has this label"}
    assert always[always.metric == "macro_f1"].value.notna().all()
    assert set(never.positives) == {0}


def test_what_a_condition_does_not_touch_has_a_bound_and_no_width_of_zero(targets: tuple[Run, Report]) -> None:
    run, report = targets
    condition = next(c for c in scored(run, report) if c.modalities == ("b",))
    for metric in ("rmse", "mae", "r2"):
        row = row_of(report.by_output, condition, metric, "near")
        assert (row.delta, row.p) == (0.0, 1.0)
        assert -row.delta_low == pytest.approx(row.delta_high)
        assert 0 < row.delta_high < abs(row_of(report.by_output, condition, metric, "far").delta)


def test_only_conditions_that_surely_harm_are_there_and_p_is_adjusted_over_the_table(
    multi: tuple[Run, Report],
) -> None:
    run, report = multi
    table = report.by_output
    harmful = {CLEAN.key}
    for condition in run.conditions[1:]:
        score = report.score(condition.key, "average_precision")
        if condition.family != "control" and score is not None and score.delta_high < 0:
            harmful.add(condition.key)
    assert set(table.condition) == harmful
    tested = table[table.p.notna()]
    assert np.allclose(tested.p_adjusted, scipy.stats.false_discovery_control(tested.p.to_numpy()))
    assert table[table.p.isna()].p_adjusted.isna().all()


def test_above_the_most_rows_those_that_harm_most_are_kept() -> None:
    rows = [{"condition": c, "p": 0.5} for c in ("clean", "little", "much") for _ in range(MOST_ROWS // 2)]
    kept = finished(rows, {"clean": math.inf, "little": 0.1, "much": 0.3})
    assert [kept[0]["condition"], kept[-1]["condition"]] == ["clean", "much"]
    assert len(kept) == MOST_ROWS


def test_one_label_is_no_table(tmp_path: Path) -> None:
    run, report = audited(tmp_path / "run", Task.multilabel(1), labelled()[:, :1])
    assert report.by_output.empty
    assert report.outputs == ()
    assert by_output(report) == ()
    assert 'id="outputs"' not in (run.folder / "report.html").read_text()


def test_the_report_shows_the_label_that_breaks_first(multi: tuple[Run, Report]) -> None:
    run, report = multi
    (figure,) = by_output(report)
    # Without `a` the first label is lost, and without `b` the second; the others have no value at all.
    first = [row[0].text for row in figure.table.rows]
    assert first[0] == "mean over labels"
    assert set(first[1:3]) == {"left", "right"}
    titles = [c.title for c in figure.table.columns]
    body = {row[0].text: dict(zip(titles, row, strict=True)) for row in figure.table.rows}
    assert "a" in body["left"]["worst condition"].text.split()
    assert "b" in body["right"]["worst condition"].text.split()
    worst = max(
        (s for s in report.outputs if s.output == "left" and s.score.metric == "average_precision"),
        key=lambda s: -s.score.delta if s.score.delta == s.score.delta else -1.0,
    )
    assert body["left"]["there"].value == worst.score.value
    assert body["left"]["adjusted p"].value == worst.score.p_adjusted
    assert body["never"]["positives"].value == 0
    assert body["never"][titles[2]].reason == "no sample has this label"
    html = (run.folder / "report.html").read_text()
    assert '<h2 id="outputs-title">Labels</h2>' in html
    assert Report.read(run.folder).outputs[5].score.label == report.outputs[5].score.label


def test_many_labels_are_all_in_the_table_and_some_in_the_chart(multi: tuple[Run, Report]) -> None:
    _, report = multi
    document = copy.deepcopy(report.document)
    table = document["by_output"]
    mine = [row for row in table["rows"] if row[0] == "left"]
    table["rows"] = [[f"label {i}", *row[1:]] for i in range(50) for row in mine]
    (figure,) = by_output(Report.from_json(document))
    assert len(figure.table.rows) == 51
    assert "the table all 50" in figure.caption
    drawn = {d["row"] for layer in figure.panels[0].spec["layer"] for d in layer["data"]["values"] if "row" in d}
    assert len(drawn) <= 21


def test_filters_of_the_dashboard_leave_labels_of_the_conditions_that_are_chosen(multi: tuple[Run, Report]) -> None:
    _, report = multi
    left = filtered(report, Filter(families=("mismatch",)))
    kept = {s.score.condition for s in left.outputs}
    assert kept == {report.clean} | {m.key for m in left.conditions if m.condition.family == "mismatch"} & kept
    assert kept < {s.score.condition for s in report.outputs}
    assert len(by_output(left)) == 1


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda t: t["rows"][0].pop(), "for 24 columns"),
        (lambda t: t["rows"][0].__setitem__(0, 3), "'output' must be text"),
        (lambda t: t["rows"][0].__setitem__(1, "many"), "'positives' must be a number"),
        (lambda t: t["columns"].__setitem__(0, "else"), "output missing"),
    ],
)
def test_a_table_of_another_form_is_refused(multi: tuple[Run, Report], edit: Any, said: str) -> None:
    document = copy.deepcopy(multi[1].document)
    edit(document["by_output"])
    with pytest.raises(DamagedRun, match=said):
        Report.from_json(document)
    del document["by_output"]
    assert Report.from_json(document).by_output.empty, "as reports from before it existed"
