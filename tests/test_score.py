"""Scores of a run against computations made apart from it: scikit-learn, SciPy, and sums written out by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics as sk

from helpers.run_cases import Rowwise, dataset
from mmaudit import ArrayData, Report, Run, audit, metric
from mmaudit.auditing import CHECK_ROWS, spread
from mmaudit.comparison import measure, score_row
from mmaudit.errors import BadInput, DamagedRun, UnknownName
from mmaudit.header import modality_to_json
from mmaudit.metrics import Predictions, Resamples, metrics
from mmaudit.outputs import ConditionOutputs
from mmaudit.samples_file import Samples
from mmaudit.score import adjust, evidence, score
from mmaudit.types import CLEAN, Array, Batch, Condition, Modality, Score, Task

SUITE = {
    "probes": ["missing", "mismatch", "tabular.gaussian_noise_convex", "missing_rate"],
    "baselines": ["zero", "marginal"],
    "pools": ["random"],
    "positions": [1, 3, 5],
    "rates": [0.3, 0.9],
}
N = 400
UNLUCKY = np.setdiff1d(np.arange(5, N, 17), spread(N, CHECK_ROWS))


def no_answer(batch: Batch, rows: Array) -> Array:
    """Nothing usable for some samples that the doctor does not look at, unless their table is taken away."""
    rows = rows.copy()
    rows[np.isin(batch.ids, UNLUCKY) & (batch.inputs["table"] != 0).any(axis=1)] = np.nan
    return rows


def audited(folder: Path, kind: str, **more: Any) -> tuple[Run, Report]:
    rng = np.random.default_rng(8)
    sites = np.where(rng.random(N) < 0.05, "C", np.where(rng.random(N) < 0.4, "A", "B"))
    data = dataset(kind, N, seed=3, groups={"site": sites}, cluster=np.arange(N) // 2, noise=1.2)
    model = Rowwise(kind, **more)
    report = audit(model, data, out=folder, suite=SUITE, resamples=400)
    return Run.open(folder), report


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Report]:
    return audited(tmp_path_factory.mktemp("runs") / "classification", "classification")


@pytest.fixture(scope="module")
def regressed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Report]:
    return audited(tmp_path_factory.mktemp("runs") / "regression", "regression")


def values(report: Report, name: str, group: str = "") -> dict[str, float]:
    """A metric by condition label, over all samples, as compared with clean data."""
    clean = report.clean
    return {s.label: s.value for s in report.rows if s.metric == name and s.group == group and s.against in ("", clean)}


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


# ---- differences, intervals, many tests


def test_differences_are_paired_and_their_error_is_that_of_the_paired_differences(tmp_path: Path) -> None:
    data = dataset("classification", 1000, seed=3, noise=1.2)
    report = audit(Rowwise(), data, out=tmp_path / "run", suite={"probes": ["mismatch"], "pools": ["random"]})
    run = Run.open(tmp_path / "run")
    y = data.target
    clean = (run.read(CLEAN).outputs.argmax(axis=1) == y).astype(float)
    for condition in run.conditions[1:]:
        row = report.score(condition.key, "accuracy")
        assert row is not None
        if condition.probe == "identity":
            assert (row.delta, row.p) == (0.0, 1.0)
            continue
        difference = (run.read(condition).outputs.argmax(axis=1) == y) - clean
        error = difference.std(ddof=1) / np.sqrt(1000)
        assert row.delta == pytest.approx(difference.mean(), abs=1e-12)
        assert row.value == pytest.approx(clean.mean() + row.delta)
        assert (row.delta_high - row.delta_low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.12)
        assert row.mde / (2.8016 * error) == pytest.approx(1, abs=0.1)
        assert row.delta_low < row.delta < row.delta_high
        # Unpaired, the error would be larger: what is right under a mismatch is mostly right on clean data.
        assert condition.family == "control" or error < np.sqrt((clean.var() + (clean + difference).var()) / 1000)
        assert row.drop == pytest.approx(-row.delta / clean.mean())
        floor = np.bincount(y).max() / 1000
        assert row.floor == pytest.approx(floor)
        assert row.lost == pytest.approx(-row.delta / (clean.mean() - floor))


def test_copies_of_a_sample_make_no_more_evidence_when_they_are_one_cluster(tmp_path: Path) -> None:
    base = dataset("regression", 150, seed=1)
    batch = base.rows(np.repeat(np.arange(150), 8))
    widths = {}
    for name, cluster in (("apart", None), ("together", np.repeat(np.arange(150), 8))):
        data = ArrayData(
            {"table": batch.inputs["table"], "note": batch.inputs["note"].tolist()},
            batch.target[:, 0],
            base.task,
            cluster=cluster,
        )
        report = audit(
            Rowwise("regression"), data, out=tmp_path / name, suite={"probes": ["missing"], "baselines": ["zero"]}
        )
        rows = [s for s in report.rows if s.metric == "rmse" and s.against in ("", report.clean)]
        widths[name] = {s.label: (s.high - s.low, s.delta_high - s.delta_low, s.value, s.mde) for s in rows}
    for label in ("clean", "missing[table, baseline=zero]", "missing[note, baseline=zero]"):
        apart, together = widths["apart"][label], widths["together"][label]
        assert together[2] == pytest.approx(apart[2], rel=1e-9)
        assert together[0] / apart[0] == pytest.approx(np.sqrt(8), rel=0.15)
        if label != "clean":
            assert together[1] / apart[1] == pytest.approx(np.sqrt(8), rel=0.15)
            assert together[3] / apart[3] == pytest.approx(np.sqrt(8), rel=0.15)


def test_p_values_are_adjusted_over_the_whole_grid(classified: tuple[Run, Report]) -> None:
    _, report = classified
    estimates = {e.key for e in report.estimates}
    tested = [s for s in report.rows if not s.group and s.p == s.p]
    grid, estimated = ([s for s in tested if (s.condition in estimates) == which] for which in (False, True))
    assert len(grid) > 100
    assert len(estimated) > 5
    for family in (grid, estimated):
        adjusted = scipy.stats.false_discovery_control([s.p for s in family], method="bh")
        np.testing.assert_allclose([s.p_adjusted for s in family], adjusted, rtol=1e-12)
    assert all(s.p_adjusted != s.p_adjusted for s in report.rows if s.group or s.p != s.p)


def test_nothing_to_adjust_is_no_error() -> None:
    rows = [Score("a", "a", "accuracy", value=0.5), Score("a", "a", "accuracy", group="x=1", p=0.01)]
    assert [r.p_adjusted != r.p_adjusted for r in adjust(rows)] == [True, True]


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


# ---- edges and summaries, on a run small enough to check by hand


@pytest.fixture
def tiny(tmp_path: Path) -> Run:
    """Ten samples of class 1 and ten of class 0, and answers that are right as often as the table says."""
    right = {"clean": 20, "a1": 16, "b1": 14, "ab": 10, "n1": 18, "n3": 15, "n5": 11}
    return hand_made(tmp_path / "tiny", right)


def by_hand(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    """The header of a run of twenty samples in two classes, of two modalities a and b."""
    return {
        "fingerprints": {},
        "model": {"name": "by hand"},
        "data": {"n": 20},
        "task": {"kind": "classification", "names": ["no", "yes"], "unit": ""},
        "modalities": [modality_to_json(Modality(name, "tabular", (1,))) for name in ("a", "b")],
        "suite": {},
        "increments": [conditions],
        "declined": [],
        "shard_rows": 20,
    }


def hand_made(folder: Path, right: dict[str, int], unanswered: dict[str, int] | None = None) -> Run:
    def removal(*names: str) -> Condition:
        return Condition("missing", "missing", 1, names, options=(("baseline", "zero"),))

    def noise(severity: float, position: int) -> Condition:
        return Condition("tabular.noise", "corruption", 1, ("a",), severity, position, unit="σ")

    conditions = {
        "clean": CLEAN,
        "a1": removal("a"),
        "b1": removal("b"),
        "ab": removal("a", "b"),
        "n1": noise(0.2, 1),
        "n3": noise(0.5, 3),
        "n5": noise(1.0, 5),
    }
    header = by_hand([c.to_json() for c in conditions.values()])
    y = np.arange(20) % 2
    present = {m: np.ones(20, bool) for m in ("a", "b")}
    run = Run.create(folder, header, Samples(np.arange(20), y, {}, None, present))
    results = []
    for i, (name, condition) in enumerate(conditions.items()):
        # The first ones are right; who is wrong differs between conditions.
        order = np.roll(np.arange(20), i)
        said = y.copy()
        said[order[right[name] :]] = 1 - said[order[right[name] :]]
        logits = np.where(said[:, None] == np.arange(2), 1.0, -1.0).astype(np.float32)
        logits[np.arange(20) < (unanswered or {}).get(name, 0)] = np.nan
        changed = {m: np.full(20, m in condition.modalities) for m in present}
        moved = {m: np.full(20, 0.5, np.float32) for m in present}
        results.append(ConditionOutputs(logits, changed, moved))
    run.write_shard(0, 0, results)
    return run


def test_edges_join_neighbours_and_their_losses_share_one_scale(tiny: Run) -> None:
    rows = score(tiny, resamples=50)
    labels = {c.key: c.label for c in tiny.conditions}
    edges = {
        (labels[s.against], s.label): (s.delta, s.lost)
        for s in rows
        if s.metric == "accuracy" and s.against not in ("", CLEAN.key)
    }
    a, b, ab = (f"missing[{m}, baseline=zero]" for m in ("a", "b", "a+b"))
    n1, n3, n5 = (f"tabular.noise[a]@{i}" for i in (1, 3, 5))
    # (after − before), and its loss as a share of what clean data has above chance: 1 − 0.5.
    expected = {
        (a, "clean"): 0.2,
        (b, "clean"): 0.3,
        (ab, a): 0.3,
        (ab, b): 0.2,
        (n1, n3): -0.15,
        (n3, n5): -0.2,
    }
    assert edges.keys() == expected.keys()
    for edge, delta in expected.items():
        assert edges[edge] == (pytest.approx(delta), pytest.approx(-delta / 0.5)), edge


def test_summaries_are_what_their_formulas_say(tiny: Run) -> None:
    rows = {(s.label, s.metric): s for s in score(tiny, resamples=50)}

    def value(label: str, name: str) -> float:
        return rows[label, name].value

    shares = np.array([16, 14, 10]) / 20
    for label in ("missing", "missing[baseline=zero]"):
        assert value(label, "mmi") == pytest.approx(1 - shares.mean())
        assert value(label, "relative_robustness") == pytest.approx(shares.mean())
        assert value(label, "chance_normalised_drop") == pytest.approx((1 - shares.mean()) / 0.5)
        assert value(label, "worst_case") == pytest.approx(0.5)
        # Wrong: 1 + the last of 0…19 rolled by one, two and three places; together they leave 8 right everywhere.
        wrong = set(np.roll(np.arange(20), 1)[16:]) | set(np.roll(np.arange(20), 2)[14:])
        wrong |= set(np.roll(np.arange(20), 3)[10:])
        assert value(label, "instance_worst_case") == pytest.approx(1 - len(wrong) / 20)
    kept = (np.array([1, 0.9, 0.75, 0.55]) - 0.5) / 0.5
    area = 0.2 * (kept[0] + kept[1]) / 2 + 0.3 * (kept[1] + kept[2]) / 2 + 0.5 * (kept[2] + kept[3]) / 2
    assert value("tabular.noise[a]", "severity_area") == pytest.approx(area)
    assert value("corruption", "mmi") == pytest.approx(1 - np.mean([0.9, 0.75, 0.55]))
    assert ("missing", "severity_area") not in rows
    for (_, name), s in rows.items():
        if name in ("mmi", "worst_case", "severity_area"):
            assert s.low <= s.value <= s.high
            assert s.reason == ""


def test_samples_without_an_answer_are_left_out_everywhere(tmp_path: Path) -> None:
    right = {"clean": 18, "a1": 16, "b1": 14, "ab": 10, "n1": 18, "n3": 15, "n5": 11}
    run = hand_made(tmp_path / "run", right, unanswered={"clean": 3, "b1": 5})
    rows = score(run, resamples=50)
    y = run.samples.target
    answers = {c.label: run.read(c) for c in run.conditions}
    hits = {label: a.outputs.argmax(axis=1) == y for label, a in answers.items()}
    for s in rows:
        if s.metric != "accuracy" or s.against not in ("", CLEAN.key):
            continue
        both = answers[s.label].answered & answers["clean"].answered
        assert s.n == both.sum()
        assert s.value == pytest.approx(hits[s.label][both].mean())
        if s.against:
            # Against clean data on the very same samples.
            assert s.delta == pytest.approx(hits[s.label][both].mean() - hits["clean"][both].mean())
    by = {(s.label, s.metric): s for s in rows}
    seen = answers["clean"].answered
    worst = np.min([hits[f"tabular.noise[a]@{i}"][seen] for i in (1, 3, 5)], axis=0)
    assert by["corruption", "instance_worst_case"].value == pytest.approx(worst.mean())
    assert by["corruption", "instance_worst_case"].n == 17
    lost = by["missing", "instance_worst_case"]
    assert np.isnan(lost.value)
    assert lost.reason == "not every sample has an answer under missing[b, baseline=zero]"


def test_no_answer_at_all_is_said_so(tmp_path: Path) -> None:
    right = dict.fromkeys(("clean", "a1", "b1", "ab", "n1", "n3", "n5"), 15)
    run = hand_made(tmp_path / "run", right, unanswered={"clean": 20})
    with pytest.raises(BadInput, match="answered no sample on clean data"):
        score(run)


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


# ---- controls


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


# ---- scoring again


@pytest.fixture
def spread_metric() -> Iterator[str]:
    @metric("confidence_spread", better="neither", unit="share", tasks=("classification",))
    def confidence_spread(p: Predictions, w: Resamples) -> Any:
        """Mean distance of the confidence from one half."""
        return w.mean(np.abs(p.confidence - 0.5))

    yield "confidence_spread"
    del metrics._items["confidence_spread"]


def test_a_new_metric_needs_no_model(tiny: Run, spread_metric: str) -> None:
    rows = [s for s in score(Run.open(tiny.folder), resamples=20) if s.metric == spread_metric]
    assert len(rows) == len(tiny.conditions)
    confidence = 1 / (1 + np.exp(-2.0))
    assert {round(s.value, 9) for s in rows} == {round(confidence - 0.5, 9)}
    assert any(s.metric == spread_metric for s in evidence(Run.open(tiny.folder)).scores)


def test_only_the_metrics_asked_for_and_the_primary_one(tiny: Run) -> None:
    rows = score(tiny, only=["brier"], resamples=20)
    assert {s.metric for s in rows if s.condition == CLEAN.key} == {"brier", "accuracy"}
    with pytest.raises(UnknownName, match="did you mean 'brier'"):
        score(tiny, only=["briar"])


def test_the_same_run_and_seed_give_the_same_bytes_and_another_seed_other_intervals(tiny: Run) -> None:
    def tables() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in tiny.folder.glob("*.parquet")}

    score(tiny, resamples=50)
    first = tables()
    score(tiny, resamples=50)
    assert tables() == first
    score(tiny, resamples=50, seed=1)
    assert tables()["scores.parquet"] != first["scores.parquet"]
    assert tables()["conditions.parquet"] == first["conditions.parquet"]


def test_a_run_without_scores_says_how_to_get_them(tiny: Run) -> None:
    with pytest.raises(DamagedRun, match="mmaudit score"):
        evidence(tiny)
    score(tiny, resamples=20)
    assert evidence(tiny).scores
    tiny.extend([Condition("missing", "missing", 1, ("a",), options=(("baseline", "mean"),))])
    with pytest.raises(DamagedRun, match="older than its plan"):
        evidence(tiny)
    with pytest.raises(DamagedRun, match="has not finished"):
        score(tiny)


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


def test_a_difference_of_shares_stays_within_what_shares_can_differ() -> None:
    task, target = Task.classification(2), np.zeros(40, np.int64)
    w = Resamples.draw(40, 50)
    right = Predictions(task, np.tile([1.0, 0.0], (40, 1)), target)
    wrong = Predictions(task, np.tile([0.0, 1.0], (40, 1)), target)
    accuracy = metrics.get("accuracy")
    row = score_row(task, CLEAN, accuracy, measure(accuracy, wrong, w), measure(accuracy, right, w))
    assert (row.delta, row.delta_low) == (-1.0, -1.0)
    assert row.delta_high == pytest.approx(-(0.025 ** (1 / 40)))
